"""The main job, end to end: requests go in over REST and are scheduled, flown by the simulator, followed and completed."""

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from dev.flights import when
from support import broker, fleet
from support.contracts import build
from support.waiting import eventually

FAR = {"latitude": 47.66, "longitude": -122.28}
OFTEN = {"SKY_REPORT_INTERVAL": "100ms", "SKY_POSITION_INTERVAL": "100ms"}  # so that quick flights show some positions


@pytest.fixture(scope="module")
def system(start_system):
    return start_system(time_factor=60.0, environment=OFTEN)


def this_month() -> dict[str, int]:
    now = time.gmtime()
    return {"year": now.tm_year, "month": now.tm_mon}


def test_202_with_a_location_that_resolves_at_once(http, owner):
    for _ in range(20):
        answer = fleet.request(http, fleet.order(owner))
        assert answer.status == 202, answer
        assert answer.headers["location"] == f"{fleet.REQUESTS}/{answer.json['id']}"
        found = http.get(answer.headers["location"])
        assert found.status == 200, found
        assert found.json["id"] == answer.json["id"]
        assert found.json["state"] in fleet.GOING_WELL
        assert found.json["order"]["ownerId"] == owner


def test_many_requests_are_all_flown_to_their_end(system, http, owner):
    orders = [fleet.order(owner) for _ in range(20)]
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda order: fleet.accepted(http, order), orders))
    assert len(set(ids)) == len(ids)
    for id in ids:
        done = fleet.at_stage(http, id, "COMPLETED")
        status = done["status"]
        assert done["ownerId"] == owner
        assert when(done["createTime"]) <= when(done["pickupTime"]) < when(done["endTime"])
        assert status["deliveryEta"] == {"time": done["endTime"], "confidence": 1}
        assert status["lastKnownLocation"]["longitude"] == pytest.approx(done["order"]["dropoffLocation"]["longitude"], abs=1e-4)
        request = fleet.status(http, id)
        assert (request["state"], request["droneId"]) == ("DELIVERY_REQUEST_STATE_SCHEDULED", done["droneId"])
    assert broker.dead_letters(system) == 0


def test_request_can_be_watched_until_it_is_scheduled(http, owner):
    id = fleet.accepted(http, fleet.order(owner))
    events = list(http.events(f"{fleet.REQUESTS}/{id}:watch"))
    states = [event["data"]["deliveryRequest"]["state"] for event in events if event.get("event") != "end"]
    assert states[-1] == "DELIVERY_REQUEST_STATE_SCHEDULED"
    assert set(states[:-1]) <= fleet.GOING_WELL
    final = next(event["data"]["deliveryRequest"] for event in reversed(events) if event.get("event") != "end")
    assert final["deliveryId"] == id and final["droneId"]
    assert when(final["createTime"]) < when(final["pickupEta"]["time"]) < when(final["deliveryEta"]["time"])


def test_delivery_can_be_watched_on_its_way(http, owner):
    id = fleet.accepted(http, fleet.order(owner, dropoffLocation=FAR))
    fleet.at_stage(http, id, "CREATED", "HEADED_TO_PICKUP", "HEADED_TO_DROPOFF")
    *events, last = http.events(f"{fleet.DELIVERIES}/{id}:watch")
    assert last["event"] == "end"  # says that the stream was whole
    seen = [event["data"]["status"] for event in events]
    stages = [status["stage"] for status in seen]
    assert sorted(stages, key=fleet.STAGES.index) == stages and stages[-1] == "DELIVERY_STAGE_COMPLETED"
    assert len({event["id"] for event in events}) == len(events)
    for status in seen:
        assert "deliveryEta" in status and "pickupEta" in status, status
    moving = [status for status in seen if status["stage"] == "DELIVERY_STAGE_HEADED_TO_DROPOFF" and status.get("speedMps")]
    remaining = [status.get("remainingDistanceM", 0) for status in moving]  # JSON leaves a zero out: the drone is there
    assert len(set(remaining)) >= 5 and remaining == sorted(remaining, reverse=True), "the drone comes nearer and nearer"
    for status in moving:  # each ETA is recomputed from where the drone is and how fast it flies
        to_go = (when(status["deliveryEta"]["time"]) - when(status["locationTime"])).total_seconds()
        assert to_go == pytest.approx(status.get("remainingDistanceM", 0) / status["speedMps"], abs=0.1)
    actual = when(seen[-1]["deliveryEta"]["time"])
    assert abs((when(moving[-1]["deliveryEta"]["time"]) - actual).total_seconds()) < 5, "and gets near the truth"


