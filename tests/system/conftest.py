"""The whole system under test: started once per module, on free ports, with a quick fleet; ended with clean exit codes."""

import pytest
from dev.system import System

from support.fleet import drones, new_account
from support.http import Http
from support.waiting import eventually

SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer")
FOREIGN = ("nats", "ferretdb")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What may run beside what: the tests of a file share its system, but for those with a group of their own."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def end(system: System) -> list[str]:
    """Ends it; what was wrong: all of ours must have lived until now and end by themselves with 0, no sanitizer has said anything in any log."""
    wrong = [f"{name} ended before, with {process.exit_code()}" for name, process in system.processes.items() if not process.alive()]
    codes = system.stop()
    wrong += [f"{name} ended with {code}" for name, code in codes.items() if name not in FOREIGN and code != 0]
    logs = {name: process.log.read_text(errors="replace") for name, process in system.processes.items() if process.log.exists()}
    return wrong + [f"{name} says:\n{log[-4000:]}" for name, log in logs.items() if any(word in log for word in SANITIZER_WORDS)]


@pytest.fixture(scope="module")
def start_system(tmp_path_factory):
    """Starts a system of its own: start_system(drones=…, environment=…). All are ended, and checked, when the module is done."""
    systems: list[System] = []

    def start(**options) -> System:
        system = System(tmp_path_factory.mktemp("system"), **{"drones": 60, "time_factor": 200.0, "priorities": False, **options})
        systems.append(system)
        system.start()
        system.wait_ready(seconds=60)
        http = Http(system.url)
        eventually(lambda: len(drones(http)) >= system.setup.drones, 60, every=0.1, what="the fleet has registered")
        return system

    yield start
    wrong = [complaint for system in systems for complaint in end(system)]
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def system(start_system):
    return start_system()


@pytest.fixture(scope="module")
def http(system):
    return Http(system.url)


@pytest.fixture
def owner(http):
    return new_account(http)
