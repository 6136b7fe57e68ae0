"""What became of a set of delivery requests: asked of the API again and again, until all are over. Pure but for the Api it is given."""

import base64
from dataclasses import dataclass, field
from datetime import datetime, timezone

from dev.api import Api

# What a request or its delivery is at, in the order of its life; the last ones are final.
ORDER = ("accepted", "processing", "created", "rescheduled", "to pickup", "to drop-off", "completed", "cancelled", "rejected", "failed")
FINAL = frozenset(ORDER[6:])

_OF_REQUEST = {"ACCEPTED": "accepted", "PROCESSING": "processing", "SCHEDULED": "created", "REJECTED": "rejected", "FAILED": "failed",
               "CANCELLED": "cancelled"}
_OF_DELIVERY = {"CREATED": "created", "RESCHEDULED": "rescheduled", "HEADED_TO_PICKUP": "to pickup", "HEADED_TO_DROPOFF": "to drop-off",
                "COMPLETED": "completed", "CANCELLED": "cancelled", "FAILED": "failed"}
_AT_RECIPIENT = {"MISSION_PHASE_AT_DROPOFF", "MISSION_PHASE_DELIVERED", "MISSION_PHASE_RETURNING"}
_NO_PROOF = {"CONFIRMATION_TYPE_UNSPECIFIED", "CONFIRMATION_TYPE_NONE"}


@dataclass
class Flight:
    id: str
    owner: str
    tag: str
    confirmation: str
    state: str = "accepted"
    drone: str = ""
    distance_m: float = 0.0
    phase: str = ""
    confirmed: bool = False
    reason: str = ""
    begun: datetime | None = None
    ended: datetime | None = None

    @property
    def seconds(self) -> float | None:
        return (self.ended - self.begun).total_seconds() if self.begun and self.ended else None


@dataclass
class Flights:
    """The flights of these requests, which belong to these owners."""

    api: Api
    owners: list[str]
    ids: set[str]
    by_id: dict[str, Flight] = field(default_factory=dict)

    def refresh(self) -> list[Flight]:
        """Asks again; the flights whose state changed."""
        before = {flight.id: flight.state for flight in self.by_id.values()}
        for owner in self.owners:
            for request in self.api.pages("/api/v1/deliveryrequests", "deliveryRequests", ownerId=owner, pageSize=500):
                self._take_request(request)
            for delivery in self.api.pages("/api/v1/deliveries", "deliveries", ownerId=owner, pageSize=500):
                self._take_delivery(delivery)
        return [flight for flight in self.by_id.values() if before.get(flight.id) != flight.state]

    def _take_request(self, request: dict) -> None:
        if request["id"] not in self.ids:
            return
        order = request.get("order", {})
        flight = self.by_id.setdefault(request["id"], Flight(
            request["id"], order.get("ownerId", ""), order.get("packageInfo", {}).get("tag", ""),
            order.get("confirmationRequired", "CONFIRMATION_TYPE_NONE"), begun=when(request.get("createTime"))))
        if flight.state in ("accepted", "processing"):
            flight.state = _OF_REQUEST.get(_last_word(request.get("state", ""), "DELIVERY_REQUEST_STATE_"), flight.state)
            flight.reason = request.get("reason", {}).get("code", "")

    def _take_delivery(self, delivery: dict) -> None:
        flight = self.by_id.get(delivery["id"])
        if not flight:
            return
        status = delivery.get("status", {})
        flight.state = _OF_DELIVERY.get(_last_word(status.get("stage", ""), "DELIVERY_STAGE_"), flight.state)
        flight.phase = status.get("phase", "")
        flight.drone = delivery.get("droneId", "")
        flight.distance_m = delivery.get("distanceM", 0.0)
        flight.confirmed = "confirmation" in delivery
        flight.ended = when(delivery.get("endTime"))
        flight.reason = delivery.get("reason", {}).get("code", "")

    def awaiting_proof(self) -> list[Flight]:
        """Those whose drone is at the recipient, who has yet to confirm."""
        return [flight for flight in self.by_id.values()
                if flight.phase in _AT_RECIPIENT and flight.state not in FINAL and not flight.confirmed and flight.confirmation not in _NO_PROOF]

    def confirm(self, flight: Flight) -> bool:
        """Does what the recipient does at the door."""
        proof = f"proof of {flight.id}".encode()
        answer = self.api.post(f"/api/v1/deliveries/{flight.id}/confirmations", {
            "type": flight.confirmation, "contentType": "text/plain", "chunk": base64.b64encode(proof).decode()})
        return answer.status == 201

    def count(self) -> dict[str, int]:
        counts = {state: 0 for state in ORDER}
        for flight in self.by_id.values():
            counts[flight.state] += 1
        return counts

    def over(self) -> bool:
        return self.by_id.keys() == self.ids and all(flight.state in FINAL for flight in self.by_id.values())


def when(timestamp: str | None) -> datetime | None:
    """RFC 3339 as canonical JSON has it: up to nine digits of a second, in UTC."""
    if not timestamp:
        return None
    whole, _, fraction = timestamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{(fraction + '000000')[:6]}").replace(tzinfo=timezone.utc)


def _last_word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix)
