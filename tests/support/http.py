"""HTTP as tests need it: any method, headers and bytes; the answer whole."""

import http.client
import json
from dataclasses import dataclass, field
from typing import Iterator
from urllib.parse import urlencode, urlsplit

TIMEOUT = 30.0


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    def problem(self, status: int) -> dict:
        """The body of a refusal, which must be of this status and well-formed."""
        assert self.status == status, f"{self.status}: {self.body[:300]!r}"
        assert self.headers["content-type"].startswith("application/problem+json"), self.headers
        problem = self.json
        assert problem["status"] == status
        return problem

    def __str__(self) -> str:
        return f"{self.status} {self.body[:300]!r}"


@dataclass
class Http:
    """One connection per call: also right when servers come and go."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: bytes | str | dict | None = None, *, headers: dict[str, str] | None = None,
             timeout: float = TIMEOUT, **query) -> Response:
        sent = {**self.headers, **(headers or {})}
        if isinstance(body, dict):
            body = json.dumps(body)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=timeout)
        try:
            connection.request(method, f"{path}?{urlencode(query)}" if query else path, body, sent)
            response = connection.getresponse()
            return Response(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str, **more) -> Response:
        return self.call("GET", path, **more)

    def post(self, path: str, body, **more) -> Response:
        return self.call("POST", path, body, **more)

    def pages(self, path: str, name: str, **query) -> Iterator[dict]:
        """Every entry of a list."""
        token: dict[str, str] = {}
        while True:
            answer = self.get(path, **query, **token)
            assert answer.status == 200, answer
            yield from answer.json.get(name, [])
            if not answer.json.get("nextPageToken"):
                return
            token = {"pageToken": answer.json["nextPageToken"]}

    def events(self, path: str, *, timeout: float = TIMEOUT, headers: dict[str, str] | None = None) -> Iterator[dict]:
        """Server-sent events of a stream: {"id": …, "event": …, "data": parsed JSON}; ends when the server ends it."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=timeout)
        try:
            connection.request("GET", path, headers={**self.headers, "Accept": "text/event-stream", **(headers or {})})
            response = connection.getresponse()
            assert response.status == 200, f"{response.status} {response.read()[:300]!r}"
            assert response.headers["Content-Type"].startswith("text/event-stream"), response.headers
            yield from _events(response)
        finally:
            connection.close()


def _events(lines) -> Iterator[dict]:
    event: dict = {}
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        if not line:
            if "data" in event:
                yield {**event, "data": json.loads(event["data"])}
            event = {}
            continue
        name, _, value = line.partition(":")
        if name:  # a line that begins with a colon is a heartbeat
            value = value.removeprefix(" ")
            event[name] = f"{event[name]}\n{value}" if name == "data" and name in event else value
