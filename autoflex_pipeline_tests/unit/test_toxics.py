"""The proxy with toxics itself, over plain sockets: each toxic does what Toxiproxy's documentation says of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from autoflex_pipeline_tests.toxics import Proxy, Toxic, running_proxies, toxic

HELLO = b"GET /hello HTTP/1.1\r\n\r\n"
BODY = b"x" * 4_000


class Server:
    """Answers whatever comes with BODY, and keeps what came."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.got: list[bytes] = []
        self.got_something = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    self.got.append(data)
                    self.got_something.set()
                    connection.sendall(BODY)
            except OSError:
                return


@contextmanager
def client(proxy: Proxy) -> Iterator[socket.socket]:
    parts = urlsplit(proxy.url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=5) as connection:
        yield connection


def read(connection: socket.socket, size: int = len(BODY)) -> list[bytes]:
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < size and (piece := connection.recv(65_536)):
        pieces.append(piece)
    return pieces


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with running_proxies({"server": server.url}) as proxies:
        yield proxies["server"]


def ask(proxy: Proxy) -> tuple[bytes, float]:
    """What came until the end of the answer or of the connection, and after how many seconds."""
    started = time.monotonic()
    with client(proxy) as connection:
        connection.sendall(HELLO)
        return b"".join(read(connection)), time.monotonic() - started


def test_without_a_toxic_everything_passes(proxy: Proxy) -> None:
    assert ask(proxy)[0] == BODY
    assert not proxy.met


@pytest.mark.parametrize(
    ("bad", "at_least"),
    [
        (toxic("latency", latency=200), 0.2),
        (toxic("latency", "upstream", latency=200), 0.2),
        (toxic("latency", latency=200, jitter=50), 0.15),
        (toxic("bandwidth", rate=20), 0.15),
        (toxic("slicer", average_size=100, size_variation=20, delay=5_000), 0.15),
    ],
    ids=["latency", "latency upstream", "jitter", "bandwidth", "slicer"],
)
def test_toxic_that_delays_leaves_the_data_whole(proxy: Proxy, bad: Toxic, at_least: float) -> None:
    proxy.add(bad)
    data, seconds = ask(proxy)
    assert data == BODY
    assert seconds >= at_least
    assert proxy.met[bad.type] == 1


def test_timeout_closes_the_connection_and_what_it_held_is_lost(proxy: Proxy, server: Server) -> None:
    proxy.add(toxic("timeout", "upstream", timeout=100))
    data, seconds = ask(proxy)
    assert (data, server.got) == (b"", [])
    assert seconds >= 0.1


def test_limit_data_closes_after_so_many_bytes_and_slow_close_says_so_later(proxy: Proxy) -> None:
    proxy.add(toxic("limit_data", bytes=1_000))
    proxy.add(toxic("slow_close", delay=200))
    started = time.monotonic()
    with client(proxy) as connection:
        connection.sendall(HELLO)
        assert b"".join(read(connection)) == BODY[:1_000]
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(("stream", "reached"), [("upstream", []), ("downstream", [HELLO])])
def test_reset_peer_is_seen_as_a_reset_by_the_client(
    proxy: Proxy, server: Server, stream: str, reached: list[bytes]
) -> None:
    proxy.add(Toxic("reset_peer", stream))  # type: ignore[arg-type]
    with client(proxy) as connection:
        connection.sendall(HELLO)
        with pytest.raises(ConnectionResetError):
            read(connection)
    assert server.got == reached


def test_toxic_keeps_to_the_requests_that_it_is_for(proxy: Proxy) -> None:
    proxy.add(toxic("reset_peer", only="/other"))
    assert ask(proxy)[0] == BODY


def test_toxicity_spoils_that_share_of_the_connections_the_same_ones_for_a_seed(server: Server) -> None:
    ended: list[list[bool]] = []
    for _ in range(2):
        with running_proxies({"server": server.url}, seed=7) as proxies:
            proxies["server"].add(toxic("limit_data", toxicity=0.5, bytes=10))
            ended.append([ask(proxies["server"])[0] == BODY for _ in range(20)])
            assert proxies["server"].met["limit_data"] == ended[-1].count(False)
    assert ended[0] == ended[1]
    assert 4 <= ended[0].count(True) <= 16


def test_what_a_latency_holds_arrives_when_it_is_removed_although_the_client_has_gone(
    proxy: Proxy, server: Server
) -> None:
    late = toxic("latency", "upstream", latency=60_000)
    proxy.add(late)
    with client(proxy) as connection:
        connection.sendall(HELLO)
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert server.got == []
    proxy.remove(late)
    assert server.got_something.wait(5)
    assert server.got == [HELLO]


def test_attribute_that_the_toxic_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no attribute"):
        toxic("latency", seconds=3)
