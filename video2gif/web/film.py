"""One film of the review page's folder, what has been made of it, and how that goes."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from video2gif.core.errors import ItemError
from video2gif.make.analysis import Analysis
from video2gif.make.moments import Why
from video2gif.make.page import Made
from video2gif.make.rankers import Moment, Ranker
from video2gif.make.remedies import Told
from video2gif.make.write import MadeGif
from video2gif.media.poster import Poster

FilmState = Literal["new", "waiting", "working", "ready", "failed"]
BUSY = ("waiting", "working")
_SOON, _EARLY_S = 0.03, 1.0  # Before that, the time that is left would be guessed from nothing.


@dataclass
class Export:
    """A GIF of a span that was set by hand."""

    number: int
    start_s: float
    end_s: float
    format: str
    state: FilmState = "waiting"
    failure: Told | None = None
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
    began_s: float = 0.0
    """When the stage began, by the monotonic clock."""
    failure: Told | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when a person has no more use for what is under way; a new one for each try."""
    analysis: Analysis | None = None
    moments: Sequence[Moment] = ()
    made: Sequence[MadeGif] = ()
    whys: Sequence[Why] = ()
    """Why each of `made`."""
    strip: bytes = b""
    strip_path: Path | None = None
    poster: Poster | ItemError | None = None
    """Its picture, or why there is none; None until somebody looks."""
    ranker: Ranker | None = None
    """Who ranked `moments`."""
    is_personal: bool = False
    exports: list[Export] = field(default_factory=list)

    @property
    def files(self) -> dict[str, Path]:
        """What of it may be served, by name."""
        gifs = [*self.made, *(one.made for one in self.exports if one.made)]
        paths = [path for gif in gifs for path in (gif.path, gif.path.with_suffix(".jpg"))]
        return {path.name: path for path in paths}

    @property
    def result(self) -> Made | None:
        """What the page of `video2gif gif` shows of it; None until it is ready."""
        if self.analysis is None or not self.made:
            return None
        return Made(self.analysis, self.moments, self.made, self.strip_path)

    @property
    def duration_s(self) -> float | None:
        """Its length, as far as that is known."""
        if self.analysis is not None:
            return self.analysis.fingerprint.end_s
        return self.poster.duration_s or None if isinstance(self.poster, Poster) else None

    def tell(self, stage: str, done: int, total: int) -> None:
        """Progress of what is being made of it."""
        if stage != self.stage:
            self.stage, self.began_s = stage, time.monotonic()
        self.share = done / max(total, 1)

    def give_up(self) -> None:
        """Nobody wants what was under way: no failure, and what there was before is still there."""
        self.state, self.failure = ("ready" if self.made else "new"), None

    @property
    def left_s(self) -> float | None:
        """Seconds to the end of this stage if it goes on as it went; None while nobody can say."""
        passed_s = time.monotonic() - self.began_s
        if self.state != "working" or self.share < _SOON or passed_s < _EARLY_S:
            return None
        return passed_s * (1 - self.share) / self.share


def stamp_of(path: Path) -> tuple[int, int]:
    """Size and time of change."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns
