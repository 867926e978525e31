"""The fetcher against loopback servers that misbehave in every way we know of."""

import contextlib
import datetime
import gzip
import hashlib
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from video2gif.core import egress
from video2gif.core.errors import ItemError
from video2gif.core.sandbox import Limits, Worker
from video2gif.media import pages
from video2gif.media.fetch import Policy, display, fetch, fetch_item, fetching

BODY = hashlib.shake_256(b"a film").digest(300_000)


class Server:
    """A loopback server; `answer(handler, n)` writes the n-th answer (0-based)."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.answer: Callable[[BaseHTTPRequestHandler, int], None] = lambda _h, _n: None
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.requests.append({**headers, "path": self.path})
                self.close_connection = True
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    server.answer(self, len(server.requests) - 1)

            def log_message(self, *_: object) -> None:
                pass

        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._httpd.daemon_threads = True
        self.port = self._httpd.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._httpd.serve_forever, args=(0.01,), daemon=True).start()

    def use_tls(self, certificate: Path) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        self._httpd.socket = tls.wrap_socket(self._httpd.socket, server_side=True)

    def close(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: object
) -> None:
    """An answer; `content_length=None` leaves the header out."""
    handler.send_response_only(status)
    for name, value in {"content_length": len(body), **headers}.items():
        if value is not None:
            handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)


def send_range(handler: BaseHTTPRequestHandler, body: bytes, etag: str, **headers: object) -> None:
    """What a well-behaved server answers, with If-Range."""
    wanted = handler.headers.get("Range")
    if wanted and handler.headers.get("If-Range") == etag:
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        send(handler, 206, body[start:], content_range=span, etag=etag, **headers)
    else:
        send(handler, 200, body, etag=etag, **headers)


def reset(handler: BaseHTTPRequestHandler) -> None:
    """End the connection with RST."""
    handler.wfile.flush()
    time.sleep(0.05)  # Let the client read what was sent: RST discards what it has not.
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


class Fetched:
    """Fetches into a folder of this test's own, quickly."""

    def __init__(self, folder: Path) -> None:
        self.target = folder / "target"
        self.partial = folder / "partial" / "one"

    def __call__(self, url: str, **changes: object) -> bytes:
        options: dict = {
            "max_bytes": 10_000_000,
            "timeout_s": 20.0,
            "allow_private": True,
            "backoff_s": 0.01,
            "stall_s": 2.0,
        }
        policy = Policy(**options | changes)
        fetch(url, self.target, partial=self.partial, policy=policy)
        return self.target.read_bytes()

    def failure(self, url: str, **changes: object) -> ItemError:
        with pytest.raises(ItemError) as caught:
            self(url, **changes)
        assert not self.target.exists()
        return caught.value


@pytest.fixture
def fetched(tmp_path: Path) -> Fetched:
    return Fetched(tmp_path)


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
        end = time.monotonic() + 8
        while time.monotonic() < end:
            handler.wfile.write(line)
            time.sleep(pause_s)

    server.answer = answer
    started = time.monotonic()
    fetched.failure(server.url, attempts=1, **{"timeout_s": 20.0, "stall_s": 20.0, limit: 1.0})
    assert time.monotonic() - started < 4


OTHER = BODY[::-1]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(lambda h: send(h, 200, OTHER, etag='"v1"'), id="range-ignored"),
        pytest.param(lambda h: send_range(h, OTHER, '"v2"'), id="etag-changed"),
        pytest.param(
            lambda h: (
                send(h, 206, OTHER[1000:], content_range="bytes 1000-299999/300000", etag='"v2"')
                if "Range" in h.headers
                else send(h, 200, OTHER, etag='"v2"')
            ),
            id="206-of-another-version",
        ),
        pytest.param(
            lambda h: (
                send(h, 206, OTHER[500:], content_range="bytes 500-299999/300000", etag='"v1"')
                if "Range" in h.headers
                else send(h, 200, OTHER, etag='"v1"')
            ),
            id="206-from-elsewhere",
        ),
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
        for _ in range(100):
            handler.wfile.write(b"X: y\r\n")
            time.sleep(0.05)

    server.answer = answer
    started = time.monotonic()
    assert fetched.failure(server.url, timeout_s=1.0, stall_s=30.0).cause == "timeout"
    assert time.monotonic() - started < 4


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


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "169.254.169.254",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0x7f000001",
        "127.1",
        "2130706433",
        "017700000001",
    ],
)
def test_D12_private_addresses_are_refused(server: Server, fetched: Fetched, host: str) -> None:
    error = fetched.failure(f"http://{host}:{server.port}/", allow_private=False)
    assert error.cause == "refused"
    assert not server.requests


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert egress.is_public(address)


