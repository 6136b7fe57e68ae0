"""The other side of gRPC's interoperability tests on python3-grpcio: a server and a client of grpc.testing.TestService.

  peer.py DESCRIPTORS server --port=N
  peer.py DESCRIPTORS client --server_host=127.0.0.1 --server_port=N --test_case=NAME[,NAME...]

grpcio does not tell whether a message came compressed, so the client asks our server to look, and tests look at the wire (tap.py).
"""

import argparse
import signal
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

INITIAL_KEY, TRAILING_KEY = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
INITIAL_VALUE, TRAILING_VALUE = "test_initial_metadata_value", b"\xab\xab\xab"
REQUEST_SIZES, RESPONSE_SIZES = (27182, 8, 1828, 45904), (31415, 9, 2653, 58979)
LARGE_REQUEST, LARGE_RESPONSE = 271828, 314159
SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
SERVICE, NO_SERVICE = "grpc.testing.TestService", "grpc.testing.UnimplementedService"
SECONDS = 30.0


class Contract:
    """Message classes of the contract by name."""

    def __init__(self, descriptors: Path):
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file:
            pool.Add(file)
        self._pool = pool

    def __getattr__(self, name: str):
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"grpc.testing.{name}"))


# ---- server ----

class Server:
    def __init__(self, contract: Contract):
        self.pb = contract

    def handlers(self):
        def handler(kind, method, request):
            return kind(method, request_deserializer=request.FromString, response_serializer=lambda message: message.SerializeToString())
        pb = self.pb
        return grpc.method_handlers_generic_handler(SERVICE, {
            "EmptyCall": handler(grpc.unary_unary_rpc_method_handler, lambda request, context: pb.Empty(), pb.Empty),
            "UnaryCall": handler(grpc.unary_unary_rpc_method_handler, self.unary, pb.SimpleRequest),
            "StreamingOutputCall": handler(grpc.unary_stream_rpc_method_handler, self.output, pb.StreamingOutputCallRequest),
            "StreamingInputCall": handler(grpc.stream_unary_rpc_method_handler, self.input, pb.StreamingInputCallRequest),
            "FullDuplexCall": handler(grpc.stream_stream_rpc_method_handler, self.duplex, pb.StreamingOutputCallRequest)})

    @staticmethod
    def _echo_metadata(context):
        for key, value in context.invocation_metadata():
            if key == INITIAL_KEY:
                context.send_initial_metadata(((key, value),))
            elif key == TRAILING_KEY:
                context.set_trailing_metadata(((key, value),))

    @staticmethod
    def _echo_status(request, context):
        if request.HasField("response_status") and request.response_status.code:
            code = next(code for code in grpc.StatusCode if code.value[0] == request.response_status.code)
            context.abort(code, request.response_status.message)

    def _payload(self, size: int):
        return self.pb.Payload(body=bytes(size))

    def unary(self, request, context):
        if request.HasField("response_compressed") and request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        self._echo_metadata(context)
        self._echo_status(request, context)
        return self.pb.SimpleResponse(payload=self._payload(request.response_size))

    def _responses(self, request, context):
        for wanted in request.response_parameters:
            time.sleep(wanted.interval_us / 1e6)
            if not wanted.compressed.value:
                context.disable_next_message_compression()
            yield self.pb.StreamingOutputCallResponse(payload=self._payload(wanted.size))

    def output(self, request, context):
        if any(wanted.HasField("compressed") for wanted in request.response_parameters):
            context.set_compression(grpc.Compression.Gzip)
        yield from self._responses(request, context)

    def input(self, requests, context):
        return self.pb.StreamingInputCallResponse(aggregated_payload_size=sum(len(request.payload.body) for request in requests))

    def duplex(self, requests, context):
        self._echo_metadata(context)
        for request in requests:
            self._echo_status(request, context)
            yield from self._responses(request, context)


def serve(contract: Contract, port: int) -> int:
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((Server(contract).handlers(),))
    if server.add_insecure_port(f"127.0.0.1:{port}") == 0:
        return 1
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server.start()
    ended.wait()
    server.stop(None).wait()
    return 0


# ---- client ----

def same(found, expected):
    assert found == expected, f"{found!r} instead of {expected!r}"


