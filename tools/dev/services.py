"""The processes of the system, as one table: SERVICES. A new service is one line there.

Every one gets free ports on the loopback address, its own log and the addresses of all others (SKY_<NAME>_ADDRESS); there is no start
order, each waits for what it needs.
"""

import os
import resource
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from dev.paths import ROOT, TOOLS_BIN
from dev.ports import HOST
from dev.templates import fill


@dataclass
class Setup:
    """What is particular to one run of the system."""

    build: Path
    run_dir: Path
    store: str  # "sqlite", "ferretdb" or a value for SKY_STORE
    drones: int = 40
    time_factor: float = 20.0
    priorities: bool = True  # False: all are equal, for tests beside other work
    environment: dict[str, str] = field(default_factory=dict)  # overrides, for all services
    ports: dict[tuple[str, str], int] = field(default_factory=dict)  # (service, port name) -> port

    def address(self, service: str, port: str = "grpc") -> str:
        return f"{HOST}:{self.ports[service, port]}"

    def store_url(self) -> str:
        if self.store == "sqlite":
            return f"sqlite:{self.run_dir}/data"
        if self.store == "ferretdb":
            return f"mongodb://{self.address('ferretdb', 'mongo')}/?directConnection=true"
        return self.store

    def values(self) -> dict[str, str]:
        """For templates: @run_dir@ and the address of each port, as @nats.client@, for gRPC also as @delivery_address@."""
        values = {"run_dir": str(self.run_dir)}
        for (service, port), number in self.ports.items():
            values[f"{service}.{port}"] = f"{HOST}:{number}"
            if port == "grpc":
                values[f"{service}_address"] = f"{HOST}:{number}"
        return values


@dataclass(frozen=True)
class Service:
    name: str
    command: Callable[[Setup, "Service"], list[str]]
    environment: Callable[[Setup, "Service"], dict[str, str]] = lambda setup, service: {}
    prepare: Callable[[Setup, "Service"], None] = lambda setup, service: None  # before each start
    ports: tuple[str, ...] = ("grpc", "admin")
    health: str = "/readyz"  # answers 200 on the port "admin" when it is ready; empty: that port accepts connections
    health_port: str = "admin"
    stop_signal: int = signal.SIGTERM
    niceness: int = 0  # what a customer waits for comes before what goes on behind
    quiet: bool = False  # of its log only warnings and worse belong into the combined one
    needed: Callable[[Setup], bool] = lambda setup: True


# ---- services of this project ----

# Taking a request (gateway, ingestion, broker) is what a customer waits for; it keeps its speed while the machine is busy with those taken
# before, because these weigh a tenth. Last comes the workflow: beginning more must not hold up what has begun. In Kubernetes CPU requests say the same
# (docs/performance.md).
_BEHIND = 10
_BEGINS = 15


def _own_environment(setup: Setup, service: Service) -> dict[str, str]:
    peers = {f"SKY_{name.upper()}_ADDRESS": setup.address(name) for name, port in setup.ports if port == "grpc" and name != service.name}
    own = {"SKY_LISTEN": setup.address(service.name)} if "grpc" in service.ports else {}
    return {
        **own,
        **peers,
        "SKY_ADMIN": setup.address(service.name, "admin"),
        "SKY_NATS_URL": f"nats://{setup.address('nats', 'client')}",
        "SKY_STORE": setup.store_url(),
    }


def _data_folder(setup: Setup, service: Service) -> None:
    (setup.run_dir / "data").mkdir(parents=True, exist_ok=True)


def _own(name: str, niceness: int = _BEHIND) -> Service:
    return Service(name, lambda setup, service: [str(setup.build / f"services/{name}/skyhook-{name}")], _own_environment, _data_folder,
                   niceness=niceness)


def _simulator_command(setup: Setup, service: Service) -> list[str]:
    return [str(setup.build / "tools/simulator/skyhook-simulator"), f"--drones={setup.drones}", f"--time-factor={setup.time_factor:g}"]


# ---- servers of others ----

_GATEWAY_MODULE = "gateway/ngx_http_sky_module.so"
_CONTRACTS = "proto/skyhook.binpb"


def program(name: str) -> str:
    """Debian keeps servers in sbin, which is not on every user's PATH."""
    found = shutil.which(name, path=f"{TOOLS_BIN}:{os.environ.get('PATH', '')}:/usr/sbin")
    return found or name


