"""A real drone scheduler with a real broker, and what it takes to be its callers and its drones."""

import time
import uuid

import grpc
from support.contracts import Client
from support.nats import Listener
from support.programs import nats_server, service
from support.waiting import eventually

HOME = {"latitude": 47.6062, "longitude": -122.3321}
PACKAGE = "fabrikam.dronescheduler.v1"
PHASES = [f"MISSION_PHASE_{name}" for name in
          ("TO_PICKUP", "AT_PICKUP", "PICKED_UP", "TO_DROPOFF", "AT_DROPOFF", "DELIVERED", "RETURNING", "ENDED")]
MILESTONES = [f"MISSION_PHASE_{name}" for name in ("TO_PICKUP", "PICKED_UP", "DELIVERED")]  # stored and told; the end is told by DroneReleased


def near(north: float = 0.0, east: float = 0.0) -> dict:
    """A place some hundredths of a degree from home."""
    return {"latitude": HOME["latitude"] + north / 100, "longitude": HOME["longitude"] + east / 100}


class Scheduler:
    def __init__(self, folder):
        self.folder = folder
        self.nats = nats_server(folder)
        self.program = service("dronescheduler", self.nats, folder, SKY_LOG_LEVEL="warn", SKY_POSITION_INTERVAL="200ms")
        address = f"127.0.0.1:{self.program.port}"
        self.address = address
        self.assignments = Client(address, f"{PACKAGE}.DroneSchedulerService")
        self.fleet = Client(address, f"{PACKAGE}.FleetService")
        self.telemetry = Client(address, f"{PACKAGE}.TelemetryService")
        self._sequence = int(time.time() * 1e6)

    def start(self) -> "Scheduler":
        self.nats.start()
        self.program.start()
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        def answers():
            try:
                return self.fleet.call("ListBases") is not None
            except grpc.RpcError:
                return False

        self.program.wait_ready()
        eventually(answers, 20)  # after a restart the channel waits a little before it tries again

    def restart(self) -> None:
        self.program.kill()
        self.program.start()
        self.wait_ready()

    def listen(self, event: str) -> Listener:
        return Listener(self.nats.port, f"fab.dronescheduler.{event}.v1.>")

    def stop(self) -> None:
        for client in (self.assignments, self.fleet, self.telemetry):
            client.close()
        code = self.program.stop()
        self.nats.stop()
        assert code == 0, f"{code}: {self.program.tail()}"

    # ---- the fleet ----

    def add_base(self, id: str = "home", location: dict | None = None) -> None:
        self.fleet.call("CreateBase", {"droneBase": {"id": id, "location": location or HOME}})

    def add_drones(self, count: int, base: str = "home", **changes) -> list[str]:
        ids = [f"{base}-{i:03d}" for i in range(count)]
        for id in ids:
            self.fleet.call("CreateDrone", {"drone": {"id": id, "baseId": base, "rangeM": 30000, "capacityKg": 5,
                                                      "maxSize": "PACKAGE_SIZE_MEDIUM", "cruiseSpeedMps": 20, **changes}})
        return ids

    def drone(self, id: str) -> dict:
        return self.fleet.call("GetDrone", {"id": id})["drone"]

    # ---- callers ----

    def order(self, delivery: str | None = None, **changes) -> dict:
        return {"deliveryId": delivery or str(uuid.uuid4()), "ownerId": "shop", "pickupLocation": near(1, 0), "dropoffLocation": near(1, 1),
                "packageInfo": {"size": "PACKAGE_SIZE_SMALL", "weightKg": 1}, **changes}

    def assign(self, order: dict) -> dict:
        return self.assignments.call("AssignDrone", order)["assignment"]

    def assignment(self, delivery: str) -> dict:
        return self.assignments.call("GetAssignment", {"deliveryId": delivery})["assignment"]

    # ---- drones ----

    def frame(self, drone: str, **values) -> dict:
        self._sequence += 1
        now = time.time()
        observed = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"
        return {"droneId": drone, "sequence": str(self._sequence), "observeTime": observed, "kind": "FRAME_KIND_KEY", "location": HOME,
                "batteryFraction": 0.9, **values}

    def phase_frame(self, assignment: dict, phase: str, **values) -> dict:
        return self.frame(assignment["droneId"], phase=phase, deliveryId=assignment["deliveryId"], revision=assignment["revision"], **values)

    def report(self, *frames: dict) -> list[str]:
        """Sends the frames one after the other on one stream; the result of each."""
        results = []
        for frame in frames:
            response = next(iter(self.telemetry.converse("ReportTelemetry", [{"frames": [frame]}])))
            results += [ack["result"].removeprefix("FRAME_RESULT_") for ack in response["acks"]]
        return results

    def fly(self, assignment: dict, until: str = "ENDED") -> None:
        last = PHASES.index(f"MISSION_PHASE_{until}")
        assert set(self.report(*(self.phase_frame(assignment, phase) for phase in PHASES[: last + 1]))) == {"TAKEN"}
