"""A small client of the public REST API, as anyone outside would write it."""

import http.client
import json
from dataclasses import dataclass
from typing import Iterator
from urllib.parse import urlencode, urlsplit

TIMEOUT = 10.0


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict

    def detail(self) -> str:
        """What a problem+json says."""
        return f"{self.status} {self.body.get('title', '')}: {self.body.get('detail', '')}"


class ApiError(Exception):
    """The answer was not what was needed; the message says why."""


class Unavailable(ApiError):
    """The system cannot answer just now (503, 504): asking again may help."""


class Api:
    """Not thread-safe: one kept connection, made again when the server has closed it."""

    def __init__(self, url: str):
        self._address = urlsplit(url).netloc
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str, **query) -> Answer:
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, body: dict) -> Answer:
        return self._call("POST", path, json.dumps(body))

    def pages(self, path: str, field: str, **query) -> Iterator[dict]:
        """Every entry of a list, page after page."""
        token = ""
        while True:
            answer = self.get(path, **query, **({"pageToken": token} if token else {}))
            if answer.status != 200:
                raise (Unavailable if answer.status in (503, 504) else ApiError)(f"GET {path}: {answer.detail()}")
            yield from answer.body.get(field, [])
            token = answer.body.get("nextPageToken", "")
            if not token:
                return

    def _call(self, method: str, path: str, body: str | None) -> Answer:
        fresh = self._connection is None
        try:
            return self._exchange(method, path, body)
        except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError):
            self.close()
            if fresh or method != "GET":
                raise
            return self._exchange(method, path, body)

    def _exchange(self, method: str, path: str, body: str | None) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT)
        self._connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
        response = self._connection.getresponse()
        text = response.read().decode()
        try:
            return Answer(response.status, json.loads(text) if text else {})
        except ValueError:
            return Answer(response.status, {"detail": text[:200]})

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None
