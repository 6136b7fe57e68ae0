"""The whole system as an object: starts the processes of the service table, kills and restarts single ones, stops all.

Used by `./dev up` and by the system tests:

    with System(tmp_path) as system:
        system.start()
        system.wait_ready()
        requests.post(f"{system.url}/api/v1/deliveryrequests", ...)
        system.kill("workflow")
        system.start("workflow")
"""

import os
import time
from pathlib import Path
from typing import Iterable, Mapping

from dev import health, ports
from dev.paths import BUILD
from dev.process import Process
from dev.services import SERVICES, Service, Setup

READY_SECONDS = 30.0
DRAIN_SECONDS = 10.0


class NotReady(Exception):
    """Names the processes that did not become ready, with what they said last."""


class System:
    def __init__(
        self,
        run_dir: Path,
        *,
        build: Path | None = None,  # default: SKYHOOK_BUILD or build/
        store: str = "sqlite",
        gateway_port: int | None = None,  # default: any free one
        environment: Mapping[str, str] | None = None,  # for every process, over what the table gives
        services: Iterable[str] | None = None,  # only these; default: all that the setup needs
        table: Iterable[Service] = SERVICES,
        **options,  # further fields of Setup
    ):
        build = build or Path(os.environ.get("SKYHOOK_BUILD", BUILD))
        self.setup = Setup(build, Path(run_dir).resolve(), store, environment=dict(environment or {}), **options)
        only = set(services) if services is not None else None
        self.services = {service.name: service for service in table
                         if service.needed(self.setup) and (only is None or service.name in only)}
        self._choose_ports(table, gateway_port)
        self.processes = {name: self._process(service) for name, service in self.services.items()}

    def _choose_ports(self, table: Iterable[Service], gateway_port: int | None) -> None:
        """Each service keeps its ports over restarts, and those left out get some too: their peers must have addresses to fail on."""
        wanted = [(service.name, port) for service in table for port in service.ports]
        self.setup.ports.update(zip(wanted, ports.pick(len(wanted))))
        if gateway_port:
            self.setup.ports["gateway", "http"] = gateway_port

    def _process(self, service: Service) -> Process:
        self.setup.run_dir.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **service.environment(self.setup, service), **self.setup.environment}
        log = self.setup.run_dir / "logs" / f"{service.name}.log"
        niceness = service.niceness if self.setup.priorities else 0
        return Process(service.name, service.command(self.setup, service), environment, log, self.setup.run_dir, niceness)

    # ---- where things are ----

    @property
    def url(self) -> str:
        return f"http://{self.setup.address('gateway', 'http')}"

    def address(self, name: str, port: str = "grpc") -> str:
        return self.setup.address(name, port)

    def store_files(self) -> dict[str, Path]:
        """SQLite files by service name."""
        return {path.stem: path for path in (self.setup.run_dir / "data").glob("*.db")}

    # ---- life ----

    def start(self, *names: str) -> None:
        """Starts these, or all that do not run; all at once, in no order."""
        for name in names or self.services:
            if not self.processes[name].alive():
                self.services[name].prepare(self.setup, self.services[name])
                self.processes[name].start()

    def kill(self, name: str) -> None:
        """kill -9."""
        self.processes[name].kill()

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    def readiness(self, name: str) -> tuple[bool, str]:
        process, service = self.processes[name], self.services[name]
        if not process.alive():
            return False, f"ended with {process.exit_code()}"
        return health.answer(self.setup.ports[name, service.health_port], service.health)

    def wait_ready(self, *names: str, seconds: float = READY_SECONDS) -> None:
        """Until these (or all) are ready. NotReady after the deadline, or at once when one of them has ended."""
        deadline = time.monotonic() + seconds
        waiting = list(names or self.services)
        while True:
            said = {name: self.readiness(name) for name in waiting}
            waiting = [name for name in waiting if not said[name][0]]
            if not waiting:
                return
            ended = [name for name in waiting if not self.processes[name].alive()]
            if ended or time.monotonic() > deadline:
                raise NotReady(self._complaint({name: said[name][1] for name in ended or waiting}))
            time.sleep(0.02)

    def _complaint(self, said: Mapping[str, str]) -> str:
        parts = []
        for name, reason in said.items():
            log = self.processes[name].log
            tail = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
            parts.append("\n".join([f"{name} is not ready: {reason}", *("  | " + line for line in tail)]))
        return "\n".join(parts)

    def stop(self, *names: str, seconds: float = DRAIN_SECONDS) -> dict[str, int | None]:
        """Ends these, or all, last started first; kills what has not drained in time. Exit codes of those that were running."""
        codes = {}
        for name in reversed(names or tuple(self.services)):
            process = self.processes[name]
            if process.alive():
                codes[name] = process.stop(self.services[name].stop_signal, seconds)
        return codes

    def __enter__(self) -> "System":
        return self

    def __exit__(self, *_) -> None:
        self.stop()
