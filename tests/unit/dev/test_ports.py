"""tools/dev/ports.py: free ports, each once."""

import os
import socket
import stat
import tempfile

from dev import ports


def test_picks_different_ports_on_which_servers_can_listen():
    picked = ports.pick(20)
    assert len(set(picked)) == 20
    for port in picked:
        with socket.create_server((ports.HOST, port)):  # with SO_REUSEADDR, as servers do: old connections may linger
            pass


def test_the_preferred_port_when_it_is_free():
    (port,) = ports.pick(1)
    assert ports.preferred(port) == port


def test_another_when_it_is_taken():
    with socket.socket() as taken:
        taken.bind((ports.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not ports.is_free(port)
        assert ports.preferred(port) != port


def test_other_users_can_share_what_a_careful_one_made(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = os.umask(0o077)
    try:
        (port,) = ports.pick(1)
    finally:
        os.umask(before)
    folder = tmp_path / "skyhook-ports"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert stat.S_IMODE((folder / str(port)).stat().st_mode) & 0o444 == 0o444
