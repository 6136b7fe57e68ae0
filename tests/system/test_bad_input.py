"""What is wrong with a request is said with a 4xx and the field's name; nothing of it is ever stored, queued or dead-lettered."""

import gzip
import http.client
import json
import socket
from urllib.parse import urlsplit

import pytest
from support import broker, fleet
from support.waiting import eventually

GOOD = {"ownerId": "acme", "pickupLocation": {"latitude": 47.6, "longitude": -122.3}, "dropoffLocation": {"latitude": 47.61, "longitude": -122.33},
        "packageInfo": {"weightKg": 1}}
TEXT = json.dumps(GOOD)


def changed(**changes) -> str:
    return json.dumps({**GOOD, **changes})


def without(name: str) -> str:
    return json.dumps({key: value for key, value in GOOD.items() if key != name})


# body -> the field that must be named ("": none can be)
FIELDS = {
    "unknown field": (changed(colour="red"), "colour"),
    "unknown nested field": (changed(packageInfo={"weightKg": 1, "weigth": 2}), "packageInfo.weigth"),
    "field that only the server sets": (changed(id="0190a5f0-0000-7000-8000-000000000000"), "id"),
    "no owner": (without("ownerId"), "ownerId"),
    "no pickup": (without("pickupLocation"), "pickupLocation"),
    "no dropoff": (without("dropoffLocation"), "dropoffLocation"),
    "no package": (without("packageInfo"), "packageInfo"),
    "null for what must be there": (changed(pickupLocation=None), "pickupLocation"),
    "no latitude": (changed(pickupLocation={"longitude": 1}), "pickupLocation.latitude"),
    "no longitude": (changed(dropoffLocation={"latitude": 1}), "dropoffLocation.longitude"),
    "latitude 91": (changed(pickupLocation={"latitude": 91, "longitude": 0}), "pickupLocation.latitude"),
    "longitude -181": (changed(dropoffLocation={"latitude": 0, "longitude": -181}), "dropoffLocation.longitude"),
    "latitude that is no number": (changed(pickupLocation={"latitude": "NaN", "longitude": 0}), "pickupLocation.latitude"),
    "latitude as a word": (changed(pickupLocation={"latitude": "north", "longitude": 0}), "pickupLocation.latitude"),
    "negative weight": (changed(packageInfo={"weightKg": -1}), "packageInfo.weightKg"),
    "endless weight": (changed(packageInfo={"weightKg": "Infinity"}), "packageInfo.weightKg"),
    "weight beyond a double": (TEXT.replace('"weightKg": 1', '"weightKg": 1e999'), "packageInfo.weightKg"),
    "unknown enum name": (changed(confirmationRequired="CONFIRMATION_TYPE_HANDSHAKE"), "confirmationRequired"),
    "unknown enum number": (changed(confirmationRequired=77), "confirmationRequired"),
    "text for a boolean": (changed(expedited="yes"), "expedited"),
    "list for a message": (changed(pickupLocation=[1, 2]), "pickupLocation"),
    "month 13": (changed(pickupTime="2026-13-01T00:00:00Z"), "pickupTime"),
    "owner with a space": (changed(ownerId="a b"), "ownerId"),
    "owner too long": (changed(ownerId="a" * 65), "ownerId"),
    "email without @": (changed(notify={"email": "nobody"}), "notify.email"),
    "webhook that is no address": (changed(notify={"webhook": "not a uri"}), "notify.webhook"),
    "telephone number in words": (changed(notify={"sms": "call me"}), "notify.sms"),
    "deadline before pickup": (changed(pickupTime="2030-01-02T00:00:00Z", deadline="2030-01-01T00:00:00Z"), "deadline"),
    "duplicate key": (TEXT[:-1] + ', "ownerId": "other"}', "ownerId"),
    "duplicate key, nested": (TEXT.replace('"weightKg": 1', '"weightKg": 1, "weightKg": 2'), "packageInfo.weightKg"),
    "both names of a field": (TEXT[:-1] + ', "owner_id": "other"}', "ownerId"),
    "invalid UTF-8": (TEXT.encode().replace(b"acme", b"ac\xff\xfeme"), "ownerId"),
    "lone surrogate": (TEXT.replace("acme", "\\ud800"), "ownerId"),
    "text with a NUL": (TEXT.replace("acme", "ac\\u0000me"), "ownerId"),
}
MALFORMED = {
    "nothing": "",
    "not JSON": "hello",
    "half of it": TEXT[:-10],
    "junk after it": TEXT + " true",
    "two of it": TEXT + TEXT,
    "a list": f"[{TEXT}]",
    "a number": "42",
    "null": "null",
    "single quotes": TEXT.replace('"', "'"),
    "comma at the end": TEXT[:-1] + ",}",
    "comment": TEXT[:-1] + "/* hi */}",
    "10,000 deep lists": '{"ownerId": ' + "[" * 10_000 + "]" * 10_000 + "}",
    "10,000 deep objects": '{"notify": ' * 10_000 + "1" + "}" * 10_000,
    "10,000 open brackets": "[" * 10_000,
    "UTF-16": TEXT.encode("utf-16"),
    "byte order mark alone": b"\xef\xbb\xbf",
    "NUL bytes": b"\x00" * 100,
}


def named(problem: dict) -> list[str]:
    """The fields that a problem names."""
    return [violation["field"] for violation in problem.get("errors", problem.get("violations", problem.get("fieldViolations", [])))]


