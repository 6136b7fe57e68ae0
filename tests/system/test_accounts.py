"""Accounts, their users and their invoices, over REST."""

import uuid
from datetime import datetime, timezone

import pytest
from support import fleet

ACCOUNTS = "/api/v1/accounts"


def violated(answer) -> list[str]:
    return [violation["field"] for violation in answer.problem(400)["violations"]]


@pytest.fixture
def users(http, owner):
    return f"{ACCOUNTS}/{owner}/users"


# ---- accounts ----

def test_an_account_is_created_read_and_changed(http):
    id = f"shop-{uuid.uuid4().hex[:8]}"
    made = http.post(ACCOUNTS, {"id": id, "displayName": "A shop", "email": "shop@example.org"})
    assert made.status == 201 and made.headers["location"] == f"{ACCOUNTS}/{id}"
    assert (made.json["planId"], made.json["status"]) == ("starter", "ACCOUNT_STATUS_ACTIVE")
    read = http.get(made.headers["location"])
    assert read.json == made.json and read.headers["etag"] == made.headers["etag"]

    changed = http.call("PATCH", f"{ACCOUNTS}/{id}", {"planId": "business", "email": None})
    assert changed.status == 200, changed
    assert changed.json["planId"] == "business" and "email" not in changed.json and changed.json["displayName"] == "A shop"
    assert changed.headers["etag"] != made.headers["etag"]
    assert http.get(f"{ACCOUNTS}/{id}").json == changed.json


def test_who_has_the_newest_is_told_so(http, owner):
    seen = http.get(f"{ACCOUNTS}/{owner}").headers["etag"]
    same = http.get(f"{ACCOUNTS}/{owner}", headers={"If-None-Match": seen})
    assert same.status == 304 and same.body == b"" and same.headers["etag"] == seen
    assert http.call("PATCH", f"{ACCOUNTS}/{owner}", {"displayName": "One"}, headers={"If-None-Match": seen}).status == 200
    assert http.get(f"{ACCOUNTS}/{owner}", headers={"If-None-Match": seen}).json["displayName"] == "One"
    assert http.get(f"{ACCOUNTS}/{owner}", headers={"If-Match": seen}).status == 200


def test_only_who_has_seen_the_last_change_changes_more(http, owner):
    seen = http.get(f"{ACCOUNTS}/{owner}").headers["etag"]
    assert http.call("PATCH", f"{ACCOUNTS}/{owner}", {"displayName": "One"}, headers={"If-Match": seen}).status == 200
    http.call("PATCH", f"{ACCOUNTS}/{owner}", {"displayName": "Two"}, headers={"If-Match": seen}).problem(412)
    assert http.get(f"{ACCOUNTS}/{owner}").json["displayName"] == "One"


def test_what_an_account_must_be(http, owner):
    assert violated(http.post(ACCOUNTS, {"id": "nameless"})) == ["displayName"]
    assert violated(http.post(ACCOUNTS, {"displayName": "x", "planId": "gold"})) == ["planId"]
    assert violated(http.post(ACCOUNTS, {"displayName": "x", "email": "nobody"})) == ["email"]
    http.post(ACCOUNTS, {"id": owner, "displayName": "Another"}).problem(409)
    for change, field in (({"displayName": ""}, "displayName"), ({"planId": "gold"}, "planId"), ({"planId": None}, "planId")):
        assert violated(http.call("PATCH", f"{ACCOUNTS}/{owner}", change)) == [field], change
    assert "status" in http.call("PATCH", f"{ACCOUNTS}/{owner}", {"status": 2}).problem(400)["detail"]
    http.call("PATCH", f"{ACCOUNTS}/nobody-{uuid.uuid4()}", {"displayName": "x"}).problem(404)
    assert http.get(f"{ACCOUNTS}/{owner}").json["displayName"] == "A business"


def test_the_same_key_is_the_same_account(http):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = http.post(ACCOUNTS, {"displayName": "One"}, headers=key)
    assert first.status == 201
    assert http.post(ACCOUNTS, {"displayName": "One"}, headers=key).json == first.json
    http.post(ACCOUNTS, {"displayName": "Two"}, headers=key).problem(409)


def test_accounts_are_listed_by_how_they_stand(http, owner):
    assert http.post(f"{ACCOUNTS}/{owner}:suspend", {"reason": "unpaid"}).json["suspendReason"]["message"] == "unpaid"
    suspended = list(http.pages(ACCOUNTS, "accounts", status="ACCOUNT_STATUS_SUSPENDED", pageSize=1))
    assert owner in [account["id"] for account in suspended] and {account["status"] for account in suspended} == {"ACCOUNT_STATUS_SUSPENDED"}
    assert http.post(f"{ACCOUNTS}/{owner}:suspend", {"reason": "again"}).json["suspendReason"]["message"] == "unpaid"
    assert "suspendReason" not in http.post(f"{ACCOUNTS}/{owner}:reactivate", {}).json
    assert owner in [account["id"] for account in http.pages(ACCOUNTS, "accounts", pageSize=2)]


# ---- users ----

