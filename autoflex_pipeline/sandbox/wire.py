"""Answers that a well-behaved server never gives: connections reset, hung up on, or cut off in the middle of a body."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime, formatdate
from typing import Any

from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HANG_SECONDS = 3600.0
DRIP_SECONDS = 1.0
MAINTENANCE_PAGE = "<!doctype html><html><body><h1>Onderhoud</h1><p>Wij zijn zo terug.</p></body></html>"


class AbortableProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol, with the connection's transport in the scope: a reset needs the socket itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whatever loggers the process has set up: the login carries its secrets in the query string.
        self.access_log = False

    def on_message_begin(self) -> None:
        """Begin a request; put the transport where the answers below find it."""
        super().on_message_begin()
        self.scope["extensions"] = {"sandbox.transport": {"transport": self.transport}}


def telling_time(app: ASGIApp, clock: Callable[[], datetime]) -> ASGIApp:
    """The same app, whose ``Date`` is that of ``clock``, as of a server whose clock is not that of this machine."""

    async def telling(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(clock().astimezone(UTC), usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        await app(scope, receive, send_dated)

    return telling


class ResetResponse(Response):
    """No answer: the connection is reset (TCP RST, as when a firewall or a crashed server drops it)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset the connection."""
        transport = _transport(scope)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await _until_disconnected(receive)


class HangResponse(Response):
    """No answer for ``seconds`` (default: until the client gives up); then the connection is closed."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__()
        self.seconds = HANG_SECONDS if seconds is None else seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say nothing until the client is gone or the time is over."""
        try:
            await asyncio.wait_for(_until_disconnected(receive), self.seconds)
        except TimeoutError:
            _transport(scope).close()
            await _until_disconnected(receive)


class TruncatedResponse(Response):
    """Headers of the whole ``response``, half its body, and then the connection is closed."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.whole = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half and hang up."""
        body = bytes(self.whole.body)
        await send({"type": "http.response.start", "status": self.whole.status_code, "headers": self.whole.raw_headers})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        _transport(scope).close()
        await _until_disconnected(receive)


class DripResponse(Response):
    """The whole ``response``, one byte each ``seconds``: never silent, and not there for a long time."""

    def __init__(self, response: Response, seconds: float | None) -> None:
        super().__init__()
        self.whole = response
        self.seconds = DRIP_SECONDS if seconds is None else seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send byte by byte until the client is gone."""
        gone = asyncio.ensure_future(_until_disconnected(receive))
        try:
            await send(
                {"type": "http.response.start", "status": self.whole.status_code, "headers": self.whole.raw_headers}
            )
            for byte in bytes(self.whole.body):
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
                await asyncio.wait({gone}, timeout=self.seconds)
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()


def half_body(response: Response) -> Response:
    """The same answer with half its body and a fitting Content-Length: whole on the wire, broken as JSON."""
    body = bytes(response.body)
    return Response(body[: len(body) // 2], response.status_code, media_type=response.headers.get("content-type"))


def html_answer(status: int = 200) -> Response:
    """A page for people where JSON belongs, as a proxy in front of the API would send."""
    return HTMLResponse(MAINTENANCE_PAGE, status)


def retry_after_headers(seconds: float | None, *, as_date: bool, now: float) -> dict[str, str]:
    """The ``Retry-After`` header in either of its two forms; none when ``seconds`` is None. ``now``: Unix seconds."""
    if seconds is None:
        return {}
    if as_date:
        return {"Retry-After": formatdate(now + seconds, usegmt=True)}
    return {"Retry-After": f"{seconds:g}"}


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport = scope["extensions"]["sandbox.transport"]["transport"]
    return transport


async def _until_disconnected(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