class Client:
    """Each method without an underscore is a case."""

    def __init__(self, contract: Contract, target: str):
        self._pb, self._target = contract, target
        self._channel = grpc.insecure_channel(target)

    def _method(self, kind: str, name: str, answer, service: str = SERVICE, channel=None):
        return getattr(channel or self._channel, kind)(f"/{service}/{name}", request_serializer=lambda message: message.SerializeToString(),
                                                       response_deserializer=answer.FromString)

    def _unary(self, request, channel=None, **options):
        return self._method("unary_unary", "UnaryCall", self._pb.SimpleResponse, channel=channel).with_call(
            request, timeout=SECONDS, wait_for_ready=True, **options)

    def _duplex(self, requests, seconds: float = SECONDS, **options):
        return self._method("stream_stream", "FullDuplexCall", self._pb.StreamingOutputCallResponse)(requests, timeout=seconds, **options)

    def _input(self, requests, **options):
        return self._method("stream_unary", "StreamingInputCall", self._pb.StreamingInputCallResponse)(requests, timeout=SECONDS, **options)

    def _payload(self, size: int):
        return self._pb.Payload(body=bytes(size))

    def _output_request(self, *sizes: int, **fields):
        return self._pb.StreamingOutputCallRequest(response_parameters=[self._pb.ResponseParameters(size=size) for size in sizes], **fields)

    @staticmethod
    def _refused(code: grpc.StatusCode, call, message: str | None = None):
        try:
            call()
        except grpc.RpcError as error:
            same(error.code(), code)
            if message is not None:
                same(error.details(), message)
        else:
            raise AssertionError(f"no {code}")

    def empty_unary(self):
        same(self._method("unary_unary", "EmptyCall", self._pb.Empty)(self._pb.Empty(), timeout=SECONDS, wait_for_ready=True), self._pb.Empty())

    def large_unary(self, channel=None, **fields):
        options = {"compression": fields.pop("compression")} if "compression" in fields else {}
        request = self._pb.SimpleRequest(response_size=LARGE_RESPONSE, payload=self._payload(LARGE_REQUEST), **fields)
        same(len(self._unary(request, channel, **options)[0].payload.body), LARGE_RESPONSE)

    def client_compressed_unary(self):
        said = self._pb.BoolValue
        self._refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: self.large_unary(expect_compressed=said(value=True)))
        for algorithm in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            self.large_unary(expect_compressed=said(value=True), compression=algorithm)
        self.large_unary(expect_compressed=said(value=False))

    def server_compressed_unary(self):
        for wanted in (True, False):
            self.large_unary(response_compressed=self._pb.BoolValue(value=wanted))

    def client_streaming(self):
        requests = [self._pb.StreamingInputCallRequest(payload=self._payload(size)) for size in REQUEST_SIZES]
        same(self._input(iter(requests)).aggregated_payload_size, sum(REQUEST_SIZES))

    def client_compressed_streaming(self):
        """grpcio's client compresses all messages of a call or none."""
        request = self._pb.StreamingInputCallRequest(payload=self._payload(27182), expect_compressed=self._pb.BoolValue(value=True))
        self._refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: self._input(iter([request])))
        same(self._input(iter([request, request]), compression=grpc.Compression.Gzip).aggregated_payload_size, 2 * 27182)

    def server_streaming(self, **fields):
        call = self._method("unary_stream", "StreamingOutputCall", self._pb.StreamingOutputCallResponse)
        same([len(response.payload.body) for response in call(self._output_request(*RESPONSE_SIZES), timeout=SECONDS)], list(RESPONSE_SIZES))

    def server_compressed_streaming(self):
        wanted = [self._pb.ResponseParameters(size=size, compressed=self._pb.BoolValue(value=compressed))
                  for size, compressed in ((31415, True), (92653, False))]
        call = self._method("unary_stream", "StreamingOutputCall", self._pb.StreamingOutputCallResponse)
        responses = call(self._pb.StreamingOutputCallRequest(response_parameters=wanted), timeout=SECONDS)
        same([len(response.payload.body) for response in responses], [31415, 92653])

    def ping_pong(self):
        heard = threading.Semaphore(1)

        def requests():
            for asked, size in zip(REQUEST_SIZES, RESPONSE_SIZES):
                heard.acquire()
                yield self._output_request(size, payload=self._payload(asked))

        sizes = []
        for response in self._duplex(requests()):
            sizes.append(len(response.payload.body))
            heard.release()
        same(sizes, list(RESPONSE_SIZES))

    def empty_stream(self):
        same(list(self._duplex(iter(()))), [])

    def custom_metadata(self):
        metadata = ((INITIAL_KEY, INITIAL_VALUE), (TRAILING_KEY, TRAILING_VALUE))

        def look(call):
            same(dict(call.initial_metadata()).get(INITIAL_KEY), INITIAL_VALUE)
            same(dict(call.trailing_metadata()).get(TRAILING_KEY), TRAILING_VALUE)
        look(self._unary(self._pb.SimpleRequest(response_size=1, payload=self._payload(1)), metadata=metadata)[1])
        call = self._duplex(iter([self._output_request(1, payload=self._payload(1))]), metadata=metadata)
        same(len(list(call)), 1)
        look(call)

    def status_code_and_message(self, message: str = "test status message"):
        status = self._pb.EchoStatus(code=2, message=message)
        self._refused(grpc.StatusCode.UNKNOWN, lambda: self._unary(self._pb.SimpleRequest(response_status=status)), message)
        self._refused(grpc.StatusCode.UNKNOWN, lambda: list(self._duplex(iter([self._output_request(response_status=status)]))), message)

    def special_status_message(self):
        self.status_code_and_message(SPECIAL_MESSAGE)

    def unimplemented_method(self, service: str = SERVICE):
        call = self._method("unary_unary", "UnimplementedCall", self._pb.Empty, service)
        self._refused(grpc.StatusCode.UNIMPLEMENTED, lambda: call(self._pb.Empty(), timeout=SECONDS))

    def unimplemented_service(self):
        self.unimplemented_method(NO_SERVICE)

    def cancel_after_begin(self):
        never = threading.Event()

        def requests():
            never.wait(SECONDS)
            yield from ()
        call = self._method("stream_unary", "StreamingInputCall", self._pb.StreamingInputCallResponse).future(requests())
        call.cancel()
        never.set()
        same(call.cancelled(), True)

    def cancel_after_first_response(self):
        done = threading.Event()

        def requests():
            yield self._output_request(31415, payload=self._payload(27182))
            done.wait(SECONDS)
        call = self._duplex(requests())
        same(len(next(call).payload.body), 31415)
        call.cancel()
        done.set()
        self._refused(grpc.StatusCode.CANCELLED, lambda: next(call))

    def timeout_on_sleeping_server(self):
        done = threading.Event()

        def requests():
            yield self._output_request(payload=self._payload(27182))
            done.wait(SECONDS)
        self._refused(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(self._duplex(requests(), seconds=0.001)))
        done.set()

    def concurrent_large_unary(self, count: int = 100):
        with futures.ThreadPoolExecutor(count) as pool:
            for done in [pool.submit(self.large_unary) for _ in range(count)]:
                done.result()

    def rpc_soak(self):
        for _ in range(20):
            self.large_unary()

    def channel_soak(self):
        for i in range(10):
            with grpc.insecure_channel(self._target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                self.large_unary(channel)


def run_cases(client: Client, names: list[str]) -> int:
    failures = 0
    for name in names:
        try:
            getattr(client, name)()
            print(f"{name}: passed", flush=True)
        except Exception as error:  # whatever it is, the other cases still run
            failures += 1
            print(f"{name}: FAILED: {error!r}", flush=True)
    return failures


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("descriptors", type=Path)
    parser.add_argument("side", choices=("server", "client"))
    parser.add_argument("--port", type=int)
    parser.add_argument("--server_host")
    parser.add_argument("--server_port", type=int)
    parser.add_argument("--test_case", default="")
    options = parser.parse_args()
    contract = Contract(options.descriptors)
    if options.side == "server":
        return serve(contract, options.port)
    return run_cases(Client(contract, f"{options.server_host}:{options.server_port}"), options.test_case.split(",")) and 1


if __name__ == "__main__":
    sys.exit(main())