def test_a_user_from_beginning_to_end(http, owner, users):
    made = http.post(users, {"id": "ada", "displayName": "Ada", "email": "ada@example.org", "phone": "+12065550100", "role": "USER_ROLE_ADMIN"})
    assert made.status == 201 and made.headers["location"] == f"{users}/ada" and made.json["accountId"] == owner
    read = http.get(f"{users}/ada")
    assert read.json == made.json

    changed = http.call("PATCH", f"{users}/ada", {"role": "USER_ROLE_MEMBER", "phone": None}, headers={"If-Match": read.headers["etag"]})
    assert changed.json["role"] == "USER_ROLE_MEMBER" and "phone" not in changed.json and changed.json["email"] == "ada@example.org"
    http.call("PATCH", f"{users}/ada", {"displayName": "x"}, headers={"If-Match": read.headers["etag"]}).problem(412)
    http.call("DELETE", f"{users}/ada", headers={"If-Match": read.headers["etag"]}).problem(412)
    gone = http.call("DELETE", f"{users}/ada", headers={"If-Match": changed.headers["etag"]})
    assert gone.status == 204 and gone.body == b""
    http.get(f"{users}/ada").problem(404)
    http.call("DELETE", f"{users}/ada").problem(404)


def test_users_are_listed_by_account(http, users):
    for name in ("cy", "ada", "bo"):
        assert http.post(users, {"id": name, "displayName": name}).status == 201
    other = f"{ACCOUNTS}/{fleet.new_account(http)}/users"
    assert http.post(other, {"id": "ada", "displayName": "another Ada"}).status == 201
    assert [user["id"] for user in http.pages(users, "users", pageSize=2)] == ["ada", "bo", "cy"]
    assert [user["displayName"] for user in http.pages(other, "users")] == ["another Ada"]


def test_what_a_user_must_be(http, users):
    assert violated(http.post(users, {"id": "a b", "displayName": "x"})) == ["id"]
    assert violated(http.post(users, {"displayName": "x", "email": "nobody"})) == ["email"]
    assert violated(http.post(users, {"displayName": "x", "phone": "call me"})) == ["phone"]
    assert violated(http.post(users, {"displayName": "x", "role": 9})) == ["role"]
    nobody = f"{ACCOUNTS}/nobody-{uuid.uuid4()}/users"
    assert http.post(nobody, {"displayName": "x"}).problem(404)["reason"] == "ACCOUNT_UNKNOWN"
    assert http.get(nobody).problem(404)["reason"] == "ACCOUNT_UNKNOWN"
    assert http.get(f"{users}/nobody").problem(404)["reason"] == "USER_UNKNOWN"


def test_the_same_key_is_the_same_user(http, users):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = http.post(users, {"displayName": "Ada"}, headers=key)
    assert first.status == 201
    assert http.post(users, {"displayName": "Ada"}, headers=key).json == first.json
    assert len(list(http.pages(users, "users"))) == 1
    http.post(users, {"displayName": "Bo"}, headers=key).problem(409)
    http.post(users, {"id": first.json["id"], "displayName": "Cy"}).problem(409)


# ---- invoices ----

def test_a_new_account_has_this_months_invoice_alone(http, owner):
    now = datetime.now(timezone.utc)
    (invoice,) = http.pages(f"{ACCOUNTS}/{owner}/invoices", "invoices")
    assert invoice["id"] in (f"{now:%Y-%m}", f"{datetime.now(timezone.utc):%Y-%m}") and invoice["state"] == "INVOICE_STATE_OPEN"
    assert [line["kind"] for line in invoice["lines"]] == ["INVOICE_LINE_KIND_PLAN_FEE"]
    assert http.get(f"{ACCOUNTS}/{owner}/invoices/{invoice['id']}").json["total"] == invoice["total"]
    before = http.get(f"{ACCOUNTS}/{owner}/invoices/{invoice['id']}").headers["etag"]
    assert http.call("PATCH", f"{ACCOUNTS}/{owner}", {"planId": "business"}).status == 200
    after = http.get(f"{ACCOUNTS}/{owner}/invoices/{invoice['id']}")
    assert int(after.json["total"]["minorUnits"]) < int(invoice["total"]["minorUnits"]) and after.headers["etag"] != before
    for number in ("2020-01", "9999-12"):
        assert http.get(f"{ACCOUNTS}/{owner}/invoices/{number}").problem(404)["reason"] == "INVOICE_UNKNOWN"
    assert violated(http.get(f"{ACCOUNTS}/{owner}/invoices/2026-13")) == ["id"]
    assert violated(http.get(f"{ACCOUNTS}/{owner}/invoices", pageToken="forged")) == ["pageToken"]


# ---- who wants to be told ----

def test_a_wish_to_be_told_belongs_to_its_key(http, owner):
    id = fleet.accepted(http, fleet.order(owner))
    fleet.at_stage(http, id, "COMPLETED")
    path, key = f"{fleet.DELIVERIES}/{id}/notifymerequests", {"Idempotency-Key": "k"}
    made = http.post(path, {"targets": {"email": "ada@example.org"}}, headers=key)
    assert made.status == 201, made
    assert http.post(path, {"targets": {"email": "ada@example.org"}}, headers=key).json == made.json
    http.post(path, {"targets": {"sms": "+12065550100"}}, headers=key).problem(409)
    assert http.post(path, {"targets": {"sms": "+12065550100"}}).json["id"] != made.json["id"]
    assert violated(http.post(path, {"targets": {}})) == ["targets"]
    assert violated(http.post(path, {})) == ["targets"]
    http.post(f"{fleet.DELIVERIES}/{uuid.uuid4()}/notifymerequests", {"targets": {"sms": "+12065550100"}}).problem(404)
