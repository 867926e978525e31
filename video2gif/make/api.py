"""What a script calls: `video2gif.rank`, `make`, `match` and `find`.

The command line makes the same calls. Each function takes files and returns small frozen values;
what is computed is kept in the item store, so asking again costs little.

    import video2gif

    for moment in video2gif.rank("film.mp4").moments[:3]:
        print(moment.start_s, moment.end_s, moment.score, moment.why)
    print(video2gif.make("film.mp4", "gifs", top=3).gifs[0].path)

All errors are `video2gif.Video2GifError`: a `UserError` says what to change in the call, an
`ItemError` what is wrong with the file.
"""

import contextlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from video2gif.core.config import Params, params_at
from video2gif.core.errors import UserError
from video2gif.core.items import Context
from video2gif.core.layout import Layout
from video2gif.make.analysis import Analysis
from video2gif.make.finder import LibrarySearch, search
from video2gif.make.inputs import expand
from video2gif.make.match import Found, match_files
from video2gif.make.progress import watched
from video2gif.make.rankers import Moment, Ranker, analysed, choose_ranker
from video2gif.make.rankers import rank as rank_analysis

if TYPE_CHECKING:
    from video2gif.gifs.render import GifOptions
    from video2gif.make.moments import Choice

File = str | os.PathLike[str]


@dataclass(frozen=True)
class Ranking:
    """The segments of a video, best first."""

    video: Path
    ranker: str
    """Who gave the scores, in words."""
    moments: tuple[Moment, ...]
    """Of equal scores the earlier one comes first; one without a score (NaN) stands last."""


@dataclass(frozen=True)
class Gif:
    """A GIF (WebP, AVIF, MP4) that was written."""

    path: Path
    start_s: float
    """Where it begins in the video, seconds: a loop may begin a little beside its moment."""
    end_s: float
    width: int
    height: int
    bytes: int
    moment: Moment
    """The ranked moment that it shows."""


@dataclass(frozen=True)
class Gifs:
    """What was made of one video."""

    video: Path
    ranker: str
    gifs: tuple[Gif, ...]
    """Best first."""
    page: Path
    """An HTML page that plays them."""


@dataclass(frozen=True)
class Place:
    """Where in a video a GIF was found, or why it was not."""

    video: Path
    status: str
    """`matched`, `ambiguous`, `unmatched`, or `quarantined` for a video that cannot be read."""
    start_s: float
    """Seconds; NaN unless a span was found."""
    end_s: float
    speed: float
    """Video seconds that pass in one GIF second, negative if it plays backwards; NaN if unknown."""
    confidence: float
    """Probability, in [0, 1], that both ends are right."""
    is_mirrored: bool
    reason: str
    """Why it is not `matched`; "" if it is."""


@dataclass(frozen=True)
class Settings:
    """Parameters and a ranker: all that a ranking depends on besides the video."""

    params: Params
    ranker: Ranker


def settings(
    project: File = ".",
    *,
    ranker: str | None = None,
    about: str | None = None,
    marks: File | None = None,
    context: Context | None = None,
) -> Settings:
    """The project's parameters (outside one: the package's), and the ranker that is asked for.

    `ranker`: `default`, `baseline` or a model file; None: the project's model if it has learned
    from real videos, else `default`. `about`: rank by what is in the picture instead, such as
    `dog`. `marks`: a file that the review page wrote; the ranking is bent to it. Raises
    `UserError`.
    """
    if ranker is not None and about is not None:
        raise UserError("--about ranks by what is in the picture: give it or --ranker, not both")
    root = Path(project)
    params = params_at(root)
    chosen = choose_ranker(ranker, params, layout=Layout(root), about=about)
    if marks is not None:
        from video2gif.make.personal import personal_of_file

        chosen = personal_of_file(chosen, Path(marks), params, context or Context.default())
    return Settings(params, chosen)


