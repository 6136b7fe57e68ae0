"""Free TCP ports on the loopback address, kept for the process that picked them until it ends.

A port that the kernel hands out (bind to 0) may be handed to any outgoing connection as soon as it is let go, and then the server it was
meant for cannot listen: rare, but a suite starts servers by the hundred. So these ports lie below the kernel's own range, and whoever picks
one holds a lock on a file that stands for it; tests/support/free_port.c does the same in C. The lock goes with the process. All users of the
machine share the folder, for they share the ports.
"""

import fcntl
import os
import random
import socket
import tempfile
from contextlib import suppress
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
    folder = _folder()
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


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / "skyhook-ports"
    folder.mkdir(exist_ok=True)
    with suppress(PermissionError):  # another user's, who has done it
        folder.chmod(0o1777)  # the umask cuts what mkdir may give
    return folder


def _open(path: Path) -> int:
    """The file of a port, whoever made it; a lock needs no right to write."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # never O_CREAT on another's file: fs.protected_regular forbids it
    except FileNotFoundError:
        pass
    try:
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC)
    except FileExistsError:  # made since
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    os.fchmod(made, 0o444)
    return made


def _reserve(path: Path) -> bool:
    lock = _open(path)
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
