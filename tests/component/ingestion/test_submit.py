"""What becomes of a request under a key, depending on what the workflow says of it."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from support.contracts import message, refused
from support.waiting import eventually


def test_the_workflow_away_or_hanging_keeps_nobody_from_ordering(rig):
    silence = threading.Event()
    rig.workflow.answer = lambda context: silence.wait(30)
    try:
        assert rig.create("a")["state"] == "DELIVERY_REQUEST_STATE_ACCEPTED"
    finally:
        silence.set()
    rig.workflow.answer = lambda context: context.abort(grpc.StatusCode.UNAVAILABLE, "going")
    assert rig.create("b")["state"] == "DELIVERY_REQUEST_STATE_ACCEPTED"


@pytest.mark.parametrize("said, told, why", [
    (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL"),
    (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, "QUEUE_UNAVAILABLE")])
def test_a_workflow_that_may_know_it_is_asked_again_before_it_is_taken(rig, said, told, why):
    rig.workflow.answer = lambda context: context.abort(said, "not now")
    with refused(told, why):
        rig.create("a")
    rig.workflow.answer = lambda context: context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
    assert rig.create("a")["state"] == "DELIVERY_REQUEST_STATE_ACCEPTED"


def test_a_batch_comes_a_few_at_a_time(rig):
    crowd = threading.Event()

    def unknown(context):
        crowd.wait(30)  # until as many ask as ever will
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown")

    rig.workflow.answer = unknown
    items = [{"order": rig.order(), "idempotencyKey": f"key-{number}"} for number in range(1000)]
    items[500]["order"]["packageInfo"] = {}  # neither weight nor size
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(rig.client.call, "CreateDeliveryRequests", {"items": items}, seconds=30)
        try:
            eventually(lambda: rig.workflow.at_once == 64)
        finally:
            crowd.set()
        results = answer.result()["results"]
    assert [result.get("index", 0) for result in results] == list(range(1000))
    assert [number for number, result in enumerate(results) if "deliveryRequest" not in result] == [500]
    assert len({result["deliveryRequest"]["id"] for result in results if "deliveryRequest" in result}) == 999
    assert rig.workflow.most_at_once == 64


def test_a_batch_without_a_broker_is_refused_item_by_item(rig):
    rig.nats.kill()
    items = [{"order": rig.order(), "idempotencyKey": f"key-{number}"} for number in range(200)]
    results = rig.client.call("CreateDeliveryRequests", {"items": items}, seconds=30)["results"]
    assert {result["error"]["code"] for result in results} == {grpc.StatusCode.UNAVAILABLE.value[0]}
    rig.nats.start()


def test_terms_of_an_order_that_has_not_come_yet_cannot_be_changed(rig):
    """A cancellation may overtake its order; then the workflow knows the id and nothing else."""
    id = str(uuid.uuid4())
    rig.workflow.answer = lambda context: message("fabrikam.workflow.v1.GetWorkflowResponse", {"workflow": {"id": id}})
    with refused(grpc.StatusCode.UNAVAILABLE, "ORDER_PENDING"):
        rig.client.call("RescheduleDelivery", {"id": id, "change": {"expedited": True}, "updateMask": "expedited"})
