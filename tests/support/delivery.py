"""A delivery service of its own with a real broker; drones are what the test publishes for them."""

import uuid
from datetime import datetime, timezone
from typing import Iterator

from support.contracts import Client, decode, message
from support.nats import Listener, publish
from support.programs import nats_server, service

PICKUP = {"latitude": 47.60, "longitude": -122.30}
DROPOFF = {"latitude": 47.70, "longitude": -122.30}  # 11 km to the north


class Deliveries:
    def __init__(self, folder):
        self.folder = folder
        self.nats = nats_server(folder)
        self.program = service("delivery", self.nats, folder, SKY_LOG_LEVEL="warn")
        self.client = Client(f"127.0.0.1:{self.program.port}", "fabrikam.delivery.v1.DeliveryService")

    def start(self) -> "Deliveries":
        self.nats.start()
        self.program.start()
        self.program.wait_ready()
        return self

    def replica(self) -> Iterator[Client]:
        """One more on the same store and broker, until the generator is closed."""
        program = service("delivery", self.nats, self.folder, SKY_LOG_LEVEL="warn").start()
        client = Client(f"127.0.0.1:{program.port}", "fabrikam.delivery.v1.DeliveryService")
        try:
            program.wait_ready()
            yield client
        finally:
            client.close()
            code = program.stop()
            assert code == 0, program.log.read_text()[-3000:]

    def listen(self, event: str) -> Listener:
        return Listener(self.nats.port, f"fab.delivery.{event}.v1.>")

    def put(self) -> str:
        """A delivery whose drone is at the pickup; its id."""
        id = str(uuid.uuid4())
        self.client.call("PutDelivery", {"id": id, "packageId": id, "droneId": "drone-1", "droneLocation": PICKUP, "order": {
            "ownerId": "acme", "pickupLocation": PICKUP, "dropoffLocation": DROPOFF, "packageInfo": {"weightKg": 1},
            "notify": {"email": "box@example.org"}}})
        return id

    def report(self, id: str, location: dict, north_mps: float) -> None:
        """What the drone scheduler tells of the drone's position."""
        position = {"eventId": str(uuid.uuid4()), "droneId": "drone-1", "deliveryId": id, "location": location, "phase": "MISSION_PHASE_TO_PICKUP",
                    "velocity": {"northMps": north_mps}, "occurTime": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        payload = message("fabrikam.events.v1.DronePositionChanged", position).SerializeToString()
        publish(self.nats.port, "fab.dronescheduler.drone_position_changed.v1.drone-1", payload)

    def progress(self, id: str, phase: str) -> None:
        """What the drone says of its mission."""
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.client.call("ReportProgress", {"id": id, "droneId": "drone-1", "phase": f"MISSION_PHASE_{phase}", "location": PICKUP, "observeTime": now})

    def status(self, id: str) -> dict:
        return self.client.call("GetStatus", {"id": id})["status"]

    def stop(self) -> None:
        self.client.close()
        code = self.program.stop()
        self.nats.stop()
        assert code == 0, self.program.tail()


def events(listener: Listener, name: str) -> list[dict]:
    return [decode(f"fabrikam.events.v1.{name}", payload) for _, payload in list(listener.messages)]
