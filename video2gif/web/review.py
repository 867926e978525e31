"""What the review page knows of a folder's videos, and the thread that works on them.

Files: videos lie in the folder itself, marks in marks.csv beside them, what is made in gifs/NAME/.
One thread does all long work, in order; requests read what is known and put jobs in its queue.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from video2gif.core.config import Params
from video2gif.core.errors import ItemError, Video2GifError
from video2gif.core.items import Context, one
from video2gif.core.mappers import WarmMapper, default_mapper
from video2gif.core.store import ItemStore, atomic_path, file_digest
from video2gif.datasets.marks import Mark, read_marks, with_mark, without_mark, write_marks
from video2gif.gifs.render import GifOptions
from video2gif.make.analysis import whole_strip, window_strip
from video2gif.make.inputs import is_video
from video2gif.make.moments import Choice, choose, exactly, why
from video2gif.make.personal import personal
from video2gif.make.progress import watched
from video2gif.make.rankers import Ranker, analysed, rank
from video2gif.make.remedies import Told, told
from video2gif.make.write import export, make_gifs, remove_stale, span_name
from video2gif.media.poster import Poster, poster_item, postering, read_poster
from video2gif.web.film import BUSY, Export, Film, stamp_of

MARKS = "marks.csv"
_GIFS = "gifs"
_STRIP = "filmstrip.jpg"
_MAX_WAITING = 32
_MAX_EXPORTS = 100  # listed for one film
_TOP = 6
_GIF_HEIGHT = 200
_FULL = Told(
    "Too many films are waiting already.",
    "Try again when some of them are done.",
    "too many jobs are waiting; try again later",
)


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
        found = [Film(path, stamp_of(path)) for path in sorted(paths) if path.name.isprintable()]
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
            if film.state in (*BUSY, "ready"):
                return
            film.state, film.failure, film.stop = "waiting", None, threading.Event()
        self._enqueue(partial(self._make, film, film.stop, is_personal=False), film)

    def personalise(self, name: str) -> None:
        """Rank a video again by all marks, and make the GIFs of the new order."""
        film = self.film(name)
        if film.analysis is None:
            raise ItemError("missing", "the video has not been analysed yet")
        with self._lock:
            if film.state in BUSY:
                return
            film.state, film.failure, film.stop = "waiting", None, threading.Event()
        self._enqueue(partial(self._make, film, film.stop, is_personal=True), film)

    def stop(self, name: str) -> None:
        """Give up what waits or is under way for a video; what is done stays."""
        film = self.film(name)
        with self._lock:
            film.stop.set()
            if film.state == "waiting":
                film.give_up()

    def export(
        self, name: str, start_s: float, end_s: float, options: GifOptions, stem: str = ""
    ) -> Export:
        """A GIF of just this span; `stem`: the name it is to have, without extension."""
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
            self._enqueue(lambda: self._export(film, wanted, options, stem), wanted)
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

    def look(self, film: Film, mapper: WarmMapper) -> Poster:
        """A picture of a video, and its length. Call it from one thread only.

        Raises `ItemError` where there is none.
        """
        if film.poster is None:
            try:
                item = poster_item(
                    f"poster:{film.path.name}", film.path, sha256=file_digest(film.path)
                )
                context = Context(self._store, mapper)
                film.poster = read_poster(one("poster", postering(), item, context))
            except ItemError as error:
                film.poster = error
        if isinstance(film.poster, ItemError):
            raise film.poster
        return film.poster

    # The working thread

    def _enqueue(self, job: Callable[[], None], owner: Film | Export) -> None:
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            owner.state, owner.failure = "failed", _FULL
            raise Full(_FULL.detail) from None

    def _work(self) -> None:
        warm = WarmMapper()
        self._warm = warm
        while (job := self._jobs.get()) is not None:
            job()
        warm.close()

    def _make(self, film: Film, stop: threading.Event, *, is_personal: bool) -> None:
        if stop.is_set():
            return
        with _failing(film):
            film.stage = ""
            film.tell("check", 0, 1)
            film.state = "working"
            context = Context(self._store, default_mapper(stop=stop), film.tell)
            with watched(film.path, context) as context:
                self._ranked(film, is_personal, context)
            film.state = "ready"
        if stop.is_set():
            film.give_up()

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
        folder = self._folder_of(film)
        before = [gif.path.name for gif in film.made]
        made = make_gifs(
            analysis,
            chosen,
            folder,
            GifOptions(height=_GIF_HEIGHT),
            context,
            ranker=ranker,
            params=self.params,
        )
        film.whys = [why(analysis, moments, gif.moment) for gif in made]
        film.analysis, film.strip, film.moments, film.made = analysis, strip, moments, made
        film.ranker, film.is_personal = ranker, ranker is not self.ranker
        film.strip_path = folder / _STRIP
        with atomic_path(film.strip_path) as temporary:
            temporary.write_bytes(strip)
        remove_stale(folder, before, [gif.path.name for gif in made])

    def _export(self, film: Film, wanted: Export, options: GifOptions, stem: str) -> None:
        assert film.analysis is not None
        with _failing(wanted):
            wanted.state = "working"
            chosen = exactly(film.analysis, wanted.start_s, wanted.end_s)
            wanted.made = export(
                film.analysis,
                chosen,
                self._folder_of(film),
                options,
                Context(self._store, self._warm),
                ranker=self.ranker,
                params=self.params,
                stem=_free(stem, film) if stem else span_name(film.analysis, chosen.moment),
            )
            wanted.state = "ready"

    def _folder_of(self, film: Film) -> Path:
        return self.folder / _GIFS / film.path.name


def _free(stem: str, film: Film) -> str:
    """The name, or with a number where a file of the film has it."""
    taken = {Path(name).stem for name in film.files} | {Path(_STRIP).stem}
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    return name


@contextmanager
def _failing(owner: Film | Export) -> Iterator[None]:
    """Let what goes wrong be the owner's failure: it must not take the thread, and all others."""
    try:
        yield
    except ItemError as error:
        owner.failure, owner.state = told(error), "failed"
    except Video2GifError as error:
        owner.failure, owner.state = told(ItemError("environment", str(error))), "failed"
    except Exception as error:
        crash = ItemError("crash", f"{type(error).__name__}: {error}")
        owner.failure, owner.state = told(crash), "failed"
