"""What the review page knows of a folder's videos, and the thread that works on them.

Files: videos lie in the folder itself, marks in marks.csv beside them, what is made in gifs/NAME/.
One thread does all long work, in order; requests read what is known and put jobs in its queue.
"""

import math
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from video2gif.core.config import Params
from video2gif.core.errors import ItemError, Video2GifError
from video2gif.core.items import Context
from video2gif.core.mappers import WarmMapper, default_mapper
from video2gif.core.store import ItemStore
from video2gif.datasets.marks import Mark, read_marks, with_mark, without_mark, write_marks
from video2gif.gifs.render import GifOptions
from video2gif.make.analysis import Analysis, whole_strip, window_strip
from video2gif.make.inputs import is_video
from video2gif.make.moments import Choice, choose, exactly, why
from video2gif.make.personal import personal
from video2gif.make.progress import watched
from video2gif.make.rankers import Moment, Ranker, analysed, rank
from video2gif.make.write import MadeGif, export, make_gifs, remove_stale

FilmState = Literal["new", "waiting", "working", "ready", "failed"]
MARKS = "marks.csv"
_GIFS = "gifs"
_MAX_WAITING = 32
_MAX_EXPORTS = 100  # listed for one film
_TOP = 6
_GIF_HEIGHT = 200


@dataclass
class Export:
    """A GIF of a span that was set by hand."""

    number: int
    start_s: float
    end_s: float
    format: str
    state: FilmState = "waiting"
    reason: str = ""
    made: MadeGif | None = None


@dataclass
class Film:
    """One video of the folder. Changed by the working thread only, but for `exports`."""

    path: Path
    stamp: tuple[int, int]
    """Size and time of change: another file under the same name is another film."""
    state: FilmState = "new"
    stage: str = ""
    share: float = 0.0
    reason: str = ""
    analysis: Analysis | None = None
    moments: Sequence[Moment] = ()
    made: Sequence[MadeGif] = ()
    whys: Sequence[Sequence[str]] = ()
    """Why each of `made`."""
    strip: bytes = b""
    is_personal: bool = False
    exports: list[Export] = field(default_factory=list)

    @property
    def files(self) -> dict[str, Path]:
        """What of it may be served, by name."""
        gifs = [*self.made, *(one.made for one in self.exports if one.made)]
        paths = [path for gif in gifs for path in (gif.path, gif.path.with_suffix(".jpg"))]
        return {path.name: path for path in paths}


class Full(Video2GifError):
    """Too many jobs wait."""


