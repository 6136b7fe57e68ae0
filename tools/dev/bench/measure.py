"""CPU time, memory and statistics of processes."""

import os
import statistics
from dataclasses import dataclass, field
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def family(pid: int) -> list[int]:
    """The process and its descendants: nginx works in its workers."""
    parents = {int(entry.name): int(stat[1]) for entry in Path("/proc").iterdir() if entry.name.isdigit() and (stat := _stat(int(entry.name)))}
    found = [pid]
    for member in found:  # grows while it is walked
        found += [child for child, parent in parents.items() if parent == member]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its living descendants so far."""
    total = 0.0
    for member in family(pid):
        stat = _stat(member)
        if stat:
            total += (int(stat[11]) + int(stat[12])) * _TICK
    return total


def cpu_seconds_of_threads(pid: int) -> float:
    """The same of the process's living threads, to the nanosecond: ticks of 10 ms are too coarse for short measurements."""
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[0])
        except OSError:
            continue  # the thread is gone
    return total / 1e9


@dataclass
class Samples:
    """One figure, measured in several rounds."""

    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.values.append(value)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def spread(self) -> str:
        return f"{min(self.values):.1f}–{max(self.values):.1f}"

    def __format__(self, spec: str) -> str:
        return format(self.median, spec)


@dataclass(frozen=True)
class Result:
    """A line of the report, and its verdict when there is a target."""

    name: str
    value: float
    unit: str
    detail: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def target(self) -> str:
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return f"≥ {self.at_least:g}" if self.at_least is not None else ""

    @property
    def met(self) -> bool | None:
        """None without a target."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return self.value >= self.at_least if self.at_least is not None else None

    def row(self) -> list[str]:
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        return [self.name, f"{self.value:.4g} {self.unit}", self.target, verdict, self.detail]
