"""Keeps the processes of a system running: one that ends by itself is started again, with a growing pause."""

from typing import Callable

from dev.system import System


class BackOff:
    """Pauses before a restart: 0.2 s, doubling up to 10 s; a process that ran for 30 s begins anew."""

    FIRST, MOST, STEADY = 0.2, 10.0, 30.0

    def __init__(self) -> None:
        self._next = self.FIRST

    def pause(self, ran_for: float) -> float:
        if ran_for >= self.STEADY:
            self._next = self.FIRST
        pause, self._next = self._next, min(self._next * 2, self.MOST)
        return pause


class Supervisor:
    def __init__(self, system: System, say: Callable[[str, str], None]):
        self._system = system
        self._say = say  # (service, message)
        self._back_offs = {name: BackOff() for name in system.services}
        self._due: dict[str, float] = {}
        self.restarts = {name: 0 for name in system.services}

    def tick(self, now: float) -> bool:
        """Looks after every process once; now is time.monotonic(). True when a process was started again."""
        started = False
        for name, process in self._system.processes.items():
            if process.alive():
                continue
            if name not in self._due:
                pause = self._back_offs[name].pause(now - process.started_at)
                self._due[name] = now + pause
                self._say(name, f"ended {_how(process.exit_code())}; starts again in {pause:g} s")
            elif now >= self._due[name]:
                del self._due[name]
                self.restarts[name] += 1
                self._system.start(name)
                started = True
        return started


def _how(code: int | None) -> str:
    return f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
