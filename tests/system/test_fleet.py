"""The fleet over REST: drones, bases and no-fly zones, as an operator manages them."""

import uuid

import pytest
from support import fleet

SQUARE = [{"latitude": 10, "longitude": 10}, {"latitude": 10, "longitude": 10.01}, {"latitude": 10.01, "longitude": 10.01}, {"latitude": 10.01, "longitude": 10}]


def violated(answer) -> list[str]:
    return [violation["field"] for violation in answer.problem(400)["violations"]]


def name(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def base(http) -> str:
    """Far from the city, so that no mission begins there."""
    id = name("base")
    made = http.post("/api/v1/bases", {"id": id, "displayName": "A base", "location": {"latitude": 10, "longitude": 10}, "capacity": 2})
    assert made.status == 201 and made.headers["location"] == f"/api/v1/bases/{id}", made
    return id


@pytest.fixture
def drone(http, base) -> str:
    id = name("drone")
    made = http.post("/api/v1/drones", {"id": id, "baseId": base, "capacityKg": 2, "rangeM": 10000, "cruiseSpeedMps": 15})
    assert made.status == 201 and made.headers["location"] == f"/api/v1/drones/{id}", made
    return id


@pytest.mark.parametrize("kind, path, body, change, changed", [
    ("base", "/api/v1/bases", {"displayName": "A", "location": {"latitude": 10, "longitude": 10}, "capacity": 2}, {"capacity": 3}, ("capacity", 3)),
    ("zone", "/api/v1/noflyzones", {"displayName": "A", "corners": SQUARE}, {"ceilingM": 100}, ("ceilingM", 100)),
])
def test_from_beginning_to_end(http, kind, path, body, change, changed):
    id = name(kind)
    made = http.post(path, {"id": id, **body})
    assert made.status == 201 and made.headers["location"] == f"{path}/{id}"
    assert http.get(f"{path}/{id}").json == made.json
    http.post(path, {"id": id, **body}).problem(409)

    seen = made.headers["etag"]
    after = http.call("PATCH", f"{path}/{id}", change, headers={"If-Match": seen})
    assert after.status == 200 and after.json[changed[0]] == changed[1] and after.json["displayName"] == "A"
    http.call("PATCH", f"{path}/{id}", {"displayName": "B"}, headers={"If-Match": seen}).problem(412)
    http.call("DELETE", f"{path}/{id}", headers={"If-Match": seen}).problem(412)
    assert http.get(f"{path}/{id}").json == after.json

    assert http.call("DELETE", f"{path}/{id}", headers={"If-Match": after.headers["etag"]}).status == 204
    http.get(f"{path}/{id}").problem(404)
    http.call("PATCH", f"{path}/{id}", change).problem(404)
    http.call("DELETE", f"{path}/{id}").problem(404)


@pytest.mark.parametrize("path, list_name, body", [
    ("/api/v1/bases", "bases", {"displayName": "A", "location": {"latitude": 10, "longitude": 10}}),
    ("/api/v1/noflyzones", "noFlyZones", {"displayName": "A", "corners": SQUARE}),
])
def test_the_same_key_is_the_same_one(http, path, list_name, body):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = http.post(path, body, headers=key)
    assert first.status == 201
    assert http.post(path, body, headers=key).json == first.json
    http.post(path, {**body, "displayName": "B"}, headers=key).problem(409)
    ids = [entry["id"] for entry in http.pages(path, list_name, pageSize=1)]
    assert ids.count(first.json["id"]) == 1 and ids == sorted(ids)


def test_what_a_zone_must_be(http):
    zones = "/api/v1/noflyzones"
    assert violated(http.post(zones, {"corners": SQUARE[:2]})) == ["corners"]
    assert violated(http.post(zones, {"corners": [{"latitude": 91, "longitude": 0}, *SQUARE]})) == ["corners[0].latitude"]
    assert violated(http.post(zones, {"corners": [{"latitude": 0, "longitude": -179}, {"latitude": 0, "longitude": 179}, {"latitude": 1, "longitude": 0}]})) == ["corners"]
    times = {"startTime": "2026-01-02T00:00:00Z", "endTime": "2026-01-01T00:00:00Z"}
    assert violated(http.post(zones, {"corners": SQUARE, **times})) == ["endTime"]
    id = http.post(zones, {"corners": SQUARE}).json["id"]
    assert violated(http.call("PATCH", f"{zones}/{id}", {"corners": []})) == ["corners"]
    assert http.get(f"{zones}/{id}").json["corners"] == SQUARE


def test_a_base_with_drones_stays(http, base, drone):
    assert http.call("DELETE", f"/api/v1/bases/{base}").problem(409)["reason"] == "BASE_IN_USE"
    assert http.call("DELETE", f"/api/v1/drones/{drone}").status == 204
    http.get(f"/api/v1/drones/{drone}").problem(404)
    assert http.call("DELETE", f"/api/v1/bases/{base}").status == 204
    assert violated(http.post("/api/v1/bases", {"displayName": "nowhere"})) == ["location"]


def test_a_drone_is_changed_and_taken_out_of_service(http, base, drone):
    path = f"/api/v1/drones/{drone}"
    seen = http.get(path).headers["etag"]
    after = http.call("PATCH", path, {"capacityKg": 3}, headers={"If-Match": seen})
    assert after.status == 200 and after.json["capacityKg"] == 3
    http.call("PATCH", path, {"capacityKg": 4}, headers={"If-Match": seen}).problem(412)
    assert http.post(f"{path}:setMaintenance", {"maintenance": True, "reason": "propeller"}).json["state"] == "DRONE_STATE_MAINTENANCE"
    assert drone in [entry["id"] for entry in http.pages("/api/v1/drones", "drones", state="DRONE_STATE_MAINTENANCE")]
    assert http.post(f"{path}:setMaintenance", {"maintenance": False}).json["state"] != "DRONE_STATE_MAINTENANCE"
    assert violated(http.call("PATCH", path, {"capacityKg": -1})) == ["capacityKg"]
    nowhere = http.post("/api/v1/drones", {"baseId": name("nowhere"), "capacityKg": 1, "rangeM": 1000, "cruiseSpeedMps": 10})
    assert nowhere.problem(404)["reason"] == "BASE_UNKNOWN"
    assert fleet.drones(http)
