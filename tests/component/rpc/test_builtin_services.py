"""Health and reflection as grpcurl and grpcio see them."""

import json
import subprocess

import grpc
import pytest
from dev.paths import TOOLS_BIN
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

GRPCURL = str(TOOLS_BIN / "grpcurl")


def grpcurl(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([GRPCURL, "-plaintext", "-max-time", "10", *arguments], capture_output=True, text=True, timeout=30, check=False)


def said(*arguments: str) -> str:
    done = grpcurl(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_grpcurl_lists_and_describes_all(server):
    services = said(server, "list").split()
    assert services == ["component.v1.GreeterService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                        "grpc.reflection.v1alpha.ServerReflection", "test.rich.v1.Rich"]
    for service in services[:-1]:
        assert "rpc " in said(server, "describe", service)
    assert "string name = 1;" in said(server, "describe", "component.v1.GreetRequest")
    assert "rpc Hold" in said(server, "describe", "component.v1.GreeterService.Hold")
    assert "string name" in said(server, "describe", "component.v1.GreetRequest.name")


def test_grpcurl_calls_by_reflection(server):
    done = grpcurl("-d", '{"name": "ada"}', server, "component.v1.GreeterService/Greet")
    assert "Code: Unimplemented" in done.stderr
    assert json.loads(said("-d", '{"service": "test.rich.v1.Rich"}', server, "grpc.health.v1.Health/Check")) == {"status": "SERVING"}
    assert "Code: NotFound" in grpcurl("-d", '{"service": "nope"}', server, "grpc.health.v1.Health/Check").stderr
    statuses = json.loads(said("-d", "{}", server, "grpc.health.v1.Health/List"))["statuses"]
    assert statuses[""] == statuses["component.v1.GreeterService"] == {"status": "SERVING"}


def test_a_watched_unknown_service_is_unknown(server):
    watch = subprocess.Popen([GRPCURL, "-plaintext", "-max-time", "30", "-d", '{"service": "nope"}', server, "grpc.health.v1.Health/Watch"],
                             stdout=subprocess.PIPE, text=True)
    try:
        said = "".join(iter(watch.stdout.readline, "}\n")) + "}"
        assert json.loads(said) == {"status": "SERVICE_UNKNOWN"}
        assert watch.poll() is None  # the stream stays open, for the day the service is there
    finally:
        watch.terminate()
        watch.communicate(timeout=30)


@pytest.fixture(params=["v1", "v1alpha"])
def ask(request, server):
    """Asks the server one question of reflection, with types that are themselves read by reflection."""
    package = f"grpc.reflection.{request.param}"
    with grpc.insecure_channel(server) as channel:
        info = channel.stream_stream(f"/{package}.ServerReflection/ServerReflectionInfo")
        symbol = f"{package}.ServerReflection".encode()
        raw = next(info(iter([bytes([0x22, len(symbol)]) + symbol]), timeout=10))
        pool = descriptor_pool.DescriptorPool()
        pool.AddSerializedFile(_first_file(raw))
        question, answer = (message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.ServerReflection{kind}"))
                            for kind in ("Request", "Response"))
        stub = channel.stream_stream(f"/{package}.ServerReflection/ServerReflectionInfo", request_serializer=question.SerializeToString,
                                     response_deserializer=answer.FromString)
        yield lambda **fields: next(stub(iter([question(host="h", **fields)]), timeout=10))


def _first_file(response: bytes) -> bytes:
    """The file of a ServerReflectionResponse, without its types: field 4 holds field 1."""
    at = response.index(b"\x0a", response.index(b"\x22", 2 + response[1])) if response[0] == 0x0a else 0
    for start in range(at, len(response)):
        if response[start] == 0x0a:
            size, shift, position = 0, 0, start + 1
            while position < len(response):
                size |= (response[position] & 0x7f) << shift
                position, shift = position + 1, shift + 7
                if response[position - 1] < 0x80:
                    break
            if position + size == len(response):
                return response[position:]
    raise AssertionError("no file in the answer")


def test_extensions_are_found(ask):
    """The contract imports options, which extend google.protobuf's."""
    numbers = ask(all_extension_numbers_of_type="google.protobuf.MethodOptions").all_extension_numbers_response
    assert numbers.base_type_name == "google.protobuf.MethodOptions"
    assert len(numbers.extension_number) >= 1
    found = ask(file_containing_extension={"containing_type": "google.protobuf.MethodOptions", "extension_number": numbers.extension_number[0]})
    file = descriptor_pb2.FileDescriptorProto.FromString(found.file_descriptor_response.file_descriptor_proto[0])
    assert any(extension.number == numbers.extension_number[0] for extension in file.extension)
    assert not ask(all_extension_numbers_of_type="component.v1.GreetRequest").all_extension_numbers_response.extension_number


def test_errors_name_what_was_asked(ask):
    for question in ({"file_by_filename": "no.proto"}, {"file_containing_symbol": "no.Such"}, {"all_extension_numbers_of_type": "no.Such"},
                     {"file_containing_extension": {"containing_type": "google.protobuf.MethodOptions", "extension_number": 3}}):
        answer = ask(**question)
        assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0], question
        assert answer.valid_host == "h"
        assert answer.original_request.host == "h"
    assert ask().error_response.error_code == grpc.StatusCode.UNIMPLEMENTED.value[0]