@pytest.fixture(autouse=True)
def nothing_comes_of_it(system):
    before = broker.streams(system)["REQUESTS"]["last_seq"]
    yield
    after = broker.streams(system)
    assert after["REQUESTS"]["last_seq"] == before, "something was queued"
    assert after["DEADLETTERS"]["messages"] == 0
    assert all(process.alive() for process in system.processes.values())


@pytest.mark.parametrize("case", FIELDS)
def test_the_field_is_named(http, case):
    body, field = FIELDS[case]
    problem = http.post(fleet.REQUESTS, body).problem(400)
    assert field in named(problem), problem
    assert problem["detail"]


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_body(http, case):
    problem = http.post(fleet.REQUESTS, MALFORMED[case]).problem(400)
    assert problem["title"] and problem["detail"]


def test_every_bad_field_is_named_at_once(http):
    body = changed(ownerId="a b", pickupLocation={"latitude": 91, "longitude": 181}, packageInfo={"weightKg": -1})
    assert {"ownerId", "pickupLocation.latitude", "pickupLocation.longitude", "packageInfo.weightKg"} <= set(named(http.post(fleet.REQUESTS, body).problem(400)))


def test_one_mebibyte(http):
    answer = http.post(fleet.REQUESTS, changed(packageInfo={"tag": "x" * (1 << 20)}))
    answer.problem(answer.status)
    assert answer.status in (400, 413)
    if answer.status == 400:
        assert "packageInfo.tag" in named(answer.json)


def test_beyond_the_limit_of_the_gateway(http):
    http.post(fleet.REQUESTS, b" " * (64 << 20)).problem(413)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense"])
def test_wrong_content_type(http, kind):
    http.call("POST", fleet.REQUESTS, TEXT, headers={"Content-Type": kind}).problem(415)


def test_json_without_its_content_type_is_told_what_is_missing(http):
    problem = http.call("POST", fleet.REQUESTS, TEXT, headers={"Content-Type": "application/x-www-form-urlencoded"}).problem(415)
    assert "application/json" in problem["detail"]


def test_compressed_body(http):
    answer = http.call("POST", fleet.REQUESTS, gzip.compress(TEXT.encode()), headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert named(answer.problem(415)) == ["Content-Encoding"]
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("path, field", [
    (f"{fleet.REQUESTS}/not-a-uuid", "id"),
    (f"{fleet.DELIVERIES}?ownerId=acme&pageSize=-1", "pageSize"),
    (f"{fleet.DELIVERIES}?ownerId=acme&pageSize=1001", "pageSize"),
    (f"{fleet.DELIVERIES}?ownerId=acme&colour=red", "colour"),
    (f"{fleet.DELIVERIES}?ownerId=acme&ownerId=other", "ownerId"),
    (f"{fleet.DELIVERIES}?ownerId=acme&status=NONSENSE", "status"),
    (f"{fleet.DELIVERIES}?ownerId=acme&from=yesterday", "from"),
    (f"{fleet.DELIVERIES}?ownerId=acme&pageToken=forged", "pageToken"),
    (f"{fleet.DELIVERIES}", "ownerId"),
    (f"{fleet.DELIVERIES}/summary?ownerId=acme&year=2026&month=13", "month"),
    (f"{fleet.DELIVERIES}/summary?ownerId=acme&year=99999999999999999999&month=1", "year"),
    (f"{fleet.REQUESTS}?ownerId=%ff%fe", "ownerId"),
])
def test_bad_path_or_query(http, path, field):
    problem = http.get(path).problem(400)
    assert field in named(problem), problem


def test_unknown_path_and_method(http):
    http.get("/api/v1/nothing").problem(404)
    answer = http.call("PUT", fleet.REQUESTS, TEXT)
    answer.problem(405)
    assert "POST" in answer.headers["allow"]


def test_key_that_is_too_long(http):
    http.post(fleet.REQUESTS, TEXT, headers={"Idempotency-Key": "k" * 300}).problem(400)


def test_batch_says_of_each_item_what_is_wrong(http):
    wrong = {**GOOD, "pickupLocation": {"latitude": 91, "longitude": 0}}
    answer = http.post(f"{fleet.REQUESTS}:batch", {"items": [{"order": wrong}, {"order": {**GOOD, "ownerId": "a b"}}, {}]})
    assert answer.status == 200, answer
    said = [json.dumps(result["error"]) for result in answer.json["results"]]
    assert len(said) == 3
    assert "latitude" in said[0] and "owner_id" in said[1] and "order" in said[2]
    details = answer.json["results"][0]["error"]["details"]
    assert [(detail["@type"], [violation["field"] for violation in detail["fieldViolations"]]) for detail in details] == [
        ("type.googleapis.com/google.rpc.BadRequest", ["pickup_location.latitude"])]


@pytest.mark.parametrize("sent, status", [
    (b"GARBAGE\r\n\r\n", 400),
    (b"POST /api/v1/deliveryrequests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: -5\r\n\r\n", 400),
    (b"POST /api/v1/deliveryrequests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"GET /api/v1/deliveryrequests/%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
    (b"GET /api/v1/deliveries/" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET /api/v1/deliveries/x HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
])
def test_broken_http(system, sent, status):
    with socket.create_connection(tuple(urlsplit(system.url).netloc.split(":")), timeout=10) as connection:
        connection.sendall(sent)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == status


def test_client_that_breaks_off_leaves_nothing_behind(system, http):
    with socket.create_connection(tuple(urlsplit(system.url).netloc.split(":")), timeout=10) as connection:
        connection.sendall(f"POST {fleet.REQUESTS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{TEXT}".encode())
    eventually(lambda: http.get("/api/v1/plans").status == 200)
