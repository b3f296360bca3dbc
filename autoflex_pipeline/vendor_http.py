"""How the answer of a vendor's server is read, whichever vendor: TLS verified, sizes bounded, its words made harmless.

Nothing here can be switched off.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache

import httpx

from autoflex_pipeline.plain_text import one_line as one_line
from autoflex_pipeline.plain_text import shown as shown

ACCEPTED_ENCODINGS = "gzip, deflate"
PIECE_BYTES = 64 * 1024
"""At most so much is decompressed at a time, however much a compressed piece would become."""


class AnswerTooLargeError(Exception):
    """The answer is larger than the limit, as it came or decompressed."""


@cache
def tls_context() -> ssl.SSLContext:
    """One for the process (making it takes longer than a look at a dealer). Certificates and host names are verified.

    Trusted are the authorities of certifi, or those of ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` where one is set.
    """
    return httpx.create_ssl_context()


def certificate_problem(error: BaseException) -> str | None:
    """What is wrong with the server's certificate, and what to do; None when the connection failed otherwise."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    return (
        f"its TLS certificate is not trusted ({one_line(cause.verify_message, 200)}); "
        "put the authority that signed it into SSL_CERT_FILE, or correct the address"
    )


def date_of(response: httpx.Response) -> datetime | None:
    """The server's own clock, by the ``Date`` of its answer, in whole seconds; None without one that can be read."""
    return http_date(response.headers.get("date", ""))


def http_date(text: str) -> datetime | None:
    """The moment that a header's date tells, in UTC when it names no zone; None when it cannot be read."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def pieces(response: httpx.Response, limit: int) -> Iterator[bytes]:
    """The body, decompressed piece by piece; AnswerTooLargeError as soon as it is larger than ``limit`` bytes.

    httpx would decompress whatever came over the wire at once, and a thousandfold is possible.
    httpx.DecodingError for an encoding that was not asked for, or a stream that is broken.
    """
    size = 0
    for piece in _decompressed(response):
        size += len(piece)
        if size > limit:
            raise AnswerTooLargeError(f"the answer is larger than {limit} bytes")
        yield piece


def _decompressed(response: httpx.Response) -> Iterator[bytes]:
    raw = _as_it_came(response)
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        yield from raw
    elif encoding in ("gzip", "x-gzip", "deflate"):
        yield from _inflated(raw, is_gzip=encoding != "deflate")
    else:
        raise httpx.DecodingError("the answer has an encoding that was not asked for")


def _as_it_came(response: httpx.Response) -> Iterator[bytes]:
    stream = response.stream
    if not isinstance(stream, httpx.SyncByteStream):
        raise TypeError("an answer of an asynchronous client cannot be read here")
    return iter(stream)


def _inflated(raw: Iterator[bytes], *, is_gzip: bool) -> Iterator[bytes]:
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16 if is_gzip else zlib.MAX_WBITS)
    is_first = True
    try:
        for came in raw:
            waiting, piece = came, b""
            # A full piece may have consumed all that came and still hold more.
            while (waiting or len(piece) == PIECE_BYTES) and not inflate.eof:
                try:
                    piece = inflate.decompress(waiting, PIECE_BYTES)
                except zlib.error:
                    if is_gzip or not is_first:
                        raise
                    inflate = zlib.decompressobj(-zlib.MAX_WBITS)  # "deflate" without its two bytes in front
                    piece = inflate.decompress(waiting, PIECE_BYTES)
                is_first = False
                waiting = inflate.unconsumed_tail
                yield piece
    except zlib.error:
        raise httpx.DecodingError("the compressed answer is broken") from None
    if not is_first and not inflate.eof:
        raise httpx.DecodingError("the compressed answer broke off")
