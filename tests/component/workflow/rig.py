"""One workflow service with its broker, its store and its peers."""

import asyncio
import sqlite3
import uuid
from pathlib import Path

import grpc
import nats
from nats.js.api import AckPolicy, ConsumerConfig
from support.contracts import Client, as_dict, message
from support.programs import free_port, nats_server, service
from support.waiting import eventually

from peers import Peers

FINAL = {f"WORKFLOW_STATE_{name}" for name in ("COMPLETED", "REJECTED", "FAILED", "CANCELLED")}
NO_ANSWER = {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
HERE = {"latitude": 47.61, "longitude": -122.34}
THERE = {"latitude": 47.62, "longitude": -122.35}
NOW = "2026-01-01T00:00:00Z"


def order(owner: str = "shop", **changes) -> dict:
    return {"ownerId": owner, "pickupLocation": HERE, "dropoffLocation": THERE, "packageInfo": {"weightKg": 1.5}, **changes}


def _renamed(value, source: str, target: str):
    if isinstance(value, bytes):
        return value.replace(source.encode(), target.encode())
    return value.replace(source, target) if isinstance(value, str) else value


class Rig:
    def __init__(self, folder: Path, **environment: str):
        self.peers = Peers(free_port())
        self.nats = nats_server(folder)
        addresses = {f"SKY_{name}_ADDRESS": f"127.0.0.1:{self.peers.port}" for name in ("ACCOUNT", "PACKAGE", "DRONESCHEDULER", "DELIVERY")}
        self.workflow = service("workflow", self.nats, folder, **addresses, **environment)
        self.store = folder / "data/workflow.db"
        self.client = Client(f"127.0.0.1:{self.workflow.port}", "fabrikam.workflow.v1.WorkflowService")
        self.loop = asyncio.new_event_loop()
        self.connection = None

    def start(self):
        self.peers.start()
        self.nats.start()
        self.workflow.start()
        self.workflow.wait_ready()

    def stop(self):
        code = self.workflow.stop()
        if self.connection is not None:
            self.loop.run_until_complete(self.connection.close())
        self._end_tasks()
        self.loop.close()
        self.client.close()
        self.nats.kill()
        self.peers.stop()
        assert code == 0, f"{code}: {self.workflow.tail()}"

    def _end_tasks(self):
        """The NATS client leaves some behind when a broker is killed."""
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks))

    # ---- the bus ----

    def publish(self, kind: str, id: str, value: dict, event_id: str = ""):
        """As ingestion does: confirmed by the broker."""
        event_id = event_id or str(uuid.uuid4())
        body = message(f"fabrikam.events.v1.{kind}", {"eventId": event_id, "deliveryId": id, "version": 1, "occurTime": NOW, **value})
        name = "".join("_" + letter.lower() if letter.isupper() else letter for letter in kind).lstrip("_")
        self.loop.run_until_complete(self._publish(f"fab.ingestion.{name}.v1.{id}", body.SerializeToString(), event_id))

    async def _publish(self, subject: str, data: bytes, event_id: str):
        if self.connection is None:
            self.connection = await nats.connect(f"nats://127.0.0.1:{self.nats.port}", max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        for _ in range(20):  # again under the same id, as clients do
            try:
                await self.connection.jetstream().publish(subject, data, headers={"Nats-Msg-Id": event_id}, timeout=1)
                return
            except (nats.errors.Error, TimeoutError, asyncio.TimeoutError):
                continue
        raise AssertionError("the broker does not confirm")

    def unsettled(self, durable: str) -> int:
        """Messages the service has been given and has not settled."""
        return self.loop.run_until_complete(self.connection.jetstream().consumer_info("REQUESTS", durable)).num_ack_pending

    def dead_letters(self) -> int:
        return self.loop.run_until_complete(self.connection.jetstream().stream_info("DEADLETTERS")).state.messages

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
        """None while it is unknown, or the service does not answer."""
        try:
            return self.client.call("GetWorkflow", {"id": id})["workflow"]
        except grpc.RpcError as error:
            if error.code() not in NO_ANSWER:
                raise
            return None

    def known(self, id: str) -> dict:
        """What the service says of it, which it must know."""
        found = self.get(id)
        assert found is not None, f"{id} is unknown"
        return found

    def ends(self, id: str, state: str, seconds: float = 15) -> dict:
        def ended():
            found = self.known(id)
            assert found["state"] in FINAL, found
            return found

        found = eventually(ended, seconds)
        assert found["state"] == f"WORKFLOW_STATE_{state}", found
        return found

    def stored(self, table: str) -> int:
        with sqlite3.connect(f"file:{self.store}?mode=ro", uri=True) as database:
            return database.execute(f"select count(*) from {table}").fetchone()[0]

    def change_store(self, statement: str):
        with sqlite3.connect(self.store, timeout=10) as database:
            database.execute(statement)

    def copy_saga(self, source: str, target: str):
        """As if another process had written one more: ids are of one length, so they are simply replaced in the document."""
        with sqlite3.connect(self.store, timeout=10) as database:
            row = database.execute("select * from sagas where _id = ?", (source,))
            names = [f'"{column[0]}"' for column in row.description]
            values = [_renamed(value, source, target) for value in row.fetchone()]
            database.execute(f"insert into sagas ({', '.join(names)}) values ({', '.join('?' for _ in names)})", values)

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
        """All that the stream holds of it now."""
        connection = await nats.connect(f"nats://127.0.0.1:{self.nats.port}")  # its own: it outlives no broker
        found = []
        try:
            reader = await connection.jetstream().pull_subscribe(subject, stream="WORKFLOWS", config=ConsumerConfig(ack_policy=AckPolicy.NONE))
            count = (await reader.consumer_info()).num_pending
            while len(found) < count:
                found += await reader.fetch(min(count - len(found), 250), timeout=10)
            return found
        finally:
            await connection.close()