def fake_names(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> list[str]:
    """Resolve `names` to their addresses, one a call; returns the names asked for."""
    genuine, asked = socket.getaddrinfo, []

    def resolve(host: str, *args: object, **options: object) -> object:
        if host not in names:
            return genuine(host, *args, **options)  # type: ignore[arg-type]
        asked.append(host)
        answers = names[host]
        return genuine(answers.pop(0) if len(answers) > 1 else answers[0], *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def connect_to(monkeypatch: pytest.MonkeyPatch, server: Server) -> list[str]:
    """Send every connection to the test's server; returns the addresses that were meant."""
    genuine, meant = socket.create_connection, []

    def connect(address: tuple[str, int], *args: object, **options: object) -> socket.socket:
        meant.append(address[0])
        return genuine(("127.0.0.1", server.port), *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", connect)
    return meant


def test_D14_the_checked_address_is_the_connected_one(
    server: Server, fetched: Fetched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second answer, a private one, is never asked for."""
    asked = fake_names(monkeypatch, {"films.example": ["93.184.216.34", "127.0.0.1"]})
    meant = connect_to(monkeypatch, server)
    server.answer = lambda handler, _: send(handler, 200, BODY)
    assert fetched("http://films.example/a.mp4", allow_private=False) == BODY
    assert (asked, meant) == (["films.example"], ["93.184.216.34"])
    assert server.requests[0]["host"] == "films.example"


@pytest.mark.parametrize(("host", "trusted"), [("films.example", True), ("other.example", False)])
def test_D27_tls_is_checked_against_the_name_not_the_pinned_address(
    server: Server,
    fetched: Fetched,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    host: str,
    trusted: bool,
) -> None:
    certificate = certify("films.example", tmp_path)
    server.use_tls(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    fake_names(monkeypatch, {host: ["93.184.216.34"]})
    connect_to(monkeypatch, server)
    server.answer = lambda handler, _: send(handler, 200, BODY)
    if trusted:
        assert fetched(f"https://{host}/a.mp4", allow_private=False) == BODY
    else:
        assert "certificate" in str(fetched.failure(f"https://{host}/a.mp4", allow_private=False))
        assert not server.requests


def certify(name: str, folder: Path) -> Path:
    """A self-signed certificate for a name, its key in the same file."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.datetime.now() - datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, start)
        .not_valid_after(start + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def test_D13_a_redirect_to_a_private_address_is_refused(
    server: Server, fetched: Fetched, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_names(monkeypatch, {"films.example": ["93.184.216.34"]})
    connect_to(monkeypatch, server)
    server.answer = lambda handler, _: send(handler, 302, location="http://127.0.0.1/secret")
    error = fetched.failure("http://films.example/a.mp4", allow_private=False)
    assert (error.cause, len(server.requests)) == ("refused", 1)


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


def test_B30_yt_dlp_may_not_skip_run_or_read_anything(tmp_path: Path) -> None:
    options = pages.options(tmp_path, pages.PageLimits(max_bytes=5, allow_private=False))
    assert options["skip_unavailable_fragments"] is False
    assert options["allowed_extractors"] == ["default", "-generic"]
    assert options["postprocessors"] == []
    assert "exec_cmd" not in options
    with pytest.raises(ItemError, match="max_bytes"):
        options["progress_hooks"][0]({"downloaded_bytes": 6})


def test_D28_yt_dlp_connects_to_public_addresses_only_and_says_no_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    fake_names(monkeypatch, {"vimeo.com": ["127.0.0.1"], "player.vimeo.com": ["127.0.0.1"]})
    # A handler that another test left behind would print this test's own lines, url and all.
    monkeypatch.setattr("logging.raiseExceptions", False)
    limits = pages.PageLimits(max_bytes=5, allow_private=False)
    with pytest.raises(ItemError) as caught:
        pages.fetch_page("https://vimeo.com/1?token=hunter2", tmp_path / "out", limits=limits)
    assert caught.value.cause == "refused"
    assert "hunter2" not in caught.value.reason + "".join(capfd.readouterr())
    assert not list(tmp_path.iterdir())


def test_only_pages_of_video_sites_go_to_yt_dlp() -> None:
    assert pages.is_known_site("https://www.youtube.com/watch?v=007f_EMcxQM")
    assert not pages.is_known_site("https://notyoutube.com/watch?v=1")
    assert pages.has_extractor("https://www.ted.com/talks/a_talk")
    assert not pages.has_extractor("https://films.example/watch.html")


def test_D28_guarded_sockets_refuse_private_names() -> None:
    with (
        egress.guarded_sockets(allow_private=False) as refusals,
        pytest.raises(ItemError, match="not a public address"),
    ):
        socket.create_connection(("localhost", 9))
    assert [error.cause for error in refusals] == ["refused"]
    assert socket.getaddrinfo("localhost", 9)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_RAW])
def test_S1_guarded_sockets_are_for_tcp_only(kind: int) -> None:
    with egress.guarded_sockets(allow_private=True), pytest.raises(PermissionError):
        socket.socket(socket.AF_INET, kind)


# --- in its child, which has no network of its own ---


def in_a_child(url: str, folder: Path, *, is_private_allowed: bool) -> bytes:
    policy = Policy(max_bytes=10_000_000, timeout_s=20, allow_private=is_private_allowed)
    work, item = fetching(policy), fetch_item("one", url, policy)
    with Worker(work.limits, root=folder) as worker:
        args = {**item.args, "params": work.params}
        worker.run(work.function, args, folder / "out", kept=folder / "partial" / "one")
    return (folder / "out").read_bytes()


def test_S2_a_child_fetches_through_its_parent(server: Server, tmp_path: Path) -> None:
    server.answer = lambda handler, n: send(
        handler, 200, BODY[: (n or 0) * 200_000 + 100_000], content_length=len(BODY)
    )
    assert in_a_child(f"{server.url}/a.mp4", tmp_path, is_private_allowed=True) == BODY
    assert not list((tmp_path / "partial").iterdir())


def test_S2_what_a_child_may_reach_is_decided_in_its_parent(server: Server, tmp_path: Path) -> None:
    """Even if the child asks for everything."""
    policy = Policy(max_bytes=10_000_000, timeout_s=20, allow_private=True)
    item = fetch_item("one", server.url, policy)
    limits = Limits(wall_s=20, network="public")
    args = {**item.args, "params": {"allow_private": True}}
    with Worker(limits, root=tmp_path) as worker, pytest.raises(ItemError) as caught:
        worker.run("video2gif.media.fetch:work", args, tmp_path / "out", kept=tmp_path / "kept")
    assert caught.value.cause == "refused"
    assert not server.requests


def test_S2_a_child_checks_certificates_through_its_parent(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certify("films.example", tmp_path)
    server.use_tls(certificate)
    fake_names(monkeypatch, {"films.example": ["93.184.216.34"], "b.example": ["93.184.216.34"]})
    connect_to(monkeypatch, server)
    server.answer = lambda handler, _: send(handler, 200, BODY)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    url = "https://films.example/a.mp4"
    assert in_a_child(url, tmp_path, is_private_allowed=False) == BODY
    with pytest.raises(ItemError, match="certificate"):
        in_a_child("https://b.example/a.mp4", tmp_path, is_private_allowed=False)


def test_B35_a_killed_child_leaves_what_came_for_the_next(server: Server, tmp_path: Path) -> None:
    policy = Policy(max_bytes=10_000_000, timeout_s=20, allow_private=True)
    item = fetch_item("one", server.url, policy)
    args = {**item.args, "params": {"allow_private": True}}
    kept = tmp_path / "partial" / "one"
    with Worker(Limits(network="any"), root=tmp_path) as worker:

        def kill(handler: BaseHTTPRequestHandler, n: int) -> None:
            send(handler, 200, BODY[:50_000], content_length=len(BODY), etag='"v1"')
            for _ in range(200):
                if sum(path.stat().st_size for path in tmp_path.rglob("body")) == 50_000:
                    break
                time.sleep(0.05)
            assert worker._child is not None
            worker._child.kill()

        server.answer = kill
        with pytest.raises(ItemError, match="SIGKILL"):
            worker.run("video2gif.media.fetch:work", args, tmp_path / "out", kept=kept)
    server.answer = lambda handler, _: send_range(handler, BODY, '"v1"')
    assert in_a_child(server.url, tmp_path, is_private_allowed=True) == BODY
    assert server.requests[-1]["range"] == "bytes=50000-"
