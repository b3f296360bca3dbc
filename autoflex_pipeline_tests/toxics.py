"""A TCP proxy that spoils what passes through it, with the vocabulary of Toxiproxy.

Toxiproxy itself is a Go program that PyPI does not have. The same words mean the same here: a *toxic* has a type, a
``stream`` (``upstream``: what the client sends; ``downstream``: what it receives), a ``toxicity`` (the share of the
connections that it spoils) and attributes:

=========== ================================================= ======================================================
type        attributes                                        what it does
=========== ================================================= ======================================================
latency     ``latency``, ``jitter`` (ms)                      what is sent arrives that much later
bandwidth   ``rate`` (KB/s)                                   not more than that passes
slow_close  ``delay`` (ms)                                    the end of the connection is passed on that much later
timeout     ``timeout`` (ms; 0: never)                        nothing passes, and the connection is closed after that
reset_peer  ``timeout`` (ms)                                  TCP RST after that, in place of the data
slicer      ``average_size``, ``size_variation`` (bytes),     the data comes in small pieces
            ``delay`` (microseconds)
limit_data  ``bytes``                                         the connection is closed after that much
=========== ================================================= ======================================================

As in Toxiproxy, what is held back by a latency arrives also when the client has given up meanwhile, and at once when
the toxic is removed; what a timeout held back is lost. Other than in Toxiproxy, ``only`` keeps a toxic to HTTP requests
whose first line holds that text, and times begin with the first data that the toxic meets.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import unquote, urlsplit

Stream = Literal["upstream", "downstream"]
Pieces = AsyncIterator[bytes]
T = TypeVar("T")

ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "latency": frozenset({"latency", "jitter"}),
    "bandwidth": frozenset({"rate"}),
    "slow_close": frozenset({"delay"}),
    "timeout": frozenset({"timeout"}),
    "reset_peer": frozenset({"timeout"}),
    "slicer": frozenset({"average_size", "size_variation", "delay"}),
    "limit_data": frozenset({"bytes"}),
}
"""The types of toxics, and the attributes of each; one not given is 0."""

CHUNK_BYTES = 64 * 1024
CHUNKS_UNDER_WAY = 64
METHODS = (b"GET ", b"POST ", b"PUT ")
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: closing sends RST


@dataclass(frozen=True)
class Toxic:
    """What spoils, how, and how often; see the module's text."""

    type: str
    stream: Stream = "downstream"
    toxicity: float = 1.0
    only: str = ""
    attributes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = set(self.attributes) - ATTRIBUTES[self.type]
        if unknown:
            raise ValueError(f"toxic {self.type}: no attribute {sorted(unknown)}, only {sorted(ATTRIBUTES[self.type])}")

    def get(self, name: str) -> int:
        return self.attributes.get(name, 0)


def toxic(
    type: str, stream: Stream = "downstream", *, only: str = "", toxicity: float = 1.0, **attributes: int
) -> Toxic:
    """A toxic in one line."""
    return Toxic(type, stream, toxicity, only, attributes)


class _Closed(Exception):
    """A toxic ends the connection in an orderly way."""


class _Reset(Exception):
    """A toxic ends the connection with RST."""


class _Set:
    """A toxic that is set on a proxy, until ``removed``."""

    def __init__(self, toxic: Toxic) -> None:
        self.toxic = toxic
        self.removed = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait, at most until the toxic is removed."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.removed.wait(), seconds)


