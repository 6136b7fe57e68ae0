"""AssignDrone and ReleaseDrone of the real process: one drone per delivery, one delivery per drone, whatever happens between."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from support.contracts import reason, refused
from support.dronescheduler import near
from support.waiting import eventually

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def try_to_assign(scheduler, order: dict) -> dict | str:
    """The assignment, or the reason why there is none."""
    def answer() -> dict | str | None:
        try:
            return scheduler.assign(order)
        except grpc.RpcError as error:
            again = error.code() in (UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED)
            return None if again else reason(error)

    return eventually(answer, 60, what="an answer")


def assert_nobody_twice(scheduler, assignments: list[dict]) -> None:
    drones = Counter(a["droneId"] for a in assignments)
    assert max(drones.values()) == 1, drones.most_common(3)
    for assignment in assignments:
        assert scheduler.drone(assignment["droneId"])["deliveryId"] == assignment["deliveryId"]
        assert scheduler.assignment(assignment["deliveryId"])["droneId"] == assignment["droneId"]


def test_the_nearest_able_drone_is_chosen_and_the_same_request_gets_the_same_answer(scheduler):
    scheduler.add_base()
    scheduler.add_base("far", near(5, 5))
    scheduler.add_drones(2, "far")
    scheduler.add_drones(2)
    order = scheduler.order()
    first = scheduler.assignments.call("AssignDrone", order)
    assert first["created"] and first["assignment"]["droneId"] == "home-000"
    again = scheduler.assignments.call("AssignDrone", order)
    assert "created" not in again and again["assignment"] == first["assignment"]
    with refused(grpc.StatusCode.ALREADY_EXISTS, "ASSIGNMENT_CONFLICT"):
        scheduler.assign({**order, "dropoffLocation": near(2, 2)})
    scheduler.restart()
    assert "created" not in scheduler.assignments.call("AssignDrone", order)
    assert scheduler.assignment(order["deliveryId"])["droneId"] == "home-000"


def test_refusals_tell_for_good_from_for_now(scheduler):
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_DRONE_AVAILABLE"):
        scheduler.assign(scheduler.order())  # the fleet has not registered yet
    scheduler.add_base()
    scheduler.add_drones(1)
    for changes in ({"packageInfo": {"weightKg": 6}}, {"packageInfo": {"size": "PACKAGE_SIZE_LARGE"}}, {"dropoffLocation": near(20, 0)},
                    {"deadline": "2026-01-01T00:00:00Z"}):
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "NO_DRONE_IN_WINDOW"):
            scheduler.assign(scheduler.order(**changes))
    scheduler.assign(scheduler.order())
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_DRONE_AVAILABLE"):
        scheduler.assign(scheduler.order())


@pytest.mark.parametrize("bad", [{"pickupLocation": {"latitude": 91, "longitude": 0}}, {"packageInfo": {"weightKg": -1}}, {"deliveryId": "x"}, {"ownerId": ""}])
def test_bad_requests_are_refused_by_validation(scheduler, bad):
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        scheduler.assign(scheduler.order(**bad))


def test_200_at_once_on_50_drones(scheduler):
    scheduler.add_base()
    scheduler.add_drones(50)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: try_to_assign(scheduler, scheduler.order()), range(200)))
    assert answers.count("NO_DRONE_AVAILABLE") == 150
    assert_nobody_twice(scheduler, [a for a in answers if isinstance(a, dict)])


def test_one_delivery_asked_for_many_times_at_once_gets_one_drone(scheduler):
    scheduler.add_base()
    scheduler.add_drones(20)
    order = scheduler.order()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: try_to_assign(scheduler, order)["droneId"], range(40)))
    assert len(set(answers)) == 1
    busy = [d["id"] for d in scheduler.fleet.call("ListDrones")["drones"] if "deliveryId" in d]
    assert busy == answers[:1]


def test_killed_again_and_again_in_the_middle_nothing_is_lost_or_given_twice(scheduler):
    scheduler.add_base()
    scheduler.add_drones(60)
    orders = [scheduler.order() for _ in range(60)]
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(try_to_assign, scheduler, order) for order in orders]
        for i in (5, 20, 40):
            answers[i].result()
            scheduler.restart()
        assignments = [answer.result() for answer in answers]
    assert all(isinstance(a, dict) for a in assignments), [a for a in assignments if not isinstance(a, dict)]
    assert_nobody_twice(scheduler, assignments)
    scheduler.restart()
    assert_nobody_twice(scheduler, assignments)


def test_release_frees_the_drone_and_may_be_repeated(scheduler):
    scheduler.add_base()
    scheduler.add_drones(1)
    released = scheduler.listen("drone_released")
    first = scheduler.assign(scheduler.order())
    for _ in range(2):
        ended = scheduler.assignments.call("ReleaseDrone", {"deliveryId": first["deliveryId"], "reason": {"code": "CANCELLED"}})["assignment"]
        assert ended["state"] == "ASSIGNMENT_STATE_RELEASED"
    assert "deliveryId" not in scheduler.drone("home-000")
    second = scheduler.assign(scheduler.order())
    assert second["droneId"] == "home-000"
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "ASSIGNMENT_ENDED"):
        scheduler.assign(scheduler.order(first["deliveryId"]))
    eventually(lambda: released.messages, what="it is told")  # after the answer
    scheduler.restart()
    assert scheduler.assignment(first["deliveryId"])["state"] == "ASSIGNMENT_STATE_RELEASED"
    assert scheduler.assignment(second["deliveryId"])["state"] == "ASSIGNMENT_STATE_ACTIVE"
    assert len({event for _, event in released.messages}) == 1  # one event, which a killed process may have told twice


def test_released_before_it_was_assigned_a_late_assign_is_refused(scheduler):
    scheduler.add_base()
    scheduler.add_drones(1)
    delivery = str(uuid.uuid4())
    assert scheduler.assignments.call("ReleaseDrone", {"deliveryId": delivery}) == {}
    assert scheduler.assignments.call("ReleaseDrone", {"deliveryId": delivery}) == {}
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "ASSIGNMENT_ENDED"):
        scheduler.assign(scheduler.order(delivery))
    with refused(grpc.StatusCode.NOT_FOUND, "ASSIGNMENT_UNKNOWN"):
        scheduler.assignment(delivery)


def test_after_pickup_neither_release_nor_new_terms(scheduler):
    scheduler.add_base()
    scheduler.add_drones(1)
    order = scheduler.order()
    assignment = scheduler.assign(order)
    scheduler.fly(assignment, until="PICKED_UP")
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_ALREADY_PICKED_UP"):
        scheduler.assignments.call("ReleaseDrone", {"deliveryId": assignment["deliveryId"]})
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_ALREADY_PICKED_UP"):
        scheduler.assign({**order, "dropoffLocation": near(2, 1), "changeId": str(uuid.uuid4())})


def test_new_terms_go_to_the_same_drone_when_it_can_and_to_another_when_not(scheduler):
    scheduler.add_base()
    scheduler.add_drones(1, capacityKg=1)
    scheduler.add_base("far", near(3, 3))
    scheduler.add_drones(1, "far")
    order = scheduler.order(packageInfo={"weightKg": 1})
    first = scheduler.assign(order)
    assert first["droneId"] == "home-000"
    change = {**order, "dropoffLocation": near(1, 2), "changeId": str(uuid.uuid4())}
    second = scheduler.assign(change)
    assert (second["droneId"], second["revision"]) == ("home-000", "2")
    assert scheduler.assign(change)["revision"] == "2"  # the same change again
    assert scheduler.assign(order)["revision"] == "2"  # the first request, delivered late
    heavier = {**change, "packageInfo": {"weightKg": 4}, "changeId": str(uuid.uuid4())}
    third = scheduler.assign(heavier)
    assert (third["droneId"], third["revision"]) == ("far-000", "3")
    assert "deliveryId" not in scheduler.drone("home-000")
    scheduler.restart()
    assert scheduler.assignment(order["deliveryId"])["droneId"] == "far-000"
    assert "deliveryId" not in scheduler.drone("home-000")
    scheduler.fly(scheduler.assignment(order["deliveryId"]))


def test_expedited_ones_that_wait_get_the_next_drone(scheduler):
    scheduler.add_base()
    scheduler.add_drones(1)
    busy = scheduler.assign(scheduler.order())
    urgent = scheduler.order(expedited=True)
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_DRONE_AVAILABLE"):
        scheduler.assign(urgent)
    scheduler.assignments.call("ReleaseDrone", {"deliveryId": busy["deliveryId"]})
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_DRONE_AVAILABLE"):
        scheduler.assign(scheduler.order())
    assert scheduler.assign(urgent)["droneId"] == "home-000"
