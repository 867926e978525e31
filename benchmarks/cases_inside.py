"""`PYTHON benchmarks/cases_inside.py`: what a version does with attacks, asked from inside.

PYTHON is the interpreter of any version's environment; that version answers. Each line is one
example of S1 to S3 and S5 to S7 in docs/reliability.md: what is right, and what came. Only what
two versions can both be asked is here; the tests hold the rest. Servers are on loopback, and
nothing is harmed where an attack succeeds. Before the house was moved modules lay elsewhere, so
each question names both places.
"""

import contextlib
import gzip
import importlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
TRIAL = HERE.parents[1] / "video2gif" / "core" / "confine" / "trial.py"
BODY = bytes(range(256)) * 40
FAR_S = 20.0
Rows = Iterator[tuple[str, str, str]]


def module(*names: str) -> Any:
    """The first of some modules that this version has."""
    for name in names:
        with contextlib.suppress(ModuleNotFoundError):
            return importlib.import_module(f"video2gif.{name}")
    raise SystemExit(f"no module of {', '.join(names)}")


def is_new() -> bool:
    return importlib.util.find_spec("video2gif.core") is not None


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def server(answer: Answer) -> Iterator[str]:
    """Its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                answer(self)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
    finally:
        httpd.shutdown()
        httpd.server_close()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: object) -> None:
    handler.send_response(status)
    for name, value in {"content_length": len(body), **headers}.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)


# --- S1: pages of video sites ---

SEGMENT = bytes(range(256)) * 10


def fetch_page(*, out: Path, params: dict[str, Any], url: str, max_bytes: int) -> None:
    """A work: fetch a page whose extractor believes whatever the page says."""
    pages = module("media.pages")
    yt_dlp = pages._yt_dlp()

    class FilmIE(yt_dlp.extractor.common.InfoExtractor):  # type: ignore[name-defined]
        _VALID_URL = r"http://127\.0\.0\.\d:\d+/page/(?P<id>\w+)"

        def _real_extract(self, url: str) -> Any:
            return self._download_json(url, self._match_id(url))

    yt_dlp.extractor.gen_extractor_classes()
    yt_dlp.globals.extractors.value["FilmIE"] = FilmIE
    if is_new():
        pages.fetch_page(url, out, limits=pages.PageLimits(max_bytes=max_bytes, allow_private=True))
    else:
        module("media.egress").is_public = lambda address: address == "127.0.0.1"
        limits = pages.Limits(max_bytes=max_bytes, allow_private=False)
        pages.fetch_page(url, out, scratch=out.parent, limits=limits)


def page(folder: Path, *, wall_s: float) -> str:
    """How the fetching of an encrypted film ended. 127.0.0.1 stands for the internet."""
    lines = [
        *("#EXTM3U", "#EXT-X-TARGETDURATION:2"),
        f'#EXT-X-KEY:METHOD=AES-128,URI="key.bin",IV=0x{bytes(16).hex()}',
        *("#EXTINF:2.0,", "a.ts", "#EXT-X-ENDLIST", ""),
    ]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        url = f"http://{handler.headers['Host']}"
        form = {"format_id": "0", "url": f"{url}/list.m3u8", "ext": "mp4", "height": 240}
        said = {"id": "film", "title": "a", "formats": [{**form, "protocol": "m3u8_native"}]}
        known = {"/page/film": json.dumps(said).encode(), "/list.m3u8": "\n".join(lines).encode()}
        known["/key.bin"] = bytes(range(16))
        send(handler, 200, known.get(handler.path, SEGMENT))

    sandbox = module("core.sandbox", "sandbox")
    with server(answer) as url:
        if is_new():
            module("core.egress").is_public = lambda address: address == "127.0.0.1"
            limits = sandbox.Limits(wall_s=wall_s, network="public")
            worker = sandbox.Worker(limits, root=folder)
        else:
            worker = sandbox.Worker(sandbox.Limits(wall_s=wall_s))
        out = folder / "out"
        args = {"params": {}, "url": f"{url}/page/film", "max_bytes": 5_000_000}
        with worker:
            try:
                worker.run(f"{HERE.stem}:fetch_page", args, out)
                end = f"{out.stat().st_size:,} bytes taken"
            except Exception as error:
                end = str(getattr(error, "cause", type(error).__name__))
        return end


def pages_of_sites(folder: Path) -> Rows:
    """An ffmpeg that stays until somebody ends it lies first on the PATH."""
    marks, programs = folder / "marks", folder / "bin"
    for one in (marks, programs):
        one.mkdir()
    program = programs / "ffmpeg"
    alive = marks / "ffmpeg"
    program.write_text(
        '#!/bin/sh\ncase "$*" in *-version*|*-bsfs*) echo "ffmpeg version 7.1"; exit;; esac\n'
        f'for i in $(seq 200); do echo . >> "{alive}"; sleep 0.1; done\n'
    )
    program.chmod(0o755)
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
    end = page(folder, wall_s=15)
    time.sleep(1)  # What dies with its child has died.
    n = alive.stat().st_size if alive.exists() else 0
    time.sleep(1)
    goes_on = "ffmpeg, which outlives the child" if n and alive.stat().st_size > n else "ffmpeg"
    yield "S1", "encrypted HLS: no program started", f"started {goes_on if n else 'none'}; {end}"


# --- S2, S3: what a child may do ---


def attempts(*, out: Path, params: dict[str, Any], folder: str, process: int) -> None:
    """A work: what `trial` of this clone tries, whatever version runs it."""
    if not is_new():
        for name in ("core", "core.confine", "core.sandbox"):
            stub = types.ModuleType(f"video2gif.{name}")
            stub.__dict__.update(Limits=object, Worker=object, in_force="", confine=None)
            sys.modules[f"video2gif.{name}"] = stub
    spec = importlib.util.spec_from_file_location("trial", TRIAL)
    assert spec
    assert spec.loader
    trial = sys.modules["trial"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trial)
    target = trial.Target(Path(folder), process)
    ends = {name: trial._end_of(attempt, target) for name, attempt in trial.ATTEMPTS.items()}
    out.write_text(json.dumps([name for name, end in ends.items() if not end]))


def confinement(folder: Path) -> Rows:
    sandbox = module("core.sandbox", "sandbox")
    inside, outside = folder / "inside", folder / "outside"
    for one in (inside, outside):
        one.mkdir()
    for name in ("precious", "old", "older"):
        (outside / name).write_text("precious")
    if is_new():
        worker = sandbox.Worker(sandbox.Limits(), root=inside)
    else:
        worker = sandbox.Worker(sandbox.Limits(confined=True), folder=inside)
    with worker:
        args = {"params": {}, "folder": str(outside), "process": os.getpid()}
        worker.run(f"{HERE.stem}:attempts", args, inside / "out")
    could = json.loads((inside / "out").read_text())
    yield "S2", "nothing outside", f"could {len(could)} things: {', '.join(could) or 'none'}"
    if is_new():
        wanted = module("core.confine.landlock").ruleset(4)[0].files
    else:
        wanted = ((1 << sandbox._FS_BITS.get(4, 16)) - 1) & ~sandbox._READ
    yield "S3", "no more than Landlock 4 knows (0x7fff) is asked of it", f"{wanted:#x}"


# --- S5: the store ---


def store(folder: Path) -> Rows:
    items = module("core.store", "store").ItemStore(folder / "store")
    one, other = "a" * 64, "b" * 64
    for key, text in ((one, "one"), (other, "other")):
        with items.writing(key) as path:
            path.write_text(text)
    items.path(other).write_bytes(items.path(one).read_bytes())
    try:
        came = f"served {items.read(other).decode()!r}"
    except Exception as error:
        came = f"refused: {str(error).rpartition(': ')[2]}"
    yield "S5", "an item under another's key is refused", came


# --- S6: the page ---


def web(folder: Path) -> Rows:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "VIDEO2GIF_CACHE": str(folder / "webcache")}
    program = Path(sys.executable).with_name("video2gif")
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        # As many files as most systems give a process.
        ["sh", "-c", 'ulimit -Sn 1024; exec "$@"', "sh", program, "serve", "--port", str(port)],
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=log,
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not asked(port, FAR_S):
            time.sleep(0.2)
        yield "S6", "half a header: closed within a minute", half_a_header(port)
        many = []
        for _ in range(1100):
            with contextlib.suppress(OSError):
                many.append(socket.create_connection(("127.0.0.1", port), timeout=5))
                many[-1].sendall(b"GET / HTTP/1.1\r\n")
        came = asked(port, FAR_S) or f"no answer in {FAR_S:g} s"
        yield "S6", "the page answers beside 1,100 half-open connections", came
        for one in many:
            one.close()
    finally:
        process.kill()
        process.wait()


def asked(port: int, seconds: float) -> str:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as one:
            one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return one.recv(64).partition(b"\r\n")[0].decode()
    except OSError:
        return ""


def half_a_header(port: int) -> str:
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        try:
            while one.recv(4096):
                pass
        except TimeoutError:
            return "open after 60 s"
        except OSError:
            pass
    return f"closed after {time.monotonic() - started:.0f} s"


# --- S7: fetching ---


def fetching(folder: Path) -> Rows:
    def cut_gzip(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, gzip.compress(os.urandom(9000))[:5000], content_encoding="gzip")

    def a_part(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers["Range"]:  # It has 1,000 bytes and asks for the others.
            part = {"content_range": f"bytes 1000-4999/{len(BODY)}"}
            send(handler, 206, BODY[1000:5000], etag='"a"', **part)
        else:
            send(handler, 200, BODY[:1000], etag='"a"', content_length=len(BODY))

    def drip(handler: BaseHTTPRequestHandler) -> None:
        end = time.monotonic() + FAR_S
        while time.monotonic() < end:
            handler.wfile.write(b"H")
            time.sleep(0.3)

    yield "S7", "a cut gzip with its own length: refused", fetched(folder, cut_gzip)
    yield "S7", "a part of the part asked for: refused, or the rest", fetched(folder, a_part)
    yield "S7", "a header's byte each 0.3 s, timeout_s 2: ended at 2 s", fetched(folder, drip)


def fetched(folder: Path, answer: Answer) -> str:
    fetch = module("media.fetch")
    policy = fetch.Policy(
        max_bytes=1_000_000, timeout_s=2, allow_private=True, attempts=2, backoff_s=0.05
    )
    started = time.monotonic()
    target = folder / "fetched"
    with server(answer) as url:
        try:
            fetch.fetch(f"{url}/a.mp4", target, partial=folder / "partial" / "a", policy=policy)
            came = f"taken as whole, {target.stat().st_size:,} bytes"
        except Exception as error:
            came = f"{getattr(error, 'cause', type(error).__name__)}"
    return f"{came} after {time.monotonic() - started:.1f} s"


def main() -> None:
    # The children of that version import the works above.
    os.environ["PYTHONPATH"] = str(HERE.parent)
    print("| | right | came |\n|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="video2gif-cases-") as name:
        for number, rows in enumerate((pages_of_sites, confinement, store, web, fetching)):
            folder = Path(name) / str(number)
            folder.mkdir()
            (folder / "partial").mkdir()
            for row in rows(folder):
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
