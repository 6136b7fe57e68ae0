"""Mutual TLS between our runtime and grpcio, both ways, with certificates of the openssl command."""

import subprocess
from concurrent import futures
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
from support.contracts import build
from support.programs import Program, free_port

PEER = str(build() / "tests/component/rpc/rich-peer")
CHECK = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"


class Identity(NamedTuple):
    certificate: Path
    key: Path
    ca: Path

    def read(self) -> tuple[bytes, bytes, bytes]:
        return self.certificate.read_bytes(), self.key.read_bytes(), self.ca.read_bytes()


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def identity(tmp_path_factory) -> Identity:
    """A certificate for the loopback, and the authority that signed it."""
    folder = tmp_path_factory.mktemp("tls")
    ca, ca_key, certificate, key, request = (folder / name for name in ("ca.crt", "ca.key", "peer.crt", "peer.key", "peer.csr"))
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", ca_key, "-out", ca, "-days", 1, "-subj", "/CN=authority")
    openssl("req", *new_key, "-keyout", key, "-out", request, "-subj", "/CN=peer")
    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1,URI:spiffe://test/peer\n")
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", 1, "-extfile", names, "-out", certificate)
    return Identity(certificate, key, ca)


@pytest.fixture(scope="module")
def server(identity, tmp_path_factory) -> str:
    port = free_port()
    program = Program([PEER, "--serve", str(port), *map(str, identity)], {}, tmp_path_factory.mktemp("peer"), "rich-peer", port).start()
    yield f"127.0.0.1:{port}"
    assert program.stop() == 0


def check(server: str, credentials: grpc.ChannelCredentials) -> bytes:
    with grpc.secure_channel(server, credentials) as channel:
        return channel.unary_unary(CHECK)(b"", timeout=10)


def test_grpcio_calls_us(server, identity):
    certificate, key, ca = identity.read()
    assert check(server, grpc.ssl_channel_credentials(ca, key, certificate)) == SERVING


def test_grpcio_without_a_certificate_is_refused(server, identity):
    with pytest.raises(grpc.RpcError) as caught:
        check(server, grpc.ssl_channel_credentials(identity.ca.read_bytes()))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


class Naming(grpc.GenericRpcHandler):
    """Fails every call with the names in the caller's certificate."""

    def service(self, handler_call_details):
        def fail(request, context):
            context.abort(grpc.StatusCode.ABORTED, ",".join(name.decode() for name in context.auth_context()["x509_subject_alternative_name"]))

        return grpc.unary_unary_rpc_method_handler(fail)


def test_we_call_grpcio(identity):
    certificate, key, ca = identity.read()
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Naming()])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=True))
    server.start()
    try:
        done = subprocess.run([PEER, "--call", str(port), *map(str, identity)], capture_output=True, text=True, timeout=30, check=True)
    finally:
        server.stop(None)
    assert done.stdout.startswith("status ABORTED: ")
    assert "spiffe://test/peer" in done.stdout
