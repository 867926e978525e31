"""A server on loopback that misbehaves as asked, and a fetch from it."""

import contextlib
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from video2gif.core.errors import ItemError
from video2gif.media.fetch import Policy, fetch

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
