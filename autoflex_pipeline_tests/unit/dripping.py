"""A server that answers one byte at a time, each well within the time of a read."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def dripping() -> Iterator[str]:
    """Its address; it answers one request, for a second and a half."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer, args=[server])
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def _answer(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection, suppress(OSError):
        connection.recv(10_000)
        for byte in b"HTTP/1.1 200 OK\r\nX: xxxxxxxxxx":
            connection.send(bytes([byte]))
            time.sleep(0.05)
