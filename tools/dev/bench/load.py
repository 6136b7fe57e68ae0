"""Load on an echo server by one of the load programs, with what it reports; the server's CPU time is taken around it."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dev.bench.measure import cpu_seconds_of_threads


@dataclass(frozen=True)
class Shape:
    """What is called."""

    method: str
    in_flight: int
    calls: int
    text_bytes: int = 100
    messages: int = 1  # of a stream; CPU is counted per message

    @property
    def operations(self) -> int:
        return self.calls * self.messages

    def arguments(self, address: str, calls: int) -> list[str]:
        return [address, str(calls), str(min(self.in_flight, calls)), self.method, str(self.text_bytes), str(self.messages)]


@dataclass(frozen=True)
class Measured:
    rate: float  # operations per second
    server_us: float  # CPU per operation
    client_us: float
    p50_us: float
    p99_us: float


def run(program: Path, address: str, shape: Shape, server_pid: int) -> Measured:
    """A tenth of the calls warms up."""
    _report(program, shape.arguments(address, max(shape.calls // 10, 1)))
    before = cpu_seconds_of_threads(server_pid)
    report = _report(program, shape.arguments(address, shape.calls))
    server_us = (cpu_seconds_of_threads(server_pid) - before) / shape.operations * 1e6
    return Measured(shape.operations / report["seconds"], server_us, report["cpu_us"] / shape.messages, report["p50_us"], report["p99_us"])


def _report(program: Path, arguments: list[str]) -> dict:
    report = json.loads(subprocess.run([str(program), *arguments], stdout=subprocess.PIPE, check=True).stdout)
    assert report["failed"] == 0, f"{report['failed']} calls failed"
    return report
