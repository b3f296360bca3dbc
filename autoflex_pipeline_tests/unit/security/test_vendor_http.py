"""Answers are decompressed within bounds, and a vendor's words steer neither a terminal nor a log."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflex_pipeline.vendor_http import AnswerTooLargeError, date_of, one_line, pieces, shown

LIMIT = 1_000_000


class Wire(httpx.SyncByteStream):
    """A body that comes in small packets."""

    def __init__(self, body: bytes, packet: int = 1400) -> None:
        self.body, self.packet = body, packet

    def __iter__(self) -> Iterator[bytes]:
        return (self.body[start : start + self.packet] for start in range(0, len(self.body), self.packet))


def answer(body: bytes, encoding: str | None, packet: int = 1400) -> httpx.Response:
    headers = {} if encoding is None else {"Content-Encoding": encoding}
    return httpx.Response(200, headers=headers, stream=Wire(body, packet))


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        ("Tue, 24 Nov 2026 09:00:01 GMT", datetime(2026, 11, 24, 9, 0, 1, tzinfo=UTC)),
        ("Tue, 24 Nov 2026 10:00:01 +0100", datetime(2026, 11, 24, 9, 0, 1, tzinfo=UTC)),
        ("Tue, 24 Nov 2026 09:00:01 -0000", datetime(2026, 11, 24, 9, 0, 1, tzinfo=UTC)),
        ("Tue, 24 Nov 99999 09:00:01 GMT", None),
        ("gisteren", None),
        ("", None),
        (None, None),
    ],
)
def test_the_servers_own_clock_is_read_where_it_tells(header: str | None, moment: datetime | None) -> None:
    assert date_of(httpx.Response(200, headers={} if header is None else {"Date": header})) == moment


def raw_deflate(body: bytes) -> bytes:
    compress = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compress.compress(body) + compress.flush()


PACKED = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}


@pytest.mark.parametrize("encoding", PACKED)
@given(body=st.binary(max_size=300_000) | st.builds(bytes.__mul__, st.binary(max_size=9), st.integers(0, 60_000)))
def test_every_encoding_that_is_asked_for_is_read_exactly(encoding: str, body: bytes) -> None:
    assert b"".join(pieces(answer(PACKED[encoding](body), encoding), LIMIT)) == body


@given(body=st.binary(min_size=1, max_size=1000), packet=st.integers(1, 50))
def test_deflate_without_its_two_bytes_in_front_is_read_too(body: bytes, packet: int) -> None:
    assert b"".join(pieces(answer(raw_deflate(body), "deflate", max(packet, 2)), LIMIT)) == body


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_decompression_bomb_is_given_up_before_it_fills_the_memory(encoding: str) -> None:
    bomb = PACKED[encoding](bytes(50_000_000))
    assert len(bomb) < LIMIT
    tracemalloc.start()
    with pytest.raises(AnswerTooLargeError, match=f"larger than {LIMIT} bytes"):
        b"".join(pieces(answer(bomb, encoding, packet=len(bomb)), LIMIT))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * LIMIT


def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert sum(map(len, pieces(answer(bytes(LIMIT), None), LIMIT))) == LIMIT
    with pytest.raises(AnswerTooLargeError):
        list(pieces(answer(bytes(LIMIT + 1), None), LIMIT))


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b"whole")[:-9], "gzip"),
        (gzip.compress(bytes(1000))[:15], "gzip"),
        (b"no gzip at all", "gzip"),
        (b"no deflate at all", "deflate"),
        (b"{}", "br"),
        (gzip.compress(gzip.compress(b"twice")), "gzip, gzip"),
    ],
    ids=["cut", "cut early", "no gzip", "no deflate", "not asked for", "twice"],
)
def test_a_broken_or_unknown_encoding_is_an_error_that_may_pass(body: bytes, encoding: str) -> None:
    with pytest.raises(httpx.DecodingError):
        list(pieces(answer(body, encoding), LIMIT))


@given(st.text())
def test_a_line_of_a_vendor_holds_nothing_that_steers_a_terminal_or_begins_a_line(text: str) -> None:
    line = one_line(text, 50)
    assert len(line) <= 50
    assert all(character.isprintable() or not character.isascii() for character in line)
    assert len(line.splitlines()) <= 1
    line.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\x1b[2J\x1b]52;c;Zm9v\x07", r"\x1b[2J\x1b]52;c;Zm9v\x07"),
        ("\x9b31mrood", r"\x9b31mrood"),
        ("kenteken\u202egnp.exe", r"kenteken\u202egnp.exe"),
        ("regel\r\nOK alles goed", r"regel\x0d\x0aOK alles goed"),
        ("half \ud83d", "half \ufffd"),
        ("Citroën – Škoda ✓", "Citroën – Škoda ✓"),
    ],
)
def test_what_would_steer_is_written_out_and_the_rest_stays(text: str, written: str) -> None:
    assert shown(text) == written
