"""kill -9 of any one process at any moment of a 200-request run, then its restart: all 200 complete, none twice, no drone double-booked.

The moment is one of 400, from the first request to the last completion, drawn for each victim from SKYHOOK_SEED (any text; nothing by
default, so that a run can be repeated). A soak is a loop over seeds: for s in 1 2 3; do SKYHOOK_SEED=$s ./dev test system -k killed; done
"""

import os
import random
import threading
import uuid
from datetime import datetime
from pathlib import Path

import pytest
from dev.flights import when

from support import broker, fleet, stores
from support.http import Http
from support.waiting import eventually

REQUESTS = 200
# The broker last: killed, it forgets removals, and the workflow service clears them away only when all is quiet.
VICTIMS = ("account", "package", "dronescheduler", "delivery", "workflow", "ingestion", "simulator", "gateway", "nats")
if Path(os.environ.get("SKYHOOK_BUILD", "build")).name != "build":  # under sanitizers two stand for all: each costs half a minute
    VICTIMS = ("workflow", "dronescheduler")


@pytest.fixture(scope="module")
def system(start_system):
    return start_system(drones=250, time_factor=400.0)


def submit_surely(http: Http, order: dict, key: str) -> str:
    """As a client that minds its key: repeats until it is accepted."""

    def taken():
        try:
            answer = fleet.request(http, order, key)
        except OSError:
            return None
        if answer.status != 202 and answer.status != 429 and answer.status < 500:
            raise RuntimeError(f"refused for good: {answer}")
        return answer.status == 202 and answer.json["id"]

    return eventually(taken, 60, every=0.05, what="accepted")


def completed(http: Http, owner: str) -> set[str]:
    """The owner's completed deliveries; none when nobody answers."""
    try:
        deliveries = list(http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner, pageSize=500))
    except (OSError, AssertionError):
        return set()
    return {delivery["id"] for delivery in deliveries if delivery["status"].get("stage") == "DELIVERY_STAGE_COMPLETED"}


def all_completed(http: Http, owner: str, ids: set[str]) -> bool:
    return completed(http, owner) == ids


def moment_of(victim: str) -> int:
    """When to kill it: below REQUESTS while so many are submitted, above that when so many more are completed."""
    return random.Random(victim + os.environ.get("SKYHOOK_SEED", "")).randrange(2 * REQUESTS)


@pytest.mark.parametrize("victim,moment", [pytest.param(victim, moment_of(victim), marks=pytest.mark.xdist_group(victim)) for victim in VICTIMS])
def test_all_complete_once_although_it_is_killed(system, http, owner, victim, moment):
    def kill_and_restart():
        system.kill(victim)
        system.start(victim)

    killer = threading.Thread(target=kill_and_restart)
    ids: set[str] = set()
    for number in range(REQUESTS):
        if number == moment:
            killer.start()
        ids.add(submit_surely(http, fleet.order(owner), uuid.uuid4().hex))
    if moment >= REQUESTS:
        eventually(lambda: len(completed(http, owner)) >= moment - REQUESTS, 120, what="so many completed")
        killer.start()
    killer.join()
    assert len(ids) == REQUESTS
    system.wait_ready(seconds=60)
    eventually(lambda: all_completed(http, owner, ids), 180, every=0.5, what="all completed")
    check_stores(http, owner, ids)
    eventually(lambda: not active_entries(system, ids), 60, every=0.5, what="no delivery counts as under way")
    check_files(system, ids)


def check_stores(http: Http, owner: str, ids: set[str]) -> None:
    """Every service's store agrees: 200 requests, packages, deliveries and assignments; no drone had two deliveries at once."""
    requests = list(http.pages(fleet.REQUESTS, "deliveryRequests", ownerId=owner, pageSize=500))
    assert sorted(request["id"] for request in requests) == sorted(ids)
    assert {request["state"] for request in requests} == {"DELIVERY_REQUEST_STATE_SCHEDULED"}
    packages = [package["id"] for package in http.pages("/api/v1/packages", "packages", ownerId=owner, pageSize=500)]
    assert sorted(packages) == sorted(ids)  # a package without an id of its own has its delivery's
    deliveries = list(http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner, pageSize=500))
    assert sorted(delivery["id"] for delivery in deliveries) == sorted(ids)
    for delivery in deliveries:
        assignment = http.get(f"/api/v1/dronedeliveries/{delivery['id']}")
        assert assignment.status == 200, assignment
        assert assignment.json["droneId"] == delivery["droneId"]
    eventually(lambda: not any(drone.get("deliveryId") for drone in fleet.drones(http)), 60, every=0.2, what="all drones are free")
    check_no_overlap(deliveries)


