"""The main job as tests do it: accounts, orders, and what became of them, all through the public API."""

import itertools
import uuid

from support.http import Http, Response
from support.waiting import eventually

REQUESTS = "/api/v1/deliveryrequests"
DELIVERIES = "/api/v1/deliveries"
PIKE_PLACE = {"latitude": 47.6097, "longitude": -122.3425}
SPACE_NEEDLE = {"latitude": 47.6205, "longitude": -122.3493}
STAGES = [f"DELIVERY_STAGE_{name}" for name in ("CREATED", "HEADED_TO_PICKUP", "HEADED_TO_DROPOFF", "COMPLETED")]  # in order
GOING_WELL = {f"DELIVERY_REQUEST_STATE_{name}" for name in ("ACCEPTED", "PROCESSING", "SCHEDULED")}
FINAL_STATES = {"DELIVERY_REQUEST_STATE_SCHEDULED", "DELIVERY_REQUEST_STATE_REJECTED", "DELIVERY_REQUEST_STATE_FAILED",
                "DELIVERY_REQUEST_STATE_CANCELLED"}
_numbers = itertools.count()


def order(owner: str, **changes) -> dict:
    """A small order across the city; each a little elsewhere."""
    shift = next(_numbers) % 50 * 0.0005
    return {
        "ownerId": owner,
        "pickupLocation": {**PIKE_PLACE, "latitude": PIKE_PLACE["latitude"] + shift},
        "dropoffLocation": {**SPACE_NEEDLE, "longitude": SPACE_NEEDLE["longitude"] + shift},
        "packageInfo": {"weightKg": 0.5},
        **changes,
    }


def new_account(http: Http, **changes) -> str:
    """Registers a business; its id."""
    account = f"owner-{uuid.uuid4().hex[:12]}"
    answer = http.post("/api/v1/accounts", {"id": account, "displayName": "A business", "planId": "unlimited", **changes})
    assert answer.status == 201, answer
    return account


def request(http: Http, body: dict, key: str | None = None) -> Response:
    return http.post(REQUESTS, body, headers={"Idempotency-Key": key} if key else {})


def accepted(http: Http, body: dict, key: str | None = None) -> str:
    """Submits an order that must be taken; its id."""
    answer = request(http, body, key)
    assert answer.status == 202, answer
    return answer.json["id"]


def status(http: Http, id: str) -> dict:
    answer = http.get(f"{REQUESTS}/{id}")
    assert answer.status == 200, answer
    return answer.json


def delivery(http: Http, id: str) -> dict | None:
    answer = http.get(f"{DELIVERIES}/{id}")
    assert answer.status in (200, 404), answer
    return answer.json if answer.status == 200 else None


def decided(http: Http, id: str, seconds: float = 30.0) -> dict:
    """The request once its state is final."""
    return eventually(lambda: (found := status(http, id)).get("state") in FINAL_STATES and found, seconds, what=f"request {id} decided")


def cancelled(http: Http, id: str, seconds: float = 30.0) -> dict:
    """The request once it is cancelled (SCHEDULED is final only as long as nobody cancels)."""
    return eventually(lambda: (found := status(http, id)).get("state") == "DELIVERY_REQUEST_STATE_CANCELLED" and found, seconds,
                      what=f"request {id} cancelled")


def at_stage(http: Http, id: str, *stages: str, seconds: float = 60.0) -> dict:
    """The delivery once it is at one of these stages (without the prefix)."""
    wanted = {f"DELIVERY_STAGE_{stage}" for stage in stages}

    def there():
        found = delivery(http, id)
        return found is not None and found["status"].get("stage") in wanted and found

    return eventually(there, seconds, what=f"delivery {id} at {' or '.join(stages)}")


def drones(http: Http) -> list[dict]:
    return list(http.pages("/api/v1/drones", "drones", pageSize=1000))
