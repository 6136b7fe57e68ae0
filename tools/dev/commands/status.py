"""Shows each process of the running system: whether it is ready, what it waits for, memory, restarts and ports. Exit code 1 when any is not ready."""

from dev import health, state
from dev.process import resident_kib
from dev.term import say, table

SUMMARY = "show what runs"


def add_arguments(parser) -> None:
    del parser


def _row(name: str, service: dict) -> tuple[bool, list[str]]:
    ready, said = (False, "ended") if not state.runs(service) else health.answer(*service["health"])
    memory = f"{resident_kib(service['pid']) / 1024:.1f} MB"
    ports = " ".join(f"{port}:{number}" for port, number in service["ports"].items())
    return ready, [name, "ready" if ready else "NOT READY", str(service["pid"]), memory, str(service["restarts"]), ports, "" if ready else said[:100]]


def run(options) -> int:
    found = state.anywhere()
    if not found:
        say("nothing runs; ./dev up starts the system", "yellow")
        return 1
    _, running = found
    rows = [_row(name, service) for name, service in running["services"].items()]
    say(f"{running['url']}   store {running['store']}", "bold")
    print("\n".join(table([["service", "state", "pid", "memory", "restarts", "ports", ""], *(row for _, row in rows)])))
    return 0 if all(ready for ready, _ in rows) else 1
