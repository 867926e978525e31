"""The embedded corpus: small videos with planted moments, and GIFs that were cut from them.

The project renders it itself, so that the whole pipeline runs without a download. All randomness is
seeded by ids, so every rendering gives the same bytes. A manifest names the media as
`sample:video/<video_id>` and `sample:gif/<gif_id>`, and `work` renders what such a url names.
`data/sample.csv` is the output of `python -m video2gif.sample`. The true spans of the GIFs are
known (`truth`), but the manifest does not contain them: matching has to find them.
"""

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from video2gif.core.errors import ItemError
from video2gif.core.sandbox import Limits
from video2gif.core.work import Item, Work
from video2gif.media import encode
from video2gif.sample import makers, scenes, script
from video2gif.sample.script import FPS

MANIFEST_COLUMNS = (
    "video_id",
    "video_url",
    "gif_id",
    "gif_url",
    "views",
    "age_days",
    "category",
    "title",
    "tags",
    "split",
)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Where a GIF really comes from: frames [start_frame, end_frame), seconds likewise."""

    gif_id: str
    video_id: str
    start_frame: int
    end_frame: int
    start_s: float
    end_s: float
    speed: float
    planted: bool
    """False for a GIF of a dull shot, which is planted as a wrong label."""
    edits: str


def truth() -> list[Truth]:
    """The exact source span of every GIF of the corpus."""
    return [
        Truth(
            gif_id=gif.gif_id,
            video_id=gif.video_id,
            start_frame=gif.start_frame,
            end_frame=gif.end_frame,
            start_s=gif.start_frame / FPS,
            end_s=gif.end_frame / FPS,
            speed=gif.edits.speed,
            planted=gif.planted,
            edits=str(gif.edits),
        )
        for gif in script.gifs()
    ]


def manifest_rows(limit: int | None = None) -> list[dict[str, str]]:
    """Manifest rows of the first `limit` videos (None: of all), one row a GIF."""
    chosen = {video.video_id: video for video in islice(script.videos(), limit)}
    return [
        {
            "video_id": gif.video_id,
            "video_url": f"sample:video/{gif.video_id}",
            "gif_id": gif.gif_id,
            "gif_url": f"sample:gif/{gif.gif_id}",
            "views": str(gif.views),
            "age_days": str(gif.age_days),
            "category": chosen[gif.video_id].category,
            "title": chosen[gif.video_id].title,
            "tags": "|".join(chosen[gif.video_id].tags),
            "split": "",
        }
        for gif in script.gifs()
        if gif.video_id in chosen
    ]


def manifest_csv(limit: int | None = None) -> str:
    """The same as the text of a manifest file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, MANIFEST_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(manifest_rows(limit))
    return text.getvalue()


def rendering(*, timeout_s: float) -> Work:
    """The work of `sample_item`s."""
    return Work(
        function=f"{__name__}:work",
        libraries=("av", "numpy", "opencv-python-headless"),
        limits=Limits(wall_s=timeout_s),
    )


def sample_item(item_id: str, source: str) -> Item:
    """What a `sample:` url names, as an item of `rendering`."""
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Item(id=item_id, inputs=(digest,), args={"source": source})


def work(*, out: Path, params: Mapping[str, Any], source: str) -> None:
    """Render what a `sample:` url names to `out`, an mp4 or a GIF; `params` is not used.

    Raises `ItemError("missing", …)` for a url that names nothing of the corpus.
    """
    kind, _, name = source.removeprefix("sample:").partition("/")
    if kind == "video":
        _render_video(out, name)
    elif kind == "gif":
        _render_gif(out, name)
    else:
        raise ItemError("missing", f"{source}: expected sample:video/ID or sample:gif/ID")


def _render_video(out: Path, video_id: str) -> None:
    video = next((v for v in script.videos() if v.video_id == video_id), None)
    if video is None:
        raise ItemError("missing", f"sample:video/{video_id}: the corpus has no such video")
    encode.write_video(out, scenes.frames(video), fps=FPS)


def _render_gif(out: Path, gif_id: str) -> None:
    gif = next((g for g in script.gifs() if g.gif_id == gif_id), None)
    if gif is None:
        raise ItemError("missing", f"sample:gif/{gif_id}: the corpus has no such GIF")
    video = next(v for v in script.videos() if v.video_id == gif.video_id)
    shot = next(s for s in video.shots if s.start_frame <= gif.start_frame < s.end_frame)
    span = islice(
        scenes.render(shot), gif.start_frame - shot.start_frame, gif.end_frame - shot.start_frame
    )
    makers.make_gif(out, list(span), gif)
