"""A fetch that was cut goes on where that is safe, and begins anew where it is not."""

import socket
import struct
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

import pytest
from fetching import BODY, Fetched, Server, send, send_range


def reset(handler: BaseHTTPRequestHandler) -> None:
    """End the connection with RST."""
    handler.wfile.flush()
    time.sleep(0.05)  # Let the client read what was sent: RST discards what it has not.
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


def test_B25_a_body_shorter_than_announced_is_resumed(server: Server, fetched: Fetched) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        if n == 0:
            send(handler, 200, BODY[:100_000], content_length=len(BODY), etag='"v1"')
        else:
            send_range(handler, BODY, '"v1"')

    server.answer = answer
    assert fetched(server.url) == BODY
    assert server.requests[1]["range"] == "bytes=100000-"


def test_last_modified_serves_as_validator_if_older_than_the_answer(
    server: Server, fetched: Fetched
) -> None:
    old, now = formatdate(1_000_000_000, usegmt=True), formatdate(usegmt=True)

    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        if n == 0:
            dates = {"last_modified": old, "date": now}
            send(handler, 200, BODY[:1000], content_length=len(BODY), **dates)
        else:
            send_range(handler, BODY, old)

    server.answer = answer
    assert fetched(server.url) == BODY
    assert server.requests[1]["if-range"] == old


@pytest.mark.parametrize("etag", [None, 'W/"v1"'], ids=["no-etag", "weak-etag"])
def test_B27_nothing_is_resumed_without_a_strong_validator(
    server: Server, fetched: Fetched, etag: str | None
) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        send(handler, 200, BODY if n else BODY[:9], content_length=len(BODY), etag=etag)

    server.answer = answer
    assert fetched(server.url) == BODY
    assert "range" not in server.requests[1]


def test_B31_resets_are_resumed_as_long_as_bytes_come(server: Server, fetched: Fetched) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        if start + 30_000 >= len(BODY):
            return send_range(handler, BODY, '"v1"')
        span = {"content_range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"} if start else {}
        part = BODY[start : start + 30_000]
        status = 206 if start else 200
        send(handler, status, part, content_length=len(BODY) - start, etag='"v1"', **span)
        reset(handler)

    server.answer = answer
    assert fetched(server.url) == BODY
    assert len(server.requests) > 5  # more than the tries allowed without progress


def test_B35_a_killed_fetch_is_resumed_by_the_next(server: Server, fetched: Fetched) -> None:
    def cut(handler: BaseHTTPRequestHandler, n: int) -> None:
        send(handler, 200, BODY[:50_000], content_length=len(BODY), etag='"v1"')

    server.answer = cut
    fetched.failure(server.url, attempts=1)
    server.answer = lambda handler, _: send_range(handler, BODY, '"v1"')
    assert fetched(server.url) == BODY
    assert server.requests[-1]["range"] == "bytes=50000-"


def test_S7_a_206_with_less_than_was_asked_for_is_gone_on_with(
    server: Server, fetched: Fetched
) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        if n == 0:
            return send(handler, 200, BODY[:1000], content_length=len(BODY), etag='"v1"')
        start = int(handler.headers["Range"][6:-1])
        part = BODY[start : start + 100_000]
        span = f"bytes {start}-{start + len(part) - 1}/{len(BODY)}"
        send(handler, 206, part, content_range=span, etag='"v1"')

    server.answer = answer
    assert fetched(server.url) == BODY
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "span",
    [
        pytest.param("bytes 1000-299999/*", id="total-unknown"),
        pytest.param("bytes 1000-999/300000", id="backwards"),
        pytest.param("bytes 1000-299999/299999", id="past-the-end"),
        pytest.param("bytes 1000-5999/300000", id="longer-than-it-says"),
        pytest.param("bytes 1000-", id="cut"),
        pytest.param(None, id="none"),
    ],
)
def test_S7_a_206_that_contradicts_itself_is_not_spliced(
    server: Server, fetched: Fetched, span: str | None
) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        if n == 0:
            send(handler, 200, BODY[:1000], content_length=len(BODY), etag='"v1"')
        elif "Range" in handler.headers:
            send(handler, 206, OTHER[1000:], content_range=span, etag='"v1"')
        else:
            send(handler, 200, OTHER, etag='"v1"')

    server.answer = answer
    assert fetched(server.url) == OTHER


OTHER = BODY[::-1]


def send_from(handler: BaseHTTPRequestHandler, first: int, etag: str) -> None:
    """Answer any range with the bytes from `first` on, and do not ask for which version it is."""
    if "Range" in handler.headers:
        span = f"bytes {first}-{len(OTHER) - 1}/{len(OTHER)}"
        send(handler, 206, OTHER[first:], content_range=span, etag=etag)
    else:
        send(handler, 200, OTHER, etag=etag)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(lambda h: send(h, 200, OTHER, etag='"v1"'), id="range-ignored"),
        pytest.param(lambda h: send_range(h, OTHER, '"v2"'), id="etag-changed"),
        pytest.param(lambda h: send_from(h, 1000, '"v2"'), id="206-of-another-version"),
        pytest.param(lambda h: send_from(h, 500, '"v1"'), id="206-from-elsewhere"),
        pytest.param(
            lambda h: send(h, 416) if "Range" in h.headers else send(h, 200, OTHER), id="416"
        ),
    ],
)
def test_B27_two_versions_are_never_spliced(
    server: Server, fetched: Fetched, second: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        if n == 0:
            send(handler, 200, BODY[:1000], content_length=len(BODY), etag='"v1"')
        else:
            second(handler)

    server.answer = answer
    assert fetched(server.url) == OTHER
