"""FleetService of the real process: drones, bases and no-fly zones."""

import grpc
from support.contracts import refused
from support.dronescheduler import HOME, near

NOT_FOUND, EXISTS, PRECONDITION = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.FAILED_PRECONDITION
DRONE = {"id": "d", "baseId": "home", "rangeM": 30000, "capacityKg": 5, "cruiseSpeedMps": 20}


def test_a_drone_from_creation_to_deletion(scheduler):
    fleet = scheduler.fleet
    with refused(NOT_FOUND, "BASE_UNKNOWN"):
        fleet.call("CreateDrone", {"drone": DRONE})
    scheduler.add_base()
    created = fleet.call("CreateDrone", {"drone": DRONE, "idempotencyKey": "k"})["drone"]
    assert created["state"] == "DRONE_STATE_IDLE" and created["location"] == HOME and created["etag"]
    assert fleet.call("CreateDrone", {"drone": DRONE, "idempotencyKey": "k"})["drone"]["id"] == "d"
    for again in ({"drone": DRONE}, {"drone": {**DRONE, "rangeM": 1}, "idempotencyKey": "k"}):
        with refused(EXISTS, "DRONE_EXISTS"):
            fleet.call("CreateDrone", again)
    changed = fleet.call("UpdateDrone", {"drone": {"id": "d", "capacityKg": 7}, "updateMask": "capacityKg", "ifMatch": created["etag"]})["drone"]
    assert changed["capacityKg"] == 7 and changed["rangeM"] == 30000 and changed["etag"] != created["etag"]
    with refused(grpc.StatusCode.ABORTED, "ETAG_MISMATCH"):
        fleet.call("UpdateDrone", {"drone": {"id": "d", "capacityKg": 8}, "updateMask": "capacityKg", "ifMatch": created["etag"]})
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        fleet.call("UpdateDrone", {"drone": {"id": "d", "capacityKg": 0}, "updateMask": "capacityKg"})
    scheduler.restart()
    assert scheduler.drone("d")["capacityKg"] == 7
    with refused(PRECONDITION, "BASE_IN_USE"):
        fleet.call("DeleteBase", {"id": "home"})
    assignment = scheduler.assign(scheduler.order())
    with refused(PRECONDITION, "DRONE_BUSY"):
        fleet.call("DeleteDrone", {"id": "d"})
    scheduler.assignments.call("ReleaseDrone", {"deliveryId": assignment["deliveryId"]})
    fleet.call("DeleteDrone", {"id": "d"})
    with refused(NOT_FOUND, "DRONE_UNKNOWN"):
        scheduler.drone("d")
    fleet.call("DeleteBase", {"id": "home"})
    with refused(NOT_FOUND, "BASE_UNKNOWN"):
        fleet.call("GetBase", {"id": "home"})


def test_one_that_comes_back_under_its_old_id_can_be_assigned(scheduler):
    scheduler.add_base()
    scheduler.fleet.call("CreateDrone", {"drone": DRONE})
    scheduler.fly(scheduler.assign(scheduler.order()))
    scheduler.fleet.call("DeleteDrone", {"id": "d"})
    scheduler.fleet.call("CreateDrone", {"drone": DRONE})
    scheduler.fly(scheduler.assign(scheduler.order()))


def test_lists_are_paged_and_filtered(scheduler):
    scheduler.add_base()
    scheduler.add_base("other", near(1, 1))
    drones = scheduler.add_drones(5) + scheduler.add_drones(2, "other")
    seen, token = [], ""
    while True:
        page = scheduler.fleet.call("ListDrones", {"pageSize": 3, "pageToken": token})
        seen += [d["id"] for d in page["drones"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert seen == sorted(drones)
    assert len(scheduler.fleet.call("ListDrones", {"baseId": "other"})["drones"]) == 2
    scheduler.fleet.call("SetMaintenance", {"id": drones[0], "maintenance": True, "reason": "new rotor"})
    out = scheduler.fleet.call("ListDrones", {"state": "DRONE_STATE_MAINTENANCE"})["drones"]
    assert [d["id"] for d in out] == drones[:1] and out[0]["reason"]["message"] == "new rotor"
    assert [b["id"] for b in scheduler.fleet.call("ListBases", {"pageSize": 1})["bases"]] == ["home"]


def test_a_no_fly_zone_is_flown_around_and_never_flown_into(scheduler):
    scheduler.add_base()
    scheduler.add_drones(2)
    corners = [near(0.3, -0.5), near(0.7, -0.5), near(0.7, 0.5), near(0.3, 0.5)]
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        scheduler.fleet.call("CreateNoFlyZone", {"noFlyZone": {"corners": corners[:2]}})
    zone = scheduler.fleet.call("CreateNoFlyZone", {"noFlyZone": {"id": "park", "corners": corners}})["noFlyZone"]
    straight = 30000
    orders = scheduler.telemetry.stream("FlyMissions", {})
    assert "inForce" in next(orders)
    assignment = scheduler.assign(scheduler.order())
    waypoints = next(orders)["fly"]["waypoints"]
    assert len(waypoints) > 3 and "arrivalPhase" not in waypoints[0]
    assert assignment["distanceM"] < straight
    with refused(PRECONDITION, "NO_DRONE_IN_WINDOW"):
        scheduler.assign(scheduler.order(pickupLocation=near(0.5, 0)))
    ended = scheduler.fleet.call("UpdateNoFlyZone", {"noFlyZone": {"id": "park", "endTime": "2026-01-01T00:00:00Z"}, "updateMask": "endTime",
                                                     "ifMatch": zone["etag"]})["noFlyZone"]
    assert ended["endTime"] == "2026-01-01T00:00:00Z"
    scheduler.assign(scheduler.order(pickupLocation=near(0.5, 0)))
    scheduler.fleet.call("DeleteNoFlyZone", {"id": "park"})
    assert scheduler.fleet.call("ListNoFlyZones") == {}
    orders.close()


def test_watchers_see_every_drone_and_then_every_change(scheduler):
    scheduler.add_base()
    drones = scheduler.add_drones(3)
    watch = scheduler.fleet.stream("WatchFleet")
    first = [next(watch) for _ in drones]
    assert sorted(m["drone"]["id"] for m in first) == drones and all(m["snapshot"] for m in first)
    scheduler.report(scheduler.frame(drones[1], location=near(0.2, 0)))
    change = next(watch)
    assert change["drone"]["id"] == drones[1] and change["drone"]["location"] == near(0.2, 0) and "snapshot" not in change
    scheduler.fleet.call("DeleteDrone", {"id": drones[2]})
    gone = next(watch)
    assert gone["deleted"] and gone["drone"]["id"] == drones[2]
    watch.close()
