"""Packages over REST: what clients do with them besides sending them."""

import uuid
from datetime import datetime, timezone

import pytest
from support import fleet
from support.waiting import eventually

PACKAGES = "/api/v1/packages"


def violated(answer) -> list[str]:
    return [violation["field"] for violation in answer.problem(400)["violations"]]


@pytest.fixture
def path() -> str:
    return f"{PACKAGES}/parcel-{uuid.uuid4().hex[:12]}"


def put(http, path: str, owner: str, headers: dict | None = None, **more):
    return http.call("PUT", path, {"ownerId": owner, "size": "PACKAGE_SIZE_SMALL", "weightKg": 1.5, "tag": "books", **more}, headers=headers)


def test_a_package_from_beginning_to_end(http, owner, path):
    made = put(http, path, owner)
    assert made.status == 201 and made.headers["location"] == path
    read = http.get(path)
    assert read.json == made.json and read.headers["etag"] == made.headers["etag"]
    again = put(http, path, owner)
    assert again.status == 200 and again.json == made.json, "the same again changes nothing"

    heavier = put(http, path, owner, weightKg=2)
    assert heavier.status == 200 and heavier.json["weightKg"] == 2 and heavier.headers["etag"] != made.headers["etag"]
    renamed = http.call("PATCH", path, {"tag": "toys"}, headers={"If-Match": heavier.headers["etag"]})
    assert renamed.status == 200 and (renamed.json["tag"], renamed.json["weightKg"]) == ("toys", 2)

    assert http.call("DELETE", path).status == 204
    http.get(path).problem(404)
    assert http.call("DELETE", path).problem(404)["reason"] == "PACKAGE_UNKNOWN"
    eventually(lambda: put(http, path, owner).status == 201, what="the id can be used again")


@pytest.mark.parametrize("change", [
    lambda http, path, owner, headers: put(http, path, owner, headers, weightKg=3),
    lambda http, path, owner, headers: http.call("PATCH", path, {"weightKg": 3}, headers=headers),
    lambda http, path, owner, headers: http.call("DELETE", path, headers=headers),
], ids=["put", "patch", "delete"])
def test_only_who_has_seen_the_last_change_changes_more(http, owner, path, change):
    seen = put(http, path, owner).headers["etag"]
    assert put(http, path, owner, weightKg=2).status == 200
    assert change(http, path, owner, {"If-Match": seen}).problem(412)["reason"] == "ETAG_MISMATCH"
    assert http.get(path).json["weightKg"] == 2
    assert change(http, path, owner, {"If-Match": http.get(path).headers["etag"]}).status in (200, 204)


def test_what_a_package_must_be(http, owner, path):
    assert violated(http.call("PUT", path, {"weightKg": 1})) == ["ownerId"]
    assert violated(put(http, path, owner, weightKg=-1)) == ["weightKg"]
    assert violated(put(http, path, owner, size="PACKAGE_SIZE_VAST")) == ["size"]
    http.get(path).problem(404)
    assert put(http, path, owner).status == 201
    assert put(http, path, fleet.new_account(http)).problem(409)["reason"] == "PACKAGE_CONFLICT"
    assert "owner_id" in http.call("PATCH", path, {"ownerId": "other"}).problem(400)["detail"]
    assert violated(http.call("PATCH", path, {"weightKg": -1})) == ["weightKg"]
    http.call("PATCH", f"{path}-x", {"weightKg": 1}).problem(404)
    assert http.get(path).json["weightKg"] == 1.5


def test_packages_are_listed_and_summed_up_by_owner(http, owner):
    names = sorted(f"parcel-{uuid.uuid4().hex[:12]}" for _ in range(5))
    for number, name in enumerate(names):
        assert put(http, f"{PACKAGES}/{name}", owner, tag="even" if number % 2 == 0 else "odd", weightKg=number + 1).status == 201
    assert [package["id"] for package in http.pages(PACKAGES, "packages", ownerId=owner, pageSize=2)] == names
    assert [package["id"] for package in http.pages(PACKAGES, "packages", ownerId=owner, tag="even", pageSize=1)] == names[::2]
    assert http.call("DELETE", f"{PACKAGES}/{names[0]}").status == 204
    assert [package["id"] for package in http.pages(PACKAGES, "packages", ownerId=owner, tag="even")] == names[2::2]
    now = datetime.now(timezone.utc)
    summary = http.get(f"{PACKAGES}/summary", ownerId=owner, year=now.year, month=now.month).json
    assert (summary["packageCount"], summary["totalWeightKg"]) == ("4", 14)
    assert violated(http.get(PACKAGES)) == ["ownerId"]
