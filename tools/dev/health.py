"""Asks a process whether it is ready."""

import http.client
import socket

from dev.ports import HOST


def answer(port: int, path: str, timeout: float = 1.0) -> tuple[bool, str]:
    """(ready, what it said). An empty path asks only whether the port accepts connections."""
    try:
        if not path:
            socket.create_connection((HOST, port), timeout).close()
            return True, "accepts connections"
        connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status == 200, response.read(4096).decode(errors="replace").strip()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        return False, str(error)
