"""Telemetry of the real process: what is stored before it is acknowledged, what is published, what drones are told."""

import time

import grpc
from support.contracts import decode, refused
from support.dronescheduler import HOME, MILESTONES, PHASES, near
from support.waiting import eventually

EVENTS = "fabrikam.events.v1."


def test_a_mission_is_flown_to_its_end_and_told_in_order(scheduler):
    scheduler.add_base()
    scheduler.add_drones(1)
    progressed, positions = scheduler.listen("drone_mission_progressed"), scheduler.listen("drone_position_changed")
    released = scheduler.listen("drone_released")
    assignment = scheduler.assign(scheduler.order())
    for phase in PHASES:
        scheduler.report(scheduler.phase_frame(assignment, phase, location=near(0.5, 0), velocity={"northMps": 20}))
    end = decode(EVENTS + "DroneReleased", eventually(lambda: released.messages)[0][1])
    eventually(lambda: len(progressed.messages) >= len(MILESTONES))  # another connection
    events = [decode(EVENTS + "DroneMissionProgressed", data) for _, data in progressed.messages]
    assert [e["phase"] for e in events] == MILESTONES
    assert [int(e["version"]) for e in [*events, end]] == [2, 3, 4, 5]  # 1 is DroneAssigned
    assert end["completed"]
    assert {e["deliveryId"] for e in events} == {assignment["deliveryId"]} and events[0]["ownerId"] == "shop"
    ended = scheduler.assignment(assignment["deliveryId"])
    assert ended["state"] == "ASSIGNMENT_STATE_COMPLETED"
    assert scheduler.drone("home-000")["state"] == "DRONE_STATE_IDLE"
    position = decode(EVENTS + "DronePositionChanged", eventually(lambda: positions.messages)[0][1])
    assert position["deliveryId"] == assignment["deliveryId"] and position["remainingDistanceM"] > 0
    now = time.gmtime()
    use = scheduler.assignments.call("GetUtilization", {"ownerId": "shop", "year": now.tm_year, "month": now.tm_mon})["utilization"]
    assert (use["missionCount"], use["completedCount"]) == ("1", "1") and use["distanceM"] > 3000 and use["busyS"] > 0


def test_a_milestone_that_was_acknowledged_survives_a_kill(scheduler):
    scheduler.add_base()
    scheduler.add_drones(1)
    assignment = scheduler.assign(scheduler.order())
    milestone = ""
    for phase in PHASES[:-1]:
        assert scheduler.report(scheduler.phase_frame(assignment, phase, location=near(0.3, 0.3), batteryFraction=0.7)) == ["TAKEN"]
        assert scheduler.assignment(assignment["deliveryId"])["phase"] == phase
        scheduler.restart()
        milestone = phase if phase in MILESTONES else milestone
        assert scheduler.assignment(assignment["deliveryId"])["phase"] == milestone
        drone = scheduler.drone("home-000")
        assert drone["phase"] == milestone and drone["location"] == near(0.3, 0.3) and drone["batteryFraction"] == 0.7
        assert scheduler.report(scheduler.phase_frame(assignment, phase)) == ["TAKEN"]
    scheduler.report(scheduler.phase_frame(assignment, PHASES[-1]))
    scheduler.restart()
    assert scheduler.assignment(assignment["deliveryId"])["state"] == "ASSIGNMENT_STATE_COMPLETED"


def test_results_of_frames(scheduler):
    scheduler.add_base()
    scheduler.add_drones(2)
    assignment = scheduler.assign(scheduler.order())
    idle = "home-001"
    assert scheduler.report(scheduler.frame("nobody")) == ["DRONE_UNKNOWN"]
    taken = scheduler.frame(idle)
    assert scheduler.report(taken, taken) == ["TAKEN", "REPEATED"]
    assert scheduler.report(scheduler.frame(idle, observeTime="2026-01-01T00:00:00Z")) == ["LATE"]
    assert scheduler.report(scheduler.frame(idle, kind="FRAME_KIND_DELTA")) == ["KEY_NEEDED"]
    assert scheduler.report(scheduler.phase_frame({**assignment, "droneId": idle}, PHASES[0])) == ["INVALID"]
    picked_up = scheduler.phase_frame(assignment, "MISSION_PHASE_PICKED_UP")
    assert scheduler.report(picked_up, picked_up) == ["TAKEN", "REPEATED"]
    scheduler.report(scheduler.phase_frame(assignment, "MISSION_PHASE_TO_PICKUP"))
    assert scheduler.assignment(assignment["deliveryId"])["phase"] == "MISSION_PHASE_PICKED_UP"  # never backwards


