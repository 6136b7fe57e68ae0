// The echo service on gRPC for C++, with its callback API: a peer in ./dev bench. Usage: echo-cpp-server HOST:PORT.
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <memory>
#include <string>

#include "echo.grpc.pb.h"

namespace {

using bench::v1::EchoRequest;
using bench::v1::EchoResponse;
using bench::v1::EchoService;
using bench::v1::RepeatRequest;

// One stream: writes the next message when the last one is written.
class Repeater final : public grpc::ServerWriteReactor<EchoResponse> {
 public:
  explicit Repeater(const RepeatRequest& request) : left_(request.count()) {
    message_.set_text(request.text());
    WriteNext();
  }

  void OnWriteDone(bool ok) override {
    if (ok)
      WriteNext();
    else
      Finish(grpc::Status::CANCELLED);
  }

  void OnDone() override { delete this; }

 private:
  void WriteNext() {
    if (left_ == 0) {
      Finish(grpc::Status::OK);
      return;
    }
    left_--;
    StartWrite(&message_);
  }

  EchoResponse message_;
  uint32_t left_;
};

class Service final : public EchoService::CallbackService {
  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context, const EchoRequest* request,
                                 EchoResponse* response) override {
    response->set_text(request->text());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerWriteReactor<EchoResponse>* Repeat(grpc::CallbackServerContext*, const RepeatRequest* request) override {
    return new Repeater(*request);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " HOST:PORT\n";
    return 2;
  }
  Service service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr)
    return 1;
  server->Wait();
}
