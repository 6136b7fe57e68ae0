"""What the gateway makes of HTTP beyond routes and JSON: metadata, trace context, deadlines, cancellation, streams, and backends that fail."""

import json
import socket
import threading

import grpc
import pytest
from support.waiting import eventually

ID = "0190a5f0-0000-7000-8000-000000000000"
PATH = f"/api/v1/deliveries/{ID}"
TRACE = "0af7651916cd43dd8448eb211c80319c"


# ---- metadata and trace context ----

def test_headers_that_ask_for_it_become_metadata_but_none_that_is_ours(http, seen):
    own = {"Grpc-Metadata-Colour": "blue", "Grpc-Metadata-X-Shape": "round"}
    forged = {f"Grpc-Metadata-{name}": "forged" for name in
              ("Sky-Principal", "Grpc-Timeout", "Traceparent", "Te", "Content-Type", "User-Agent", "Secret-Bin", "Host")}
    assert http.get(PATH, headers={**own, **forged, "Other": "x"}).status == 200
    ((metadata, _),) = seen
    assert (metadata["colour"], metadata["x-shape"]) == ("blue", "round")
    assert "forged" not in metadata.values() and "other" not in metadata


def test_metadata_is_bounded(http, seen):
    assert http.get(PATH, headers={f"Grpc-Metadata-N{number}": "x" for number in range(60)}).status == 200
    assert 20 < len([name for name in seen[0][0] if name.startswith("n")]) <= 32