class Review:
    """The videos of one folder."""

    def __init__(
        self, folder: Path, params: Params, ranker: Ranker, store: ItemStore | None = None
    ) -> None:
        self.folder = folder
        self.params = params
        self.ranker = ranker
        self._store = store or ItemStore.default()
        self._films: dict[str, Film] = {}
        self._marks = read_marks(folder / MARKS)
        self._lock = threading.Lock()  # Around `_films`, `_marks` and lists of exports.
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._work, name="review", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the job that runs come to its end, drop the others."""
        while True:
            try:
                self._jobs.get_nowait()
            except queue.Empty:
                break
        self._jobs.put(None)

    def films(self) -> list[Film]:
        """The videos that are there now, by name."""
        paths = (path for path in self.folder.iterdir() if is_video(path, clips=True))
        found = [Film(path, _stamp(path)) for path in sorted(paths) if path.name.isprintable()]
        with self._lock:
            known = {(film.path, film.stamp): film for film in self._films.values()}
            now = [known.get((film.path, film.stamp), film) for film in found]
            self._films = {film.path.name: film for film in now}
            return now

    def film(self, name: str) -> Film:
        """One video. Raises `ItemError` (missing)."""
        with self._lock:
            film = self._films.get(name)
        if film is None:
            film = next((one for one in self.films() if one.path.name == name), None)
        if film is None:
            raise ItemError("missing", "no such video in the folder")
        return film

    # What is asked for

    def start(self, name: str) -> None:
        """Analyse a video and make its GIFs, unless that is done or under way."""
        film = self.film(name)
        with self._lock:
            if film.state in ("waiting", "working", "ready"):
                return
            film.state, film.reason = "waiting", ""
        self._enqueue(lambda: self._make(film, is_personal=False), film)

    def personalise(self, name: str) -> None:
        """Rank a video again by all marks, and make the GIFs of the new order."""
        film = self.film(name)
        if film.analysis is None:
            raise ItemError("missing", "the video has not been analysed yet")
        with self._lock:
            if film.state in ("waiting", "working"):
                return
            film.state = "waiting"
        self._enqueue(lambda: self._make(film, is_personal=True), film)

    def export(self, name: str, start_s: float, end_s: float, options: GifOptions) -> Export:
        """A GIF of just this span."""
        film = self.film(name)
        if film.analysis is None:
            raise ItemError("missing", "the video has not been analysed yet")
        chosen = exactly(film.analysis, start_s, end_s)
        moment = chosen.moment
        with self._lock:
            number = film.exports[-1].number + 1 if film.exports else 0
            wanted = Export(number, moment.start_s, moment.end_s, options.format)
            film.exports = [*film.exports, wanted][-_MAX_EXPORTS:]  # Older files stay on the disk.
        try:
            self._enqueue(lambda: self._export(film, wanted, options), wanted)
        except Full:
            with self._lock:
                film.exports = [one for one in film.exports if one is not wanted]
            raise
        return wanted

    def mark(self, name: str, start_s: float, end_s: float, verdict: str) -> None:
        """Write a verdict (good, bad; anything else takes it back) on a span."""
        mark = Mark(
            self.film(name).path.name, start_s, end_s, "bad" if verdict == "bad" else "good"
        )
        change = with_mark if verdict in ("good", "bad") else without_mark
        with self._lock:
            marks = change(self._marks, mark)
            write_marks(self.folder / MARKS, marks)
            self._marks = marks

    def marks(self, name: str = "") -> list[Mark]:
        """The marks of one video, or of all."""
        with self._lock:
            return [mark for mark in self._marks if name in ("", mark.video)]

    def frames(
        self, film: Film, start_s: float, end_s: float, count: int, height: int, mapper: WarmMapper
    ) -> bytes:
        """A JPEG of `count` frames of a window side by side. Call it from one thread only."""
        if film.analysis is None:
            raise ItemError("missing", "the video has not been analysed yet")
        pts_s = film.analysis.fingerprint.pts_s
        times_s = np.linspace(start_s, end_s, 2 * count + 1)[1::2] if count > 1 else [start_s]
        # The frame that is on the screen at that time.
        numbers = np.searchsorted(pts_s, np.asarray(times_s) + 1e-6, side="right") - 1
        wanted = np.unique(np.clip(numbers, 0, len(pts_s) - 1)).tolist()
        context = Context(self._store, mapper)
        return window_strip(film.analysis, wanted, height=height, context=context)

    # The working thread

    def _enqueue(self, job: Callable[[], None], owner: Film | Export) -> None:
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            owner.state, owner.reason = "failed", "too many jobs are waiting; try again later"
            raise Full(owner.reason) from None

    def _work(self) -> None:
        warm = WarmMapper()
        self._warm = warm
        while (job := self._jobs.get()) is not None:
            job()
        warm.close()

    def _make(self, film: Film, *, is_personal: bool) -> None:
        film.state, film.share = "working", 0.0
        try:
            context = Context(self._store, default_mapper(), _telling(film))
            with watched(film.path, context) as context:
                self._ranked(film, is_personal, context)
            film.state = "ready"
        except Video2GifError as error:
            film.state, film.reason = "failed", _reason(error)
        except Exception as error:  # A job must not take the thread, and all others, with it.
            film.state, film.reason = "failed", f"crash: {type(error).__name__}: {error}"

    def _ranked(self, film: Film, is_personal: bool, context: Context) -> None:
        ranker: Ranker = self.ranker
        analysis = film.analysis or analysed(film.path, ranker, self.params, context)
        if is_personal:
            ranker = personal(
                self.ranker, self.marks(), folder=self.folder, params=self.params, context=context
            )
        moments = rank(analysis, ranker, context)
        chosen = choose(analysis, moments, Choice(top=_TOP))
        strip = film.strip or whole_strip(analysis, context)
        before = [gif.path.name for gif in film.made]
        made = make_gifs(
            analysis,
            chosen,
            self._folder_of(film),
            GifOptions(height=_GIF_HEIGHT),
            context,
            ranker=ranker,
            params=self.params,
        )
        film.whys = [why(analysis, moments, gif.moment) for gif in made]
        film.analysis, film.strip, film.moments, film.made = analysis, strip, moments, made
        film.is_personal = ranker is not self.ranker
        remove_stale(self._folder_of(film), before, [gif.path.name for gif in made])

    def _export(self, film: Film, wanted: Export, options: GifOptions) -> None:
        wanted.state = "working"
        assert film.analysis is not None
        try:
            wanted.made = export(
                film.analysis,
                exactly(film.analysis, wanted.start_s, wanted.end_s),
                self._folder_of(film),
                options,
                Context(self._store, self._warm),
                ranker=self.ranker,
                params=self.params,
            )
            wanted.state = "ready"
        except Video2GifError as error:
            wanted.state, wanted.reason = "failed", _reason(error)
        except Exception as error:
            wanted.state, wanted.reason = "failed", f"crash: {type(error).__name__}: {error}"

    def _folder_of(self, film: Film) -> Path:
        return self.folder / _GIFS / film.path.name


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


# As JSON


def listed(film: Film, marks: Sequence[Mark]) -> dict[str, Any]:
    """A video in the list."""
    return {
        "name": film.path.name,
        "state": film.state,
        "stage": film.stage,
        "share": round(film.share, 3),
        "reason": film.reason,
        "marks": len(marks),
    }


def described(film: Film, marks: Sequence[Mark]) -> dict[str, Any]:
    """All that the page shows of a video."""
    found = listed(film, marks) | {
        "marks": [{"start_s": m.start_s, "end_s": m.end_s, "verdict": m.verdict} for m in marks],
        "exports": [_export_json(one) for one in list(film.exports)],
    }
    analysis = film.analysis
    if analysis is None:
        return found
    known = analysis.fingerprint
    return found | {
        "duration_s": known.end_s,
        "fps": len(known.pts_s) / known.end_s if known.end_s else 0.0,
        "width": known.width,
        "height": known.height,
        "is_personal": film.is_personal,
        "segments": [
            [round(m.start_s, 3), round(m.end_s, 3), _number(m.score)]
            for m in sorted(film.moments, key=lambda m: m.start_s)
        ],
        "gifs": [
            _gif_json(gif)
            | {
                "rank": gif.moment.rank,
                "score": _number(gif.moment.score),
                "segment": [gif.moment.start_s, gif.moment.end_s],
                "why": facts,
            }
            for gif, facts in zip(film.made, film.whys, strict=False)
        ],
    }


def _export_json(one: Export) -> dict[str, Any]:
    found = {name: getattr(one, name) for name in ("number", "start_s", "end_s", "format")}
    found |= {"state": one.state, "reason": one.reason}
    return found | (_gif_json(one.made) | found if one.made else {})


def _gif_json(gif: MadeGif) -> dict[str, Any]:
    return {
        "file": gif.path.name,
        "still": gif.path.with_suffix(".jpg").name,
        "start_s": gif.recipe.start_s,
        "end_s": gif.recipe.end_s,
        "bytes": gif.bytes,
        "width": gif.width,
        "height": gif.recipe.height,
        "fps": gif.recipe.rate,
        "loop": gif.recipe.loop,
        "loop_score": round(gif.seam.score, 3),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _reason(error: Video2GifError) -> str:
    return error.reason if isinstance(error, ItemError) else str(error)


def _telling(film: Film) -> Callable[[str, int, int], None]:
    def progress(stage: str, done: int, total: int) -> None:
        film.stage, film.share = stage, done / max(total, 1)

    return progress
