"""gRPC's interoperability tests: our client and server against grpc-go's own, against python3-grpcio, and against each other.

A pair of client and server is run once with all its cases; each case is a test. Sanitized builds run ours against ours and grpcio.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dev.paths import TOOLS_BIN
from interop.tap import Tap
from support.contracts import build
from support.programs import Program, free_port

PEER = Path(__file__).parent / "peer.py"

BASIC = ("empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "custom_metadata",
         "status_code_and_message", "special_status_message", "unimplemented_method", "unimplemented_service", "cancel_after_begin",
         "cancel_after_first_response", "timeout_on_sleeping_server", "rpc_soak", "channel_soak")
# grpc-go's interop programs know none of these, and grpcio's server cannot tell what came compressed.
COMPRESSED_REQUESTS = ("client_compressed_unary", "client_compressed_streaming")
COMPRESSED_RESPONSES = ("server_compressed_unary", "server_compressed_streaming")
CONCURRENT = ("concurrent_large_unary",)
ALL = BASIC + COMPRESSED_REQUESTS + COMPRESSED_RESPONSES + CONCURRENT

# client, server: cases
PAIRS = {
    ("ours", "ours"): ALL,
    ("ours", "go"): BASIC + CONCURRENT,
    ("go", "ours"): BASIC,
    ("ours", "python"): BASIC + COMPRESSED_RESPONSES,
    ("python", "ours"): ALL,
}
SANITIZED = (("ours", "ours"), ("ours", "python"))
if build().name != "build":
    PAIRS = {pair: tuple(case for case in cases if case not in CONCURRENT) for pair, cases in PAIRS.items() if pair in SANITIZED}


def python(*arguments: str) -> list[str]:
    return [sys.executable, str(PEER), str(build() / "tests/interop/interop.binpb"), *arguments]


SERVERS = {
    "ours": lambda port: [str(build() / "tests/interop/interop-server"), f"--port={port}"],
    "go": lambda port: [str(TOOLS_BIN / "interop/server"), f"--port={port}"],
    "python": lambda port: python("server", f"--port={port}"),
}
CLIENTS = {
    "ours": [str(build() / "tests/interop/interop-client")],
    "go": [str(TOOLS_BIN / "interop/client")],
    "python": python("client"),
}


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Starts each kind when it is first asked for; all must end well."""
    running: dict[str, Program] = {}
    folder = tmp_path_factory.mktemp("interop")

    def port_of(kind: str) -> int:
        if kind not in running:
            port = free_port()
            running[kind] = Program(SERVERS[kind](port), {}, folder, f"server-{kind}", port).start()
        return running[kind].port

    yield port_of
    codes = {kind: program.stop() for kind, program in running.items()}
    assert all(code == 0 for kind, code in codes.items() if kind != "go"), codes


def run_client(kind: str, port: int, cases: tuple[str, ...], *options: str) -> dict[str, str]:
    """What each case says of itself."""
    command = [*CLIENTS[kind], "--server_host=127.0.0.1", f"--server_port={port}", f"--test_case={','.join(cases)}", *options]
    done = subprocess.run(command, env={**os.environ, "GRPC_GO_LOG_SEVERITY_LEVEL": "error"}, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    if kind == "go":  # one case, whose end is the exit code
        return {cases[0]: "passed" if done.returncode == 0 else said}
    found = dict(re.findall(r"^(\w+): (passed|FAILED:(?:.|\n  )*)", said, re.MULTILINE))
    if done.returncode != 0 and all(word == "passed" for word in found.values()):
        found = dict.fromkeys(cases, f"exit code {done.returncode}: {said}")
    return found


_results: dict[tuple[str, str], dict[str, str]] = {}


def result(client: str, port: int, server: str, case: str) -> str:
    if client == "go":
        return run_client(client, port, (case,))[case]
    if (client, server) not in _results:
        _results[client, server] = run_client(client, port, PAIRS[client, server])
    return _results[client, server].get(case, f"was not run; of the others: {_results[client, server]}")


@pytest.mark.parametrize(("client", "server", "case"), [(*pair, case) for pair, cases in PAIRS.items() for case in cases])
def test_case(servers, client: str, server: str, case: str):
    assert result(client, servers(server), server, case) == "passed"


# Whether the messages of (client, server, case) travel compressed: requests, responses.
ON_THE_WIRE = {
    ("ours", "ours", "client_compressed_unary"): ([False, True, False], [False, False]),
    ("ours", "ours", "client_compressed_streaming"): ([False, True, False], [False]),
    ("ours", "ours", "server_compressed_unary"): ([False, False], [True, False]),
    ("ours", "ours", "server_compressed_streaming"): ([False], [True, False]),
    ("python", "ours", "server_compressed_unary"): ([False, False], [True, False]),
    ("python", "ours", "server_compressed_streaming"): ([False], [True, False]),
    ("ours", "ours", "large_unary"): ([False], [False]),
}


@pytest.mark.parametrize(("client", "server", "case"), [key for key in ON_THE_WIRE if key[:2] in PAIRS])
def test_what_travels_compressed(servers, client: str, server: str, case: str):
    tap = Tap(servers(server))
    try:
        said = run_client(client, tap.port, (case,))
    finally:
        requests, responses = tap.close()
    assert said == {case: "passed"}
    assert ([compressed for compressed, _ in requests], [compressed for compressed, _ in responses]) == ON_THE_WIRE[client, server, case]


# ---- TLS ----

TLS_CASES = ("empty_unary", "large_unary", "ping_pong", "cancel_after_first_response", "channel_soak")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """Certificate and key for the name localhost, which is its own CA."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
                   check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(("client", "server"), [pair for pair in PAIRS if "python" not in pair])
def test_with_tls(certificate: Path, tmp_path: Path, client: str, server: str):
    port = free_port()
    tls = [f"--tls_cert_file={certificate}/cert.pem", f"--tls_key_file={certificate}/key.pem", *(["--use_tls"] if server == "go" else [])]
    program = Program([*SERVERS[server](port), *tls], {}, tmp_path, "server", port).start()
    try:
        trust = [f"--ca_file={certificate}/cert.pem", "--server_host_override=localhost", *(["--use_tls", "--use_test_ca"] if client == "go" else [])]
        said = {}
        for cases in [(case,) for case in TLS_CASES] if client == "go" else [TLS_CASES]:
            said |= run_client(client, port, cases, *trust)
        plain = run_client(client, port, ("empty_unary",))
    finally:
        program.stop()
    assert said == dict.fromkeys(TLS_CASES, "passed")
    assert plain["empty_unary"] != "passed"
