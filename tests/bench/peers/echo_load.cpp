// Load by gRPC for C++, with its callback API; arguments and report are those of bench-echo-load.
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "echo.grpc.pb.h"

namespace {

using bench::v1::EchoRequest;
using bench::v1::EchoResponse;
using bench::v1::EchoService;
using bench::v1::RepeatRequest;
using Clock = std::chrono::steady_clock;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct Load {
  std::unique_ptr<EchoService::Stub> stub;
  std::string method, text;
  size_t calls = 0, in_flight = 0, messages = 1;
  std::atomic<size_t> started{0}, ended{0}, failed{0};
  std::vector<double> latencies_us;
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;
};

// One of the calls in flight; begins its next call when the last one ends.
class Lane;
void BeginNext(Lane* lane);

class Lane {
 public:
  explicit Lane(Load* load) : load(load) {}

  void Ended(bool good) {
    const size_t index = load->ended++;
    load->latencies_us[index] = std::chrono::duration<double, std::micro>(Clock::now() - began).count();
    load->failed += !good;
    if (index + 1 < load->calls) {
      BeginNext(this);
      return;
    }
    const std::lock_guard<std::mutex> lock(load->mutex);
    load->over = true;
    load->changed.notify_one();
  }

  Load* load;
  Clock::time_point began;
  std::unique_ptr<grpc::ClientContext> context;
  EchoRequest request;
  EchoResponse response;
};

class Stream final : public grpc::ClientReadReactor<EchoResponse> {
 public:
  explicit Stream(Lane* lane) : lane_(lane) {
    request_.set_text(lane->load->text);
    request_.set_count(static_cast<uint32_t>(lane->load->messages));
    lane->load->stub->async()->Repeat(lane->context.get(), &request_, this);
    StartRead(&message_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok)
      return;
    received_ += message_.text().size() == lane_->load->text.size();
    StartRead(&message_);
  }

  void OnDone(const grpc::Status& status) override {
    Lane* lane = lane_;
    const bool good = status.ok() && received_ == lane->load->messages;
    delete this;
    lane->Ended(good);
  }

 private:
  Lane* lane_;
  RepeatRequest request_;
  EchoResponse message_;
  size_t received_ = 0;
};

void BeginNext(Lane* lane) {
  Load* load = lane->load;
  if (load->started++ >= load->calls)
    return;
  lane->began = Clock::now();
  lane->context = std::make_unique<grpc::ClientContext>();
  lane->context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  if (load->method == "Repeat") {
    new Stream(lane);
    return;
  }
  lane->request.set_text(load->text);
  lane->load->stub->async()->Echo(
      lane->context.get(), &lane->request, &lane->response, [lane](const grpc::Status& status) {
        lane->Ended(status.ok() && lane->response.text().size() == lane->load->text.size());
      });
}

void Report(Load* load, double seconds, double cpu_seconds) {
  std::sort(load->latencies_us.begin(), load->latencies_us.end());
  const double calls = static_cast<double>(load->calls);
  std::printf(
      "{\"calls\": %zu, \"failed\": %zu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"cpu_us\": %.3f}\n",
      load->calls, load->failed.load(), seconds, load->latencies_us[load->calls / 2],
      load->latencies_us[load->calls - 1 - load->calls / 100], cpu_seconds * 1e6 / calls);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s HOST:PORT CALLS IN_FLIGHT [Echo|Repeat [BYTES [MESSAGES]]]\n", argv[0]);
    return 2;
  }
  Load load;
  load.calls = std::stoul(argv[2]);
  load.in_flight = std::stoul(argv[3]);
  load.method = argc > 4 ? argv[4] : "Echo";
  load.text.assign(argc > 5 ? std::stoul(argv[5]) : 12, 'x');
  load.messages = argc > 6 ? std::stoul(argv[6]) : 1;
  load.latencies_us.resize(load.calls);
  const auto channel = grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5)))
    return 1;
  load.stub = EchoService::NewStub(channel);
  std::vector<Lane> lanes;
  for (size_t i = 0; i < load.in_flight; i++)
    lanes.emplace_back(&load);
  const double cpu_before = CpuSeconds();
  const Clock::time_point began = Clock::now();
  for (Lane& lane : lanes)
    BeginNext(&lane);
  std::unique_lock<std::mutex> lock(load.mutex);
  load.changed.wait(lock, [&load] { return load.over; });
  Report(&load, std::chrono::duration<double>(Clock::now() - began).count(), CpuSeconds() - cpu_before);
}
