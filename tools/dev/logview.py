"""Makes log lines readable: the services' JSON lines (OpenTelemetry's log model), nats-server's and nginx's own, anything else as it is."""

import json
import re
from datetime import datetime, timezone
from typing import Iterable

from dev.term import paint

_HUES = ("cyan", "magenta", "blue", "green", "yellow")
_LEVELS = {"TRACE": ("dim",), "DEBUG": ("dim",), "INFO": (), "WARN": ("yellow",), "ERROR": ("red",), "FATAL": ("red", "bold")}
_BAD = frozenset({"WARN", "ERROR", "FATAL"})
_NATS = re.compile(r"^\[\d+\] \S+ (?P<time>\d\d:\d\d:\d\d\.\d+) \[(?P<level>\w+)\] (?P<body>.*)$")
_NGINX = re.compile(r"^\S+ (?P<time>\d\d:\d\d:\d\d) \[(?P<level>\w+)\] (?:\d+#\d+: )?(?P<body>.*)$")
_OTHERS_LEVELS = {
    "DBG": "DEBUG", "TRC": "TRACE", "INF": "INFO", "WRN": "WARN", "ERR": "ERROR", "FTL": "FATAL",
    "debug": "DEBUG", "info": "INFO", "notice": "INFO", "warn": "WARN", "error": "ERROR", "crit": "ERROR", "alert": "FATAL", "emerg": "FATAL",
}


class LogView:
    def __init__(self, names: Iterable[str], colour: bool, quiet: Iterable[str] = ()):
        """quiet: services of which only warnings and worse are shown."""
        self._names = list(names)
        self._quiet = frozenset(quiet)
        self._width = max(map(len, self._names), default=0)
        self._colour = colour

    def sorted_lines(self, batch: Iterable[tuple[str, str]]) -> list[str]:
        """The readable lines of (service, raw line) pairs, by time; a line without a time stays behind its predecessor."""
        timed, last = [], ""
        for name, raw in batch:
            record = _record(raw)
            last = record.get("time") or last
            if name not in self._quiet or record.get("level") in _BAD:
                timed.append((last, name, record))
        return [self._render(name, record) for _, name, record in sorted(timed, key=lambda item: item[0])]

    def line(self, name: str, raw: str) -> str:
        """One readable line: time, service, level, what happened, details."""
        return self._render(name, _record(raw))

    def note(self, name: str, text: str) -> str:
        """A line of our own, now; in UTC as the services' are."""
        now = datetime.now(timezone.utc)
        return self._render(name, {"time": f"{now:%H:%M:%S}.{now.microsecond // 1000:03d}", "body": text})

    def _render(self, name: str, record: dict) -> str:
        level = record.get("level", "INFO")
        body = self._paint(_plain(record["body"]), *_LEVELS.get(level, ()))
        details = " ".join(f"{key}={_plain(value)}" for key, value in record.get("details", {}).items())
        parts = [self._paint(record.get("time", "").ljust(12), "dim"), self._service(name), self._paint(level.ljust(5), *_LEVELS.get(level, ())), body]
        return " ".join(parts) + (self._paint("  " + details, "dim") if details else "")

    def _service(self, name: str) -> str:
        hue = _HUES[self._names.index(name) % len(_HUES)] if name in self._names else "bold"
        return self._paint(name.ljust(self._width), hue)

    def _paint(self, text: str, *styles: str) -> str:
        return paint(text, *styles, enabled=self._colour)


def _record(raw: str) -> dict:
    return _json_record(raw) or _foreign_record(raw) or {"body": raw}


def _json_record(raw: str) -> dict | None:
    if not raw.startswith("{"):
        return None
    try:
        entry = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(entry, dict) or "body" not in entry:
        return None
    attributes = entry.get("attributes")
    details = dict(attributes) if isinstance(attributes, dict) else {}
    if entry.get("trace_id"):
        details["trace"] = str(entry["trace_id"])[:8]
    return {"time": _clock(str(entry.get("timestamp", ""))), "level": str(entry.get("severity_text", "INFO")),
            "body": str(entry["body"]), "details": details}


def _foreign_record(raw: str) -> dict | None:
    found = _NATS.match(raw) or _NGINX.match(raw)
    if not found:
        return None
    return {"time": found["time"][:12], "level": _OTHERS_LEVELS.get(found["level"], "INFO"), "body": found["body"]}


def _clock(timestamp: str) -> str:
    """2026-11-21T03:26:01.123456789Z -> 03:26:01.123"""
    found = re.search(r"T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)", timestamp)
    return found[1] if found else ""


def _plain(value) -> str:
    """Control characters of a logged text must not reach the terminal."""
    text = value if isinstance(value, str) else json.dumps(value)
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
