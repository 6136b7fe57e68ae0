"""Processes: how soon each is ready after its start, and what it holds in memory when idle, with its broker and peers running."""

import time

from dev.bench.measure import Result, Samples
from dev.bench.setting import Setting
from dev.process import resident_kib
from dev.system import System

SUMMARY = "start-up time and idle memory of each service"
_OWN = "services/"


def run(setting: Setting) -> list[Result]:
    ready: dict[str, Samples] = {}
    memory: dict[str, Samples] = {}
    with System(setting.folder / "processes", build=setting.build) as system:
        system.start()
        system.wait_ready()
        names = [name for name, process in system.processes.items() if any(_OWN in part for part in process.command)]
        for _ in setting.rounds("processes"):
            for name in names:
                system.stop(name)
                ready.setdefault(name, Samples()).add(_start(system, name) * 1e3)
            for name in names:
                memory.setdefault(name, Samples()).add(resident_kib(system.processes[name].pid) / 1024)
    return [result for name in names for result in (
        Result(f"{name}: ready after", ready[name].median, "ms", ready[name].spread(), at_most=150),
        Result(f"{name}: resident idle", memory[name].median, "MB", memory[name].spread(), at_most=25))]


def _start(system: System, name: str) -> float:
    begin = time.monotonic()
    system.start(name)
    while not system.readiness(name)[0]:
        assert time.monotonic() - begin < 10, f"{name} does not become ready: {system.readiness(name)[1]}"
        time.sleep(0.001)
    return time.monotonic() - begin
