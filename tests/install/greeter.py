"""Runs the greeter's programs, wherever they were built."""

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from support.waiting import PATIENCE

GREETINGS = ("Hello", "Hallo", "Bonjour", "Hola", "Ciao", "Hej", "Ahoj", "Olá")
CLIENT_SAYS = "".join(f"{line}\n" for line in (
    "Greet: Hello, Ada!",
    *(f"GreetInAllLanguages: {greeting}, Grace!" for greeting in GREETINGS),
    "GreetEverybody: Hello, Ada and Grace and Edsger!",
    "GreetEach: Hello, Ada!", "GreetEach: Hallo, Grace!", "GreetEach: Bonjour, Edsger!"))


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[int]:
    """The server's port; it must end by itself, and well."""
    with subprocess.Popen([str(folder / "greeter-server"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline().rpartition(" ")[2])
            server.terminate()
            assert server.wait(timeout=20 * PATIENCE) == 0
        finally:
            server.kill()


def call(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(folder / program), *arguments], capture_output=True, text=True, timeout=60, check=False)


def check(folder: Path) -> None:
    with serving(folder) as port:
        blocking, asynchronous = (call(folder, program, f"--port={port}") for program in ("greeter-client", "greeter-async-client"))
    assert (blocking.returncode, blocking.stdout, blocking.stderr) == (0, CLIENT_SAYS, "")
    assert (asynchronous.returncode, asynchronous.stdout, asynchronous.stderr) == (0, "110 greetings\n", "")
