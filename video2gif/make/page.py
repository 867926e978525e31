"""The page and the list of what `video2gif gif` made: index.html and gifs.json."""

import base64
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from video2gif.core.names import shown, url_path
from video2gif.core.store import atomic_path
from video2gif.make.analysis import Analysis
from video2gif.make.moments import why
from video2gif.make.rankers import Moment, Ranker
from video2gif.make.write import MadeGif, remove_stale
from video2gif.page.charts import Step, clock, score_curve, time_axis
from video2gif.page.render import ClipCard, GifsPage, VideoCard, render

SHARE = "share.html"
TYPES = {
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
}
LOOPS = {
    "cut": "jumps back to its start",
    "fade": "fades into its start",
    "pingpong": "plays back and forth",
}
AddressOf = Callable[[Path], str]
"""Where a page finds a file."""


@dataclass(frozen=True)
class Made:
    """One video with all its moments and the GIFs made of the best."""

    analysis: Analysis
    moments: Sequence[Moment]
    gifs: Sequence[MadeGif]
    strip: Path | None = None
    """A filmstrip, if one could be made."""


def write_page(
    folder: Path, videos: Sequence[Made], ranker: Ranker, *, one_file: bool = False
) -> Path:
    """Write gifs.json and index.html into `folder`; returns the page's path.

    `one_file`: also share.html, the same page with its pictures inside, to be sent to somebody.
    """
    listing: dict[str, Any] = {
        "ranker": ranker.name,
        "videos": [_listing(video, folder) for video in videos],
    }
    before = _files_listed(folder)
    _write(folder / "gifs.json", json.dumps(listing, indent=2) + "\n")
    _write(folder / "index.html", page_of(videos, ranker, _beside(folder)))
    if one_file:
        _write(folder / SHARE, page_of(videos, ranker, embedded))
    remove_stale(folder, before, _files_listed(folder))
    return folder / "index.html"


def page_of(videos: Sequence[Made], ranker: Ranker, address: AddressOf) -> str:
    """The page as HTML; it asks for its pictures at their `address`."""
    count = sum(len(video.gifs) for video in videos)
    one = shown(videos[0].analysis.path.name) if len(videos) == 1 else f"{len(videos)} films"
    page = GifsPage(
        title=f"{count} GIF{'s' * (count != 1)} of {one}",
        ranker=ranker.name,
        warnings=ranker.warnings,
        videos=[_card(video, address) for video in videos],
    )
    return render(page)


def embedded(path: Path) -> str:
    """A file's content as an address, for a page that has to hold all it shows."""
    content = base64.b64encode(path.read_bytes()).decode()
    return f"data:{TYPES[path.suffix]};base64,{content}"


def _beside(folder: Path) -> AddressOf:
    return lambda path: url_path(_relative(path, folder))


def _files_listed(folder: Path) -> list[str]:
    """The GIFs of an earlier run, by its gifs.json; none if it cannot be read."""
    try:
        listing = json.loads((folder / "gifs.json").read_text(encoding="utf-8"))
        return [str(gif["file"]) for video in listing["videos"] for gif in video["gifs"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _card(video: Made, address: AddressOf) -> VideoCard:
    title, duration = shown(video.analysis.path.name), video.analysis.fingerprint.end_s
    scores = score_curve(
        [Step(m.start_s, m.end_s, m.score) for m in sorted(video.moments, key=_start)],
        duration_s=duration,
        chosen=[(gif.recipe.start_s, gif.recipe.end_s) for gif in video.gifs],
        label=f"How well each part of {title} was rated, over time",
    )
    return VideoCard(
        title=title,
        facts=[
            f"{clock(duration)} long",
            *video.analysis.notes,
            f"{len(video.moments)} moments compared",
        ],
        strip=address(video.strip) if video.strip else "",
        curve=scores + time_axis(duration),
        clips=[_clip(video, gif, title, address) for gif in video.gifs],
    )


def _clip(video: Made, gif: MadeGif, title: str, address: AddressOf) -> ClipCard:
    reasons = why(video.analysis, video.moments, gif.moment)
    return ClipCard(
        gif=address(gif.path),
        is_film=gif.path.suffix == ".mp4",
        still=address(gif.path.with_suffix(".jpg")),
        start_s=gif.recipe.start_s,
        end_s=gif.recipe.end_s,
        alt=f"{title}, {gif.recipe.start_s:.1f} to {gif.recipe.end_s:.1f} seconds",
        why=reasons.sentence,
        details=[*reasons.details, loop_text(gif), size_text(gif)],
    )


def loop_text(gif: MadeGif) -> str:
    """How a GIF repeats."""
    return f"It {LOOPS[gif.recipe.loop]}; smoothness {gif.seam.score:.2f} of 1."


def size_text(gif: MadeGif) -> str:
    """What kind of file it is."""
    return (
        f"{gif.width} × {gif.recipe.height} pixels, {gif.recipe.rate:.3g} frames a second,"
        f" {gif.bytes / 1000:,.0f} kB."
    )


def _listing(video: Made, folder: Path) -> dict[str, Any]:
    return {
        "video": str(video.analysis.path),
        "sha256": video.analysis.sha256,
        "gifs": [
            {
                "file": _relative(gif.path, folder),
                "rank": gif.moment.rank,
                "start_s": gif.recipe.start_s,
                "end_s": gif.recipe.end_s,
                "score": None if math.isnan(gif.moment.score) else gif.moment.score,
                "bytes": gif.bytes,
                "width": gif.width,
                "height": gif.recipe.height,
                "fps": gif.recipe.rate,
                "segment": [gif.moment.start_s, gif.moment.end_s],
                "why": list(gif.moment.why),
                "loop": {
                    "mode": gif.recipe.loop,
                    "score": gif.seam.score,
                    "jump": gif.seam.jump,
                    "step": gif.seam.step,
                    "plain_jump": gif.plain.jump,
                },
            }
            for gif in video.gifs
        ],
    }


def _start(moment: Moment) -> float:
    return moment.start_s


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _write(path: Path, content: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
