"""examples/: what the demo submits fits the contracts, and everyone who asks for a delivery is a registered business."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SEATTLE = (47.6062, -122.3321)
REACH_KM = 25.0


def lines(name):
    return [json.loads(line) for line in (ROOT / "examples" / name).read_text().splitlines()]


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """Message classes of the contracts, compiled by protoc on the fly."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    if not shutil.which("protoc"):
        pytest.fail("protoc is missing")
    output = tmp_path_factory.mktemp("contracts") / "set.pb"
    contracts = [str(path) for path in sorted((ROOT / "proto/fabrikam").rglob("*.proto"))]
    subprocess.run(["protoc", f"-I{ROOT}/proto", f"-I{ROOT}/.tools/proto", "--include_imports", f"--descriptor_set_out={output}", *contracts], check=True)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file:
        pool.Add(file)
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def kilometres(place, other):
    latitude, longitude = map(math.radians, place)
    other_latitude, other_longitude = map(math.radians, other)
    half = math.sin((other_latitude - latitude) / 2) ** 2 + math.cos(latitude) * math.cos(other_latitude) * math.sin((other_longitude - longitude) / 2) ** 2
    return 2 * 6371 * math.asin(math.sqrt(half))


def test_every_request_is_an_order_of_the_contract(messages):
    from google.protobuf import json_format

    order = messages("fabrikam.common.v1.DeliveryOrder")
    for request in lines("requests.jsonl"):
        json_format.ParseDict(request, order())


def test_every_account_is_one_of_the_contract(messages):
    from google.protobuf import json_format

    for account in lines("accounts.jsonl"):
        json_format.ParseDict(account, messages("fabrikam.account.v1.Account")())


def test_there_are_some_dozens_and_they_vary():
    requests = lines("requests.jsonl")
    assert 36 <= len(requests) <= 60
    assert len({request["confirmationRequired"] for request in requests}) == 5
    assert len({request["packageInfo"]["size"] for request in requests}) == 3
    assert any(request.get("expedited") for request in requests)


def test_owners_are_registered_and_each_asks_for_something():
    assert {request["ownerId"] for request in lines("requests.jsonl")} == {account["id"] for account in lines("accounts.jsonl")}


def test_places_lie_around_one_city_and_apart():
    for request in lines("requests.jsonl"):
        places = [(request[end]["latitude"], request[end]["longitude"]) for end in ("pickupLocation", "dropoffLocation")]
        assert all(kilometres(place, SEATTLE) < REACH_KM for place in places)
        assert kilometres(*places) > 0.2
