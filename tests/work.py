"""Work functions that the sandbox's children run in tests: one for each way a job can go."""

import ctypes
import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from video2gif.core.errors import ItemError


def echo(*, out: Path, params: dict, text: str) -> None:
    """Write `text` and the pid of the child."""
    out.write_text(f"{text} {params.get('suffix', '')}")


def slow_echo(*, out: Path, params: dict, text: str) -> None:
    """As long as a real item, seen from a kill."""
    out.write_text("half")
    time.sleep(0.02)
    out.write_text(f"{text} whole")


def hijacked(*, out: Path, params: dict, what: str, target: str) -> None:
    """What a decoder under foreign control would try."""
    import socket
    import subprocess

    if what == "write":
        Path(target).write_text("mine")
    elif what == "make":
        Path(target).mkdir()
    elif what == "remove":
        Path(target).unlink()
    elif what == "connect":
        socket.create_connection(("127.0.0.1", int(target)), timeout=5)
    elif what == "thread":
        with ThreadPoolExecutor(1) as pool:
            pool.submit(Path(target).write_text, "mine").result()
    elif what == "run":
        subprocess.run(["/bin/touch", target], check=True)
    out.write_text("done")


def wait(*, out: Path, params: dict, seconds: float) -> None:
    time.sleep(seconds)
    out.write_text("waited")


def megabyte(*, out: Path, params: dict) -> None:
    out.write_bytes(bytes(1_000_000))


def blas_threads(*, out: Path, params: dict) -> None:
    """Write how many threads numpy's products of matrices may take."""
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    found = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
    out.write_text(json.dumps(found))


def pid(*, out: Path, params: dict) -> None:
    out.write_text(str(os.getpid()))


def noisy(*, out: Path, params: dict) -> None:
    print("libraries print")
    sys.stdout.flush()
    out.write_text("fine")


def _status_bytes(name: str) -> int:
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index(name) + 1]) * 1024


def refuse(*, out: Path, params: dict, cause: str) -> None:
    raise ItemError(cause, "as told")


def refuse_once(*, out: Path, params: dict, kept: str, cause: str) -> None:
    """Refuse, and add a byte to `tries` in the folder that is kept for each time it was tried."""
    with Path(kept, "tries").open("ab") as file:
        file.write(b".")
    raise ItemError(cause, "as told")


def go_on(*, out: Path, params: dict, kept: str, seconds: float) -> None:
    """Write how many times it was begun."""
    tries = Path(kept, "tries")
    with tries.open("ab") as file:
        file.write(b".")
    time.sleep(seconds)
    out.write_text(str(tries.stat().st_size))


def odd_result(*, out: Path, params: dict, kind: str, target: str) -> None:
    """Leave something that is not a file."""
    if kind == "link":
        out.symlink_to(target)
    elif kind == "hard link":
        out.write_text("mine")
        out.with_name("other").hardlink_to(out)
    elif kind == "folder":
        out.mkdir()
    elif kind == "fifo":
        os.mkfifo(out)


def leave_behind(*, out: Path, params: dict) -> None:
    """Write what is in the folder, and leave there what is not easily removed."""
    out.write_text(json.dumps(os.listdir(out.parent)))
    (out.parent / "deep" / "deeper").mkdir(parents=True)
    (out.parent / "deep" / "deeper" / "file").touch()
    (out.parent / "locked").mkdir(mode=0)


def fill(*, out: Path, params: dict, many: bool) -> None:
    """Write until somebody ends it."""
    number = 0
    while True:
        with (out.with_name(f"{number}") if many else out).open("ab") as file:
            file.write(bytes(1 << 16))
        number += 1
        time.sleep(0.001)


def hang_up(*, out: Path, params: dict) -> None:
    """Close standard output as the parent knows it, and stay."""
    for number in range(3, 20):
        with suppress(OSError):
            os.close(number)
    time.sleep(3600)


