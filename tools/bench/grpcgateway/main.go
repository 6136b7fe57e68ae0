// Command grpcgateway is the peer in ./dev bench gateway: tests/bench/echo.proto as grpc-gateway's own generator translates it (the package
// echo is made by tools/dev/bench/gateway_peer.py and exists in no folder).
//
// What ours does for every request, it does too: the contract's deadline, and W3C trace context to backend and client. With -bare it is
// what the generator and no more makes of the contract.
package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"log"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"skyhook/tools/bench/grpcgateway/echo"
)

const deadline = 5 * time.Second // as in the contract

func newTraceparent() string {
	var id [24]byte
	for at := 0; at < len(id); at += 8 {
		binary.LittleEndian.PutUint64(id[at:], rand.Uint64())
	}
	text := hex.EncodeToString(id[:])
	return "00-" + text[:32] + "-" + text[32:] + "-01"
}

// traced gives a request without trace context one, and tells it in the answer.
func traced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Traceparent") == "" {
			r.Header.Set("Traceparent", newTraceparent())
		}
		w.Header().Set("Traceparent", r.Header.Get("Traceparent"))
		next.ServeHTTP(w, r)
	})
}

func traceMetadata(_ context.Context, r *http.Request) metadata.MD {
	return metadata.Pairs("traceparent", r.Header.Get("Traceparent"))
}

func main() {
	bare := flag.Bool("bare", false, "no deadline, no trace context")
	flag.Parse()
	if flag.NArg() != 2 {
		log.Fatal("usage: grpcgateway [-bare] LISTEN BACKEND")
	}
	var options []runtime.ServeMuxOption
	if !*bare {
		runtime.DefaultContextTimeout = deadline
		options = append(options, runtime.WithMetadata(traceMetadata))
	}
	mux := runtime.NewServeMux(options...)
	dial := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if err := echo.RegisterEchoServiceHandlerFromEndpoint(context.Background(), mux, flag.Arg(1), dial); err != nil {
		log.Fatal(err)
	}
	var handler http.Handler = mux
	if !*bare {
		handler = traced(mux)
	}
	log.Fatal(http.ListenAndServe(flag.Arg(0), handler))
}