def check_no_overlap(deliveries: list[dict]) -> None:
    """A drone carries one package at a time: its spans from pickup to end do not overlap."""
    spans: dict[str, list[tuple[datetime, datetime, str]]] = {}
    for delivery in deliveries:
        spans.setdefault(delivery["droneId"], []).append((when(delivery["pickupTime"]), when(delivery["endTime"]), delivery["id"]))
    for drone, flights in spans.items():
        flights.sort()
        for (_, end, first), (begin, _, second) in zip(flights, flights[1:]):
            assert end <= begin, f"{drone} carried {first} and {second} at once"


# ---- the stores themselves, as the services left them ----


def active_entries(system, ids: set[str]) -> list[dict]:
    """What the account service still counts as under way, or has not put on an invoice."""
    return [entry for entry in stores.documents(system, "account", "ledger")
            if entry["id"] in ids and (entry.get("active") or not entry.get("invoiceMonth"))]


def check_files(system, ids: set[str]) -> None:
    """One document of each kind per delivery, and logs in which everything happened exactly once."""
    for service, collection, key in (("workflow", "sagas", "id"), ("package", "packages", "id"), ("delivery", "deliveries", "id"),
                                     ("dronescheduler", "assignments", "deliveryId"), ("account", "ledger", "id")):
        found = [document[key] for document in stores.documents(system, service, collection) if document[key] in ids]
        assert sorted(found) == sorted(ids), f"{service}.{collection}"
    check_deliveries(stores.histories(system, "delivery", "delivery_events"), ids)
    check_sagas(stores.histories(system, "workflow", "saga_events"), ids)
    check_drones(stores.histories(system, "dronescheduler", "drone_events"), ids)
    eventually(lambda: broker.streams(system)["REQUESTS"]["messages"] == 0, 60, every=0.5, what="no request is left in the stream")
    assert broker.dead_letters(system) == 0


def check_deliveries(logs: dict, ids: set[str]) -> None:
    for id in ids:
        names = [name for name, _ in logs[id]]
        for name in ("DeliveryScheduled", "DeliveryPickedUp", "DeliveryCompleted"):
            assert names.count(name) == 1, f"{id}: {names}"
        assert names[0] == "DeliveryScheduled" and names[-1] == "DeliveryCompleted", f"{id}: {names}"


def check_sagas(logs: dict, ids: set[str]) -> None:
    for id in ids:
        names = [name for name, _ in logs[id]]
        assert names.count("SagaStarted") == 1 and names.count("SagaCompleted") == 1, f"{id}: {names}"
        assert "SagaCompensated" not in names and "SagaFailed" not in names, f"{id}: {names}"


def check_drones(logs: dict, ids: set[str]) -> None:
    """Each drone's life: no delivery begins before the one before it was released, and each delivery is flown by one drone, once."""
    flown: list[str] = []
    for drone, log in logs.items():
        current = None
        for name, event in log:
            if name == "DroneAssigned" and event["deliveryId"] != current:  # the same again: new terms of the same mission
                assert current is None, f"{drone} got {event['deliveryId']} while it had {current}"
                current = event["deliveryId"]
                flown.append(current)
            elif name == "DroneMissionProgressed":
                assert event["deliveryId"] == current, f"{drone} told of {event['deliveryId']} while it had {current}"
            elif name == "DroneReleased":
                assert event["deliveryId"] == current, f"{drone} was released from {event['deliveryId']} while it had {current}"
                assert event.get("completed"), f"{drone} did not complete {current}"
                current = None
    mine = [id for id in flown if id in ids]
    assert sorted(mine) == sorted(ids)
