"""Pages of video sites, against loopback servers: yt-dlp starts no program and asks nobody else.

127.0.0.1 stands for the internet here, 127.0.0.2 for what is private. The parent dials for the
child, so saying so to the parent is enough. Every program that yt-dlp knows lies in $PATH and
leaves a mark when it is started.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from video2gif.core import egress
from video2gif.core.errors import ItemError
from video2gif.core.sandbox import Limits, Worker

TESTS = Path(__file__).parent
SEGMENT = bytes(range(256)) * 400  # 102,400 bytes
KEY, IV = bytes(range(16)), bytes(16)
PROGRAMS = (
    *("ffmpeg", "ffprobe", "avconv", "rtmpdump", "mplayer", "mpv", "curl", "wget", "aria2c"),
    *("axel", "httpie", "http", "phantomjs", "deno", "node", "bun", "qjs", "AtomicParsley"),
)


class Site:
    """A server whose answers are made by `answer(path)`; counts what it is asked and sends."""

    def __init__(self, host: str) -> None:
        self.asked: list[str] = []
        self.sent_bytes = 0
        self.answer: Callable[[str], bytes | None] = lambda _: None
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                body = site.answer(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    site.sent_bytes += self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        self._httpd = ThreadingHTTPServer((host, 0), Handler)
        self._httpd.daemon_threads = True
        self.url = f"http://{host}:{self._httpd.server_address[1]}"
        threading.Thread(target=self._httpd.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()


@pytest.fixture
def public() -> Iterator[Site]:
    site = Site("127.0.0.1")
    yield site
    site.close()


@pytest.fixture
def private() -> Iterator[Site]:
    site = Site("127.0.0.2")
    site.answer = lambda _: b"secret" * 20_000
    yield site
    site.close()


class Pages:
    """Fetches pages in a child, as the pipeline does; it stays warm from test to test."""

    def __init__(self, folder: Path, marks: Path) -> None:
        self.folder, self.marks = folder, marks
        limits = Limits(wall_s=60, network="public", disk_bytes=8_000_000)
        self.warm = Worker(limits, root=folder)

    def fetch(self, url: str, *, max_bytes: int = 5_000_000, worker: Worker | None = None) -> bytes:
        args = {"params": {}, "url": url, "max_bytes": max_bytes}
        (worker or self.warm).run("work:fetch_page", args, self.out)
        return self.out.read_bytes()

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def started(self) -> list[str]:
        """The programs that were started."""
        return sorted(path.name for path in self.marks.iterdir())


@pytest.fixture(scope="module")
def warm_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("pages")
    marks, programs = folder / "marks", folder / "bin"
    marks.mkdir()
    programs.mkdir()
    for name in PROGRAMS:
        path = programs / name
        path.write_text(f'#!/bin/sh\n: > "{marks}/{name}"\necho "{name} version 7.1"\n')
        path.chmod(0o755)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.setenv("PYTHONPATH", str(TESTS))
        monkeypatch.setattr(egress, "is_public", lambda address: address == "127.0.0.1")
        pages = Pages(folder, marks)
        with pages.warm:
            yield pages


@pytest.fixture
def pages(warm_pages: Pages) -> Pages:
    for path in (*warm_pages.marks.iterdir(), warm_pages.out):
        path.unlink(missing_ok=True)
    return warm_pages


def page(public: Site, formats: list[dict], files: dict[str, bytes], **info: object) -> str:
    """Serve a page of one film; returns its address."""
    said = {"id": "film", "title": "a film", "formats": formats, **info}
    known = {"/page/film": json.dumps(said).encode(), **files}
    public.answer = lambda path: known.get(path)
    return f"{public.url}/page/film"


def playlist(segments: list[str], key: str = "") -> bytes:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2"]
    if key:
        lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="{key}",IV=0x{IV.hex()}')
    lines += [line for url in segments for line in ("#EXTINF:2.0,", url)]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


def encrypted(content: bytes) -> bytes:
    ciphers = pytest.importorskip("cryptography.hazmat.primitives.ciphers")
    pad = 16 - len(content) % 16
    encryptor = ciphers.Cipher(ciphers.algorithms.AES(KEY), ciphers.modes.CBC(IV)).encryptor()
    return encryptor.update(content + bytes([pad]) * pad) + encryptor.finalize()


def hls(public: Site, protocol: str = "m3u8_native") -> list[dict]:
    url = f"{public.url}/list.m3u8"
    return [{"format_id": "0", "url": url, "ext": "mp4", "protocol": protocol, "height": 240}]


@pytest.mark.parametrize("protocol", ["m3u8", "m3u8_native"])
def test_S1_hls_is_fetched_without_a_program(public: Site, pages: Pages, protocol: str) -> None:
    files = {
        "/list.m3u8": playlist(["a.ts", "b.ts"]),
        "/a.ts": SEGMENT,
        "/b.ts": SEGMENT[::-1],
    }
    assert pages.fetch(page(public, hls(public, protocol), files)) == SEGMENT + SEGMENT[::-1]
    assert pages.started == []


def test_S1_encrypted_hls_is_decrypted_without_a_program(public: Site, pages: Pages) -> None:
    short = SEGMENT[:2000]  # yt-dlp's own AES is slow.
    files = {
        "/list.m3u8": playlist(["a.ts"], key="key.bin"),
        "/key.bin": KEY,
        "/a.ts": encrypted(short),
    }
    assert pages.fetch(page(public, hls(public), files)) == short
    assert pages.started == []


@pytest.mark.parametrize("what", ["key", "segment", "list", "page"])
def test_S1_nothing_private_is_asked(public: Site, private: Site, pages: Pages, what: str) -> None:
    key = f"{private.url}/key.bin" if what == "key" else ""
    segment = f"{private.url}/a.ts" if what == "segment" else "a.ts"
    files = {"/list.m3u8": playlist([segment], key), "/a.ts": SEGMENT[:1600]}
    formats = hls(public)
    if what == "list":
        formats[0]["url"] = f"{private.url}/list.m3u8"
    url = page(public, formats, files)
    with pytest.raises(ItemError) as caught:
        pages.fetch(f"{private.url}/page/film" if what == "page" else url)
    assert caught.value.cause in ("refused", "http")
    assert private.asked == []
    assert pages.started == []
    assert not pages.out.exists()


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "encrypted"])
def test_S1_segments_without_end_stop_at_the_limit(
    public: Site, pages: Pages, is_encrypted: bool
) -> None:
    files = {"/list.m3u8": playlist([f"{n}.ts" for n in range(3000)], "key.bin" * is_encrypted)}
    url = page(public, hls(public), files)
    known, segment = public.answer, SEGMENT[: 1600 if is_encrypted else None]
    body = encrypted(segment) if is_encrypted else segment
    key = lambda path: KEY if path == "/key.bin" else None  # noqa: E731
    public.answer = lambda path: known(path) or key(path) or (body if ".ts" in path else None)
    max_bytes = 20_000 if is_encrypted else 2_000_000
    with pytest.raises(ItemError) as caught:
        pages.fetch(url, max_bytes=max_bytes)
    assert caught.value.cause == "too_large"
    served = sum(".ts" in path for path in public.asked) * len(body)
    assert served <= max_bytes + len(body)


def test_S1_dash_is_fetched_without_a_program(public: Site, pages: Pages) -> None:
    formats = [
        {
            "format_id": "0",
            "url": f"{public.url}/film.mpd",
            "ext": "mp4",
            "vcodec": "h264",
            "acodec": "none",
            "height": 240,
            "protocol": "http_dash_segments",
            "fragment_base_url": f"{public.url}/",
            "fragments": [{"path": "init.mp4"}, {"path": "1.m4s"}, {"path": "2.m4s"}],
        }
    ]
    files = {"/init.mp4": b"init", "/1.m4s": SEGMENT, "/2.m4s": SEGMENT[::-1]}
    url = page(public, formats, files)
    assert pages.fetch(url) == b"init" + SEGMENT + SEGMENT[::-1]
    assert pages.started == []


def test_S1_a_plain_file_behind_a_page_is_fetched(public: Site, pages: Pages) -> None:
    formats = [{"format_id": "0", "url": f"{public.url}/a.mp4", "ext": "mp4", "height": 240}]
    assert pages.fetch(page(public, formats, {"/a.mp4": SEGMENT})) == SEGMENT


def test_S1_pictures_and_sound_apart_give_the_pictures(public: Site, pages: Pages) -> None:
    """Joining them would need a program."""
    sound = {"url": f"{public.url}/a.m4a", "ext": "m4a", "vcodec": "none", "acodec": "aac"}
    video = {"url": f"{public.url}/a.mp4", "ext": "mp4", "vcodec": "h264", "acodec": "none"}
    formats = [{"format_id": "s", **sound}, {"format_id": "v", "height": 240, **video}]
    assert pages.fetch(page(public, formats, {"/a.mp4": SEGMENT})) == SEGMENT
    assert pages.started == []


@pytest.mark.parametrize(
    ("protocol", "scheme", "info"),
    [
        ("rtmp", "rtmp", {}),
        ("rtmpe", "rtmpe", {}),
        ("rtmp_ffmpeg", "rtmp", {}),
        ("rtsp", "rtsp", {}),
        ("mms", "mms", {}),
        ("websocket_frag", "http", {}),
        ("niconico_live", "http", {}),
        ("fc2_live", "http", {}),
        ("m3u8", "http", {"is_live": True}),
        ("m3u8_native", "http", {"is_live": True}),
        ("http_dash_segments", "http", {"is_live": True}),
        ("https", "file", {}),
        ("https", "http", {"section_start": 1, "section_end": 2}),
    ],
)
def test_S1_what_would_need_a_program_is_refused_or_done_without(
    public: Site, pages: Pages, protocol: str, scheme: str, info: dict
) -> None:
    url = f"{scheme}://{public.url.partition('://')[2]}/list.m3u8"
    formats = [{"format_id": "0", "url": url, "ext": "mp4", "protocol": protocol, "height": 240}]
    files = {"/list.m3u8": playlist(["a.ts"]), "/a.ts": SEGMENT}
    with contextlib.suppress(ItemError):
        pages.fetch(page(public, formats, files, **info))
    assert pages.started == []


def test_S1_nothing_outlives_the_child(public: Site, pages: Pages) -> None:
    files = {"/list.m3u8": playlist([f"{n}.ts" for n in range(3000)])}
    url = page(public, hls(public), files)
    known = public.answer

    def slowly(path: str) -> bytes | None:
        if ".ts" in path:
            time.sleep(0.2)
            return b"x"
        return known(path)

    public.answer = slowly
    limits = Limits(wall_s=8, network="public")
    own = pages.folder / "own"
    with Worker(limits, root=own) as worker, pytest.raises(ItemError) as caught:
        pages.fetch(url, worker=worker)
    assert caught.value.cause == "timeout"
    time.sleep(0.5)
    asked = len(public.asked)
    time.sleep(1)
    assert len(public.asked) == asked
    assert not list((own / "children").iterdir())
