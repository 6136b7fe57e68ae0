"""The services a saga calls, in this process: idempotent as the contracts ask, and they fail on demand.

`peers.before("AssignDrone", hook)` runs hook(request) before the effect, `peers.after(...)` after it: raising Refusal there makes the call
fail without or with its effect.
"""

import threading
import time
from collections import Counter
from concurrent import futures

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from support.contracts import as_dict, message, pool


class Refusal(Exception):
    def __init__(self, code: grpc.StatusCode, reason: str = "", text: str = "no", retry_ms: int = 0):
        super().__init__(reason or code.name)
        self.code, self.reason, self.text, self.retry_ms = code, reason, text, retry_ms

    def end(self, context):
        details = []
        if self.reason:
            details.append(_any(error_details_pb2.ErrorInfo(reason=self.reason)))
        if self.retry_ms:
            info = error_details_pb2.RetryInfo()
            info.retry_delay.FromMilliseconds(self.retry_ms)
            details.append(_any(info))
        status = status_pb2.Status(code=self.code.value[0], message=self.text, details=details)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(self.code, self.text)


def _any(value):
    packed = any_pb2.Any()
    packed.Pack(value)
    return packed


def busy() -> Refusal:
    return Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_DRONE_AVAILABLE", retry_ms=100)


def away() -> Refusal:
    return Refusal(grpc.StatusCode.UNAVAILABLE)


class Peers:
    def __init__(self, port: int):
        self.port = port
        self.lock = threading.RLock()
        self.calls: Counter = Counter()
        self.order: list[tuple[str, str]] = []  # (method, delivery id) in the order of their effects
        self.accounts: set[str] = set()  # deliveries checked
        self.packages: dict[str, str] = {}  # id -> creator
        self.drones: dict[str, str] = {}  # delivery -> drone
        self.released: set[str] = set()
        self.deliveries: dict[str, dict] = {}
        self.cancelled: set[str] = set()
        self.picked_up: set[str] = set()
        self._before: dict = {}
        self._after: dict = {}
        self._server = None

    # ---- scripts ----

    def before(self, method, hook):
        self._before[method] = hook

    def after(self, method, hook):
        self._after[method] = hook

    def clear(self):
        self._before.clear()
        self._after.clear()

    # ---- effects ----

    def CheckAccount(self, request):
        if request["ownerId"].startswith("suspended"):
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_SUSPENDED", "the account is suspended")
        if request["ownerId"].startswith("unknown"):
            raise Refusal(grpc.StatusCode.NOT_FOUND, "ACCOUNT_UNKNOWN")
        self.accounts.add(request["deliveryId"])
        return {"planId": "unlimited"}

    def PutPackage(self, request):
        package = request["package"]
        creator = self.packages.setdefault(package["id"], request["creatorId"])
        return {"package": package, "created": creator == request["creatorId"]}

    def DeletePackage(self, request):
        deleted = self.packages.get(request["id"]) == request.get("creatorId")
        if deleted:
            del self.packages[request["id"]]
        return {"deleted": deleted}

    def AssignDrone(self, request):
        id = request["deliveryId"]
        if id in self.released:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "ASSIGNMENT_ENDED")
        created = id not in self.drones
        self.drones.setdefault(id, f"drone-{len(self.drones)}")
        place = request["pickupLocation"]
        return {"created": created, "assignment": {
            "deliveryId": id, "droneId": self.drones[id], "state": "ASSIGNMENT_STATE_ACTIVE", "droneLocation": place, "revision": 1,
            "pickupEta": {"time": "2030-01-01T00:00:00Z", "confidence": 0.5}, "deliveryEta": {"time": "2030-01-01T00:10:00Z", "confidence": 0.5}}}

    def ReleaseDrone(self, request):
        self.released.add(request["deliveryId"])
        return {}

    def PutDelivery(self, request):
        id = request["id"]
        if id in self.cancelled:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_FINAL")
        created = id not in self.deliveries
        if not created and self.deliveries[id] != request:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, "DELIVERY_CONFLICT")
        self.deliveries[id] = request
        return {"created": created, "delivery": {"id": id}}

    def Cancel(self, request):
        if request["id"] in self.picked_up:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_ALREADY_PICKED_UP")
        self.cancelled.add(request["id"])
        return {"delivery": {"id": request["id"]}}

    def Reschedule(self, request):
        if request["id"] in self.picked_up:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_ALREADY_PICKED_UP")
        self.deliveries[request["id"]]["rescheduled"] = request
        return {"delivery": {"id": request["id"]}}

    # ---- what is there now ----

    def live_drones(self) -> set[str]:
        return {id for id in self.drones if id not in self.released}

    def live_deliveries(self) -> set[str]:
        return {id for id in self.deliveries if id not in self.cancelled}

    # ---- serving ----

    def _handle(self, method, request, context):
        value = as_dict(request)
        try:
            self._run(self._before, method.name, value)
            with self.lock:
                self.calls[method.name] += 1
                answer = getattr(self, method.name)(value)
                self.order.append((method.name, value.get("deliveryId") or value.get("creatorId") or value.get("id")))
            self._run(self._after, method.name, value)
        except Refusal as refusal:
            refusal.end(context)
        return message(method.output_type.full_name, answer)

    def _run(self, hooks, name, value):
        hook = hooks.get(name)
        if hook is not None:
            hook(value)

    def start(self) -> None:
        server = grpc.server(futures.ThreadPoolExecutor(16))
        for name in ("account.v1.AccountService", "package.v1.PackageService", "dronescheduler.v1.DroneSchedulerService",
                     "delivery.v1.DeliveryService"):
            server.add_generic_rpc_handlers((self._service(f"fabrikam.{name}"),))
        server.add_insecure_port(f"127.0.0.1:{self.port}")
        server.start()
        self._server = server

    def _service(self, name):
        service = pool().FindServiceByName(name)
        return grpc.method_handlers_generic_handler(name, {
            method.name: grpc.unary_unary_rpc_method_handler(
                lambda request, context, method=method: self._handle(method, request, context),
                request_deserializer=lambda data, method=method: _parse(method.input_type, data),
                response_serializer=lambda value: value.SerializeToString())
            for method in service.methods if hasattr(self, method.name)})

    def stop(self):
        if self._server is not None:
            self._server.stop(0).wait()
            self._server = None


def _parse(descriptor, data):
    value = message(descriptor.full_name)
    value.ParseFromString(data)
    return value


class Sometimes:
    """A hook that fails now and then, by a seed."""

    def __init__(self, chance, probability: float, delay_s: float = 0.0):
        self.chance, self.probability, self.delay_s, self.lock = chance, probability, delay_s, threading.Lock()

    def __call__(self, request):
        with self.lock:
            fails = self.chance.random() < self.probability
            delay = self.chance.random() * self.delay_s
        if delay:
            time.sleep(delay)  # the peer's own time, not the test's
        if fails:
            raise away()
