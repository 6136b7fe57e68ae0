"""tools/dev/system.py, services.py, session.py and state.py with small real processes that answer /readyz, and with a real nats-server."""

import json
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest
from dev import state
from dev.services import NAMES, SERVICES, Service, Setup, targets
from dev.session import Session, stop_running, sweep
from dev.system import NotReady, System
from dev.term import Refusal

# Ready from its n-th question on; n = SKY_READY_AT.
PROGRAM = textwrap.dedent("""
    import http.server, os, sys
    questions = 0
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            global questions
            questions += 1
            ready = questions >= int(os.environ.get("SKY_READY_AT", "1"))
            self.send_response(200 if ready else 503)
            self.end_headers()
            self.wfile.write(b"waits for the broker")
        def log_message(self, *arguments): pass
    print("listening", flush=True)
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
""")


def small(name, script=PROGRAM):
    return Service(name, lambda setup, service: [sys.executable, "-c", script, str(setup.ports[name, "admin"])], ports=("admin",))


TABLE = (small("one"), small("two"))


@pytest.fixture
def system(tmp_path):
    with System(tmp_path, table=TABLE) as system:
        yield system


def test_all_start_become_ready_and_end(system):
    system.start()
    system.wait_ready()
    assert system.stop() == {"two": -signal.SIGTERM, "one": -signal.SIGTERM}
    assert not any(process.alive() for process in system.processes.values())


def test_a_killed_one_comes_back_on_its_port(system):
    system.start()
    system.wait_ready()
    port = system.setup.ports["one", "admin"]
    system.kill("one")
    assert system.readiness("one") == (False, "ended with -9")
    assert system.readiness("two")[0]
    system.start()
    system.wait_ready("one")
    assert system.setup.ports["one", "admin"] == port


def test_not_ready_names_the_one_that_waits_and_what_it_says(tmp_path):
    with System(tmp_path, table=TABLE, environment={"SKY_READY_AT": "1000000"}) as system:
        system.start()
        with pytest.raises(NotReady, match="one is not ready: .*(waits for the broker|refused)"):
            system.wait_ready(seconds=0.3)


def test_one_that_ends_at_start_is_told_at_once_with_its_last_words(tmp_path):
    with System(tmp_path, table=(small("one", "print('no such setting'); raise SystemExit(2)"),)) as system:
        system.start()
        with pytest.raises(NotReady, match=r"(?s)ended with 2.*no such setting"):
            system.wait_ready(seconds=30)


def test_a_session_restarts_what_crashed_and_describes_what_runs(tmp_path):
    said = []
    with Session(System(tmp_path, table=(*TABLE, gateway())), lambda name, message: said.append(name)) as session:
        session.wait_ready(20)
        running = state.running(tmp_path)
        assert running["ready"] and set(running["services"]) == {"one", "two", "gateway"}
        first = running["services"]["one"]["pid"]
        session.system.kill("one")
        session.wait_ready(20)
        assert said == ["one"]
        assert state.running(tmp_path)["services"]["one"]["pid"] != first
        assert state.running(tmp_path)["services"]["one"]["restarts"] == 1
        with pytest.raises(Refusal, match="runs already"):
            Session(System(tmp_path, table=(*TABLE, gateway())), lambda name, message: None).__enter__()
    assert state.running(tmp_path) is None


def gateway():
    return Service("gateway", lambda setup, service: [sys.executable, "-c", PROGRAM, str(setup.ports["gateway", "http"])],
                   ports=("http",), health_port="http")


def test_what_a_killed_dev_left_behind_is_swept_away(tmp_path):
    system = System(tmp_path, table=(*TABLE, gateway()))
    session = Session(system, lambda name, message: None)
    session.__enter__()
    left = state.read(tmp_path)
    left["supervisor"]["start_time"] -= 1  # as if our pid had belonged to another
    (tmp_path / "state.json").write_text(json.dumps(left))
    sweep(tmp_path)
    assert [process.wait(10) for process in system.processes.values()] == [-signal.SIGKILL] * 3
    assert state.read(tmp_path) is None
    assert not stop_running(tmp_path)


