"""The sandbox's own applications answer httpx in this process: no socket, no server, one event loop.

What the product builds its clients of stays as it is; only the last step, the wire, is replaced. The faults of the
sandbox do what they do on a real connection: silence becomes a timeout, a reset and a body that breaks off become the
errors that httpx raises for them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from starlette.types import ASGIApp


class Wire:
    """Routes requests by host name to applications; ``before`` and ``after`` are told of each request's host."""

    def __init__(self) -> None:
        self.apps: dict[str, ASGIApp] = {}
        self.before: Callable[[str], None] = lambda host: None
        self.after: Callable[[str], None] = lambda host: None
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()  # the applications expect one thread at a time, as on a server's event loop

    def close(self) -> None:
        """Close the event loop."""
        self._loop.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as a transport of httpx does."""
        host = request.url.host
        body = request.read()
        self.before(host)
        with self._lock:
            exchange = _Exchange(request, body)
            self._loop.run_until_complete(self.apps[host](exchange.scope, exchange.receive, exchange.send))
        self.after(host)
        return exchange.response()


class _Exchange:
    """One request and what came back, also when nothing or half of it did."""

    def __init__(self, request: httpx.Request, body: bytes) -> None:
        self._request = request
        self._body: bytes | None = body
        self._status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._is_whole = False
        self._socket = _Socket()
        raw_path, _, query = request.url.raw_path.partition(b"?")
        self.scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method,
            "scheme": request.url.scheme, "path": request.url.path, "raw_path": raw_path, "query_string": query,
            "root_path": "", "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": (request.url.host, 80), "client": ("127.0.0.1", 1),
            "extensions": {"sandbox.transport": {"transport": self._socket}},
        }  # fmt: skip

    async def receive(self) -> dict[str, Any]:
        """The body once, then the client is gone: whoever waits for it says nothing more."""
        if self._body is None:
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:
        """Take what the application answers."""
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message["headers"])
        else:
            self._chunks.append(message.get("body", b""))
            self._is_whole = not message.get("more_body", False)

    def response(self) -> httpx.Response:
        """What a client sees of it."""
        if self._socket.is_reset:
            raise httpx.ReadError("connection reset", request=self._request)
        if self._status is None:
            raise httpx.ReadTimeout("no answer", request=self._request)
        stream = _Body(self._chunks, self._is_whole, self._request)
        return httpx.Response(self._status, headers=self._headers, stream=stream)


class _Body(httpx.SyncByteStream):
    def __init__(self, chunks: list[bytes], is_whole: bool, request: httpx.Request) -> None:
        self._chunks, self._is_whole, self._request = chunks, is_whole, request

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if not self._is_whole:
            raise httpx.RemoteProtocolError("peer closed the connection", request=self._request)


class _Socket:
    """Stands for the connection that the sandbox's faults reset or close."""

    def __init__(self) -> None:
        self.is_reset = False

    def get_extra_info(self, _name: str) -> _Socket:
        return self

    def setsockopt(self, *_option: object) -> None:
        return

    def abort(self) -> None:
        self.is_reset = True

    def close(self) -> None:
        return
