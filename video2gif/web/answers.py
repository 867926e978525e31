"""What the review page's script is told of films, as JSON."""

import math
from collections.abc import Sequence
from typing import Any

from video2gif.datasets.marks import Mark
from video2gif.make.page import loop_text, size_text
from video2gif.make.remedies import Told
from video2gif.make.write import MadeGif
from video2gif.web.film import Export, Film


def listed(film: Film, marks: Sequence[Mark]) -> dict[str, Any]:
    """A video in the list."""
    left_s = film.left_s
    return {
        "name": film.path.name,
        "state": film.state,
        "stage": film.stage,
        "share": round(film.share, 3),
        "left_s": None if left_s is None else round(left_s),
        "duration_s": film.duration_s,
        "marks": len(marks),
        **as_json(film.failure),
    }


def as_json(failure: Told | None) -> dict[str, str]:
    """Why something failed, and what to do: empty texts where nothing did."""
    if failure is None:
        return {"reason": "", "why": "", "remedy": ""}
    return {"reason": failure.detail, "why": failure.why, "remedy": failure.remedy}


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
                "why": reasons.sentence,
                "details": [*reasons.details, loop_text(gif), size_text(gif)],
            }
            for gif, reasons in zip(film.made, film.whys, strict=False)
        ],
    }


def _export_json(one: Export) -> dict[str, Any]:
    found = {name: getattr(one, name) for name in ("number", "start_s", "end_s", "format")}
    found |= {"state": one.state, **as_json(one.failure)}
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