def test_many_drones_in_one_message_with_deltas(scheduler):
    scheduler.add_base()
    drones = scheduler.add_drones(30)
    keys = [scheduler.frame(drone) for drone in drones]
    deltas = [scheduler.frame(drone, kind="FRAME_KIND_DELTA", location=near(0.1, 0.1)) for drone in drones]
    for delta in deltas:
        del delta["batteryFraction"]
    answers = list(scheduler.telemetry.converse("ReportTelemetry", [{"frames": keys}, {"frames": deltas}]))
    assert [len(answer["acks"]) for answer in answers] == [30, 30]
    assert {ack["result"] for answer in answers for ack in answer["acks"]} == {"FRAME_RESULT_TAKEN"}
    assert scheduler.drone(drones[7])["location"] == near(0.1, 0.1) and scheduler.drone(drones[7])["batteryFraction"] == 0.9


def test_a_fault_ends_the_mission_and_keeps_the_drone_out_until_an_operator_has_looked(scheduler):
    scheduler.add_base()
    scheduler.add_drones(1)
    failed = scheduler.listen("drone_failed")
    assignment = scheduler.assign(scheduler.order())
    scheduler.fly(assignment, until="PICKED_UP")
    scheduler.report(scheduler.frame("home-000", health={"state": "HEALTH_STATE_FAILED", "reason": {"code": "MOTOR"}}))
    assert scheduler.assignment(assignment["deliveryId"])["state"] == "ASSIGNMENT_STATE_FAILED"
    event = decode(EVENTS + "DroneFailed", eventually(lambda: failed.messages)[0][1])
    assert event["packageOnBoard"] and event["reason"]["code"] == "MOTOR" and event["deliveryId"] == assignment["deliveryId"]
    scheduler.restart()
    assert scheduler.drone("home-000")["state"] == "DRONE_STATE_FAILED"
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_DRONE_AVAILABLE"):
        scheduler.assign(scheduler.order())
    scheduler.fleet.call("SetMaintenance", {"id": "home-000"})
    scheduler.restart()
    assert scheduler.drone("home-000")["state"] == "DRONE_STATE_IDLE"
    scheduler.assign(scheduler.order())


def test_orders_in_force_come_first_then_new_ones_and_aborts(scheduler):
    scheduler.add_base()
    scheduler.add_drones(2)
    first = scheduler.assign(scheduler.order())
    scheduler.fly(first, until="TO_PICKUP")
    orders = scheduler.telemetry.stream("FlyMissions", {"baseIds": ["home"]})
    fly = next(orders)["fly"]
    assert fly["deliveryId"] == first["deliveryId"] and fly["phase"] == "MISSION_PHASE_TO_PICKUP" and fly["startLocation"] == HOME
    assert [w["arrivalPhase"] for w in fly["waypoints"]] == [f"MISSION_PHASE_{n}" for n in ("AT_PICKUP", "AT_DROPOFF", "ENDED")]
    assert next(orders)["inForce"] == {"missionCount": "1"}
    second = scheduler.assign(scheduler.order())
    assert next(orders)["fly"]["deliveryId"] == second["deliveryId"]
    scheduler.assignments.call("ReleaseDrone", {"deliveryId": second["deliveryId"]})
    assert next(orders)["abort"]["deliveryId"] == second["deliveryId"]
    orders.close()
    with refused(grpc.StatusCode.NOT_FOUND, "DRONE_UNKNOWN"):
        next(scheduler.telemetry.stream("FlyMissions", {"droneIds": ["nobody"]}))


def test_one_called_off_in_the_air_flies_home_first(scheduler):
    scheduler.add_base()
    scheduler.add_drones(1)
    assignment = scheduler.assign(scheduler.order())
    scheduler.fly(assignment, until="TO_PICKUP")
    scheduler.assignments.call("ReleaseDrone", {"deliveryId": assignment["deliveryId"]})
    assert scheduler.drone("home-000")["state"] == "DRONE_STATE_RETURNING"
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_DRONE_AVAILABLE"):
        scheduler.assign(scheduler.order())
    scheduler.report(scheduler.frame("home-000", flightMode="FLIGHT_MODE_LANDED"))
    assert scheduler.assign(scheduler.order())["droneId"] == "home-000"


def test_the_broker_may_be_away_what_was_stored_is_told_later(scheduler):
    scheduler.add_base()
    scheduler.add_drones(1)
    assignment = scheduler.assign(scheduler.order())
    scheduler.nats.kill()
    scheduler.fly(assignment)
    scheduler.nats.start()
    progressed = scheduler.listen("drone_mission_progressed")
    eventually(lambda: len({d for _, d in progressed.messages}) == len(MILESTONES), 40)
    events = [decode(EVENTS + "DroneMissionProgressed", data) for _, data in progressed.messages]
    assert {e["phase"] for e in events} == set(MILESTONES)
