"""Proofs of the recipients: as large as they may be, and listed."""

import base64
import hashlib
import os

import grpc
from support.contracts import refused

MIB = 1 << 20


def confirm(deliveries, id: str, blob: bytes) -> dict:
    def pieces():
        yield {"deliveryId": id, "type": "CONFIRMATION_TYPE_PICTURE", "contentType": "image/jpeg"}
        for begin in range(0, len(blob), MIB // 4):
            yield {"chunk": in_json(blob[begin:begin + MIB // 4])}

    return deliveries.client.send("ConfirmDelivery", pieces())["confirmation"]


def in_json(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_same_proof_again_is_the_same_and_another_one_is_refused(deliveries):
    id, blob = deliveries.put(), os.urandom(1000)
    deliveries.progress(id, "PICKED_UP")
    first = confirm(deliveries, id, blob)
    assert confirm(deliveries, id, blob) == first
    with refused(grpc.StatusCode.ALREADY_EXISTS):
        confirm(deliveries, id, os.urandom(1000))
    assert deliveries.client.call("GetDelivery", {"id": id})["delivery"]["confirmation"] == first


def test_many_large_proofs_are_listed_each_with_its_delivery(deliveries):
    proofs = {}
    for _ in range(20):  # together more than one call may use of memory
        id, blob = deliveries.put(), os.urandom(MIB)
        deliveries.progress(id, "PICKED_UP")
        proofs[id] = confirm(deliveries, id, blob)
        assert proofs[id]["sha256"] == in_json(hashlib.sha256(blob).digest())
    bare = deliveries.put()
    listed = deliveries.client.call("ListDeliveries", {"ownerId": "acme"})["deliveries"]
    assert {delivery["id"]: delivery.get("confirmation") for delivery in listed} == {**proofs, bare: None}
