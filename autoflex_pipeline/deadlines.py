"""An answer is to be there, as a whole, within a time: the timeouts of httpx begin anew with every byte that comes.

A server (or a network) that sends a byte now and then would otherwise hold a run for hours, above all in the headers of
its answer, which nobody sees before they are complete.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

if TYPE_CHECKING:
    import ssl

_give_up_at: ContextVar[float | None] = ContextVar("give_up_at", default=None)


@contextmanager
def whole_within(seconds: float) -> Iterator[None]:
    """What this thread sends and receives in the block, on a transport that is ``bounded``, is over in ``seconds``.

    After that the next read or write raises httpx.TimeoutException, whatever came before.
    """
    token = _give_up_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _give_up_at.reset(token)


def bound_transport(transport: httpx.BaseTransport | None) -> None:
    """Make ``whole_within`` hold for this transport of httpx; any other (of a test) is left as it is.

    httpx has no option for httpcore's documented ``network_backend``, hence the names with an underscore.
    """
    if isinstance(transport, httpx.HTTPTransport):
        pool: Any = transport._pool
        pool._network_backend = _Backend(pool._network_backend)


def bound_client(client: httpx.Client) -> None:
    """The same for all transports of a client: the direct one, and those that lead through a proxy."""
    for transport in (client._transport, *client._mounts.values()):
        bound_transport(transport)


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    """The seconds that one operation may take; ``error`` when none is left."""
    give_up_at = _give_up_at.get()
    if give_up_at is None:
        return timeout
    left = give_up_at - time.monotonic()
    if left <= 0:
        raise error("the answer as a whole was not there in time")
    return left if timeout is None else min(timeout, left)


class _Backend(httpcore.NetworkBackend):
    """Opens connections that keep to ``whole_within``."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        seconds = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, seconds, local_address, socket_options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    """A connection that keeps to ``whole_within``."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        seconds = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