def test_watch_goes_on_after_the_last_event_seen(http, owner):
    id = fleet.accepted(http, fleet.order(owner))
    fleet.at_stage(http, id, "COMPLETED")
    first = next(iter(http.events(f"{fleet.DELIVERIES}/{id}:watch")))
    again = [event for event in http.events(f"{fleet.DELIVERIES}/{id}:watch", headers={"Last-Event-ID": first["id"]}) if event.get("event") != "end"]
    assert again == []


def test_completed_delivery_shows_in_lists_summaries_and_on_the_invoice(http, owner):
    id = fleet.accepted(http, fleet.order(owner, packageInfo={"weightKg": 1.5, "tag": "books", "size": "PACKAGE_SIZE_MEDIUM"}))
    done = fleet.at_stage(http, id, "COMPLETED")
    month = {"ownerId": owner, **this_month()}

    assert [entry["id"] for entry in http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner)] == [id]
    assert [entry["id"] for entry in http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner, status="DELIVERY_STAGE_COMPLETED")] == [id]
    assert list(http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner, status="DELIVERY_STAGE_CREATED")) == []
    assert [entry["id"] for entry in http.pages(fleet.REQUESTS, "deliveryRequests", ownerId=owner)] == [id]
    assert http.get(f"{fleet.DELIVERIES}/{id}/owner").json == {"ownerId": owner}

    package = http.get(f"/api/v1/packages/{done['packageId']}").json
    assert (package["ownerId"], package["weightKg"], package["tag"], package["size"]) == (owner, 1.5, "books", "PACKAGE_SIZE_MEDIUM")
    assert [entry["id"] for entry in http.pages("/api/v1/packages", "packages", ownerId=owner, tag="books")] == [package["id"]]

    summary = http.get(f"{fleet.DELIVERIES}/summary", **month).json
    assert (summary["deliveryCount"], summary["completedCount"]) == ("1", "1")
    assert summary["totalDistanceM"] == pytest.approx(done["distanceM"])
    weight = http.get("/api/v1/packages/summary", **month).json
    assert (weight["packageCount"], weight["totalWeightKg"]) == ("1", 1.5)

    eventually(lambda: http.get(f"/api/v1/dronedeliveries/{id}").json["state"] == "ASSIGNMENT_STATE_COMPLETED", what="drone home")
    utilization = http.get("/api/v1/dronedeliveries/utilization", **month).json
    assert (utilization["missionCount"], utilization["completedCount"]) == ("1", "1")
    assert utilization["distanceM"] > done["distanceM"], "there, across and home"

    number = f"{month['year']:04}-{month['month']:02}"
    invoice = eventually(lambda: (found := http.get(f"/api/v1/accounts/{owner}/invoices/{number}")).json.get("deliveryCount") == "1" and found.json,
                         what="delivery on the invoice")
    amounts = [int(line["amount"]["minorUnits"]) for line in invoice["lines"]]
    assert sum(amounts) == int(invoice["total"]["minorUnits"]) > 0


