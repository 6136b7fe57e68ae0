// Command grpcgateway is the peer in ./dev bench: GET /v1/echo/{text} by grpc-gateway, written as its generator writes it. On the wire the
// messages of tests/bench/echo.proto are those with one text of grpc.health.v1, which come generated.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	message "google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: grpcgateway LISTEN BACKEND")
	}
	connection, err := grpc.NewClient(os.Args[2], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	mux := runtime.NewServeMux()
	err = mux.HandlePath(http.MethodGet, "/v1/echo/{text}", func(w http.ResponseWriter, r *http.Request, path map[string]string) {
		_, marshaler := runtime.MarshalerForRequest(mux, r)
		ctx, err := runtime.AnnotateContext(r.Context(), mux, r, "/bench.v1.EchoService/Echo", runtime.WithHTTPPathPattern("/v1/echo/{text}"))
		if err != nil {
			runtime.HTTPError(ctx, mux, marshaler, w, r, err)
			return
		}
		text, err := runtime.String(path["text"])
		if err == nil {
			err = r.ParseForm()
		}
		if err != nil {
			runtime.HTTPError(ctx, mux, marshaler, w, r, err)
			return
		}
		answer := new(message.HealthCheckRequest)
		if err := connection.Invoke(ctx, "/bench.v1.EchoService/Echo", &message.HealthCheckRequest{Service: text}, answer); err != nil {
			runtime.HTTPError(ctx, mux, marshaler, w, r, err)
			return
		}
		runtime.ForwardResponseMessage(ctx, mux, marshaler, w, r, answer)
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Args[1], mux))
}
