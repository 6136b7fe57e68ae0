"""Bad input is refused with a problem that names the field: never a 5xx, never half done."""

import json

import pytest

from support import fleet


def without(order, *path):
    holder = order
    for name in path[:-1]:
        holder = holder[name]
    del holder[path[-1]]
    return order


def changed(order, value, *path):
    holder = order
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return order


# What is wrong -> how it is made wrong, the word that the problem must have.
NAMED = {
    "unknown field": (lambda order: changed(order, 1, "weihgt"), "weihgt"),
    "unknown field inside": (lambda order: changed(order, 1, "packageInfo", "colour"), "colour"),
    "missing owner": (lambda order: without(order, "ownerId"), "owner"),
    "missing package": (lambda order: without(order, "packageInfo"), "package"),
    "missing longitude": (lambda order: without(order, "pickupLocation", "longitude"), "longitude"),
    "latitude 91": (lambda order: changed(order, 91, "pickupLocation", "latitude"), "latitude"),
    "longitude -181": (lambda order: changed(order, -181, "dropoffLocation", "longitude"), "longitude"),
    "latitude as NaN": (lambda order: changed(order, "NaN", "pickupLocation", "latitude"), "latitude"),
    "negative weight": (lambda order: changed(order, -1, "packageInfo", "weightKg"), "weight"),
    "weight as text": (lambda order: changed(order, "heavy", "packageInfo", "weightKg"), "weight"),
    "unknown enum": (lambda order: changed(order, "CONFIRMATION_TYPE_HANDSHAKE", "confirmationRequired"), "confirmation"),
    "month 13": (lambda order: changed(order, "2026-13-01T00:00:00Z", "pickupTime"), "pickup"),
    "bad owner id": (lambda order: changed(order, "a/b*>", "ownerId"), "owner"),
    "list for an object": (lambda order: changed(order, [1], "packageInfo"), "package"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_wrong_field_is_named(http, owner, name):
    spoil, field = NAMED[name]
    problem = fleet.request(http, spoil(fleet.order(owner))).problem(400)
    assert field in json.dumps(problem).lower(), problem


def test_every_wrong_field_is_named_not_only_the_first(http, owner):
    order = changed(changed(fleet.order(owner), 91, "pickupLocation", "latitude"), -1, "packageInfo", "weightKg")
    text = json.dumps(fleet.request(http, order).problem(400)).lower()
    assert "latitude" in text and "weight" in text


RAW = {
    "empty body": (b"", 400),
    "not JSON": (b"hello", 400),
    "cut off": (b'{"ownerId": "x"', 400),
    "junk after it": (b'{"ownerId": "x"} x', 400),
    "a key twice": (b'{"ownerId": "x", "ownerId": "y"}', 400),
    "invalid UTF-8": (b'{"ownerId": "\xff\xfe"}', 400),
    "half of a surrogate pair": (b'{"ownerId": "\\ud800"}', 400),
    "10,000 deep lists": (b'{"packageInfo": ' + b"[" * 10000 + b"]" * 10000 + b"}", 400),
    "10,000 deep objects": (b'{"a":' * 10000 + b"1" + b"}" * 10000, 400),
    "1 MiB": (b'{"ownerId": "' + b"x" * (1 << 20) + b'"}', 413),
}


@pytest.mark.parametrize("name", RAW)
def test_a_wrong_body_is_refused(http, name):
    body, status = RAW[name]
    http.call("POST", fleet.REQUESTS, body).problem(status)


def test_a_wrong_content_type_is_refused(http, owner):
    http.call("POST", fleet.REQUESTS, json.dumps(fleet.order(owner)), headers={"Content-Type": "text/xml"}).problem(415)


def test_unknown_paths_methods_and_queries(http, owner):
    http.get("/api/v1/nothing").problem(404)
    refused = http.call("PUT", fleet.REQUESTS, {})
    refused.problem(405)
    assert "POST" in refused.headers["allow"]
    assert "colour" in json.dumps(http.get(fleet.DELIVERIES, ownerId=owner, colour="red").problem(400))


def test_an_unknown_id_is_not_found_and_a_malformed_one_is_named(http):
    http.get(f"{fleet.REQUESTS}/00000000-0000-4000-8000-000000000000").problem(404)
    assert "id" in json.dumps(http.get(f"{fleet.REQUESTS}/not-a-uuid").problem(400))


def test_what_was_refused_did_nothing_and_the_system_is_well(http, owner):
    for spoil, _ in NAMED.values():
        fleet.request(http, spoil(fleet.order(owner)))
    assert list(http.pages(fleet.REQUESTS, "deliveryRequests", ownerId=owner)) == []
    id = fleet.accepted(http, fleet.order(owner))
    fleet.at_stage(http, id, "COMPLETED")
    assert [delivery["id"] for delivery in http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner)] == [id]
