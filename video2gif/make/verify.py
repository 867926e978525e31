"""Is a GIF's receipt true? Everything it says is computed again from the video."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context, one
from video2gif.core.store import file_digest
from video2gif.core.work import Item
from video2gif.gifs.receipt import Receipt, digest, extract, this_tool
from video2gif.gifs.render import read_rendered, rendering_again
from video2gif.gifs.words import fonts_of
from video2gif.make.analysis import analyse
from video2gif.make.rankers import Ranker, rank
from video2gif.make.write import params_digest

Answer = Literal["true", "false", "unknown"]

_MAX_BYTES = 512_000_000
_SCORE_TOLERANCE = 1e-4  # Scores may differ in the last digits from one CPU to another.


@dataclass(frozen=True)
class Statement:
    """One statement of a receipt, and whether it holds."""

    what: str
    state: Answer
    found: str


def verify(
    gif: Path, video: Path, ranker: Ranker, params: Params, context: Context
) -> list[Statement]:
    """Check a GIF against the video it claims to come from.

    The receipt is true when every check is; `unknown` means that it cannot be told here (another
    model or other parameters). Raises `ItemError`: missing, receipt, too_large.
    """
    receipt, body = extract(_content(gif))
    checks = [
        _check("not altered since", receipt.body == digest(body), "the file without its receipt"),
        _check("source", receipt.source == file_digest(video), f"sha256 of {video.name}"),
    ]
    if checks[-1].state == "false":
        return checks
    return [
        *checks,
        _rendered_again(receipt, video, context),
        *_ranked_again(receipt, video, ranker, params, context),
    ]


def _content(gif: Path) -> bytes:
    if not gif.is_file():
        raise ItemError("missing", f"{gif}: no such file")
    if gif.stat().st_size > _MAX_BYTES:
        raise ItemError("too_large", f"{gif}: more than {_MAX_BYTES} bytes")
    return gif.read_bytes()


def _rendered_again(receipt: Receipt, video: Path, context: Context) -> Statement:
    """The same frames, encoded the same way, must give the same bytes."""
    recipe = receipt.recipe
    item = Item(
        id=f"gif:{receipt.body[:16]}",
        inputs=(receipt.source,),
        args={"path": str(video.resolve())},
    )
    what = f"span {recipe.start_s:.2f}–{recipe.end_s:.2f} s"
    try:
        again = digest(read_rendered(one("encode", rendering_again(recipe), item, context)).content)
    except ItemError as error:
        return Statement(what, "false", error.reason)
    if again == receipt.body:
        return Statement(what, "true", "encoded again: the same bytes")
    if receipt.tool != this_tool():
        return Statement(what, "unknown", f"made with {receipt.tool}: its bytes cannot be had here")
    if recipe.fonts != fonts_of(recipe.words):
        return Statement(what, "unknown", "its text was drawn with a font that is not here")
    return Statement(what, "false", "encoded again: other bytes")


def _ranked_again(
    receipt: Receipt, video: Path, ranker: Ranker, params: Params, context: Context
) -> list[Statement]:
    same_params = receipt.params == params_digest(params)
    same_model = receipt.model == ranker.digest
    checks = [
        Statement(
            "parameters",
            _known(same_params),
            "those of this project" if same_params else "others than this project's params.yaml",
        ),
        Statement(
            "model",
            _known(same_model),
            "the one used here"
            if same_model
            else f"another: {receipt.model[:16]}; name it with --ranker",
        ),
    ]
    if receipt.score is None and receipt.moment == (receipt.recipe.start_s, receipt.recipe.end_s):
        return [*checks, Statement("score", "true", "none is claimed: the span was set by hand")]
    if not (same_params and same_model):
        return [*checks, Statement("score", "unknown", "needs the same model and parameters")]
    return [*checks, _score(receipt, analyse(video, params, context), ranker, context)]


def _score(receipt: Receipt, analysis: Any, ranker: Ranker, context: Context) -> Statement:
    for moment in rank(analysis, ranker, context):
        if np.allclose((moment.start_s, moment.end_s), receipt.moment, atol=1e-6):
            said = np.nan if receipt.score is None else receipt.score
            same = np.allclose(moment.score, said, atol=_SCORE_TOLERANCE, equal_nan=True)
            return _check("score", bool(same), f"{moment.score:.4f}, the receipt says {said:.4f}")
    return Statement("score", "false", "no such moment in the video")


def _check(what: str, holds: bool, found: str) -> Statement:
    return Statement(what, "true" if holds else "false", found)


def _known(same: bool) -> Answer:
    return "true" if same else "unknown"
