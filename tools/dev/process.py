"""One child process: its output goes to a file, it leads its own process group, and it ends when we die, however we die."""

import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Mapping, Sequence

_ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
# A child's death signal comes when the *thread* that started it ends. This one lives as long as we do.
_spawner = ThreadPoolExecutor(1, thread_name_prefix="spawner")


def start_time(pid: int) -> int | None:
    """When the process with this pid began (clock ticks since boot): tells a process from a later one with the same pid."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def resident_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)


class Process:
    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path,
                 niceness: int = 0):
        self.name = name
        self.log = log
        self.command = list(command)
        self._environment = dict(environment)
        self._folder = folder
        self._prefix = _ENDS_WITH_US + (("nice", "-n", str(niceness)) if niceness else ())  # both exec the command: same pid
        self._child: subprocess.Popen | None = None
        self.started_at = 0.0

    def start(self) -> None:
        assert not self.alive(), f"{self.name} runs already"
        if not shutil.which(self.command[0]):
            raise FileNotFoundError(f"{self.name}: no program {self.command[0]}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self._child = _spawner.submit(
                subprocess.Popen, [*self._prefix, *self.command], cwd=self._folder, env=self._environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, process_group=0).result()
        self.started_at = time.monotonic()

    @property
    def pid(self) -> int:
        assert self._child, f"{self.name} was never started"
        return self._child.pid

    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._child.poll() if self._child else None

    def send(self, number: int) -> None:
        if self.alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL to it and its own children, as when a machine takes it away; waits until it is gone."""
        if self.alive():
            os.killpg(self.pid, signal.SIGKILL)
            self._child.wait()

    def wait(self, seconds: float) -> int | None:
        """Its exit code, or None when it still runs after that time."""
        try:
            return self._child.wait(max(seconds, 0)) if self._child else None
        except subprocess.TimeoutExpired:
            return None

    def stop(self, number: int, seconds: float) -> int | None:
        """Asks it to end; takes it away when it has not within the time. Its exit code."""
        self.send(number)
        if self.wait(seconds) is None:
            self.kill()
        return self.exit_code()
