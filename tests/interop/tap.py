"""Tap: a TCP relay that reads along which gRPC messages travel compressed, so that no peer's word must be taken for it.

Of HTTP/2 it needs only the frame headers, and of gRPC the five bytes before each message.
https://www.rfc-editor.org/rfc/rfc9113#section-4.1, https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

import socket
import threading
from collections import defaultdict

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, PADDED = 0x0, 0x8


class Reader:
    """One direction of one connection."""

    def __init__(self, skip: int):
        self._skip = skip  # bytes of the connection preface
        self._buffer = b""
        self._streams: dict[int, bytes] = defaultdict(bytes)
        self.messages: list[tuple[bool, int]] = []  # compressed, size on the wire

    def feed(self, data: bytes) -> None:
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        self._buffer += data[skipped:]
        while len(self._buffer) >= 9:
            size = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + size:
                return
            kind, flags, stream = self._buffer[3], self._buffer[4], int.from_bytes(self._buffer[5:9], "big")
            payload, self._buffer = self._buffer[9:9 + size], self._buffer[9 + size:]
            if kind == DATA:
                self._data(stream, payload[1:size - payload[0]] if flags & PADDED else payload)

    def _data(self, stream: int, data: bytes) -> None:
        data = self._streams[stream] + data
        while len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[1:5], "big"):
            size = int.from_bytes(data[1:5], "big")
            self.messages.append((data[0] == 1, size))
            data = data[5 + size:]
        self._streams[stream] = data


class Tap:
    """Listens on a free port and relays to another until it is closed."""

    def __init__(self, to_port: int):
        self._to = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._readers: list[tuple[Reader, Reader]] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to), timeout=10)
            far.settimeout(None)
            readers = Reader(len(PREFACE)), Reader(0)
            self._readers.append(readers)
            for source, sink, reader in ((near, far, readers[0]), (far, near, readers[1])):
                thread = threading.Thread(target=self._relay, args=(source, sink, reader), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _relay(self, source: socket.socket, sink: socket.socket, reader: Reader) -> None:
        try:
            while data := source.recv(65536):
                with self._lock:
                    reader.feed(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> tuple[list[tuple[bool, int]], list[tuple[bool, int]]]:
        """The messages of clients and of servers, in their order within each connection. The client must have ended."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
        with self._lock:
            return ([message for pair in self._readers for message in pair[0].messages],
                    [message for pair in self._readers for message in pair[1].messages])
