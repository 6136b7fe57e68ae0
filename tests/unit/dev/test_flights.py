"""tools/dev/flights.py and board.py, against a fake API that holds what the real one would answer."""

import io
from datetime import datetime, timezone

import pytest
from dev import board
from dev.api import Answer
from dev.flights import Flight, Flights, when

SINCE = datetime(2026, 11, 21, 3, 0, tzinfo=timezone.utc)


class FakeApi:
    def __init__(self):
        self.requests, self.deliveries, self.posted, self.refuse = {}, {}, [], False

    def pages(self, path, field, ownerId, pageSize):
        store = {"deliveryRequests": self.requests, "deliveries": self.deliveries}[field]
        return [entry for entry in store.values() if entry.get("order", {}).get("ownerId", entry.get("ownerId")) == ownerId]

    def post(self, path, body):
        self.posted.append((path, body))
        return Answer(409 if self.refuse else 201, {})

    def request(self, id, state, created="2026-11-21T03:00:01Z", **more):
        self.requests[id] = {"id": id, "state": f"DELIVERY_REQUEST_STATE_{state}", "createTime": created,
                             "order": {"ownerId": "books", "packageInfo": {"tag": "novel"}, "confirmationRequired": "CONFIRMATION_TYPE_SIGNATURE"}, **more}

    def delivery(self, id, stage, phase="TO_PICKUP", **more):
        self.deliveries[id] = {"id": id, "ownerId": "books", "droneId": "drone-7", "distanceM": 1500.0,
                               "status": {"stage": f"DELIVERY_STAGE_{stage}", "phase": f"MISSION_PHASE_{phase}"}, **more}


@pytest.fixture
def api():
    return FakeApi()


@pytest.fixture
def flights(api):
    return Flights(api, ["books"], {"a"})


def test_a_life_from_accepted_to_completed(api, flights):
    api.request("a", "ACCEPTED")
    assert [flight.state for flight in flights.refresh()] == ["accepted"]
    assert flights.refresh() == []
    api.request("a", "PROCESSING")
    assert [flight.state for flight in flights.refresh()] == ["processing"]
    api.request("a", "SCHEDULED")
    api.delivery("a", "HEADED_TO_PICKUP")
    assert [flight.state for flight in flights.refresh()] == ["to pickup"]
    api.delivery("a", "COMPLETED", "RETURNING", endTime="2026-11-21T03:00:15.5Z", confirmation={"type": "CONFIRMATION_TYPE_SIGNATURE"})
    (flight,) = flights.refresh()
    assert (flight.state, flight.seconds, flight.drone, flight.distance_m, flight.confirmed) == ("completed", 14.5, "drone-7", 1500.0, True)
    assert flights.over()


def test_a_late_answer_about_the_request_does_not_set_a_delivery_back(api, flights):
    api.request("a", "SCHEDULED")
    api.delivery("a", "HEADED_TO_DROPOFF")
    flights.refresh()
    assert flights.refresh() == []


def test_rejected_is_over_and_says_why(api, flights):
    api.request("a", "REJECTED", reason={"code": "ACCOUNT_UNKNOWN"})
    (flight,) = flights.refresh()
    assert (flight.state, flight.reason) == ("rejected", "ACCOUNT_UNKNOWN")
    assert flights.over()


def test_it_is_not_over_before_all_are_known(api, flights):
    flights.ids.add("b")
    api.request("a", "REJECTED")
    flights.refresh()
    assert not flights.over()


def test_requests_of_others_do_not_count(api, flights):
    api.request("old", "SCHEDULED")
    api.delivery("old", "COMPLETED")
    assert flights.refresh() == []
    assert flights.by_id == {}


def test_proof_is_given_when_the_drone_is_there_and_only_once(api, flights):
    api.request("a", "SCHEDULED")
    api.delivery("a", "HEADED_TO_DROPOFF", "TO_DROPOFF")
    flights.refresh()
    assert flights.awaiting_proof() == []
    api.delivery("a", "HEADED_TO_DROPOFF", "AT_DROPOFF")
    flights.refresh()
    (flight,) = flights.awaiting_proof()
    assert flights.confirm(flight)
    assert api.posted[0][0] == "/api/v1/deliveries/a/confirmations"
    assert api.posted[0][1]["type"] == "CONFIRMATION_TYPE_SIGNATURE"
    api.delivery("a", "COMPLETED", "DELIVERED", confirmation={})
    flights.refresh()
    assert flights.awaiting_proof() == []


def test_a_refused_proof_is_said(api, flights):
    api.refuse = True
    assert not flights.confirm(Flight("a", "books", "novel", "CONFIRMATION_TYPE_VOICE"))


def test_timestamps_of_any_precision():
    assert when("2026-11-21T03:00:01Z") == datetime(2026, 11, 21, 3, 0, 1, tzinfo=timezone.utc)
    assert when("2026-11-21T03:00:01.123456789Z").microsecond == 123456
    assert when("2026-11-21T03:00:01.5Z").microsecond == 500000
    assert when(None) is None


# ---- the board ----


def flight(id, state, owner="books", seconds=None):
    ended = None if seconds is None else SINCE.replace(second=seconds)
    return Flight(id, owner, "novel", "CONFIRMATION_TYPE_NONE", state, "drone-1", 2000.0, begun=SINCE, ended=ended)


def test_the_bar_is_as_long_as_its_width_and_full_only_at_the_end():
    assert [len(board.bar(done, 7, 30)) for done in range(8)] == [30] * 8
    assert "░" in board.bar(6, 7, 30)
    assert board.bar(7, 7, 30) == "█" * 30
    assert board.bar(0, 0, 30) == "░" * 30


def test_progress_tells_where_the_others_are():
    counts = {**dict.fromkeys(("accepted", "processing", "created", "rescheduled", "to pickup", "cancelled", "rejected", "failed"), 0),
              "to drop-off": 2, "completed": 3}
    assert board.progress(counts, 5, 7.2).endswith("3/5 completed     7 s  to drop-off 2")


def test_the_summary_counts_per_owner_and_in_all():
    lines = board.summary([flight("a", "completed", seconds=4), flight("b", "completed", seconds=10), flight("c", "failed", owner="clinic")])
    assert [line.split() for line in lines[1:]] == [
        ["books", "2", "2", "7.0", "s", "10.0", "s", "4.0", "km", "1"],
        ["clinic", "1", "0", "-", "-", "0.0", "km", "0"],
        ["all", "3", "2", "7.0", "s", "10.0", "s", "4.0", "km", "1"],
    ]


def test_away_from_a_terminal_only_changes_are_printed(api, flights):
    stream = io.StringIO()
    shown = board.Board(1, stream)
    api.request("a", "ACCEPTED")
    shown.update(flights.refresh(), flights.count(), 1.0)
    shown.update(flights.refresh(), flights.count(), 2.0)
    shown.end()
    assert stream.getvalue().count("\n") == 2
    assert "\x1b" not in stream.getvalue()
