"""The examples as the project builds them: all kinds of call, interceptors, TLS."""

import subprocess
from pathlib import Path

import pytest

from install.greeter import CLIENT_SAYS, call, check, serving
from support.contracts import build

EXAMPLES = build() / "examples"


def test_all_kinds_of_call():
    check(EXAMPLES)


@pytest.mark.parametrize("program", ["greeter-client", "greeter-async-client"])
def test_interceptors_bring_and_demand_a_token(program: str):
    with serving(EXAMPLES, "--token=open sesame") as port:
        good = call(EXAMPLES, program, f"--port={port}", "--token=open sesame")
        bad = [call(EXAMPLES, program, f"--port={port}", *token) for token in ((), ("--token=open barley",))]
    assert good.returncode == 0, good.stderr
    assert [refused.returncode for refused in bad] == [1, 1]
    assert all("UNAUTHENTICATED: the call brings no token" in refused.stderr for refused in bad)


def make_certificate(folder: Path) -> Path:
    """By the command that examples/greeter/README.md gives."""
    readme = (Path(__file__).parents[2] / "examples/greeter/README.md").read_text()
    command = readme[readme.index("    openssl req"):]
    subprocess.run(["sh", "-ec", command], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_tls(certificate: Path):
    with serving(EXAMPLES, f"--tls={certificate}") as port:
        encrypted = call(EXAMPLES, "greeter-client", f"--port={port}", f"--tls={certificate}")
        plain = call(EXAMPLES, "greeter-client", f"--port={port}")
    assert (encrypted.returncode, encrypted.stdout, encrypted.stderr) == (0, CLIENT_SAYS, "")
    assert plain.returncode == 1 and "UNAVAILABLE" in plain.stderr, plain.stderr


def test_a_client_does_not_trust_a_stranger(certificate: Path, tmp_path: Path):
    with serving(EXAMPLES, f"--tls={certificate}") as port:
        refused = call(EXAMPLES, "greeter-client", f"--port={port}", f"--tls={make_certificate(tmp_path)}")
    assert refused.returncode == 1 and "UNAVAILABLE" in refused.stderr, refused.stderr


def test_bad_arguments_are_named():
    refused = call(EXAMPLES, "greeter-client", "--prot=1")
    assert refused.returncode == 1 and refused.stderr.startswith("INVALID_ARGUMENT: --prot=1? Known are --port=N")