def consume(*, out: Path, params: dict, path: str, kind: str) -> None:
    """Probe and fingerprint a file as the stages do; write cause, CPU seconds and bytes taken."""
    from video2gif.fingerprint import decode as fingerprint
    from video2gif.media import probe

    def both(scratch: Path) -> None:
        probe.work(out=scratch, params={}, path=path, kind=kind)  # type: ignore[arg-type]
        fingerprint.work(out=scratch, params={"max_bad_packets": 0.05}, path=path, kind=kind)

    _measure(both, out)


def measured_way(*, out: Path, path: str) -> None:
    """`whole_way`, and write cause, CPU seconds and bytes taken."""
    _measure(lambda scratch: whole_way(out=scratch, path=path), out)


def _measure(work: Callable[[Path], None], out: Path) -> None:
    base_bytes = _status_bytes("VmRSS:")
    started, cause = time.process_time(), "ok"
    scratch = out.with_suffix(".item")
    try:
        work(scratch)
    except ItemError as error:
        cause = error.cause
    finally:
        scratch.unlink(missing_ok=True)
    cpu_s = time.process_time() - started
    peak_bytes = _status_bytes("VmHWM:") - base_bytes
    out.write_text(json.dumps({"cause": cause, "cpu_s": cpu_s, "peak_bytes": peak_bytes}))


def loop(*, out: Path, params: dict, ballast: str = "") -> None:
    time.sleep(3600)


def grow(*, out: Path, params: dict) -> None:
    out.write_text(str(len(bytearray(1 << 40))))


def fall(*, out: Path, params: dict) -> None:
    ctypes.string_at(0)


def full_disk(*, out: Path, params: dict) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def cycle(*, out: Path, params: dict) -> None:
    """Leave 50 MB in a cycle and write how much is resident."""
    kept: list = [b"x" * 50_000_000]
    kept.append(kept)
    out.write_text(str(_status_bytes("VmRSS:")))


def killed(*, out: Path, params: dict) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def half_written(*, out: Path, params: dict) -> None:
    out.write_text("half")
    raise ItemError("decode", "in the middle")


def fetch_page(*, out: Path, params: dict, url: str, max_bytes: int) -> None:
    """Fetch a page whose extractor believes whatever the page says."""
    from video2gif.media import pages

    yt_dlp = pages._yt_dlp()

    class FilmIE(yt_dlp.extractor.common.InfoExtractor):  # type: ignore[misc, name-defined]
        _VALID_URL = r"http://127\.0\.0\.\d:\d+/page/(?P<id>\w+)"

        def _real_extract(self, url: str) -> dict:
            return self._download_json(url, self._match_id(url))

    yt_dlp.extractor.gen_extractor_classes()
    yt_dlp.globals.extractors.value["FilmIE"] = FilmIE
    limits = pages.PageLimits(max_bytes=max_bytes, allow_private=True)  # The parent knows better.
    pages.fetch_page(url, out, limits=limits)


def whole_way(*, out: Path, path: str) -> None:
    """A file the whole way: probed, fingerprinted, and a GIF of its middle segment."""
    from video2gif.fingerprint import decode
    from video2gif.fingerprint.read import read_fingerprint
    from video2gif.gifs import render
    from video2gif.media import probe
    from video2gif.shots.segments import segments

    probe.work(out=out, params={}, path=path, kind="video")
    decode.work(out=out, params={"max_bad_packets": 0.05}, path=path, kind="video")
    found = read_fingerprint(out.read_bytes())
    spans = segments([], found.pts_s, found.end_s, max_len_s=3.0, min_len_frames=16)
    within = render.Within.exactly(spans[len(spans) // 2], found.edges_s, hold_s=3.0)
    item = render.moment_item("x", Path(path), sha256="0", fingerprint=found, within=within)
    params = render.rendering(render.GifOptions(loop="none", height=120)).params
    render.work(out=out, params=params, **item.args)
