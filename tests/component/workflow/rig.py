"""One workflow service with its broker, its store and its peers."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sqlite3
import uuid
from pathlib import Path

import nats
from support.contracts import Client, as_dict, build, message
from support.programs import free_port
from support.waiting import eventually

from peers import Peers

FINAL = {f"WORKFLOW_STATE_{name}" for name in ("COMPLETED", "REJECTED", "FAILED", "CANCELLED")}
HERE = {"latitude": 47.61, "longitude": -122.34}
THERE = {"latitude": 47.62, "longitude": -122.35}
NOW = "2026-01-01T00:00:00Z"


def order(owner: str = "shop", **changes) -> dict:
    return {"ownerId": owner, "pickupLocation": HERE, "dropoffLocation": THERE, "packageInfo": {"weightKg": 1.5}, **changes}


class Rig:
    def __init__(self, folder: Path):
        self.folder = folder
        self.peers = Peers()
        self.nats = self.workflow = None
        self.nats_port, self.port, self.admin = free_port(), free_port(), free_port()
        self.client = Client(f"127.0.0.1:{self.port}", "fabrikam.workflow.v1.WorkflowService")
        self.loop = asyncio.new_event_loop()
        self.connection = None
        self.environment = {}

    # ---- processes ----

    def start(self):
        self.peers.start()
        self.start_nats()
        self.start_workflow()
        self.wait_until_ready()

    def start_nats(self):
        program = shutil.which("nats-server", path=os.environ["PATH"] + ":/usr/sbin")
        self.nats = subprocess.Popen([program, "-a", "127.0.0.1", "-p", str(self.nats_port), "-js", "-sd", str(self.folder / "nats")],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._nats_accepts, what="nats-server")

    def _nats_accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.nats_port)) == 0

    def start_workflow(self):
        peers = {f"SKY_{name}_ADDRESS": f"127.0.0.1:{self.peers.port}" for name in ("ACCOUNT", "PACKAGE", "DRONESCHEDULER", "DELIVERY")}
        log = open(self.folder / "workflow.log", "ab")
        self.workflow = subprocess.Popen(
            [str(build() / "services/workflow/skyhook-workflow")], stderr=log, stdout=log,
            env={**os.environ, **peers, "SKY_LISTEN": f"127.0.0.1:{self.port}", "SKY_ADMIN": f"127.0.0.1:{self.admin}",
                 "SKY_NATS_URL": f"nats://127.0.0.1:{self.nats_port}", "SKY_STORE": f"sqlite:{self.folder}", **self.environment})

    def wait_until_ready(self):
        eventually(self._is_ready, 20, what=lambda: "ready")

    def _is_ready(self) -> bool:
        assert self.workflow.poll() is None, (self.folder / "workflow.log").read_text()[-2000:]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.admin)) != 0:
                return False
            probe.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return b" 200 " in probe.recv(4096)

    def kill_workflow(self):
        self.workflow.send_signal(signal.SIGKILL)
        self.workflow.wait()

    def kill_nats(self):
        self.nats.send_signal(signal.SIGKILL)
        self.nats.wait()

    def stop(self):
        status = None
        if self.workflow is not None and self.workflow.poll() is None:
            self.workflow.terminate()
            try:
                status = self.workflow.wait(20)
            except subprocess.TimeoutExpired:
                self.kill_workflow()
                status = "killed: it did not stop within 20 s"
        if self.connection is not None:
            self.loop.run_until_complete(self.connection.close())
        self.loop.close()
        self.client.close()
        if self.nats is not None and self.nats.poll() is None:
            self.kill_nats()
        self.peers.stop()
        assert status in (None, 0), f"{status}: {(self.folder / 'workflow.log').read_text()[-4000:]}"

    # ---- the bus ----

    def publish(self, kind: str, id: str, value: dict, event_id: str = ""):
        """As ingestion does: confirmed by the broker."""
        event_id = event_id or str(uuid.uuid4())
        body = message(f"fabrikam.events.v1.{kind}", {"eventId": event_id, "deliveryId": id, "version": 1, "occurTime": NOW, **value})
        name = "".join("_" + letter.lower() if letter.isupper() else letter for letter in kind).lstrip("_")
        self.loop.run_until_complete(self._publish(f"fab.ingestion.{name}.v1.{id}", body.SerializeToString(), event_id))

    async def _publish(self, subject: str, data: bytes, event_id: str):
        if self.connection is None:
            self.connection = await nats.connect(f"nats://127.0.0.1:{self.nats_port}", max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        for _ in range(20):  # again under the same id, as clients do
            try:
                await self.connection.jetstream().publish(subject, data, headers={"Nats-Msg-Id": event_id}, timeout=1)
                return
            except (nats.errors.Error, TimeoutError, asyncio.TimeoutError):
                continue
        raise AssertionError("the broker does not confirm")

    def request(self, value: dict | None = None, id: str = "") -> str:
        value = value or order()
        id = id or str(uuid.uuid4())
        self.publish("DeliveryRequested", id, {"ownerId": value["ownerId"], "order": value}, id)
        return id

    def cancel(self, id: str):
        self.publish("CancelRequested", id, {"reason": {"code": "CANCELLED_BY_OWNER", "message": "not needed"}})

    def change(self, id: str, change: dict, mask: str):
        self.publish("RescheduleRequested", id, {"change": change, "updateMask": mask})

    # ---- what came of it ----

    def get(self, id: str) -> dict | None:
        try:
            return self.client.call("GetWorkflow", {"id": id})["workflow"]
        except Exception:
            return None

    def ends(self, id: str, state: str, seconds: float = 15) -> dict:
        def ended():
            found = self.get(id)
            assert found is not None, "unknown"
            assert found["state"] in FINAL, found
            return found

        found = eventually(ended, seconds)
        assert found["state"] == f"WORKFLOW_STATE_{state}", found
        return found

    def stored(self, table: str) -> int:
        with sqlite3.connect(f"file:{self.folder}/workflow.db?mode=ro", uri=True) as database:
            return database.execute(f"select count(*) from {table}").fetchone()[0]

    def events(self, subject: str = "fab.workflow.>") -> list[tuple[str, str]]:
        """(kind, saga) of everything the service has published, in order."""
        return [tuple(got.subject.split(".")[2::2]) for got in self.loop.run_until_complete(self._events(subject))]

    def event(self, kind: str, id: str) -> dict:
        """The one event of that kind a saga has published."""
        name = "".join("_" + letter.lower() if letter.isupper() else letter for letter in kind).lstrip("_")
        (got,) = self.loop.run_until_complete(self._events(f"fab.workflow.{name}.v1.{id}"))
        event = message(f"fabrikam.events.v1.{kind}", {})
        event.ParseFromString(got.data)
        return as_dict(event)

    async def _events(self, subject: str):
        connection = await nats.connect(f"nats://127.0.0.1:{self.nats_port}")  # its own: it outlives no broker
        found = []
        try:
            subscription = await connection.jetstream().subscribe(subject, ordered_consumer=True, stream="WORKFLOWS")
            while True:
                got = await subscription.next_msg(timeout=0.5)
                found.append(got)
        except nats.errors.TimeoutError:
            return found
        finally:
            await connection.close()
