"""New terms for what is not picked up yet: taken over by the whole system, or refused with a reason and nothing changed."""

import time
import uuid

import pytest
from support import broker, fleet
from support.waiting import eventually

ELSEWHERE = {"latitude": 47.6150, "longitude": -122.3300}
ABROAD = {"latitude": 10.0, "longitude": 10.0}


def later(seconds: float = 3600) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


@pytest.fixture
def waiting(http, owner) -> str:
    """A request that has its drone and is picked up in an hour."""
    id = fleet.accepted(http, fleet.order(owner, pickupTime=later()))
    assert fleet.decided(http, id)["state"] == "DELIVERY_REQUEST_STATE_SCHEDULED"
    return id


def patch(http, id: str, change: dict):
    return http.call("PATCH", f"{fleet.REQUESTS}/{id}", change)


def orders(http, id: str) -> list[dict]:
    """The terms as the request and as the delivery tell them."""
    return [fleet.status(http, id)["order"], fleet.delivery(http, id)["order"]]


def test_a_new_dropoff_is_where_it_is_delivered(system, http, waiting):
    answer = patch(http, waiting, {"dropoffLocation": ELSEWHERE, "pickupTime": None})
    assert answer.status == 202 and answer.headers["location"] == f"{fleet.REQUESTS}/{waiting}", answer
    eventually(lambda: all(order["dropoffLocation"] == ELSEWHERE and "pickupTime" not in order for order in orders(http, waiting)), what="new terms everywhere")
    done = fleet.at_stage(http, waiting, "COMPLETED")
    place = done["status"]["lastKnownLocation"]
    assert (place["latitude"], place["longitude"]) == pytest.approx((ELSEWHERE["latitude"], ELSEWHERE["longitude"]), abs=1e-3)
    assert broker.dead_letters(system) == 0


def test_only_what_is_named_changes(http, waiting):
    before = fleet.delivery(http, waiting)["order"]
    assert patch(http, waiting, {"expedited": True}).status == 202
    eventually(lambda: all(order.get("expedited") for order in orders(http, waiting)), what="expedited everywhere")
    after = fleet.delivery(http, waiting)["order"]
    assert {**before, "expedited": True} == after


def test_changes_one_after_the_other_end_with_the_last(http, waiting):
    places = [{"latitude": 47.61 + number / 1000, "longitude": -122.34} for number in range(5)]
    for place in places:
        assert patch(http, waiting, {"dropoffLocation": place}).status == 202
    eventually(lambda: all(order["dropoffLocation"] == places[-1] for order in orders(http, waiting)), what="the last terms everywhere")


def test_terms_that_no_drone_can_keep_change_nothing(system, http, waiting):
    before = fleet.delivery(http, waiting)
    assert patch(http, waiting, {"dropoffLocation": ABROAD}).status == 202
    refusal = eventually(lambda: fleet.status(http, waiting).get("reason"), what="why it was not changed")
    assert refusal["code"] and refusal["message"]
    assert fleet.status(http, waiting)["state"] == "DELIVERY_REQUEST_STATE_SCHEDULED"
    eventually(lambda: fleet.delivery(http, waiting)["order"] == before["order"], what="the old terms are back")
    assert fleet.delivery(http, waiting)["droneId"] == before["droneId"]
    assert broker.dead_letters(system) == 0


@pytest.mark.parametrize("change, field", [
    ({}, "updateMask"),
    ({"dropoffLocation": {"latitude": 91, "longitude": 0}}, "dropoffLocation.latitude"),
    ({"dropoffLocation": None}, "dropoffLocation"),
    ({"ownerId": "other"}, "ownerId"),
    ({"pickupTime": "tomorrow"}, "pickupTime"),
    ({"pickupTime": "2030-01-02T00:00:00Z", "deadline": "2030-01-01T00:00:00Z"}, "deadline"),
])
def test_bad_terms_are_refused_at_once(http, waiting, change, field):
    problem = patch(http, waiting, change).problem(400)
    assert field in [violation["field"] for violation in problem["violations"]], problem


def test_what_is_over_or_unknown_cannot_be_changed(http, owner, waiting):
    done = fleet.accepted(http, fleet.order(owner))
    fleet.at_stage(http, done, "COMPLETED")
    assert patch(http, done, {"dropoffLocation": ELSEWHERE}).problem(409)["reason"] == "DELIVERY_ALREADY_PICKED_UP"
    assert http.call("DELETE", f"{fleet.REQUESTS}/{waiting}").status == 202
    fleet.cancelled(http, waiting)
    assert patch(http, waiting, {"dropoffLocation": ELSEWHERE}).problem(409)["reason"]
    assert patch(http, str(uuid.uuid4()), {"dropoffLocation": ELSEWHERE}).problem(404)["reason"] == "DELIVERY_REQUEST_UNKNOWN"
