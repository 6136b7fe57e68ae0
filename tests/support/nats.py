"""Listens and speaks on a NATS server, with nothing but its text protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol)."""

import socket
import threading


class Listener:
    """Collects what is published on a subject from now on: (subject, payload) in order."""

    def __init__(self, port: int, subject: str):
        self.messages: list[tuple[str, bytes]] = []
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._reader = self._socket.makefile("rb")
        self._reader.readline()  # INFO
        self._socket.sendall(b'CONNECT {"verbose":false,"headers":true}\r\nSUB %s 1\r\nPING\r\n' % subject.encode())
        while not self._reader.readline().startswith(b"PONG"):
            pass
        self._socket.settimeout(None)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while line := self._reader.readline():
                words = line.split()
                if words[:1] == [b"PING"]:
                    self._socket.sendall(b"PONG\r\n")
                elif words[:1] in ([b"MSG"], [b"HMSG"]):
                    self._take(words)
        except OSError:
            pass  # closed

    def _take(self, words: list[bytes]) -> None:
        headers = int(words[-2]) if words[0] == b"HMSG" else 0
        data = self._reader.read(int(words[-1]) + 2)[:-2]
        self.messages.append((words[1].decode(), data[headers:]))

    def close(self) -> None:
        self._socket.close()


def publish(port: int, subject: str, payload: bytes) -> None:
    """One message without reply, at the server when this returns."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, connection.makefile("rb") as reader:
        reader.readline()  # INFO
        connection.sendall(b'CONNECT {"verbose":false}\r\nPUB %s %d\r\n%s\r\nPING\r\n' % (subject.encode(), len(payload), payload))
        while not reader.readline().startswith(b"PONG"):
            pass
