"""The simulator against the real scheduler: missions end, whatever is restarted on the way."""

from support.dronescheduler import near
from support.waiting import eventually

FAST = ("--bases=2", "--radius=3000", "--report-interval=100ms")


def fleet_size(scheduler) -> int:
    return len(scheduler.fleet.call("ListDrones", {"pageSize": 1000}).get("drones", []))


def wait_registered(scheduler, count: int) -> None:
    eventually(lambda: fleet_size(scheduler) == count, 20)


def state(scheduler, delivery: str) -> str:
    return scheduler.assignment(delivery)["state"].removeprefix("ASSIGNMENT_STATE_")


def assign_many(scheduler, count: int) -> list[str]:
    return [scheduler.assign(scheduler.order(pickupLocation=near(i % 5 / 2, 1), dropoffLocation=near(1, i % 7 / 2)))["deliveryId"]
            for i in range(count)]


def wait_completed(scheduler, deliveries: list[str], seconds: float = 60) -> None:
    for delivery in deliveries:
        eventually(lambda: state(scheduler, delivery) == "COMPLETED", seconds, what=f"delivery {delivery} completed")


def drones_of(scheduler) -> list[dict]:
    return scheduler.fleet.call("ListDrones", {"pageSize": 1000})["drones"]


def wait_under_way(scheduler) -> None:
    """Somewhere in the middle of the flights: some drone has moved, or there is no flight left."""
    before = {drone["id"]: drone["location"] for drone in drones_of(scheduler) if "deliveryId" in drone}

    def moved() -> bool:
        flying = [drone for drone in drones_of(scheduler) if "deliveryId" in drone]
        return not flying or any(before.get(drone["id"], drone["location"]) != drone["location"] for drone in flying)

    eventually(moved, 30, what="a drone on its mission moves")


def test_it_flies_missions_to_their_end_and_charges(scheduler, simulator):
    simulator("--drones=10", "--time-factor=1000", *FAST)
    wait_registered(scheduler, 10)
    wait_completed(scheduler, assign_many(scheduler, 10))
    drones = scheduler.fleet.call("ListDrones")["drones"]
    assert {d["cruiseSpeedMps"] for d in drones} == {20000}
    eventually(lambda: all(d["batteryFraction"] == 1 for d in scheduler.fleet.call("ListDrones")["drones"]), 30)


def test_registering_again_changes_what_is_different_and_nothing_else(scheduler, simulator):
    first = simulator("--drones=4", "--time-factor=10", *FAST)
    wait_registered(scheduler, 4)
    before = scheduler.drone("sim-00001")
    assert first.stop() == 0
    simulator("--drones=6", "--time-factor=10", *FAST)
    wait_registered(scheduler, 6)
    assert scheduler.drone("sim-00001")["etag"] == before["etag"]
    simulator("--drones=6", "--time-factor=20", *FAST)
    eventually(lambda: scheduler.drone("sim-00001")["cruiseSpeedMps"] == 400)


def test_one_called_off_flies_home(scheduler, simulator):
    simulator("--drones=1", "--time-factor=20", *FAST)
    wait_registered(scheduler, 1)
    assignment = scheduler.assign(scheduler.order(pickupLocation=near(4, 0), dropoffLocation=near(4, 1)))
    eventually(lambda: scheduler.drone("sim-00001").get("phase") == "MISSION_PHASE_TO_PICKUP")
    scheduler.assignments.call("ReleaseDrone", {"deliveryId": assignment["deliveryId"]})
    eventually(lambda: scheduler.drone("sim-00001")["state"] in ("DRONE_STATE_IDLE", "DRONE_STATE_CHARGING"), 30)
    home = scheduler.drone("sim-00001")
    assert abs(home["location"]["latitude"] - home["homeLocation"]["latitude"]) < 1e-4


def test_missions_survive_the_restart_of_either_side(scheduler, simulator):
    program = simulator("--drones=20", "--time-factor=100", *FAST)
    wait_registered(scheduler, 20)
    deliveries = assign_many(scheduler, 20)
    for round in range(3):
        wait_under_way(scheduler)
        if round % 2 == 0:
            scheduler.restart()
        else:
            program.kill()
            program.start()
    wait_completed(scheduler, deliveries, 90)
    assert not [d for d in scheduler.fleet.call("ListDrones")["drones"] if "deliveryId" in d]
