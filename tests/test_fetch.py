"""The fetcher against loopback servers that misbehave in every way we know of."""

import gzip
import socket
import time
import zlib
from http.server import BaseHTTPRequestHandler

import pytest
from fetching import BODY, Fetched, Server, send
from patience import PATIENCE_S

from video2gif.media.fetch import display


def test_a_file_comes_whole_and_leaves_no_partial(server: Server, fetched: Fetched) -> None:
    server.answer = lambda handler, _: send(handler, 200, BODY)
    assert fetched(f"{server.url}/a.mp4") == BODY
    assert not list(fetched.partial.parent.iterdir())


@pytest.mark.parametrize("status", [429, 503])
def test_B22_retry_after_is_waited_for(server: Server, fetched: Fetched, status: int) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        send(handler, 200, BODY) if n else send(handler, status, retry_after=1)

    server.answer = answer
    started = time.monotonic()
    assert fetched(server.url) == BODY
    assert time.monotonic() - started >= 1


def test_B22_retry_after_past_the_time_limit_fails_at_once(
    server: Server, fetched: Fetched
) -> None:
    server.answer = lambda handler, _: send(handler, 429, retry_after=3600)
    assert fetched.failure(server.url).cause == "timeout"


def test_B23_server_errors_are_tried_again(server: Server, fetched: Fetched) -> None:
    server.answer = lambda handler, n: send(handler, 500) if n < 3 else send(handler, 200, BODY)
    assert fetched(server.url) == BODY
    assert len(server.requests) == 4


def test_B23_lasting_server_errors_end(server: Server, fetched: Fetched) -> None:
    server.answer = lambda handler, _: send(handler, 502)
    error = fetched.failure(server.url)
    assert (error.cause, len(server.requests)) == ("http", 5)
    assert "502" in str(error)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_B24_refusals_are_not_tried_again(server: Server, fetched: Fetched, status: int) -> None:
    server.answer = lambda handler, _: send(handler, status)
    error = fetched.failure(server.url)
    assert (error.cause, len(server.requests)) == ("http", 1)
    assert str(status) in str(error)


def test_B26_a_cut_chunked_body_is_never_accepted(server: Server, fetched: Fetched) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        send(handler, 200, content_length=None, transfer_encoding="chunked")
        handler.wfile.write(b"400\r\n" + BODY[:1024] + b"\r\n")

    server.answer = answer
    assert fetched.failure(server.url).cause == "http"


def test_a_whole_chunked_body_is_accepted(server: Server, fetched: Fetched) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        send(handler, 200, content_length=None, transfer_encoding="chunked")
        handler.wfile.write(b"400\r\n" + BODY[:1024] + b"\r\n0\r\n\r\n")

    server.answer = answer
    assert fetched(server.url) == BODY[:1024]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("kept", [0, 1, 20, 100_000, -4, -1])
def test_S7_an_encoded_body_that_ends_too_soon_is_refused_whatever_its_length_says(
    server: Server, fetched: Fetched, encoding: str, kept: int
) -> None:
    whole = gzip.compress(BODY) if encoding == "gzip" else zlib.compress(BODY)
    server.answer = lambda handler, _: send(handler, 200, whole[:kept], content_encoding=encoding)
    error = fetched.failure(server.url, attempts=2)
    assert error.cause == "http"
    assert "cut" in str(error)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", gzip.compress(BODY[:7]) + gzip.compress(BODY[7:]), id="two-gzips"),
        pytest.param("deflate", zlib.compress(BODY), id="zlib"),
        pytest.param("deflate", zlib.compress(BODY, wbits=-15), id="without-a-head"),
    ],
)
def test_every_form_of_an_encoding_is_undone(
    server: Server, fetched: Fetched, encoding: str, body: bytes
) -> None:
    server.answer = lambda handler, _: send(handler, 200, body, content_encoding=encoding)
    assert fetched(server.url) == BODY


def test_S7_a_broken_encoding_is_refused(server: Server, fetched: Fetched) -> None:
    body = bytearray(gzip.compress(BODY))
    body[1000] ^= 0xFF
    server.answer = lambda handler, _: send(handler, 200, bytes(body), content_encoding="gzip")
    assert fetched.failure(server.url).cause == "http"


@pytest.mark.parametrize(
    ("line", "pause_s"),
    [
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", 0.0, id="endless-1xx"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.05, id="early-hints"),
        pytest.param(b"H", 0.05, id="a-byte-now-and-then"),
    ],
)
@pytest.mark.parametrize("limit", ["timeout_s", "stall_s"])
def test_S7_headers_without_end_keep_to_the_clock(
    server: Server, fetched: Fetched, line: bytes, pause_s: float, limit: str
) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            handler.wfile.write(line)
            time.sleep(pause_s)

    server.answer = answer
    started = time.monotonic()
    far = {"timeout_s": PATIENCE_S, "stall_s": PATIENCE_S}
    fetched.failure(server.url, attempts=1, **{**far, limit: 1.0})
    assert time.monotonic() - started < PATIENCE_S / 2


