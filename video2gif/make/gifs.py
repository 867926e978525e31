"""Write the chosen moments of a video as GIFs, WebPs or MP4s."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from video2gif.items import Context, Item, Work, atomic_path, compute
from video2gif.make.analysis import Analysis, Moment, payload_of
from video2gif.page.pictures import unpack_clip

Format = Literal["gif", "webp", "mp4"]


@dataclass(frozen=True)
class MadeGif:
    """A GIF on disk and the moment it shows."""

    path: Path
    moment: Moment
    bytes: int


@dataclass(frozen=True, kw_only=True)
class GifOptions:
    """How GIFs are written."""

    height: int = 240
    fps: int = 10
    max_bytes: int | None = None
    format: Format = "gif"


def make_gifs(
    analysis: Analysis,
    moments: Sequence[Moment],
    folder: Path,
    options: GifOptions,
    context: Context,
) -> list[MadeGif]:
    """Write one GIF a moment into `folder`, named so that they sort: 01_0m42s_0.87.gif.

    Beside each stands its first frame, 01_0m42s_0.87.jpg, for the page. Files appear whole or
    not at all. Raises `ItemError` when one cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = Work(
        function="video2gif.page.pictures:clip_work",
        params={
            "height": options.height,
            "fps": options.fps,
            "format": options.format,
            "max_bytes": options.max_bytes,
        },
        libraries=("av", "opencv-python"),
    )
    items = [
        Item(
            id=f"video:{analysis.path.name}#{moment.rank}",
            inputs=(analysis.sha256, repr(moment.start_s), repr(moment.end_s)),
            args={
                "path": str(analysis.path.resolve()),
                "start_s": moment.start_s,
                "end_s": moment.end_s,
            },
        )
        for moment in moments
    ]
    made = []
    for moment, outcome in zip(moments, compute("gif", work, items, context), strict=True):
        clip, still = unpack_clip(payload_of(outcome, context))
        path = folder / f"{_name(moment)}.{options.format}"
        _write(path, clip)
        _write(path.with_suffix(".jpg"), still)
        made.append(MadeGif(path, moment, len(clip)))
    return made


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _name(moment: Moment) -> str:
    minutes, seconds = divmod(int(moment.start_s), 60)
    score = "unscored" if np.isnan(moment.score) else f"{moment.score:.2f}"
    return f"{moment.rank:02d}_{minutes}m{seconds:02d}s_{score}"
