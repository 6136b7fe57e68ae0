"""Shows flights: a bar that stays at the bottom of a terminal while news scroll by; plain lines anywhere else."""

import statistics
import sys

from dev.flights import ORDER, Flight
from dev.term import coloured, paint, table

_BAR = 30
_STYLES = {"completed": ("green",), "rejected": ("red",), "failed": ("red",), "cancelled": ("yellow",)}


def bar(done: int, total: int, width: int = _BAR) -> str:
    filled = width * done // total if total else 0
    return "█" * filled + "░" * (width - filled)


def progress(counts: dict[str, int], total: int, seconds: float) -> str:
    """One line: how many are done, and where the others are."""
    under_way = "  ".join(f"{state} {counts[state]}" for state in ORDER if counts[state] and state != "completed")
    return f"{bar(counts['completed'], total)} {counts['completed']}/{total} completed  {seconds:4.0f} s  {under_way}".rstrip()


def news(flight: Flight) -> str:
    """What happened to one flight, in a line."""
    took = f" after {flight.seconds:.1f} s" if flight.seconds is not None else ""
    by = f" by {flight.drone}" if flight.drone else ""
    why = f" ({flight.reason})" if flight.reason else ""
    return f"{flight.state:<12} {flight.tag} for {flight.owner}{by}{took}{why}"


def summary(flights: list[Flight]) -> list[str]:
    """A row per owner, and the total."""
    def row(name: str, some: list[Flight]) -> list[str]:
        completed = [flight for flight in some if flight.state == "completed"]
        seconds = [flight.seconds for flight in completed if flight.seconds is not None]
        way = sum(flight.distance_m for flight in completed) / 1000
        return [name, str(len(some)), str(len(completed)), f"{statistics.median(seconds):.1f} s" if seconds else "-",
                f"{max(seconds):.1f} s" if seconds else "-", f"{way:.1f} km", str(len({flight.drone for flight in completed if flight.drone}))]

    owners = sorted({flight.owner for flight in flights})
    rows = [row(owner, [flight for flight in flights if flight.owner == owner]) for owner in owners]
    return table([["owner", "requests", "completed", "median", "longest", "flown", "drones"], *rows, row("all", flights)])


class Board:
    def __init__(self, total: int, stream=sys.stdout):
        self._total = total
        self._stream = stream
        self._live = stream.isatty()
        self._shown = ""

    def update(self, changed: list[Flight], counts: dict[str, int], seconds: float) -> None:
        self._clear()
        for flight in changed:
            self._stream.write(paint(news(flight), *_STYLES.get(flight.state, ("dim",)), enabled=coloured(self._stream)) + "\n")
        line = progress(counts, self._total, seconds)
        if self._live:
            self._shown = line
            self._stream.write(line)
        elif changed:
            self._stream.write(line + "\n")
        self._stream.flush()

    def _clear(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._shown = ""

    def end(self) -> None:
        if self._shown:
            self._stream.write("\n")
            self._shown = ""
