// Command load is the load of ./dev bench by grpc-go; arguments and report are those of bench-echo-load.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	message "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

type load struct {
	connection      *grpc.ClientConn
	method, text    string
	calls, messages int
	started, failed atomic.Int64
	latencies       []time.Duration
}

func (l *load) unary(ctx context.Context) bool {
	answer := new(message.HealthCheckRequest)
	err := l.connection.Invoke(ctx, "/bench.v1.EchoService/Echo", &message.HealthCheckRequest{Service: l.text}, answer)
	return err == nil && len(answer.Service) == len(l.text)
}

func (l *load) stream(ctx context.Context) bool {
	stream, err := l.connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/bench.v1.EchoService/Repeat")
	request := &descriptorpb.EnumValueDescriptorProto{Name: &l.text, Number: proto.Int32(int32(l.messages))}
	if err != nil || stream.SendMsg(request) != nil || stream.CloseSend() != nil {
		return false
	}
	answer := new(message.HealthCheckRequest)
	for received := 0; ; received++ {
		if err := stream.RecvMsg(answer); err != nil {
			return err == io.EOF && received == l.messages
		}
	}
}

// lane makes calls one after the other until there are enough.
func (l *load) lane() {
	for index := l.started.Add(1) - 1; index < int64(l.calls); index = l.started.Add(1) - 1 {
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		good := false
		if l.method == "Repeat" {
			good = l.stream(ctx)
		} else {
			good = l.unary(ctx)
		}
		cancel()
		if !good {
			l.failed.Add(1)
		}
		l.latencies[index] = time.Since(began)
	}
}

func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func argument(index, otherwise int) int {
	if len(os.Args) <= index {
		return otherwise
	}
	number, err := strconv.Atoi(os.Args[index])
	if err != nil {
		log.Fatal(err)
	}
	return number
}

func main() {
	if len(os.Args) < 4 {
		log.Fatal("usage: load HOST:PORT CALLS IN_FLIGHT [Echo|Repeat [BYTES [MESSAGES]]]")
	}
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	l := &load{connection: connection, method: "Echo", text: strings.Repeat("x", argument(5, 12)), calls: argument(2, 1), messages: argument(6, 1)}
	if len(os.Args) > 4 {
		l.method = os.Args[4]
	}
	if !l.unary(context.Background()) { // the first call must not pay for the connection
		log.Fatal("cannot connect")
	}
	l.latencies = make([]time.Duration, l.calls)
	var lanes sync.WaitGroup
	before, began := cpu(), time.Now()
	for range argument(3, 1) {
		lanes.Add(1)
		go func() {
			defer lanes.Done()
			l.lane()
		}()
	}
	lanes.Wait()
	took, used := time.Since(began), cpu()-before
	slices.Sort(l.latencies)
	microseconds := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	report := map[string]any{
		"calls": l.calls, "failed": l.failed.Load(), "seconds": took.Seconds(),
		"p50_us": microseconds(l.latencies[l.calls/2]), "p99_us": microseconds(l.latencies[l.calls-1-l.calls/100]),
		"cpu_us": microseconds(used) / float64(l.calls),
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		log.Fatal(err)
	}
}
