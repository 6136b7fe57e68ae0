"""The gateway's nginx with its module before a delivery service that does what a test says."""

import threading
from concurrent import futures
from pathlib import Path
from typing import Callable, Iterator

import grpc
import pytest
from dev.services import nginx_environment, program
from support.contracts import as_dict, build, message, pool
from support.http import Http
from support.programs import Program, free_port

SERVICE = "fabrikam.delivery.v1.DeliveryService"

_CONFIGURATION = """
load_module {module};
worker_processes 1;
pid {run}/nginx.pid;
error_log stderr notice;
daemon off;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {run}/body;
  proxy_temp_path {run}/proxy;
  fastcgi_temp_path {run}/fastcgi;
  uwsgi_temp_path {run}/uwsgi;
  scgi_temp_path {run}/scgi;
  sky_contracts {contracts};
  sky_service fabrikam.* backend;
  upstream backend {{ server 127.0.0.1:{backend} max_fails=0; }}
  server {{
    listen 127.0.0.1:{port};
    sky_heartbeat 200ms;
    location / {{ sky_pass; }}
  }}
}}
"""


class Backend(grpc.GenericRpcHandler):
    """backend.answer["GetDelivery"] = function(request, context) -> response, as dictionaries; streams take and give iterators."""

    def __init__(self):
        self.port = free_port()
        self.answer: dict[str, Callable] = {}
        self.server: grpc.Server | None = None

    def start(self) -> None:
        self.server = grpc.server(futures.ThreadPoolExecutor(16), handlers=(self,), options=[("grpc.so_reuseport", 0)])
        assert self.server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        self.server.start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop(0).wait()
            self.server = None

    def service(self, call_details):
        _, service, name = call_details.method.split("/")
        method = pool().FindServiceByName(service).methods_by_name[name]
        takes, gives = method.input_type.full_name, method.output_type.full_name

        def request_of(data: bytes) -> dict:
            return as_dict(type(message(takes)).FromString(data))

        def unary(request, context):
            return self.answer[name](request, context)

        def stream(request, context):
            yield from self.answer[name](request, context)

        kind = {(False, False): grpc.unary_unary_rpc_method_handler, (False, True): grpc.unary_stream_rpc_method_handler,
                (True, False): grpc.stream_unary_rpc_method_handler}[method.client_streaming, method.server_streaming]
        return kind(stream if method.server_streaming else unary, request_of, lambda value: message(gives, value).SerializeToString())


class Gateway(Program):
    def __init__(self, backend: Backend, folder: Path):
        port = free_port()
        configuration = folder / "nginx.conf"
        configuration.write_text(_CONFIGURATION.format(module=build() / "gateway/ngx_http_sky_module.so", contracts=build() / "proto/skyhook.binpb",
                                                       run=folder, backend=backend.port, port=port))
        command = [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(configuration)]
        super().__init__(command, nginx_environment(build()), folder, "gateway", port)
        self.http = Http(f"http://127.0.0.1:{port}")


@pytest.fixture
def backend() -> Iterator[Backend]:
    backend = Backend()
    backend.start()
    yield backend
    backend.stop()


@pytest.fixture
def gateway(backend, tmp_path) -> Iterator[Gateway]:
    gateway = Gateway(backend, tmp_path)
    gateway.start()
    yield gateway
    assert gateway.stop() == 0, gateway.tail()
    assert "Sanitizer" not in gateway.tail()


@pytest.fixture
def http(gateway) -> Http:
    return gateway.http


@pytest.fixture
def seen(backend):
    """Calls of GetDelivery: their metadata and the time they have left."""
    calls: list[tuple[dict[str, str], float]] = []
    lock = threading.Lock()

    def answer(request, context):
        with lock:
            calls.append((dict(context.invocation_metadata()), context.time_remaining()))
        return {"delivery": {"id": request["id"]}}

    backend.answer["GetDelivery"] = answer
    return calls
