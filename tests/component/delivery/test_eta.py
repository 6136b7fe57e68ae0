"""The arrival as people are told of it: EtaChanged when it has moved by more than they would overlook, and not otherwise."""

from datetime import datetime

from support.delivery import DROPOFF, PICKUP, events
from support.waiting import eventually


def arrival(status: dict) -> datetime:
    return datetime.fromisoformat(status["deliveryEta"]["time"].replace("Z", "+00:00"))


def test_a_slow_drone_moves_the_arrival_and_it_is_told_once(deliveries):
    told = deliveries.listen("eta_changed")
    id = deliveries.put()
    first = deliveries.status(id)
    deliveries.report(id, PICKUP, north_mps=2)  # 11 km at 2 m/s: an hour and a half
    eventually(lambda: events(told, "EtaChanged"), what="EtaChanged")
    for _ in range(20):
        deliveries.report(id, PICKUP, north_mps=2)
    eventually(lambda: arrival(deliveries.status(id)) > arrival(first))
    deliveries.report(id, DROPOFF, north_mps=20)  # and it is early again: the next news, so nothing was told in between
    eventually(lambda: len(events(told, "EtaChanged")) >= 2, what="the second EtaChanged")
    late, early = events(told, "EtaChanged")
    assert late["deliveryId"] == id and late["ownerId"] == "acme" and late["droneId"] == "drone-1"
    assert late["notify"] == {"email": "box@example.org"}
    assert late["deliveryEtaBefore"] == first["deliveryEta"]
    assert early["deliveryEtaBefore"] == late["deliveryEtaAfter"]
    assert early["deliveryEtaAfter"]["time"] < late["deliveryEtaAfter"]["time"]
    assert int(early["version"]) == int(late["version"]) + 1


def test_what_was_told_last_survives_a_restart(deliveries):
    told = deliveries.listen("eta_changed")
    id = deliveries.put()
    deliveries.report(id, PICKUP, north_mps=2)
    eventually(lambda: events(told, "EtaChanged"), what="EtaChanged")
    deliveries.program.kill()
    deliveries.program.start()
    after = events(told, "EtaChanged")[0]["deliveryEtaAfter"]
    eventually(lambda: deliveries.status(id)["deliveryEta"] == after, what="the estimate told last")
