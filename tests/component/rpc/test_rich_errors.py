"""Rich errors between our runtime and grpcio, both ways, by google.rpc.Status (grpc_status on the Python side)."""

import subprocess
from concurrent import futures

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2 as details, status_pb2
from grpc_status import rpc_status
from support.contracts import build

PEER = str(build() / "tests/component/rpc/rich-peer")
FAIL = "/test.rich.v1.Rich/Fail"


def everything() -> list:
    info = details.ErrorInfo(reason="CLOSED", domain="test.example", metadata={"until": "monday"})
    retry = details.RetryInfo()
    retry.retry_delay.FromMilliseconds(1250)
    bad = details.BadRequest(field_violations=[details.BadRequest.FieldViolation(field="place.name", description="must be open")])
    failure = details.PreconditionFailure(
        violations=[details.PreconditionFailure.Violation(type="HOURS", subject="places/7", description="closed on sundays")])
    resource = details.ResourceInfo(resource_type="place", resource_name="places/7", owner="ada", description="her place")
    quota = details.QuotaFailure(violations=[details.QuotaFailure.Violation(subject="project:1", description="daily limit")])
    return [info, retry, resource, failure, bad, quota]


def test_grpcio_reads_what_we_attach(server):
    with grpc.insecure_channel(server) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(FAIL)(b"", timeout=10)
    status = rpc_status.from_call(caught.value)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert (status.code, status.message) == (code_pb2.FAILED_PRECONDITION, "not now: café closed")
    wanted = everything()
    assert [detail.TypeName() for detail in status.details] == [message.DESCRIPTOR.full_name for message in wanted]
    for detail, message in zip(status.details, wanted):
        found = type(message)()
        assert detail.Unpack(found)
        assert found == message


def pack(message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


class Failing(grpc.GenericRpcHandler):
    """Answers every call with every detail."""

    def service(self, handler_call_details):
        def fail(request, context):
            status = status_pb2.Status(code=code_pb2.ABORTED, message="from python: café", details=map(pack, everything()))
            context.abort_with_status(rpc_status.to_status(status))

        return grpc.unary_unary_rpc_method_handler(fail)


def test_we_read_what_grpcio_attaches():
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Failing()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        done = subprocess.run([PEER, "--call", str(port)], capture_output=True, text=True, timeout=30, check=True)
    finally:
        server.stop(None)
    assert done.stdout.splitlines() == [
        "status ABORTED: from python: café", "info CLOSED test.example", "metadata until=monday", "retry 1250 ms",
        "violation place.name: must be open", "precondition HOURS places/7: closed on sundays",
        "resource place places/7 of ada: her place", "quota project:1: daily limit"]
