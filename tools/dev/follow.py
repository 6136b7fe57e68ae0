"""Follows growing log files, line by line."""

from pathlib import Path
from typing import Iterator, Mapping

_CHUNK = 1 << 20


class Follower:
    def __init__(self, files: Mapping[str, Path], from_start: bool = True):
        self._files = dict(files)
        self._offsets = {name: 0 if from_start or not path.exists() else path.stat().st_size for name, path in self._files.items()}
        self._rests = {name: b"" for name in self._files}

    def read(self) -> Iterator[tuple[str, str]]:
        """(name, line) of every complete line since the last call."""
        for name, path in self._files.items():
            for line in self._new_lines(name, path):
                yield name, line.decode(errors="replace")

    def _new_lines(self, name: str, path: Path) -> list[bytes]:
        try:
            with open(path, "rb") as file:
                if file.seek(0, 2) < self._offsets[name]:  # started afresh
                    self._offsets[name], self._rests[name] = 0, b""
                file.seek(self._offsets[name])
                data = file.read(_CHUNK)
        except FileNotFoundError:
            return []
        self._offsets[name] += len(data)
        *lines, self._rests[name] = (self._rests[name] + data).split(b"\n")
        return lines
