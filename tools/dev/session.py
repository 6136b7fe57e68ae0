"""A supervised run of the system in this process: started, kept running, described in .run/state.json, and stopped whatever happens."""

import os
import shutil
import signal
import time
from typing import Callable

from dev import state
from dev.process import start_time
from dev.supervise import Supervisor
from dev.system import DRAIN_SECONDS, NotReady, System
from dev.term import Refusal


def ended_by_signals() -> None:
    """SIGTERM and SIGHUP end ./dev as Ctrl-C does."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def sweep(run_dir) -> None:
    """Ends processes that a killed ./dev may have left behind."""
    left = state.read(run_dir)
    if not left or state.runs(left["supervisor"]):
        return
    for identity in left["services"].values():
        if state.runs(identity):
            os.kill(identity["pid"], signal.SIGKILL)
    state.remove(run_dir)


class Session:
    def __init__(self, system: System, say: Callable[[str, str], None]):
        self.system = system
        self._supervisor = Supervisor(system, say)
        self._ready = False

    def __enter__(self) -> "Session":
        run_dir = self.system.setup.run_dir
        running = state.running(run_dir)
        if running:
            raise Refusal(f"it runs already (pid {running['supervisor']['pid']}, {running['url']}); ./dev down ends it")
        sweep(run_dir)
        shutil.rmtree(run_dir / "logs", ignore_errors=True)
        try:
            self.system.start()
        except FileNotFoundError as error:
            self.system.stop()
            raise Refusal(f"cannot start: {error}") from error
        self._write_state()
        return self

    def tick(self) -> None:
        if self._supervisor.tick(time.monotonic()):
            self._write_state()

    def wait_ready(self, seconds: float, between: Callable[[], None] = lambda: None) -> float:
        """Seconds until all were ready; meanwhile crashed ones are started again and `between` is called."""
        begin = time.monotonic()
        while True:
            self.tick()
            between()
            if all(self.system.readiness(name)[0] for name in self.system.services):
                self._ready = True
                self._write_state()
                return time.monotonic() - begin
            if time.monotonic() - begin > seconds:
                self.system.wait_ready(seconds=0)  # raises with what each one said
                raise NotReady("")
            time.sleep(0.02)

    def _write_state(self) -> None:
        state.write(self.system, self._supervisor, self._ready)

    def __exit__(self, *_) -> None:
        self.system.stop(seconds=DRAIN_SECONDS)
        state.remove(self.system.setup.run_dir)


def stop_running(run_dir, seconds: float = 60.0) -> bool:
    """Asks the ./dev that runs there to end and waits for it; False when none runs."""
    running = state.running(run_dir)
    if not running:
        sweep(run_dir)
        return False
    supervisor = running["supervisor"]
    os.kill(supervisor["pid"], signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while start_time(supervisor["pid"]) == supervisor["start_time"]:
        if time.monotonic() > deadline:
            raise Refusal(f"./dev up (pid {supervisor['pid']}) did not end within {seconds:.0f} s")
        time.sleep(0.05)
    return True
