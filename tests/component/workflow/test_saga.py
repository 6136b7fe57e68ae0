"""What becomes of a request, seen from outside: the API, the peers, the broker."""

import signal
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from support.contracts import refused
from support.waiting import eventually

from peers import Refusal, away, busy
from rig import Rig, order


def test_a_request_becomes_a_delivery(rig):
    id = rig.request()
    found = rig.ends(id, "COMPLETED")
    assert found["result"]["droneId"] == rig.peers.drones[id]
    assert found["result"]["packageId"] == id and found["result"]["packageCreated"]
    assert found["result"]["pickupEta"]["time"] == "2030-01-01T00:00:00Z"
    assert found["order"]["packageInfo"]["weightKg"] == 1.5
    assert [step["state"] for step in found["steps"]] == ["STEP_STATE_DONE", "STEP_STATE_SKIPPED"] + 3 * ["STEP_STATE_DONE"]
    assert "lockedBy" not in found and found["etag"]
    assert rig.peers.deliveries[id]["droneId"] == rig.peers.drones[id]
    assert rig.peers.order == [(method, id) for method in ("CheckAccount", "PutPackage", "AssignDrone", "PutDelivery")]


def test_it_tells_the_world_in_order(rig):
    id = rig.request()
    rig.ends(id, "COMPLETED")
    eventually(lambda: len(rig.events()) == 3)
    assert rig.events() == [("saga_started", id), ("saga_step_completed", id), ("saga_completed", id)]


def test_steps_that_ran_through_are_one_event(rig):
    id = rig.request()
    found = rig.ends(id, "COMPLETED")
    eventually(lambda: len(rig.events()) == 3)
    event = rig.event("SagaStepCompleted", id)
    assert [step["step"].removeprefix("WORKFLOW_STEP_") for step in event["steps"]] == ["ACCOUNT", "TRANSPORT", "PACKAGE", "DRONE", "DELIVERY"]
    assert [step.get("skipped", False) for step in event["steps"]] == [False, True, False, False, False]
    assert [step["endTime"] for step in event["steps"]] == [step["endTime"] for step in found["steps"]]
    assert {key: event[key] for key in ("step", "attempts")} == {key: event["steps"][-1][key] for key in ("step", "attempts")}
    versions = [int(rig.event(kind, id)["version"]) for kind in ("SagaStarted", "SagaStepCompleted", "SagaCompleted")]
    assert versions == sorted(set(versions)) and versions[-1] == int(found["version"])


def test_an_end_is_shown_when_it_is_durable(rig):
    """Until then a crash may make it another one: the owner's cancellation may come first the second time."""
    answered = threading.Event()
    rig.peers.before("PutDelivery", lambda request: answered.wait(30))
    id = rig.request()
    eventually(lambda: rig.known(id).get("step") == "WORKFLOW_STEP_DELIVERY")
    rig.change_store("create trigger hold before insert on saga_events begin select raise(abort, 'held by the test'); end")
    answered.set()
    eventually(lambda: "held by the test" in rig.workflow.log.read_text(), what="the end is being written")
    found = rig.known(id)
    assert found["state"] == "WORKFLOW_STATE_RUNNING" and found["step"] == "WORKFLOW_STEP_DELIVERY"
    rig.change_store("drop trigger hold")
    assert int(rig.ends(id, "COMPLETED")["version"]) > int(found["version"])


def test_the_same_request_twice_is_one_saga(rig):
    id = rig.request()
    rig.ends(id, "COMPLETED")
    rig.publish("DeliveryRequested", id, {"ownerId": "shop", "order": order()})  # with another message id, as after two minutes
    other = rig.request()
    rig.ends(other, "COMPLETED")
    assert rig.peers.calls["AssignDrone"] == 2
    eventually(lambda: len(rig.events()) == 6)


def test_an_account_that_may_not_leaves_nothing_behind(rig):
    for owner, code in (("suspended-shop", "ACCOUNT_SUSPENDED"), ("unknown-shop", "ACCOUNT_UNKNOWN")):
        found = rig.ends(rig.request(order(owner)), "REJECTED")
        assert found["reason"]["code"] == code
    assert not rig.peers.packages and not rig.peers.drones and not rig.peers.deliveries
    assert set(rig.peers.calls) <= {"CheckAccount"}


def test_without_any_able_drone_it_is_undone_and_rejected(rig):
    def never(request):
        raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "NO_DRONE_IN_WINDOW", "too far")

    rig.peers.before("AssignDrone", never)
    found = rig.ends(rig.request(), "REJECTED")
    assert found["reason"]["code"] == "NO_CARRIER" and "too far" in found["reason"]["message"]
    assert not rig.peers.packages
    eventually(lambda: rig.events()[-1][0] == "saga_compensated")