def _write(setup: Setup, template: Path, name: str, values: dict[str, str]) -> None:
    setup.run_dir.mkdir(parents=True, exist_ok=True)
    (setup.run_dir / name).write_text(fill(template.read_text(), {**setup.values(), **values}))


def _nats_command(setup: Setup, service: Service) -> list[str]:
    return [program("nats-server"), "-c", str(setup.run_dir / "nats-server.conf")]


def _nats_prepare(setup: Setup, service: Service) -> None:
    _write(setup, ROOT / "tools/dev/nats-server.conf.in", "nats-server.conf", {})


def _ferretdb_command(setup: Setup, service: Service) -> list[str]:
    return [str(TOOLS_BIN / "ferretdb"), f"--listen={setup.address('ferretdb', 'mongo')}", f"--state={setup.run_dir}/ferretdb"]


def _ferretdb_prepare(setup: Setup, service: Service) -> None:
    (setup.run_dir / "ferretdb").mkdir(parents=True, exist_ok=True)


def _gateway_command(setup: Setup, service: Service) -> list[str]:
    return [program("nginx"), "-e", "stderr", "-p", f"{setup.run_dir}/gateway", "-c", f"{setup.run_dir}/gateway.conf"]


def nginx_environment(build: Path) -> dict[str, str]:
    """Debian's nginx is not instrumented, so a module that is needs the sanitizer's library loaded before everything else."""
    library = {"build-asan": "libasan.so", "build-tsan": "libtsan.so"}.get(build.name)
    if not library:
        return {}
    answer = subprocess.run(["gcc", f"-print-file-name={library}"], stdout=subprocess.PIPE, text=True, check=True)
    # nginx itself keeps what it allocates until it ends; leaks of the module show in its unit tests.
    return {"LD_PRELOAD": answer.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"}


def _gateway_environment(setup: Setup, service: Service) -> dict[str, str]:
    return nginx_environment(setup.build)


def _gateway_prepare(setup: Setup, service: Service) -> None:
    folder = setup.run_dir / "gateway"
    folder.mkdir(parents=True, exist_ok=True)
    _write(setup, ROOT / "gateway/skyhook.conf.in", "gateway.conf", {
        "module": str(setup.build / _GATEWAY_MODULE),
        "contracts": str(setup.build / _CONTRACTS),
        "run": str(folder),
        "listen": setup.address("gateway", "http"),
        "workers": str(os.cpu_count() or 1),
        "nofile": str(min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])),
        "access_log": str(setup.run_dir / "logs/access.log"),
        # As root, nginx would drop to another user, who may not be allowed into the run folder.
        "user_directive": "user root root;" if os.geteuid() == 0 else "",
    })


SERVICES = (
    Service("nats", _nats_command, prepare=_nats_prepare, ports=("client", "admin"), health="/healthz", quiet=True),
    Service("ferretdb", _ferretdb_command, prepare=_ferretdb_prepare, ports=("mongo",), health="", health_port="mongo", quiet=True,
            needed=lambda setup: setup.store == "ferretdb"),
    _own("account"),
    _own("package"),
    _own("dronescheduler"),
    _own("delivery"),
    _own("workflow", niceness=_BEGINS),
    _own("ingestion", niceness=0),
    Service("simulator", _simulator_command, _own_environment, ports=("admin",), niceness=_BEHIND),
    Service("gateway", _gateway_command, _gateway_environment, prepare=_gateway_prepare, ports=("http",), health="/healthz", health_port="http",
            quiet=True),
)
NAMES = tuple(service.name for service in SERVICES)


def targets() -> tuple[str, ...]:
    """What running the system takes of the build, without the tests: our programs, the gateway's module and what it reads."""
    ports = {(service.name, port): 0 for service in SERVICES for port in service.ports}
    setup = Setup(Path("/build"), Path("/run"), "sqlite", ports=ports)
    programs = [Path(service.command(setup, service)[0]) for service in SERVICES]
    own = [str(program.relative_to(setup.build)) for program in programs if program.is_relative_to(setup.build)]
    return (*own, _GATEWAY_MODULE, _CONTRACTS, "tools/skyctl/skyctl")
