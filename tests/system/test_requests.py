"""The main job, through the gateway: accepted, resolvable at once, idempotent, cancellable until pickup, refused afterwards."""

import uuid

from support import fleet
from support.http import Http
from support.waiting import eventually

FAR_IN_THE_NORTH = {"latitude": 47.7195, "longitude": -122.2972}
PARIS = {"latitude": 48.8584, "longitude": 2.2945}


def test_a_request_is_accepted_flown_and_completed(http, owner):
    answer = fleet.request(http, fleet.order(owner))
    assert answer.status == 202
    id = answer.json["id"]
    assert answer.headers["location"] == f"{fleet.REQUESTS}/{id}"
    assert http.get(answer.headers["location"]).json["state"] in fleet.GOING_WELL
    scheduled = fleet.decided(http, id)
    assert scheduled["state"] == "DELIVERY_REQUEST_STATE_SCHEDULED", scheduled
    assert scheduled["droneId"]
    done = fleet.at_stage(http, id, "COMPLETED")
    assert (done["ownerId"], done["droneId"]) == (owner, scheduled["droneId"])
    assert done["pickupTime"] and done["endTime"]


def test_the_location_resolves_at_once_for_every_request(http, owner):
    for _ in range(20):
        answer = fleet.request(http, fleet.order(owner))
        assert answer.status == 202
        assert http.get(answer.headers["location"]).status == 200


def test_the_same_key_gives_the_same_id_and_one_delivery(http, owner):
    order, key = fleet.order(owner), uuid.uuid4().hex
    ids = {fleet.accepted(http, order, key) for _ in range(5)}
    assert len(ids) == 1
    (id,) = ids
    fleet.at_stage(http, id, "COMPLETED")
    assert fleet.accepted(http, order, key) == id
    mine = list(http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner, pageSize=100))
    assert [delivery["id"] for delivery in mine] == [id]


def test_another_owners_same_key_is_another_request(http, owner):
    key = uuid.uuid4().hex
    assert fleet.accepted(http, fleet.order(owner), key) != fleet.accepted(http, fleet.order(fleet.new_account(http)), key)


def test_a_drone_has_one_delivery_at_a_time(http, owner):
    pending = {fleet.accepted(http, fleet.order(owner)) for _ in range(30)}

    def all_done():
        busy = [drone["deliveryId"] for drone in fleet.drones(http) if drone.get("deliveryId")]
        if len(busy) != len(set(busy)):
            raise RuntimeError(f"a delivery has two drones: {busy}")
        done = {delivery["id"] for delivery in http.pages(fleet.DELIVERIES, "deliveries", ownerId=owner, pageSize=100)
                if delivery["status"].get("stage") == "DELIVERY_STAGE_COMPLETED"}
        return done == pending

    eventually(all_done, 90, every=0.2)


def test_cancel_before_pickup_ends_cancelled_and_frees_the_drone(start_system):
    slow = Http(start_system(time_factor=1.0, drones=1).url)  # in real time the drone takes minutes to the pickup
    id = fleet.accepted(slow, fleet.order(fleet.new_account(slow)))
    fleet.at_stage(slow, id, "CREATED", "HEADED_TO_PICKUP")
    answer = slow.call("DELETE", f"{fleet.REQUESTS}/{id}")
    assert answer.status == 202, answer
    fleet.cancelled(slow, id)
    fleet.at_stage(slow, id, "CANCELLED")
    assert slow.call("DELETE", f"{fleet.REQUESTS}/{id}").status == 202  # again is no error
    eventually(lambda: not any(drone.get("deliveryId") for drone in fleet.drones(slow)), 30, what="the drone is free")


def test_cancel_after_pickup_is_refused(http, owner):
    id = fleet.accepted(http, fleet.order(owner, dropoffLocation=FAR_IN_THE_NORTH))
    fleet.at_stage(http, id, "HEADED_TO_DROPOFF")
    problem = http.call("DELETE", f"{fleet.REQUESTS}/{id}").problem(409)
    assert "DELIVERY_ALREADY_PICKED_UP" in str(problem)
    fleet.at_stage(http, id, "COMPLETED")


def nothing_left(http, id):
    assert fleet.delivery(http, id) is None
    assert http.get(f"/api/v1/packages/{id}").status == 404
    assert http.get(f"/api/v1/dronedeliveries/{id}").status == 404
    assert not any(drone.get("deliveryId") == id for drone in fleet.drones(http))


def rejected_with(http, order, reason):
    """Accepted, then rejected for that reason, with nothing left behind."""
    id = fleet.accepted(http, order)
    found = fleet.decided(http, id)
    assert (found["state"], found["reason"]["code"]) == ("DELIVERY_REQUEST_STATE_REJECTED", reason)
    nothing_left(http, id)


def test_a_request_of_an_unknown_account_is_rejected(http):
    rejected_with(http, fleet.order("nobody-knows-me"), "ACCOUNT_UNKNOWN")


def test_a_request_of_a_suspended_account_is_rejected(http, owner):
    answer = http.post(f"/api/v1/accounts/{owner}:suspend", {"reason": "three invoices are open"})
    assert answer.status == 200, answer
    rejected_with(http, fleet.order(owner), "ACCOUNT_SUSPENDED")


def test_an_order_that_no_drone_can_fly_is_rejected_and_undone(http, owner):
    rejected_with(http, fleet.order(owner, dropoffLocation=PARIS), "NO_CARRIER")  # the fleet cannot, and there is nobody else


def test_a_watched_delivery_tells_its_stages_in_order(http, owner):
    id = fleet.accepted(http, fleet.order(owner))
    fleet.at_stage(http, id, "CREATED", "HEADED_TO_PICKUP", "HEADED_TO_DROPOFF")
    *events, last = http.events(f"{fleet.DELIVERIES}/{id}:watch")
    assert last["event"] == "end"  # says that the stream was whole
    stages = [fleet.STAGES.index(event["data"]["status"]["stage"]) for event in events]
    assert stages == sorted(stages)
    assert fleet.STAGES[stages[-1]] == "DELIVERY_STAGE_COMPLETED"
    assert all(event["id"] for event in events)


def test_a_delivery_with_proof_completes_when_it_is_given(http, owner):
    id = fleet.accepted(http, fleet.order(owner, confirmationRequired="CONFIRMATION_TYPE_SIGNATURE"))

    def confirmed():
        answer = http.post(f"{fleet.DELIVERIES}/{id}/confirmations",
                           {"type": "CONFIRMATION_TYPE_SIGNATURE", "contentType": "image/svg+xml", "chunk": "PHN2Zy8+"})
        return answer.status == 201 and answer

    assert eventually(confirmed, 60, every=0.1).json["sizeBytes"] == "6"
    assert fleet.at_stage(http, id, "COMPLETED")["confirmation"]["type"] == "CONFIRMATION_TYPE_SIGNATURE"