def test_a_reused_pid_is_not_taken_for_ours():
    assert state.runs({"pid": os.getpid(), "start_time": state.start_time(os.getpid())})
    assert not state.runs({"pid": os.getpid(), "start_time": 1})
    assert not state.runs({"pid": os.getpid(), "start_time": None})


# ---- the real table ----


def full_setup():
    ports = {(service.name, port): 9000 + i for i, (service, port) in
             enumerate((service, port) for service in SERVICES for port in service.ports)}
    return Setup(build=Path("/b"), run_dir=Path("/r"), store="sqlite", ports=ports)


def by_name(name):
    return next(service for service in SERVICES if service.name == name)


def test_a_service_is_told_its_own_addresses_and_those_of_its_peers():
    setup = full_setup()
    environment = by_name("delivery").environment(setup, by_name("delivery"))
    assert environment["SKY_LISTEN"] == setup.address("delivery")
    assert environment["SKY_ADMIN"] == setup.address("delivery", "admin")
    assert environment["SKY_WORKFLOW_ADDRESS"] == setup.address("workflow")
    assert environment["SKY_NATS_URL"] == f"nats://{setup.address('nats', 'client')}"
    assert environment["SKY_STORE"] == "sqlite:/r/data"
    assert "SKY_DELIVERY_ADDRESS" not in environment and "SKY_GATEWAY_ADDRESS" not in environment


def test_one_switch_moves_every_store():
    setup = full_setup()
    assert not by_name("ferretdb").needed(setup)
    setup.store = "ferretdb"
    assert by_name("ferretdb").needed(setup)
    assert by_name("package").environment(setup, by_name("package"))["SKY_STORE"].startswith(f"mongodb://{setup.address('ferretdb', 'mongo')}/")
    setup.store = "mongodb://elsewhere:27017"
    assert by_name("package").environment(setup, by_name("package"))["SKY_STORE"] == "mongodb://elsewhere:27017"


def test_running_takes_our_programs_and_no_tests():
    assert {"services/delivery/skyhook-delivery", "gateway/ngx_http_sky_module.so", "tools/skyctl/skyctl"} <= set(targets())
    assert not any("test" in target or target.startswith("/") for target in targets())


def test_names_are_unique():
    assert len(set(NAMES)) == len(NAMES)


def test_a_real_broker_starts_is_killed_and_comes_back(tmp_path):
    with System(tmp_path, services=["nats"]) as system:
        system.start()
        system.wait_ready()
        system.kill("nats")
        system.start("nats")
        system.wait_ready("nats")
        assert (tmp_path / "nats/jetstream").is_dir()
        assert system.stop() in ({"nats": 0}, {"nats": 1})


def test_a_real_mongo_wire_server_starts(tmp_path):
    pymongo = pytest.importorskip("pymongo")
    with System(tmp_path, services=["ferretdb"], store="ferretdb") as system:
        system.start()
        system.wait_ready()
        with pymongo.MongoClient(system.setup.store_url(), serverSelectionTimeoutMS=5000) as client:
            client.skyhook.drones.insert_one({"_id": "d1", "battery": 0.5})
            assert client.skyhook.drones.find_one({"_id": "d1"}) == {"_id": "d1", "battery": 0.5}
        assert system.stop() == {"ferretdb": 0}


def test_the_templates_of_the_repository_can_be_filled(tmp_path):
    setup = full_setup()
    setup.run_dir = tmp_path
    for name in ("nats", "gateway"):
        by_name(name).prepare(setup, by_name(name))
    assert setup.address("nats", "client") in (tmp_path / "nats-server.conf").read_text()
    assert f"listen {setup.address('gateway', 'http')}" in (tmp_path / "gateway.conf").read_text()
