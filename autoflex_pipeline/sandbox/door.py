"""What comes in at the door of a stand-in: bounded in size, asked for by this machine's own name, from its own pages.

The stand-ins have no login, so a page of another site, open in the same browser, must not be able to use them: neither
by a form that it sends here, nor by a name of its own that it points at 127.0.0.1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 4_000_000
MAX_CONTROL_BODY_BYTES = 256_000_000
"""The control routes load whole dealers."""

MAX_ADDRESS_BYTES = 64_000
OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")


class Door:
    """Turns away what does not belong: 403 another site's page, 413 and 414 too large, 421 another name."""

    def __init__(
        self, app: ASGIApp, *, max_bytes: int = MAX_BODY_BYTES, max_control_bytes: int = MAX_CONTROL_BODY_BYTES
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_control_bytes = max_control_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._max_control_bytes if scope["path"].startswith("/control/") else self._max_bytes
        refused = _refused(scope, limit)
        if refused is not None:
            await _refuse(send, *refused)
            return
        await self._within(limit, scope, receive, send)

    async def _within(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a body in that does not say how long it is, until it is larger than ``limit``."""
        size = 0
        answered = False

        async def bounded() -> Message:
            nonlocal size, answered
            message = await receive()
            size += len(message.get("body", b""))
            if size <= limit:
                return message
            if not answered:
                answered = True
                await _refuse(send, *_too_large(limit))
            return {"type": "http.disconnect"}

        async def once(message: Message) -> None:
            nonlocal answered
            if size <= limit:
                answered = True
                await send(message)

        try:
            await self._app(scope, bounded, once)
        except ClientDisconnect:
            if size <= limit:
                raise  # it was the client that hung up


def _refused(scope: Scope, limit: int) -> tuple[int, str] | None:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    if not _is_own_name(headers.get(b"host", "")):
        return 421, "this stand-in answers to 127.0.0.1 and localhost only"
    if scope["method"] not in ("GET", "HEAD") and headers.get(b"sec-fetch-site") in ("cross-site", "same-site"):
        return 403, "a page of another site may not change anything here"
    if len(scope["raw_path"] or b"") + len(scope["query_string"]) > MAX_ADDRESS_BYTES:
        return 414, f"the address is longer than {MAX_ADDRESS_BYTES} bytes"
    length = headers.get(b"content-length", "0")
    return _too_large(limit) if not length.isdecimal() or len(length) > 18 or int(length) > limit else None


def _is_own_name(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    return name.lower() in OWN_NAMES or name.lower().endswith(".localhost")


def _too_large(limit: int) -> tuple[int, str]:
    return 413, f"the body is larger than {limit} bytes"


async def _refuse(send: Send, status: int, detail: str) -> None:
    problem: Mapping[str, object] = {"type": "about:blank", "title": "Refused", "status": status, "detail": detail}
    body = json.dumps(problem).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # what is left of the body is not read
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
