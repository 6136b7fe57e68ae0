"""The ingestion service as a process of its own, with a real nats-server; the workflow is played here."""

import threading
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import grpc
import pytest
from google.protobuf import message_factory
from support.contracts import Client, pool
from support.programs import free_port, nats_server, service
from support.waiting import eventually

HERE = {"latitude": 47.61, "longitude": -122.34}
THERE = {"latitude": 47.62, "longitude": -122.35}


class Workflow:
    """Knows no saga, and answers as `answer(context)` says; counts how many ask at once."""

    def __init__(self, port: int):
        self.answer: Callable = lambda context: context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        self.asked = self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(300))
        request = message_factory.GetMessageClass(pool().FindMessageTypeByName("fabrikam.workflow.v1.GetWorkflowRequest"))
        handler = grpc.unary_unary_rpc_method_handler(self._get, request.FromString, lambda value: value.SerializeToString())
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("fabrikam.workflow.v1.WorkflowService", {"GetWorkflow": handler}),))
        self._server.add_insecure_port(f"127.0.0.1:{port}")

    @contextmanager
    def _counted(self):
        with self._lock:
            self.asked += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            with self._lock:
                self.at_once -= 1

    def _get(self, request, context):
        with self._counted():
            return self.answer(context)

    def start(self):
        self._server.start()

    def stop(self):
        self._server.stop(0).wait()


class Rig:
    def __init__(self, folder: Path):
        port = free_port()
        self.workflow = Workflow(port)
        self.nats = nats_server(folder)
        self.ingestion = service("ingestion", self.nats, folder, SKY_WORKFLOW_ADDRESS=f"127.0.0.1:{port}",
                                 SKY_DELIVERY_ADDRESS=f"127.0.0.1:{free_port()}")
        self.client = Client(f"127.0.0.1:{self.ingestion.port}", "fabrikam.ingestion.v1.IngestionService")

    def start(self):
        self.workflow.start()
        self.nats.start()
        self.ingestion.start()
        self.ingestion.wait_ready()
        # Before it is connected to the workflow it takes what comes, and asks nobody.
        eventually(lambda: self.create("warm-up") and self.workflow.asked > 0)

    def stop(self):
        code = self.ingestion.stop()
        self.client.close()
        self.nats.kill()
        self.workflow.stop()
        assert code == 0, f"{code}: {self.ingestion.tail()}"

    def order(self) -> dict:
        return {"ownerId": "shop", "pickupLocation": HERE, "dropoffLocation": THERE, "packageInfo": {"weightKg": 1.5}}

    def create(self, key: str) -> dict:
        return self.client.call("CreateDeliveryRequest", {"order": self.order(), "idempotencyKey": key})["deliveryRequest"]


@pytest.fixture
def rig(tmp_path) -> Iterator[Rig]:
    running = Rig(tmp_path)
    try:
        running.start()
        yield running
    finally:
        running.stop()
