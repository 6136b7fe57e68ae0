"""Calls gRPC services by name, with dictionaries in canonical JSON form, from the descriptor set that the build makes of proto/.

    account = Client("127.0.0.1:9001", "fabrikam.account.v1.AccountService")
    account.call("CreateAccount", {"account": {"id": "corner-shop"}})   # -> {"account": {...}}
    with refused(grpc.StatusCode.NOT_FOUND, "ACCOUNT_UNKNOWN"):
        account.call("GetAccount", {"id": "nobody"})
"""

import os
import threading
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Iterable, Iterator

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2, status_pb2

from support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]


def build() -> Path:
    return Path(os.environ.get("SKYHOOK_BUILD", ROOT / "build"))


# protobuf's C code has crashed while several threads of a test's servers made messages and dictionaries at once.
_one_at_a_time = threading.RLock()


@lru_cache
def pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString((build() / "proto/skyhook.binpb").read_bytes()).file:
        pool.Add(file)
    return pool


def message(name: str, value: dict | None = None):
    """A message of the contracts by full name, filled from a dictionary."""
    with _one_at_a_time:
        return json_format.ParseDict(value or {}, message_factory.GetMessageClass(pool().FindMessageTypeByName(name))(), descriptor_pool=pool())


def decode(name: str, data: bytes) -> dict:
    """Wire bytes of a message, as a dictionary: for events read from the broker."""
    return as_dict(message_factory.GetMessageClass(pool().FindMessageTypeByName(name)).FromString(data))


def as_dict(value) -> dict:
    with _one_at_a_time:
        return json_format.MessageToDict(value, descriptor_pool=pool())


class Client:
    """Of one service. Deadlines are in seconds, longer under sanitizers."""

    def __init__(self, address: str, service: str):
        self._service = pool().FindServiceByName(service)
        # Back-off of a second would outlast the restarts that tests make.
        self.channel = grpc.insecure_channel(address, options=[("grpc.max_reconnect_backoff_ms", 200), ("grpc.initial_reconnect_backoff_ms", 50)])

    def call(self, method: str, request: dict | None = None, *, seconds: float = 5.0, metadata: Iterable[tuple[str, str]] = ()) -> dict:
        """A unary call; grpc.RpcError when it fails."""
        return as_dict(self._stub(self.channel.unary_unary, method)(self._request(method, request), timeout=seconds * PATIENCE, metadata=tuple(metadata)))

    def stream(self, method: str, request: dict | None = None, *, seconds: float = 30.0) -> Iterator[dict]:
        """A server stream; closing the iterator cancels the call."""
        call = self._stub(self.channel.unary_stream, method)(self._request(method, request), timeout=seconds * PATIENCE)
        try:
            for response in call:
                yield as_dict(response)
        finally:
            call.cancel()

    def send(self, method: str, requests: Iterable[dict], *, seconds: float = 30.0) -> dict:
        """A client stream."""
        messages = (self._request(method, request) for request in requests)
        return as_dict(self._stub(self.channel.stream_unary, method)(messages, timeout=seconds * PATIENCE))

    def converse(self, method: str, requests: Iterable[dict], *, seconds: float = 30.0) -> Iterator[dict]:
        """A stream both ways."""
        messages = (self._request(method, request) for request in requests)
        for response in self._stub(self.channel.stream_stream, method)(messages, timeout=seconds * PATIENCE):
            yield as_dict(response)

    def _request(self, method: str, request: dict | None):
        return message(self._service.methods_by_name[method].input_type.full_name, request)

    def _stub(self, kind, method: str):
        described = self._service.methods_by_name[method]
        return kind(f"/{self._service.full_name}/{method}", request_serializer=lambda value: value.SerializeToString(),
                    response_deserializer=message_factory.GetMessageClass(described.output_type).FromString)

    def close(self) -> None:
        self.channel.close()


def reason(error: grpc.RpcError) -> str:
    """ErrorInfo.reason of a failed call."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return ""


@contextmanager
def refused(code: grpc.StatusCode, expected_reason: str = ""):
    """The calls inside must fail so."""
    try:
        yield
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()}: {error.details()}"
        assert not expected_reason or reason(error) == expected_reason, f"{reason(error)!r}: {error.details()}"
    else:
        raise AssertionError(f"was not refused with {code}")