def test_busy_drones_are_waited_for(rig):
    left = [3]

    def hook(request):
        left[0] -= 1
        if left[0] >= 0:
            raise busy()

    rig.peers.before("AssignDrone", hook)
    found = rig.ends(rig.request(), "COMPLETED")
    assert [step["attempts"] for step in found["steps"]][3] == 4


def test_a_lost_answer_does_not_double_anything(rig):
    for method in ("CheckAccount", "PutPackage", "AssignDrone", "PutDelivery"):
        left = [1]

        def hook(request, left=left):
            left[0] -= 1
            if left[0] >= 0:
                raise away()

        rig.peers.after(method, hook)
    id = rig.request()
    rig.ends(id, "COMPLETED")
    assert len(rig.peers.drones) == len(rig.peers.packages) == len(rig.peers.deliveries) == 1


def test_a_peer_that_stays_away_makes_it_fail_in_time_with_everything_undone(tmp_path):
    rig = Rig(tmp_path, SKY_SAGA_TIMEOUT="1500ms")
    try:
        rig.start()

        def hook(request):
            raise away()

        rig.peers.before("PutDelivery", hook)
        id = rig.request()
        found = rig.ends(id, "FAILED")
        assert found["reason"]["code"] == "UNAVAILABLE"
        assert not rig.peers.packages and not rig.peers.live_drones()
        assert id in rig.peers.cancelled  # so that a straggler cannot bring it to life
        undone = [method for method, _ in rig.peers.order if method in ("Cancel", "ReleaseDrone", "DeletePackage")]
        assert undone == ["Cancel", "ReleaseDrone", "DeletePackage"]
    finally:
        rig.stop()


def test_cancelled_before_its_order_comes(rig):
    id = str(uuid.uuid4())
    rig.cancel(id)
    eventually(lambda: rig.stored("sagas") == 1)
    with refused(grpc.StatusCode.NOT_FOUND, "WORKFLOW_UNKNOWN"):
        rig.client.call("GetWorkflow", {"id": id})
    rig.request(id=id)
    found = rig.ends(id, "CANCELLED")
    assert found["reason"] == {"code": "CANCELLED_BY_OWNER", "message": "not needed"}
    assert not rig.peers.live_drones() and not rig.peers.live_deliveries() and not rig.peers.packages


def test_cancelled_while_it_waits_for_a_drone(rig):
    def hook(request):
        raise busy()

    rig.peers.before("AssignDrone", hook)
    id = rig.request()
    eventually(lambda: rig.known(id).get("step") == "WORKFLOW_STEP_DRONE")
    rig.cancel(id)
    rig.ends(id, "CANCELLED")
    assert not rig.peers.packages


def test_cancelled_when_scheduled_frees_everything(rig):
    id = rig.request()
    rig.ends(id, "COMPLETED")
    rig.cancel(id)
    eventually(lambda: rig.known(id)["state"] == "WORKFLOW_STATE_CANCELLED")
    assert id in rig.peers.cancelled and id in rig.peers.released and not rig.peers.packages
    eventually(lambda: rig.events()[-1] == ("saga_compensated", id))


def test_not_cancelled_after_pickup(rig):
    id = rig.request()
    version = rig.ends(id, "COMPLETED")["version"]
    rig.peers.picked_up.add(id)
    rig.cancel(id)
    eventually(lambda: int(rig.known(id)["version"]) > int(version) + 1)
    rig.ends(id, "COMPLETED")
    assert id not in rig.peers.released and id in rig.peers.packages


def test_new_terms_reach_delivery_and_drone(rig):
    id = rig.request()
    rig.ends(id, "COMPLETED")
    place = {"latitude": 47.63, "longitude": -122.36}
    rig.change(id, {"dropoffLocation": place}, "dropoffLocation")
    eventually(lambda: rig.known(id)["order"]["dropoffLocation"] == place)
    assert rig.peers.deliveries[id]["rescheduled"]["change"] == {"dropoffLocation": place}
    assert rig.peers.calls["AssignDrone"] == 2


def test_terms_that_had_to_wait_do_not_undo_later_ones(rig):
    """While one change is being made others wait and come again in any order; of each term the last one stays."""
    id = rig.request()
    rig.ends(id, "COMPLETED")
    for number in range(12):
        rig.change(id, {"dropoffLocation": {"latitude": 47.61 + number / 1000, "longitude": -122.34}, "expedited": number < 11},
                   "dropoffLocation.latitude,dropoffLocation.longitude,expedited" if number % 2 else "dropoffLocation")
    rig.change(id, {"deadline": "2040-01-01T00:00:00Z"}, "deadline")
    eventually(lambda: (order := rig.known(id)["order"])["dropoffLocation"]["latitude"] == 47.621 and "expedited" not in order and order.get("deadline"), 30,
               what="the last terms")
    eventually(lambda: rig.unsettled("workflow-reschedule") == 0, 30, what="all changes settled")
    order = rig.known(id)["order"]
    assert order["dropoffLocation"]["latitude"] == 47.621 and "expedited" not in order and order["deadline"] == "2040-01-01T00:00:00Z"


