// Command echo is the peer in ./dev bench: the echo service of tests/bench/echo.proto on grpc-go. On the wire its messages with one
// text are those of grpc.health.v1, and that with text and number one of descriptor.proto: they come generated.
package main

import (
	"context"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"
	message "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/descriptorpb"
)

func echo(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	request := new(message.HealthCheckRequest)
	if err := decode(request); err != nil {
		return nil, err
	}
	return &message.HealthCheckRequest{Service: request.Service}, nil
}

func repeat(_ any, stream grpc.ServerStream) error {
	request := new(descriptorpb.EnumValueDescriptorProto)
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	answer := &message.HealthCheckRequest{Service: request.GetName()}
	for i := int32(0); i < request.GetNumber(); i++ {
		if err := stream.SendMsg(answer); err != nil {
			return err
		}
	}
	return nil
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
		Streams:     []grpc.StreamDesc{{StreamName: "Repeat", Handler: repeat, ServerStreams: true}},
	}, struct{}{})
	log.Fatal(server.Serve(listener))
}
