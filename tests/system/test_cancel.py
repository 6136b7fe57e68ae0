"""Cancelling: before pickup it undoes everything and frees the drone, afterwards it is refused."""

import json
import time

import pytest
from support import broker, fleet
from support.http import Http
from support.waiting import eventually


def later(seconds: float = 3600) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def answered(call):
    """A 503 asks to come again (Retry-After), and a system that has just been started on a busy machine may say it."""
    return eventually(lambda: (response := call()).status != 503 and response, 20, every=0.2)


def delete(http, id):
    return answered(lambda: http.call("DELETE", f"{fleet.REQUESTS}/{id}"))


def post(http, id):
    return answered(lambda: http.post(f"{fleet.REQUESTS}/{id}:cancel", {"reason": "changed my mind"}))


@pytest.mark.parametrize("cancel", [delete, post])
def test_before_pickup_all_is_undone(system, http, owner, cancel):
    id = fleet.accepted(http, fleet.order(owner, pickupTime=later()))
    scheduled = fleet.decided(http, id)
    assert scheduled["state"] == "DELIVERY_REQUEST_STATE_SCHEDULED", scheduled
    package = fleet.delivery(http, id)["packageId"]
    answer = cancel(http, id)
    assert answer.status == 202 and answer.headers["location"] == f"{fleet.REQUESTS}/{id}", answer
    fleet.cancelled(http, id)
    fleet.at_stage(http, id, "CANCELLED")
    eventually(lambda: http.get(f"/api/v1/drones/{scheduled['droneId']}").json.get("deliveryId") != id, what="drone free again")
    assert http.get(f"/api/v1/dronedeliveries/{id}").json["state"] != "ASSIGNMENT_STATE_ACTIVE"
    eventually(lambda: http.get(f"/api/v1/packages/{package}").status == 404, what="no package left behind")
    assert cancel(http, id).status == 202, "cancelling again is no error"
    assert broker.dead_letters(system) == 0


def test_at_once_after_the_202(http, owner):
    """Whatever the saga is doing at that moment; the drone may even have left, but a cancelled delivery is never picked up."""
    id = fleet.accepted(http, fleet.order(owner, pickupTime=later()))
    assert delete(http, id).status == 202
    fleet.cancelled(http, id)
    eventually(lambda: http.get(f"/api/v1/packages/{id}").status == 404, what="no package left behind")
    eventually(lambda: (found := fleet.delivery(http, id)) is None or found["status"]["stage"] == "DELIVERY_STAGE_CANCELLED", what="no delivery under way")
    assert not [drone for drone in fleet.drones(http) if drone.get("deliveryId") == id]


def test_while_the_drone_is_on_its_way_to_pickup(start_system):
    slow = Http(start_system(time_factor=1.0, drones=1).url)  # in real time the way there takes minutes
    id = fleet.accepted(slow, fleet.order(fleet.new_account(slow)))
    drone = fleet.at_stage(slow, id, "HEADED_TO_PICKUP")["droneId"]
    answer = delete(slow, id)
    assert answer.status == 202, answer
    fleet.cancelled(slow, id)
    fleet.at_stage(slow, id, "CANCELLED")
    eventually(lambda: "deliveryId" not in slow.get(f"/api/v1/drones/{drone}").json, 60, what="drone free again")
    assert slow.get(f"/api/v1/packages/{id}").status == 404


def test_after_pickup_it_is_refused(http, owner):
    id = fleet.accepted(http, fleet.order(owner, confirmationRequired="CONFIRMATION_TYPE_SIGNATURE"))  # on board until somebody signs
    fleet.at_stage(http, id, "HEADED_TO_DROPOFF")
    for cancel in (delete, post):
        problem = cancel(http, id).problem(409)
        assert "DELIVERY_ALREADY_PICKED_UP" in json.dumps(problem)
    assert fleet.status(http, id)["state"] == "DELIVERY_REQUEST_STATE_SCHEDULED"
    signature = {"type": "CONFIRMATION_TYPE_SIGNATURE", "contentType": "text/plain", "chunk": "c2lnbmVk"}
    eventually(lambda: http.post(f"{fleet.DELIVERIES}/{id}/confirmations", signature).status == 201, 60, every=0.1, what="signed at the door")
    fleet.at_stage(http, id, "COMPLETED")


def test_of_a_completed_delivery_is_refused(http, owner):
    id = fleet.accepted(http, fleet.order(owner))
    fleet.at_stage(http, id, "COMPLETED")
    delete(http, id).problem(409)


def test_of_what_never_was_is_not_found(http):
    delete(http, "0190a5f0-0000-7000-8000-000000000000").problem(404)
    delete(http, "not-an-id").problem(400)
