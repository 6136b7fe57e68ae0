"""Starts and ends the programs under test, each on free ports of the loopback, and always by its own pid."""

import os
import shutil
import signal
import urllib.request
from pathlib import Path

from dev import health, ports
from dev.process import Process

from support.contracts import build
from support.waiting import eventually


def free_port() -> int:
    return ports.pick(1)[0]


class Program(Process):
    """A process that listens on a port; it can be ended, killed and started again with the same ports and files. It ends with the test run."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path, name: str, port: int):
        super().__init__(name, command, {**os.environ, **environment}, folder / f"{name}.log", folder)
        self.port = port
        self._admin = environment.get("SKY_ADMIN")
        self._killed = False

    def start(self, seconds: float = 20.0) -> "Program":
        """Until it listens; it does not run when that fails."""
        self._killed = False
        super().start()
        try:
            self._wait(self.port, "", seconds)
        except BaseException:
            self.kill()
            raise
        return self

    def wait_ready(self, seconds: float = 20.0) -> None:
        """For a service: until it says that it is."""
        assert self._admin, f"{self.name} has no admin port"
        self._wait(int(self._admin.rpartition(":")[2]), "/readyz", seconds)

    def _wait(self, port: int, path: str, seconds: float) -> None:
        def answers() -> bool:
            if not self.alive():
                raise RuntimeError(f"{self.name} ended with {self.exit_code()}:\n{self.tail()}")
            ready, said = health.answer(port, path)
            assert ready, said
            return True

        eventually(answers, seconds, what=f"{self.name} is ready; its log is {self.log}")

    def metric(self, name: str) -> float | None:
        """Of a service: the value of a metric with its labels, as /metrics says it; None when it does not."""
        with urllib.request.urlopen(f"http://{self._admin}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return next((float(line.removeprefix(name)) for line in lines if line.startswith(name + " ")), None)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        super().kill()
        self._killed = True

    def stop(self, number: int = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Ends it as an operator would; its exit code: -9 when it had to be killed now, 0 when it was killed before, or never ran."""
        return 0 if self._killed else super().stop(number, seconds) or 0


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
