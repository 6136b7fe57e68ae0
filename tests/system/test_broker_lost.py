"""Without JetStream a request is refused with 503 and Retry-After, and never answered 202; once it is back all goes on."""

import shutil
import signal
import time
import uuid
from pathlib import Path

from support import fleet
from support.waiting import PATIENCE, eventually


def pause(process) -> None:
    """Stops it, and waits until all its threads stand still: on a busy machine they go on for a while after the signal."""
    process.send(signal.SIGSTOP)
    eventually(lambda: all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in Path(f"/proc/{process.pid}/task").glob("*/stat")))


def accepted_again(http, owner) -> str:
    return eventually(lambda: (answer := fleet.request(http, fleet.order(owner))).status == 202 and answer, 60, every=0.1).json["id"]


def test_no_broker_means_503_until_it_is_back(system, http, owner):
    before = fleet.accepted(http, fleet.order(owner))
    system.kill("nats")
    refused = fleet.request(http, fleet.order(owner))
    refused.problem(503)
    assert int(refused.headers["retry-after"]) >= 1
    system.start("nats")
    system.wait_ready("nats")
    after = accepted_again(http, owner)
    for id in (before, after):
        fleet.at_stage(http, id, "COMPLETED")
    assert {delivery["id"] for delivery in http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner)} == {before, after}


def test_a_broker_that_hangs_means_503_in_time(system, http, owner):
    """It keeps its connections and says nothing: whether a request is durable cannot be known, so it is not answered 202."""
    key, order = uuid.uuid4().hex, fleet.order(owner)
    try:
        pause(system.processes["nats"])
        begin = time.monotonic()
        refused = fleet.request(http, order, key)
        took = time.monotonic() - begin
    finally:
        system.processes["nats"].send(signal.SIGCONT)
    refused.problem(503)
    assert int(refused.headers["retry-after"]) >= 1
    assert took < 6 * PATIENCE, took
    id = eventually(lambda: (answer := fleet.request(http, order, key)).status == 202 and answer, 60, every=0.1).json["id"]
    fleet.at_stage(http, id, "COMPLETED")
    assert [delivery["id"] for delivery in http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner)] == [id]


def test_a_broker_that_lost_its_streams_gets_them_back(system, http, owner):
    """An empty store is as bad as it gets for a broker; the services declare their streams again."""
    system.kill("nats")
    shutil.rmtree(system.setup.run_dir / "nats")
    system.start("nats")
    system.wait_ready("nats")
    fleet.at_stage(http, accepted_again(http, owner), "COMPLETED")