def rank(
    video: File,
    *,
    ranker: str | None = None,
    about: str | None = None,
    marks: File | None = None,
    project: File = ".",
) -> Ranking:
    """Rank the segments of a video, best first.

    `ranker`, `about`, `marks` and `project` are those of `settings`. Raises `UserError`, and
    `ItemError` for a file that is no whole video.
    """
    context = Context.default()
    chosen = settings(project, ranker=ranker, about=about, marks=marks, context=context)
    _, moments = ranked(Path(video), chosen, context)
    return Ranking(Path(video), chosen.ranker.name, tuple(moments))


def ranked(video: Path, chosen: Settings, context: Context) -> tuple[Analysis, list[Moment]]:
    """`rank` for a caller that has its settings, watches, and shows more: the command line."""
    with watched(video, context) as watching:
        analysis = analysed(video, chosen.ranker, chosen.params, watching)
        return analysis, rank_analysis(analysis, chosen.ranker, watching)


def make(
    video: File,
    output: File = "gifs",
    *,
    top: int = 6,
    options: "GifOptions | None" = None,
    choice: "Choice | None" = None,
    ranker: str | None = None,
    about: str | None = None,
    marks: File | None = None,
    project: File = ".",
) -> Gifs:
    """Make GIFs of the best moments of a video, and a page that plays them, in `output`.

    `video`: a file or a URL. `options`: size, rate, format, loop and byte budget
    (`video2gif.GifOptions`). `choice`: which moments, instead of `top` (`video2gif.Choice`). The
    rest is that of `settings`. Raises `UserError`, and `ItemError` for a file that is no whole
    video or has no moment that fits.
    """
    from video2gif.gifs.render import GifOptions
    from video2gif.make.moments import Choice
    from video2gif.make.run import Run

    context = Context.default()
    chosen = settings(project, ranker=ranker, about=about, marks=marks, context=context)
    run = Run(
        chosen.params,
        chosen.ranker,
        options or GifOptions(),
        choice or Choice(top=top),
        Path(output),
        context,
    )
    run.all([os.fspath(video)], skip=lambda _: contextlib.nullcontext())
    (made,) = run.done
    gifs = tuple(
        Gif(
            one.path,
            one.recipe.start_s,
            one.recipe.end_s,
            one.width,
            one.recipe.height,
            one.bytes,
            one.moment,
        )
        for one in made.gifs
    )
    return Gifs(made.analysis.path, chosen.ranker.name, gifs, run.page)


def match(gif: File, videos: File | Sequence[File], *, project: File = ".") -> tuple[Place, ...]:
    """Find which of the videos a GIF was made from, and where; the surest first.

    `videos`: one or several files, folders or patterns. A video that cannot be read is listed as
    `quarantined`. Raises `UserError`, and `ItemError` if the GIF itself cannot be read.
    """
    paths = [Path(path) for path in expand([os.fspath(video) for video in _several(videos)])]
    found = match_files(Path(gif), paths, params_at(Path(project)), Context.default())
    return tuple(_place(one) for one in found)


def find(
    clips: File | Sequence[File], films: File | Sequence[File], *, project: File = "."
) -> LibrarySearch:
    """Find where in the films each of many clips comes from: `video2gif match CLIPS --in FILMS`.

    `clips`, `films`: one or several files, folders or patterns. What was compared before is not
    compared again. A file that cannot be read has its reason. Raises `UserError`.
    """
    wanted, library = (
        [Path(path) for path in expand([os.fspath(one) for one in _several(some)], clips=is_clip)]
        for some, is_clip in ((clips, True), (films, False))
    )
    return search(wanted, library, params_at(Path(project)), Context.default())


def _several(some: File | Sequence[File]) -> Sequence[File]:
    return [some] if isinstance(some, str | os.PathLike) else some


def _place(found: Found) -> Place:
    match, nothing = found.match, math.nan
    if match is None:
        return Place(
            found.video, "quarantined", nothing, nothing, nothing, 0.0, False, found.failure
        )
    return Place(
        video=found.video,
        status=match.status,
        start_s=match.span.start_s if match.span else nothing,
        end_s=match.span.end_s if match.span else nothing,
        speed=match.speed,
        confidence=match.confidence,
        is_mirrored=match.mirror,
        reason=match.reason,
    )
