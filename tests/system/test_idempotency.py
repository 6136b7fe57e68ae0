"""The same Idempotency-Key means the same request, however often and however simultaneously it is sent."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

from support import broker, fleet
from support.waiting import eventually


def test_same_key_gives_the_same_id_and_one_delivery(http, owner):
    key, order = f"key-{uuid.uuid4()}", fleet.order(owner)
    first = fleet.accepted(http, order, key)
    assert fleet.accepted(http, order, key) == first
    fleet.at_stage(http, first, "COMPLETED")
    assert fleet.accepted(http, order, key) == first, "also long after"
    assert [entry["id"] for entry in http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner)] == [first]
    assert [entry["id"] for entry in http.pages("/api/v1/packages", "packages", ownerId=owner)] == [first]


def test_simultaneous_requests_with_one_key_are_one(http, owner):
    key, order = f"key-{uuid.uuid4()}", fleet.order(owner)
    with ThreadPoolExecutor(16) as threads:
        ids = set(threads.map(lambda _: fleet.accepted(http, order, key), range(32)))
    assert len(ids) == 1
    fleet.at_stage(http, ids.pop(), "COMPLETED")
    assert len(list(http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner))) == 1


def test_other_order_under_the_same_key_is_refused(http, owner):
    key, order = f"key-{uuid.uuid4()}", fleet.order(owner)
    first = fleet.accepted(http, order, key)
    other = fleet.request(http, {**order, "packageInfo": {"weightKg": 2}}, key)
    assert "IDEMPOTENCY_KEY_REUSED" in json.dumps(other.problem(409))
    fleet.decided(http, first)
    assert "IDEMPOTENCY_KEY_REUSED" in json.dumps(fleet.request(http, {**order, "packageInfo": {"weightKg": 2}}, key).problem(409)), "also later"
    assert fleet.status(http, first)["order"]["packageInfo"] == {"weightKg": 0.5}


def test_a_known_request_is_compared_without_the_broker(http, owner, system):
    """Its memory of message ids lasts two minutes; the request is known far longer."""
    key, order = f"key-{uuid.uuid4()}", fleet.order(owner)
    first = fleet.accepted(http, order, key)
    fleet.decided(http, first)
    published = broker.streams(system)["REQUESTS"]["last_seq"]
    assert fleet.accepted(http, order, key) == first
    assert "IDEMPOTENCY_KEY_REUSED" in json.dumps(fleet.request(http, {**order, "packageInfo": {"weightKg": 2}}, key).problem(409))
    assert broker.streams(system)["REQUESTS"]["last_seq"] == published


def test_items_of_a_batch_are_compared_too(http, owner):
    key, order = f"key-{uuid.uuid4()}", fleet.order(owner)
    other = {**order, "packageInfo": {"weightKg": 2}}

    def send(*orders) -> list[dict]:
        answer = http.post(f"{fleet.REQUESTS}:batch", {"items": [{"order": each, "idempotencyKey": key} for each in orders]})
        assert answer.status == 200, answer
        return answer.json["results"]

    def reason(result: dict) -> str:
        assert result["error"]["code"] == 6  # ALREADY_EXISTS
        return next(detail["reason"] for detail in result["error"]["details"] if detail["@type"].endswith("google.rpc.ErrorInfo"))

    first = send(order)[0]["deliveryRequest"]["id"]
    again, reused = send(order, other)
    assert again["deliveryRequest"]["id"] == first and reason(reused) == "IDEMPOTENCY_KEY_REUSED"
    fleet.decided(http, first)
    again, reused = send(order, other)
    assert again["deliveryRequest"]["id"] == first and reason(reused) == "IDEMPOTENCY_KEY_REUSED", "also later"
    assert [entry["id"] for entry in http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner)] == [first]


def test_what_was_sent_counts_not_what_became_of_it(http, owner):
    later = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()  # not picked up meanwhile
    key, order = f"key-{uuid.uuid4()}", fleet.order(owner, pickupTime=later)
    first = fleet.accepted(http, order, key)
    fleet.decided(http, first)
    notify = {"notify": {"email": "someone@example.com"}}
    answer = http.call("PATCH", f"{fleet.REQUESTS}/{first}", notify, updateMask="notify")
    assert answer.status == 202, answer
    eventually(lambda: fleet.status(http, first)["order"].get("notify"), what="the order has changed")
    assert fleet.accepted(http, order, key) == first
    assert "IDEMPOTENCY_KEY_REUSED" in json.dumps(fleet.request(http, {**order, **notify}, key).problem(409))


def test_another_owners_same_key_is_another_request(http, owner):
    key = f"key-{uuid.uuid4()}"
    assert fleet.accepted(http, fleet.order(owner), key) != fleet.accepted(http, fleet.order(fleet.new_account(http)), key)


def test_without_a_key_each_call_is_a_request(http, owner):
    order = fleet.order(owner)
    assert fleet.accepted(http, order) != fleet.accepted(http, order)