class Proxy:
    """Listens on a port of its own and leads to one server. Its methods may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, upstream: str, seed: int) -> None:
        """``upstream``: the server's address, http://host:port."""
        parts = urlsplit(upstream)
        self.upstream = (str(parts.hostname), int(parts.port or 80))
        self.url = ""
        self.rng = random.Random(seed)
        self.met: Counter[str] = Counter()
        """How many connections each type of toxic has spoilt."""
        self.connections = 0
        self.sets: list[_Set] = []
        self._loop = loop
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], _Link] = {}

    def add(self, toxic: Toxic) -> None:
        """Set one more toxic, also for the connections that are open."""
        self._run(self._add(toxic))

    def remove(self, toxic: Toxic) -> None:
        """Take a toxic away; what it holds back goes on its way."""
        self._run(self._remove([each for each in self.sets if each.toxic is toxic]))

    def reset(self) -> None:
        """Take all toxics away."""
        self._run(self._remove(list(self.sets)))

    def settle(self) -> None:
        """Wait until the connections whose clients have gone have passed on what they held."""
        self._run(self._settle())

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = "http://{}:{}".format(*self._server.sockets[0].getsockname()[:2])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def _run(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(10)

    async def _add(self, toxic: Toxic) -> None:
        self.sets.append(_Set(toxic))

    async def _remove(self, gone: list[_Set]) -> None:
        for each in gone:
            self.sets.remove(each)
            each.removed.set()

    async def _settle(self) -> None:
        leaving = [task for task, link in self._links.items() if link.client_gone.is_set()]
        if leaving:
            await asyncio.wait(leaving)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        link = self._links[task] = _Link(self)
        self.connections += 1
        try:
            await link.run(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy is stopping
        finally:
            del self._links[task]


class _Link:
    """One connection through a proxy: both its directions, and what the toxics know of it."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.rng = proxy.rng
        self.passed: Counter[_Set] = Counter()
        self._spoils: dict[_Set, bool] = {}
        self._met: set[_Set] = set()
        self._request = ""
        self.client_gone = asyncio.Event()

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass data both ways until one side ends."""
        writers = [writer]
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.proxy.upstream)
            writers.append(server_writer)
            pumps = [
                asyncio.create_task(self._pump("upstream", reader, server_writer)),
                asyncio.create_task(self._pump("downstream", server_reader, writer)),
            ]
            try:
                done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
            if any(isinstance(pump.exception(), _Reset) for pump in done):
                for each in writers:
                    _reset(each)
        except OSError:
            pass  # the server is not there: the client sees its connection closed
        finally:
            for each in writers:
                each.close()

    async def _pump(self, stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_UNDER_WAY)
        feeding = asyncio.create_task(self._feed(stream, reader, queue))
        try:
            while (arrived := await queue.get())[1]:
                if stream == "upstream":
                    self._note_request(arrived[1])
                pieces = _whole(arrived[1])
                for each in self._meets(stream):
                    pieces = _SPOILING[each.toxic.type](self, each, pieces, arrived[0])
                async for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
        except (_Closed, ConnectionError):
            pass
        finally:
            feeding.cancel()
        for each in self._meets(stream, closing=True):
            await each.sleep(each.toxic.get("delay") / 1000)

    async def _feed(
        self, stream: Stream, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        clock = asyncio.get_running_loop().time
        data = b"-"
        while data:
            try:
                data = await reader.read(CHUNK_BYTES)
            except ConnectionError:
                data = b""
            if not data and stream == "upstream":
                self.client_gone.set()
            await queue.put((clock(), data))

    def _note_request(self, data: bytes) -> None:
        if data.startswith(METHODS):
            self._request = unquote(data.split(b"\r\n", 1)[0].decode("latin-1"))

    def _meets(self, stream: Stream, *, closing: bool = False) -> list[_Set]:
        """The toxics that spoil this direction now; how the draw for the connection ended stays."""
        found = []
        for each in self.proxy.sets:
            toxic = each.toxic
            if toxic.stream != stream or toxic.only not in self._request or (toxic.type == "slow_close") != closing:
                continue
            if each not in self._spoils:
                self._spoils[each] = self.rng.random() < toxic.toxicity
            if self._spoils[each]:
                found.append(each)
                if each not in self._met:
                    self._met.add(each)
                    self.proxy.met[toxic.type] += 1
        return found

    async def hold(self, each: _Set, seconds: float | None) -> None:
        """Wait until then, until the toxic is removed, or until the client gives up."""
        waiting = {asyncio.create_task(each.removed.wait()), asyncio.create_task(self.client_gone.wait())}
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()


async def _whole(data: bytes) -> Pieces:
    yield data


async def _latency(link: _Link, each: _Set, pieces: Pieces, arrived: float) -> Pieces:
    jitter = each.toxic.get("jitter")
    late = each.toxic.get("latency") + (link.rng.uniform(-jitter, jitter) if jitter else 0)
    await each.sleep(arrived + late / 1000 - asyncio.get_running_loop().time())
    async for piece in pieces:
        yield piece


async def _bandwidth(link: _Link, each: _Set, pieces: Pieces, arrived: float) -> Pieces:
    rate = max(1, each.toxic.get("rate")) * 1024
    portion = max(1, rate // 10)
    async for piece in pieces:
        for start in range(0, len(piece), portion):
            part = piece[start : start + portion]
            await each.sleep(len(part) / rate)
            yield part


async def _slicer(link: _Link, each: _Set, pieces: Pieces, arrived: float) -> Pieces:
    average, variation = each.toxic.get("average_size"), each.toxic.get("size_variation")
    async for piece in pieces:
        start = 0
        while start < len(piece):
            size = max(1, average + link.rng.randint(-variation, variation))
            yield piece[start : start + size]
            start += size
            await each.sleep(each.toxic.get("delay") / 1_000_000)


async def _limit_data(link: _Link, each: _Set, pieces: Pieces, arrived: float) -> Pieces:
    async for piece in pieces:
        left = each.toxic.get("bytes") - link.passed[each]
        link.passed[each] += len(piece)
        yield piece[: max(0, left)]
        if len(piece) >= left:
            raise _Closed


async def _timeout(link: _Link, each: _Set, pieces: Pieces, arrived: float) -> Pieces:
    seconds = each.toxic.get("timeout") / 1000
    await link.hold(each, seconds or None)
    raise _Closed
    yield b""


async def _reset_peer(link: _Link, each: _Set, pieces: Pieces, arrived: float) -> Pieces:
    await link.hold(each, each.toxic.get("timeout") / 1000)
    raise _Reset
    yield b""


_SPOILING: Mapping[str, Callable[[_Link, _Set, Pieces, float], Pieces]] = {
    "latency": _latency,
    "bandwidth": _bandwidth,
    "slicer": _slicer,
    "limit_data": _limit_data,
    "timeout": _timeout,
    "reset_peer": _reset_peer,
}


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


@contextmanager
def running_proxies(upstreams: Mapping[str, str], *, seed: int = 1) -> Iterator[dict[str, Proxy]]:
    """A proxy in front of each address, by the same names, for the time of the block; all in one thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="toxics", daemon=True)
    thread.start()
    proxies = {
        name: Proxy(loop, upstream, seed + place) for place, (name, upstream) in enumerate(sorted(upstreams.items()))
    }
    try:
        for proxy in proxies.values():
            asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(10)
        yield proxies
    finally:
        for proxy in proxies.values():
            asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result(10)
        asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
