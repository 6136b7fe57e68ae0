"""Free TCP ports on the loopback address, kept for the process that picked them until it ends.

A port that the kernel hands out (bind to 0) may be handed to any outgoing connection as soon as it is let go, and then the server it was
meant for cannot listen: rare, but a suite starts servers by the hundred. So these ports lie below the kernel's own range, and whoever picks
one holds a lock on a file that stands for it; tests/support/free_port.c does the same in C. The lock goes with the process.
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

HOST = "127.0.0.1"
FIRST, LAST = 10_000, 32_000  # below /proc/sys/net/ipv4/ip_local_port_range
_locks: list[int] = []  # held open as long as the process lives


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def pick(count: int) -> list[int]:
    """Different free ports, nobody else's as long as this process lives."""
    folder = Path(tempfile.gettempdir()) / "skyhook-ports"
    folder.mkdir(mode=0o777, exist_ok=True)
    picked: list[int] = []
    for port in random.SystemRandom().sample(range(FIRST, LAST), LAST - FIRST):
        if len(picked) == count:
            return picked
        if _reserve(folder / str(port)):
            if is_free(port):
                picked.append(port)
            else:
                os.close(_locks.pop())
    raise OSError(f"fewer than {count} free ports between {FIRST} and {LAST}")


def _reserve(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except PermissionError:  # another user's
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    _locks.append(lock)
    return True


def preferred(port: int) -> int:
    """That port when it is free, else any."""
    return port if is_free(port) else pick(1)[0]
