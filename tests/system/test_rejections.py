"""Requests that are accepted and then refused for a reason of the business: they end REJECTED and leave nothing behind."""

import uuid

from support import broker, fleet, stores
from support.waiting import eventually


def assert_nothing_left(system, http, id: str, owner: str):
    assert http.get(f"/api/v1/packages/{id}").status == 404
    assert list(http.pages("/api/v1/packages", "packages", ownerId=owner)) == []
    assert fleet.delivery(http, id) is None
    assert list(http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner)) == []
    assert http.get(f"/api/v1/dronedeliveries/{id}").status == 404
    assert not [drone for drone in fleet.drones(http) if drone.get("deliveryId") == id]
    for service, collection, key in (("package", "packages", "id"), ("delivery", "deliveries", "id")):
        assert id not in [document[key] for document in stores.documents(system, service, collection)]
    for document in stores.documents(system, "dronescheduler", "assignments"):
        assert document["deliveryId"] != id or document["assignment"].get("state") != "ASSIGNMENT_STATE_ACTIVE"
    eventually(lambda: not [entry for entry in stores.documents(system, "account", "ledger") if entry["id"] == id and entry.get("active")],
               what="the account has heard of the end")
    assert broker.dead_letters(system) == 0


def rejected(http, id: str, reason: str) -> None:
    final = fleet.decided(http, id)
    assert final["state"] == "DELIVERY_REQUEST_STATE_REJECTED", final
    assert final["reason"]["code"] == reason and final["reason"]["message"]


def test_unknown_account(system, http):
    owner = f"nobody-{uuid.uuid4().hex[:8]}"
    id = fleet.accepted(http, fleet.order(owner))
    rejected(http, id, "ACCOUNT_UNKNOWN")
    assert_nothing_left(system, http, id, owner)


def test_suspended_account_and_again_after_it_is_reactivated(system, http, owner):
    assert http.post(f"/api/v1/accounts/{owner}:suspend", {"reason": "unpaid"}).status == 200
    id = fleet.accepted(http, fleet.order(owner))
    rejected(http, id, "ACCOUNT_SUSPENDED")
    assert_nothing_left(system, http, id, owner)
    assert http.post(f"/api/v1/accounts/{owner}:reactivate", {}).status == 200
    fleet.at_stage(http, fleet.accepted(http, fleet.order(owner)), "COMPLETED")


def test_beyond_the_plan(system, http):
    plan = min((plan for plan in http.get("/api/v1/plans").json["plans"] if plan.get("maxWeightKg")), key=lambda plan: plan["maxWeightKg"])
    owner = fleet.new_account(http, planId=plan["id"])
    id = fleet.accepted(http, fleet.order(owner, packageInfo={"weightKg": plan["maxWeightKg"] + 0.5}))
    rejected(http, id, "PLAN_LIMIT")
    assert_nothing_left(system, http, id, owner)


def test_no_drone_can_ever_do_it(system, http, owner):
    """Here the package is registered before the drone is refused: it is undone."""
    id = fleet.accepted(http, fleet.order(owner, dropoffLocation={"latitude": 10.0, "longitude": 10.0}))
    rejected(http, id, "NO_CARRIER")  # the fleet cannot, and there is nobody else
    eventually(lambda: id not in [document["id"] for document in stores.documents(system, "package", "packages")], what="package undone")
    assert_nothing_left(system, http, id, owner)


def test_package_of_another_owner(system, http, owner):
    other, package = fleet.new_account(http), f"parcel-{uuid.uuid4().hex[:8]}"
    assert http.call("PUT", f"/api/v1/packages/{package}", {"ownerId": other, "weightKg": 1}).status == 201
    id = fleet.accepted(http, fleet.order(owner, packageInfo={"packageId": package, "weightKg": 1}))
    rejected(http, id, "PACKAGE_CONFLICT")
    assert http.get(f"/api/v1/packages/{package}").json["ownerId"] == other
    assert_nothing_left(system, http, id, owner)