def test_B28_a_trickle_ends_in_a_timeout(server: Server, fetched: Fetched) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        send(handler, 200, content_length=100_000)
        for _ in range(200):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    server.answer = answer
    assert fetched.failure(server.url, stall_s=0.5).cause == "timeout"


def test_B28_a_body_that_outlasts_the_limit_ends_in_a_timeout(
    server: Server, fetched: Fetched
) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        send(handler, 200, content_length=100_000_000)
        for _ in range(200):
            handler.wfile.write(bytes(10_000))
            time.sleep(0.02)

    server.answer = answer
    assert fetched.failure(server.url, timeout_s=0.5, max_bytes=1 << 30).cause == "timeout"


def test_B28_stalled_headers_end(server: Server, fetched: Fetched) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-")
        handler.wfile.flush()
        time.sleep(1)

    server.answer = answer
    assert fetched.failure(server.url, stall_s=0.2, attempts=2).cause == "http"


def test_B28_headers_that_trickle_end_by_the_deadline(server: Server, fetched: Fetched) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            handler.wfile.write(b"X: y\r\n")
            time.sleep(0.05)

    server.answer = answer
    started = time.monotonic()
    assert fetched.failure(server.url, timeout_s=1.0, stall_s=PATIENCE_S).cause == "timeout"
    assert time.monotonic() - started < PATIENCE_S / 2


def test_B29_five_redirects_are_followed_and_no_more(server: Server, fetched: Fetched) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        left = int(handler.path.strip("/"))
        send(handler, 302, location=f"/{left - 1}") if left else send(handler, 200, BODY)

    server.answer = answer
    assert fetched(f"{server.url}/5") == BODY
    fetched.target.unlink()
    assert "redirects" in str(fetched.failure(f"{server.url}/6"))


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://a/b", "data:,x", "gopher://a/"])
def test_D11_a_redirect_to_another_scheme_is_refused(
    server: Server, fetched: Fetched, target: str
) -> None:
    server.answer = lambda handler, _: send(handler, 302, location=target)
    assert fetched.failure(server.url).cause == "refused"


def test_D15_an_endless_body_ends_at_the_cap(server: Server, fetched: Fetched) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        send(handler, 200, content_length=None, transfer_encoding="chunked")
        while True:
            handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    server.answer = answer
    assert fetched.failure(server.url, max_bytes=1_000_000).cause == "too_large"
    assert not fetched.partial.exists()


def test_D15_an_announced_size_above_the_cap_is_refused_unread(
    server: Server, fetched: Fetched
) -> None:
    server.answer = lambda handler, _: send(handler, 200, content_length=10**12)
    assert fetched.failure(server.url).cause == "too_large"


def test_D15_a_gzip_bomb_ends_at_the_cap(server: Server, fetched: Fetched) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    server.answer = lambda handler, _: send(handler, 200, bomb, content_encoding="gzip")
    assert fetched.failure(server.url, max_bytes=5_000_000).cause == "too_large"


def test_an_encoded_body_is_decoded(server: Server, fetched: Fetched) -> None:
    body = gzip.compress(BODY)
    server.answer = lambda handler, _: send(handler, 200, body, content_encoding="gzip", etag='"a"')
    assert fetched(server.url) == BODY


def test_an_encoding_nobody_asked_for_is_refused(server: Server, fetched: Fetched) -> None:
    server.answer = lambda handler, _: send(handler, 200, b"x", content_encoding="br")
    assert fetched.failure(server.url).cause == "refused"


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json"])
def test_A29_a_web_page_is_not_media(server: Server, fetched: Fetched, kind: str) -> None:
    server.answer = lambda handler, _: send(handler, 200, b"<html>", content_type=kind)
    error = fetched.failure(f"{server.url}/a.gif")
    assert error.cause == "not_media"
    assert kind.partition(";")[0] in str(error)


def test_D23_no_secret_of_a_url_reaches_a_message(server: Server, fetched: Fetched) -> None:
    server.answer = lambda handler, _: send(handler, 404)
    url = f"http://user:hunter2@127.0.0.1:{server.port}/a.gif?token=hunter2#hunter2"
    assert "hunter2" not in fetched.failure(url).reason
    assert display(url) == f"{server.url}/a.gif"
    for path in fetched.partial.parent.iterdir():
        assert b"hunter2" not in path.read_bytes()


def test_an_unknown_host_is_not_tried_again(
    fetched: Fetched, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def unknown(host: object, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert fetched.failure("http://nowhere.example/", backoff_s=5).cause == "http"
    assert len(asked) == 1


@pytest.mark.parametrize("url", ["http://", "http://[", "http://a:b/", "https:///x"])
def test_an_invalid_url_is_refused(fetched: Fetched, url: str) -> None:
    assert fetched.failure(url).cause in ("refused", "http")