def test_completes_only_with_the_proof_that_was_asked_for(http, owner):
    id = fleet.accepted(http, fleet.order(owner, confirmationRequired="CONFIRMATION_TYPE_SIGNATURE"))
    eventually(lambda: (fleet.delivery(http, id) or {"status": {}})["status"].get("phase") in
               ("MISSION_PHASE_AT_DROPOFF", "MISSION_PHASE_DELIVERED", "MISSION_PHASE_RETURNING"), 60, what="drone at the recipient")
    assert fleet.delivery(http, id)["status"]["stage"] == "DELIVERY_STAGE_HEADED_TO_DROPOFF"
    proof = {"contentType": "text/plain", "chunk": "c2lnbmVk"}
    wrong = http.post(f"{fleet.DELIVERIES}/{id}/confirmations", {"type": "CONFIRMATION_TYPE_VOICE", **proof})
    assert "CONFIRMATION_TYPE_WRONG" in json.dumps(wrong.problem(409))
    right = http.post(f"{fleet.DELIVERIES}/{id}/confirmations", {"type": "CONFIRMATION_TYPE_SIGNATURE", **proof})
    assert right.status == 201 and right.json["sizeBytes"] == "6", right
    assert fleet.at_stage(http, id, "COMPLETED")["confirmation"]["type"] == "CONFIRMATION_TYPE_SIGNATURE"


def test_recipient_follows_with_the_tracking_key_and_sees_no_more_than_that(http, owner):
    id = fleet.accepted(http, fleet.order(owner))
    key = fleet.at_stage(http, id, "COMPLETED")["trackingKey"]
    seen = http.get(f"{fleet.DELIVERIES}/public/{id}", key=key)
    assert seen.status == 200 and seen.json["stage"] == "DELIVERY_STAGE_COMPLETED", seen
    assert owner not in seen.body.decode()
    http.get(f"{fleet.DELIVERIES}/public/{id}", key=key[:-2] + "xx").problem(403)


# ---- skyctl, as an operator uses it ----


@pytest.fixture
def skyctl(system):
    def run(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(build() / "tools/skyctl/skyctl"), *words], env={**os.environ, "SKY_GATEWAY": system.url},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False)

    return run


def test_skyctl_submits_watches_gets_and_lists(skyctl, http, owner, tmp_path):
    (tmp_path / "orders.jsonl").write_text("".join(json.dumps(fleet.order(owner)) + "\n" for _ in range(3)))
    submitted = skyctl("submit", "--ids", str(tmp_path / "orders.jsonl"))
    assert submitted.returncode == 0, submitted
    ids = submitted.stdout.split()
    assert len(set(ids)) == 3
    watched = skyctl("watch", ids[0])
    assert watched.returncode == 0 and "COMPLETED" in watched.stdout.upper(), watched
    got = skyctl("get", ids[0])
    assert got.returncode == 0 and ids[0] in got.stdout and "DELIVERY_STAGE_COMPLETED" in got.stdout, got
    for id in ids:
        fleet.at_stage(http, id, "COMPLETED")
    listed = skyctl("list", owner)
    assert listed.returncode == 0 and all(id in listed.stdout for id in ids), listed


def test_skyctl_says_which_line_was_wrong_and_fails(skyctl, owner, tmp_path):
    wrong = fleet.order(owner)
    wrong["pickupLocation"] = {"latitude": 91, "longitude": 0}
    (tmp_path / "orders.jsonl").write_text(json.dumps(fleet.order(owner)) + "\n" + json.dumps(wrong) + "\n")
    submitted = skyctl("submit", str(tmp_path / "orders.jsonl"))
    assert submitted.returncode == 1, submitted
    assert "line 2" in submitted.stderr and "latitude" in submitted.stderr


def test_skyctl_cancels_before_pickup_and_is_refused_afterwards(skyctl, http, owner):
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    waits = fleet.accepted(http, fleet.order(owner, pickupTime=later))
    assert fleet.decided(http, waits)["state"] == "DELIVERY_REQUEST_STATE_SCHEDULED"
    done = skyctl("cancel", waits)
    assert done.returncode == 0, done
    fleet.cancelled(http, waits)
    flown = fleet.accepted(http, fleet.order(owner))
    fleet.at_stage(http, flown, "COMPLETED")
    refused = skyctl("cancel", flown)
    assert refused.returncode == 1 and refused.stderr, refused


def test_skyctl_says_when_there_is_no_such_delivery(skyctl):
    missing = skyctl("get", "0190a5f0-0000-7000-8000-000000000000")
    assert missing.returncode == 1 and "UNKNOWN" in missing.stderr, missing
