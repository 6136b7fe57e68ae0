"""What runs, as a file: .run/state.json lets `down`, `status` and `logs` find what `up` started."""

import json
import os
from pathlib import Path

from dev.paths import DEMO_RUN, RUN
from dev.process import start_time
from dev.supervise import Supervisor
from dev.system import System

_FILE = "state.json"


def _identity(pid: int) -> dict:
    return {"pid": pid, "start_time": start_time(pid)}


def write(system: System, supervisor: Supervisor, ready: bool) -> None:
    """Replaces the file at once, so that a reader never sees half of it."""
    services = {
        name: {**_identity(process.pid), "log": str(process.log), "restarts": supervisor.restarts[name],
               "ports": {port: system.setup.ports[name, port] for port in system.services[name].ports},
               "health": [system.setup.ports[name, system.services[name].health_port], system.services[name].health]}
        for name, process in system.processes.items()
    }
    state = {"supervisor": _identity(os.getpid()), "ready": ready, "url": system.url, "store": system.setup.store_url(),
             "build": str(system.setup.build), "services": services}
    run_dir = system.setup.run_dir
    run_dir.mkdir(parents=True, exist_ok=True)
    scratch = run_dir / f"{_FILE}.new"
    scratch.write_text(json.dumps(state, indent=1))
    scratch.replace(run_dir / _FILE)


def read(run_dir: Path) -> dict | None:
    try:
        return json.loads((run_dir / _FILE).read_text())
    except (FileNotFoundError, ValueError):
        return None


def remove(run_dir: Path) -> None:
    (run_dir / _FILE).unlink(missing_ok=True)


def runs(identity: dict) -> bool:
    """Whether that very process still runs, and not another that got its pid."""
    return identity["start_time"] is not None and start_time(identity["pid"]) == identity["start_time"]


def anywhere() -> tuple[Path, dict] | None:
    """The run folder and state of what runs here, by `up` or `demo`."""
    for run_dir in (RUN, DEMO_RUN):
        found = running(run_dir)
        if found:
            return run_dir, found
    return None


def running(run_dir: Path) -> dict | None:
    """The state of a system whose supervisor lives, else None."""
    state = read(run_dir)
    return state if state and runs(state["supervisor"]) else None
