"""The page and the list of what `video2gif gif` made: index.html and gifs.json."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from video2gif.core.names import shown, url_path
from video2gif.core.store import atomic_path
from video2gif.make.analysis import Analysis
from video2gif.make.moments import why
from video2gif.make.rankers import Moment, Ranker
from video2gif.make.write import MadeGif, remove_stale
from video2gif.page.charts import Step, score_curve
from video2gif.page.render import ClipCard, GifsPage, VideoCard, render

LOOPS = {"cut": "a clean cut", "fade": "cross-faded", "pingpong": "played back and forth"}


@dataclass(frozen=True)
class Made:
    """One video with all its moments and the GIFs made of the best."""

    analysis: Analysis
    moments: Sequence[Moment]
    gifs: Sequence[MadeGif]
    strip: Path | None = None
    """A filmstrip, if one could be made."""


def write_page(folder: Path, videos: Sequence[Made], ranker: Ranker) -> Path:
    """Write gifs.json and index.html into `folder`; returns the page's path."""
    page = GifsPage(
        title="Ranked GIFs",
        ranker=ranker.name,
        warnings=ranker.warnings,
        videos=[_card(video, folder) for video in videos],
    )
    listing: dict[str, Any] = {
        "ranker": ranker.name,
        "videos": [_listing(video, folder) for video in videos],
    }
    before = _files_listed(folder)
    _write(folder / "gifs.json", json.dumps(listing, indent=2) + "\n")
    _write(folder / "index.html", render(page))
    remove_stale(folder, before, _files_listed(folder))
    return folder / "index.html"


def _files_listed(folder: Path) -> list[str]:
    """The GIFs of an earlier run, by its gifs.json; none if it cannot be read."""
    try:
        listing = json.loads((folder / "gifs.json").read_text(encoding="utf-8"))
        return [str(gif["file"]) for video in listing["videos"] for gif in video["gifs"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _card(video: Made, folder: Path) -> VideoCard:
    title = shown(video.analysis.path.name)
    return VideoCard(
        title=title,
        facts=[*video.analysis.facts, f"{len(video.moments)} segments"],
        strip=url_path(_relative(video.strip, folder)) if video.strip else "",
        curve=score_curve(
            [Step(m.start_s, m.end_s, m.score) for m in sorted(video.moments, key=_start)],
            duration_s=video.analysis.fingerprint.end_s,
            chosen=[(gif.recipe.start_s, gif.recipe.end_s) for gif in video.gifs],
            label=f"Score of {title} over time",
        ),
        clips=[
            ClipCard(
                rank=gif.moment.rank,
                gif=url_path(_relative(gif.path, folder)),
                still=url_path(_relative(gif.path.with_suffix(".jpg"), folder)),
                start_s=gif.recipe.start_s,
                end_s=gif.recipe.end_s,
                score=gif.moment.score,
                alt=f"{title}, {gif.recipe.start_s:.1f} to {gif.recipe.end_s:.1f} seconds",
                note=f"loop {gif.seam.score:.2f}, {LOOPS[gif.recipe.loop]}",
                why=why(video.analysis, video.moments, gif.moment),
            )
            for gif in video.gifs
        ],
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