def test_terms_that_make_no_order_are_dead_letters(rig):
    id = rig.request()
    old = rig.ends(id, "COMPLETED")["order"]
    rig.change(id, {}, "dropoffLocation")
    eventually(lambda: rig.dead_letters() == 1)
    assert rig.known(id)["order"] == old


def test_new_terms_that_no_drone_can_meet_are_taken_back(rig):
    id = rig.request()
    old = rig.ends(id, "COMPLETED")["order"]["dropoffLocation"]

    def hook(request):
        if request.get("changeId"):
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "NO_DRONE_IN_WINDOW")

    rig.peers.before("AssignDrone", hook)
    rig.change(id, {"dropoffLocation": {"latitude": 47.9, "longitude": -122.36}}, "dropoffLocation")
    eventually(lambda: rig.known(id).get("reason", {}).get("code") == "NO_DRONE_IN_WINDOW")
    eventually(lambda: rig.peers.deliveries[id]["rescheduled"]["change"]["dropoffLocation"] == old)
    assert rig.known(id)["order"]["dropoffLocation"] == old
    assert rig.ends(id, "COMPLETED")


def test_watching_ends_with_the_saga(rig):
    id = str(uuid.uuid4())
    stream = rig.client.stream("WatchWorkflow", {"id": id})
    rig.request(id=id)
    states = [message["workflow"] for message in stream]
    versions = [int(state["version"]) for state in states]
    assert versions == sorted(set(versions))
    assert states[-1]["state"] == "WORKFLOW_STATE_COMPLETED"
    again = list(rig.client.stream("WatchWorkflow", {"id": id}))
    assert [message["workflow"]["state"] for message in again] == ["WORKFLOW_STATE_COMPLETED"]


def test_a_watcher_hears_of_what_the_bus_has_lost(rig):
    """Another process has worked on the saga, and what it told was lost on the way: only the store knows."""
    done, lost = rig.request(), str(uuid.uuid4())
    rig.ends(done, "COMPLETED")
    with ThreadPoolExecutor() as reader:
        watched = reader.submit(list, rig.client.stream("WatchWorkflow", {"id": lost}))
        eventually(lambda: rig.workflow.metric('rpc_server_active_calls{rpc_system_name="grpc"}') == 1, what="the watch is open")
        rig.copy_saga(done, lost)
        assert [message["workflow"]["state"] for message in watched.result()] == ["WORKFLOW_STATE_COMPLETED"]


def test_watchers_are_sent_to_another_process_when_this_one_stops(rig):
    def no_drone(request):
        raise busy()

    rig.peers.before("AssignDrone", no_drone)
    stream = rig.client.stream("WatchWorkflow", {"id": rig.request()})
    next(stream)
    rig.workflow.send(signal.SIGTERM)
    with pytest.raises(grpc.RpcError) as ended:
        list(stream)
    assert (ended.value.code(), ended.value.details()) == (grpc.StatusCode.UNAVAILABLE, "the service stops")
    assert rig.workflow.wait(20) == 0


def test_lists_by_owner_and_state(rig):
    good = [rig.request(order("lister")) for _ in range(3)]
    bad = rig.request(order("suspended-lister"))
    for id in good:
        rig.ends(id, "COMPLETED")
    rig.ends(bad, "REJECTED")

    def listed(**filter):
        return [found["id"] for found in rig.client.call("ListWorkflows", filter).get("workflows", [])]

    assert sorted(listed(ownerId="lister")) == sorted(good)
    assert listed(ownerId="suspended-lister") == [bad]
    eventually(lambda: listed(state="WORKFLOW_STATE_REJECTED") == [bad])  # lists follow the store
    assert listed(ownerId="lister", state="WORKFLOW_STATE_REJECTED") == []
    first = rig.client.call("ListWorkflows", {"pageSize": 3})
    rest = rig.client.call("ListWorkflows", {"pageSize": 3, "pageToken": first["nextPageToken"]})
    assert len(first["workflows"]) == 3 and len(rest["workflows"]) == 1


def test_an_unknown_saga_is_not_found(rig):
    with refused(grpc.StatusCode.NOT_FOUND, "WORKFLOW_UNKNOWN"):
        rig.client.call("GetWorkflow", {"id": str(uuid.uuid4())})
