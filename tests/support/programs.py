"""Starts and ends the programs under test, each on free ports of the loopback, and always by its own pid."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from dev import ports

from support.contracts import build
from support.waiting import eventually


def free_port() -> int:
    return ports.pick(1)[0]


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Program:
    """A process that can be ended, killed and started again with the same ports and files."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path, name: str, port: int):
        self.command, self.environment, self.port = command, environment, port
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen | None = None

    def start(self, seconds: float = 20.0) -> "Program":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env={**os.environ, **self.environment}, stdout=log, stderr=log)
        eventually(lambda: self._alive() and is_listening(self.port), seconds, what=f"{self.command[0]} listens; its log is {self.log}")
        return self

    def _alive(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.command[0]} ended with {self.process.returncode}:\n{self.log.read_text()[-3000:]}")
        return True

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ends it as an operator would; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        self.process = None
        return code


def nats_server(folder: Path) -> Program:
    port = free_port()
    command = [shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "nats-server",
               "-js", "-sd", str(folder / "jetstream"), "-a", "127.0.0.1", "-p", str(port)]
    return Program(command, {}, folder, "nats", port)


def service(name: str, nats: Program, folder: Path, **environment: str) -> Program:
    """A service of ours on SQLite below the folder."""
    listen, admin = free_port(), free_port()
    settings = {"SKY_LISTEN": f"127.0.0.1:{listen}", "SKY_ADMIN": f"127.0.0.1:{admin}", "SKY_NATS_URL": f"nats://127.0.0.1:{nats.port}",
                "SKY_STORE": f"sqlite:{folder}/data", **environment}
    return Program([str(build() / f"services/{name}/skyhook-{name}")], settings, folder, name, listen)
