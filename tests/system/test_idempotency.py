"""The same Idempotency-Key means the same request, however often and however simultaneously it is sent."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

from support import fleet


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


def test_without_a_key_each_call_is_a_request(http, owner):
    order = fleet.order(owner)
    assert fleet.accepted(http, order) != fleet.accepted(http, order)
