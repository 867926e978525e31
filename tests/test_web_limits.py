"""The review page's server under clients that only take: connections, room, pictures, lists."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from video2gif.core.errors import ItemError
from video2gif.web import connections, uploads
from video2gif.web.connections import Connection, Message
from video2gif.web.guard import Guard, Receive, Scope, Send
from video2gif.web.review import Full
from video2gif.web.uploads import Room


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with how much came, and whether it was all."""
    if scope["type"] != "http":
        return
    size, message = 0, await receive()
    while message["type"] == "http.request":
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
        message = await receive()
    status = 200 if message["type"] == "http.request" else 408
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.fixture
def port() -> Iterator[int]:
    """A server as `run` starts it, in a thread."""
    app = Guard(echo, hosts={"127.0.0.1"})
    config = uvicorn.Config(app, http=Connection, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def connected(port: int, sent: bytes = b"") -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), timeout=20)
    one.sendall(sent)
    return one


def is_ended(one: socket.socket) -> bool:
    try:
        return one.recv(1) == b""
    except ConnectionResetError:
        return True


def test_S6_a_thousand_half_open_connections_keep_nobody_out(port: int) -> None:
    connections.raise_limit_of_files()
    many = [connected(port, b"GET / HTTP/1.1\r\n") for _ in range(1100)]
    try:
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=20).status_code == 200
        assert is_ended(many[0])  # The oldest had to go.
    finally:
        for one in many:
            one.close()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: 127", id="half-a-header"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET", id="half-a-second-header"),
    ],
)
def test_S6_a_header_that_does_not_come_ends_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEADER_S", 0.5)
    with connected(port, sent) as one:
        while one.recv(4096):  # Answers, then the end.
            pass


def test_S6_a_header_a_byte_at_a_time_ends_as_well(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_S", 0.5)
    with connected(port, b"GET / HTTP/1.1\r\nX: ") as one:
        for _ in range(200):
            try:
                one.sendall(b"x")
            except ConnectionError:
                return
            time.sleep(0.05)
    pytest.fail("the connection outlived its header")


def test_S6_a_body_that_comes_too_slowly_is_broken_off(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_GRACE_S", 0.5)
    header = b"POST /api/uploads/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Video2gif: 1\r\n"
    with connected(port, header + b"Content-Length: 1000\r\n\r\nx") as one:
        assert b" 408 " in one.recv(4096)


def test_a_body_that_keeps_coming_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BODY_GRACE_S", 0.5)

    async def receive() -> Message:
        await asyncio.sleep(0.1)
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def take() -> list[str]:
        received = connections.timely(receive)
        return [(await received())["type"] for _ in range(10)]

    assert asyncio.run(take()) == ["http.request"] * 10


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/api/videos/a.mp4/frames.jpg?start_s=0", "/media/a/b.gif"])
def test_S6_another_sites_page_cannot_have_pictures_made(port: int, site: str, path: str) -> None:
    headers = {"Sec-Fetch-Site": site}
    assert httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers).status_code == 403
    assert httpx.get(f"http://127.0.0.1:{port}/", headers=headers).status_code == 200
    for own in ("same-origin", "none"):
        headers = {"Sec-Fetch-Site": own}
        assert httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers).status_code == 200


# --- room for uploads ---


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 GB are free."""
    usage = type("Usage", (), {"free": 10_000_000_000})
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda _: usage)


@pytest.mark.usefixtures("free")
def test_S6_what_was_declared_is_set_aside(tmp_path: Path) -> None:
    room = Room(tmp_path, max_bytes=4_000_000_000)
    with room.reserved(3_900_000_000), room.reserved(3_900_000_000) as second:
        with pytest.raises(ItemError, match="do not fit"), room.reserved(3_900_000_000):
            pass
        second.left = 0  # It has come, and what is free is less by as much.
        with room.reserved(3_900_000_000):
            pass
    with room.reserved(3_900_000_000):
        pass


@pytest.mark.usefixtures("free")
def test_S6_an_upload_of_unknown_length_needs_all_that_it_may_take(tmp_path: Path) -> None:
    room = Room(tmp_path, max_bytes=9_000_000_000)
    with (
        room.reserved(None),
        pytest.raises(ItemError, match="do not fit"),
        room.reserved(1_000_000_000),
    ):
        pass


@pytest.mark.usefixtures("free")
def test_S6_only_so_many_upload_at_once(tmp_path: Path) -> None:
    room = Room(tmp_path, max_bytes=1000)
    held = [room.reserved(1) for _ in range(uploads._MAX_UPLOADS)]
    for one in held:
        one.__enter__()
    with pytest.raises(Full), room.reserved(1):
        pass
    held[0].__exit__(None, None, None)
    with room.reserved(1):
        pass


def test_S6_a_file_larger_than_allowed_is_refused_unread(tmp_path: Path) -> None:
    room = Room(tmp_path, max_bytes=1000)
    with pytest.raises(ItemError, match="1001 bytes; the limit is 1000"), room.reserved(1001):
        pass
