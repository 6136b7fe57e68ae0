"""The C peer as a server, for clients written with others' gRPC."""

import pytest
from support.contracts import build
from support.programs import Program, free_port

PEER = str(build() / "tests/component/rpc/rich-peer")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Its address."""
    port = free_port()
    program = Program([PEER, "--serve", str(port)], {}, tmp_path_factory.mktemp("rich"), "rich-peer", port).start()
    yield f"127.0.0.1:{port}"
    assert program.stop() == 0
