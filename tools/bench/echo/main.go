// Command echo is the peer in ./dev bench: the echo service of tests/bench/echo.proto on grpc-go. On the wire its messages are
// those with one text of grpc.health.v1, which come generated.
package main

import (
	"context"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"
	message "google.golang.org/grpc/health/grpc_health_v1"
)

func echo(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	request := new(message.HealthCheckRequest)
	if err := decode(request); err != nil {
		return nil, err
	}
	return &message.HealthCheckRequest{Service: request.Service}, nil
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: echo HOST:PORT")
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.v1.EchoService",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: echo}},
	}, struct{}{})
	log.Fatal(server.Serve(listener))
}
