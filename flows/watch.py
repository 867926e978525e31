"""The deployment `watch-folder`: new videos in a folder or a bucket prefix, ranked GIFs out.

A video is known by its content: its GIFs lie in `<out>/<stem>-<sha256, 16 digits>/`, and the
`done.json` there, written last, says that it is finished. So every content is processed exactly
once, whatever it is called and however often a run is killed.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import guard, server

server.quiet()

import fsspec  # noqa: E402  (after the settings Prefect reads)
from prefect import flow, get_run_logger, task  # noqa: E402
from prefect.artifacts import create_markdown_artifact, create_table_artifact  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402

from flows import runs  # noqa: E402
from video2gif.core.errors import Exit, Video2GifError  # noqa: E402

_HIDDEN = (".", "_")


class NotYet(Video2GifError):
    """A video could not be processed now for a reason that is not its own: tried again."""


@dataclass(frozen=True)
class Arrived:
    """A video that lies in the watched folder."""

    name: str
    path: str
    sha256: str

    @property
    def folder(self) -> str:
        return f"{Path(self.name).stem}-{self.sha256[:16]}"


@flow(name="watch-folder", persist_result=False)
def watch_folder(
    folder: str,
    out: str,
    *,
    top: int = 6,
    ranker: str = "baseline",
    settle_s: float = 10.0,
    timeout_s: float = 3600.0,
) -> None:
    """Process every video of `folder` whose content is new, one after the other.

    `folder`, `out`: paths or fsspec URLs (s3://bucket/prefix). A file younger than `settle_s` may
    still be growing and waits for the next run. `timeout_s` is for one video.
    """
    watched = Watched(folder, out)
    rows = []
    with guard.locked(watched.lock, wait_s=60):
        for video in watched.new(settle_s):
            rows.append({"video": video.name, "sha256": video.sha256[:16]})
            state = _ranked.with_options(task_run_name=video.folder)(
                watched, video, top=top, ranker=ranker, timeout_s=timeout_s, return_state=True
            )
            rows[-1]["became"] = str(state.result() if state.is_completed() else state.name)
    create_table_artifact(key="videos", table=rows, description=f"New in {folder}")
    get_run_logger().info("%d new videos in %s", len(rows), folder)
    failed = [row["video"] for row in rows if row["became"] not in ("done", "quarantined")]
    if failed:
        raise NotYet(f"{folder}: not processed, tried again by the next run: {', '.join(failed)}")


class Watched:
    """A watched folder and where its GIFs go, on any file system fsspec knows."""

    def __init__(self, folder: str, out: str) -> None:
        self._fs, self._folder = fsspec.core.url_to_fs(folder)
        self._out_fs, self._out = fsspec.core.url_to_fs(out, auto_mkdir=True)
        name = hashlib.sha256(f"{self._fs.protocol}{self._out}".encode()).hexdigest()[:16]
        self.lock = Path(tempfile.gettempdir()) / f"video2gif-watch-{name}.lock"

    def new(self, settle_s: float) -> Iterator[Arrived]:
        """Videos whose content nobody has finished, by name; two files alike are one."""
        seen = self._seen()
        for path, info in sorted(self._fs.find(self._folder, maxdepth=1, detail=True).items()):
            name = path.rpartition("/")[2]
            if name.startswith(_HIDDEN) or _age_s(info) < settle_s:
                continue
            # To know a film's content is to read all of it: not again each minute while nothing
            # changed.
            stamp = f"{info['size']} {_changed(info)}"
            if seen.get(name, ("",))[0] != stamp:
                seen[name] = (stamp, self._digest(path))
                self._out_fs.pipe_file(f"{self._out}/.seen.json", json.dumps(seen).encode())
            video = Arrived(name, path, seen[name][1])
            if not self._finished(video):
                yield video

    def _seen(self) -> dict[str, tuple[str, str]]:
        try:
            found: dict[str, tuple[str, str]] = json.loads(
                self._out_fs.cat_file(f"{self._out}/.seen.json")
            )
            return found
        except (FileNotFoundError, ValueError):
            return {}

    def _digest(self, path: str) -> str:
        with self._fs.open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _finished(self, video: Arrived) -> bool:
        found = self._out_fs.glob(f"{self._out}/*-{video.sha256[:16]}/done.json")
        return bool(found)

    def fetch(self, video: Arrived, folder: Path) -> Path:
        """The video as a local file: itself where it is one."""
        if "file" in _protocols(self._fs):
            return Path(video.path)
        target = folder / video.name
        self._fs.get_file(video.path, str(target))
        return target

    def publish(self, video: Arrived, made: Path, became: str, reason: str) -> None:
        """Copy what was made to its place; done.json comes last."""
        place = f"{self._out}/{video.folder}"
        if self._out_fs.exists(place):  # Left by a run that was killed.
            self._out_fs.rm(place, recursive=True)
        self._out_fs.makedirs(place, exist_ok=True)
        for path in sorted(p for p in made.rglob("*") if p.is_file()):
            self._out_fs.put_file(str(path), f"{place}/{path.relative_to(made).as_posix()}")
        note = {"video": video.name, "sha256": video.sha256, "became": became, "reason": reason}
        self._out_fs.pipe_file(f"{place}/done.json", json.dumps(note, indent=2).encode())


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_jitter_factor=0.5,
)
def _ranked(watched: Watched, video: Arrived, *, top: int, ranker: str, timeout_s: float) -> str:
    """GIFs of one video: done, or quarantined with the reason. Raises `NotYet` to be retried."""
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "gifs"
        made.mkdir()
        source = watched.fetch(video, Path(temporary))
        options = ["--top", str(top), "--ranker", ranker, "--quiet"]
        words = ["gif", str(source), "-o", str(made), *options]
        code, words_said = _video2gif(words, timeout_s)
        became = "done" if code == Exit.CLEAN else "quarantined"
        if code not in (Exit.CLEAN, Exit.QUARANTINED, Exit.TOO_MANY_FAILED):
            raise NotYet(f"{video.name} ({video.sha256[:16]}): exit code {code}: {words_said}")
        watched.publish(video, made, became, "" if became == "done" else words_said)
        get_run_logger().info("%s: %s %s", video.folder, became, words_said)
        _show(video, made)
    return became


def _video2gif(words: list[str], timeout_s: float) -> tuple[int, str]:
    """Run the command line tool: its exit code and its last words."""
    # -P: a file in the working folder must not become a module of ours.
    command = [sys.executable, "-P", "-m", "video2gif", *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return Exit.QUARANTINED, f"ran past its limit of {timeout_s:g} s"
    return done.returncode, done.stderr.strip()[-500:]


def _show(video: Arrived, made: Path) -> None:
    images = runs.previews(sorted(made.rglob("*.gif")))
    if images:
        markdown = "\n".join([f"**{video.name}** `{video.sha256}`", "", *images])
        create_markdown_artifact(key="gifs", markdown=markdown, description=video.folder)


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _changed(info: dict[str, Any]) -> str:
    return str(info.get("mtime") or info.get("ETag") or info.get("LastModified") or "")


def _age_s(info: dict[str, Any]) -> float:
    """Seconds since a local file was written; objects of a bucket appear whole."""
    return time.time() - info["mtime"] if "mtime" in info else float("inf")