def test_a_trace_goes_on(http, seen):
    answer = http.get(PATH, headers={"Traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "Tracestate": "vendor=1"})
    metadata = seen[0][0]
    assert metadata["traceparent"].split("-")[1] == TRACE == answer.headers["traceparent"].split("-")[1]
    assert metadata["traceparent"].split("-")[2] != "b7ad6b7169203331" and metadata["tracestate"] == "vendor=1"


@pytest.mark.parametrize("broken", ["", "00-0-0-0", f"00-{TRACE.upper()}-b7ad6b7169203331-01", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "x" * 300])
def test_a_broken_trace_is_a_new_one(http, seen, broken):
    answer = http.get(PATH, headers={"Traceparent": broken})
    trace = seen[0][0]["traceparent"].split("-")[1]
    assert trace == answer.headers["traceparent"].split("-")[1] and trace not in (TRACE, TRACE.upper(), "0" * 32) and len(trace) == 32


# ---- deadlines and cancellation ----

@pytest.mark.parametrize("headers, seconds", [
    ({}, 3), ({"Request-Timeout": "2.5"}, 2.5), ({"Grpc-Timeout": "2S"}, 2), ({"Grpc-Timeout": "2500m"}, 2.5), ({"Grpc-Timeout": "2500000u"}, 2.5),
    ({"Grpc-Timeout": "99999999n"}, 0.1), ({"Request-Timeout": "99"}, 3), ({"Grpc-Timeout": "1H"}, 3), ({"Grpc-Timeout": "1M"}, 3),
    ({"Request-Timeout": "-1"}, 3), ({"Request-Timeout": "soon"}, 3), ({"Grpc-Timeout": "5"}, 3), ({"Grpc-Timeout": "5x"}, 3), ({"Grpc-Timeout": "0m"}, 3),
    ({"Grpc-Timeout": "123456789m"}, 3),
])
def test_a_caller_may_shorten_the_contracts_deadline(http, seen, headers, seconds):
    answer = http.get(PATH, headers=headers)
    if seconds < 1 and answer.status == 504:  # over before a busy backend has looked
        return
    assert answer.status == 200
    assert seconds - 2 < seen[0][1] <= seconds + 0.01


def test_a_backend_that_hangs_costs_the_deadline_and_hears_of_it(backend, http):
    heard, ends = threading.Event(), threading.Event()

    def hang(request, context):
        context.add_callback(heard.set)
        ends.wait(20)
        return {}

    backend.answer["GetDelivery"] = hang
    try:
        problem = http.get(PATH, headers={"Request-Timeout": "0.3"}).problem(504)
        assert problem["code"] == "DEADLINE_EXCEEDED"
        assert heard.wait(10)
    finally:
        ends.set()


def test_a_client_that_leaves_cancels_its_call(backend, gateway):
    called, cancelled, ends = threading.Event(), threading.Event(), threading.Event()

    def hang(request, context):
        context.add_callback(cancelled.set)
        called.set()
        ends.wait(20)
        return {}

    backend.answer["GetDelivery"] = hang
    try:
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nRequest-Timeout: 2.9\r\n\r\n".encode())
            assert called.wait(10)
        assert cancelled.wait(1.5), "long before the deadline"
    finally:
        ends.set()


# ---- backends that fail ----

def test_nothing_internal_gets_out(backend, http):
    backend.answer["GetDelivery"] = lambda request, context: context.abort(grpc.StatusCode.INTERNAL, "table users at 10.0.0.7")
    problem = http.get(PATH).problem(500)
    assert "10.0.0.7" not in json.dumps(problem) and problem["traceId"]


def test_a_backend_that_is_away_and_comes_back(backend, http, seen):
    assert http.get(PATH).status == 200
    backend.stop()
    away = http.get(PATH)
    assert away.problem(503)["code"] == "UNAVAILABLE" and int(away.headers["retry-after"]) >= 1
    backend.start()
    eventually(lambda: http.get(PATH).status == 200)


def test_an_answer_beyond_the_limit(backend, http):
    backend.answer["GetDelivery"] = lambda request, context: {"delivery": {"id": "x" * (5 << 20)}}
    http.get(PATH).problem(500)
    backend.answer["GetDelivery"] = lambda request, context: {"delivery": {"id": "small"}}
    assert http.get(PATH).json["id"] == "small"


# ---- streams ----

def test_lines_become_the_messages_of_a_client_stream(backend, http):
    got: list[dict] = []

    def confirm(requests, context):
        got.extend(requests)
        return {"confirmation": {"sizeBytes": "7"}}

    backend.answer["ConfirmDelivery"] = confirm
    lines = '{"type":"CONFIRMATION_TYPE_VOICE","contentType":"audio/ogg","chunk":"YWJj"}\n\n{"chunk":"ZGVmZw=="}\n'
    answer = http.post(f"{PATH}/confirmations", lines, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status == 201, answer
    assert [message.get("chunk") for message in got] == ["YWJj", "ZGVmZw=="] and {message["deliveryId"] for message in got} == {ID}
    got.clear()
    problem = http.post(f"{PATH}/confirmations", lines + "{oops}\n", headers={"Content-Type": "application/x-ndjson"}).problem(400)
    assert problem["violations"][0]["field"] == "body" and not got, "nothing of it is sent"


def updates(count: int, size: int = 10):
    def watch(request, context):
        for number in range(count):
            yield {"eventId": str(number), "reason": {"message": "x" * size}}

    return watch


def test_a_stream_by_events_or_by_lines(backend, http):
    backend.answer["WatchDelivery"] = updates(3)
    events = list(http.events(f"{PATH}:watch"))
    assert [event["data"].get("eventId") for event in events] == ["0", "1", "2", None] and events[-1]["event"] == "end"
    lines = http.get(f"{PATH}:watch", headers={"Accept": "application/x-ndjson"})
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line)["eventId"] for line in lines.body.splitlines() if line] == ["0", "1", "2"]  # a blank one is a heartbeat


def test_a_stream_that_fails_says_so_at_its_end(backend, http):
    def watch(request, context):
        yield {"eventId": "0"}
        context.abort(grpc.StatusCode.INTERNAL, "table users at 10.0.0.7")

    backend.answer["WatchDelivery"] = watch
    *_, last = http.events(f"{PATH}:watch")
    assert last["event"] == "error" and last["data"]["status"] == 500 and "10.0.0.7" not in json.dumps(last)
    lines = http.get(f"{PATH}:watch", headers={"Accept": "application/x-ndjson"}).body.splitlines()
    assert "10.0.0.7" not in lines[-1].decode() and "500" in lines[-1].decode()


def test_a_quiet_stream_beats(backend, gateway):
    ends = threading.Event()

    def watch(request, context):
        yield {"eventId": "0"}
        ends.wait(20)

    backend.answer["WatchDelivery"] = watch
    try:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
            connection.sendall(f"GET {PATH}:watch HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode())
            got = b""
            while got.count(b"\n:") < 3:
                chunk = connection.recv(4096)
                assert chunk, f"ended after {got!r}"
                got += chunk
    finally:
        ends.set()


def test_a_slow_reader_holds_the_backend_back_and_misses_nothing(backend, gateway):
    count, sent = 1000, []

    def watch(request, context):
        for number in range(count):
            sent.append(number)
            yield {"eventId": str(number), "reason": {"message": "x" * 20_000}}

    backend.answer["WatchDelivery"] = watch
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        connection.sendall(f"GET {PATH}:watch HTTP/1.0\r\nAccept: application/x-ndjson\r\n\r\n".encode())
        held = eventually(lambda: len(sent) > 0 and unchanged(sent), 20, what="the backend waits")
        assert held < count * 0.8, "20 MB are not kept for a client that does not read"
        got = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert got.count(b'"eventId"') == count and len(sent) == count


def unchanged(sent: list) -> int:
    """How many, once that has not changed for a while."""
    before = len(sent)
    threading.Event().wait(0.3)
    return before if len(sent) == before else 0
