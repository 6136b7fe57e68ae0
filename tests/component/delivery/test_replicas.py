"""Two replicas on one store: what one of them does, those who watch at the other learn."""

import uuid

import pytest
from support.delivery import DROPOFF, PICKUP
from support.waiting import eventually

MIDWAY = {"latitude": 47.65, "longitude": -122.30}


@pytest.fixture
def other(deliveries):
    """Calls a second replica."""
    yield from deliveries.replica()


def watch(client, id: str):
    """A watch that has begun."""
    updates = client.stream("WatchDelivery", {"id": id})
    assert next(updates)["kind"] == "DELIVERY_UPDATE_KIND_SNAPSHOT"
    return updates


@pytest.mark.parametrize("phase, stage", [("FAILED", "FAILED"), ("DELIVERED", "COMPLETED")])
def test_a_watch_ends_when_the_delivery_ends_at_another_replica(deliveries, other, phase, stage):
    id = deliveries.put()
    updates = watch(other, id)
    deliveries.progress(id, phase)
    assert [update["status"]["stage"] for update in updates][-1] == f"DELIVERY_STAGE_{stage}"


def test_a_watcher_learns_that_another_replica_has_rescheduled(deliveries, other):
    id = deliveries.put()
    updates = watch(other, id)
    deliveries.client.call("Reschedule", {"id": id, "changeId": str(uuid.uuid4()), "change": {"dropoffLocation": MIDWAY},
                                          "updateMask": "dropoffLocation"})
    assert next(updates)["kind"] == "DELIVERY_UPDATE_KIND_STAGE"
    updates.close()


def test_positions_are_shown_also_by_a_replica_that_did_not_hear_of_the_pickup(deliveries, other):
    def shown_latitude() -> float:
        return other.call("GetStatus", {"id": id})["status"]["lastKnownLocation"]["latitude"]

    id = deliveries.put()
    deliveries.report(id, PICKUP, north_mps=20)
    deliveries.progress(id, "PICKED_UP")

    def has_moved() -> bool:
        deliveries.report(id, MIDWAY, north_mps=20)
        return shown_latitude() == MIDWAY["latitude"]

    eventually(has_moved, what="the position that came after the pickup")
    assert DROPOFF["latitude"] > shown_latitude()
