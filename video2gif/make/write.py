"""Write the chosen moments of a video as GIFs, WebPs, AVIFs or MP4s."""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from video2gif.core import items
from video2gif.core.config import Params
from video2gif.core.items import Context
from video2gif.core.names import file_name
from video2gif.core.store import atomic_path
from video2gif.core.work import Item
from video2gif.gifs.loop import Seam
from video2gif.gifs.receipt import Receipt, digest, embed, this_tool
from video2gif.gifs.render import (
    GifOptions,
    Recipe,
    Rendered,
    moment_item,
    read_rendered,
    rendering,
)
from video2gif.gifs.words import Word
from video2gif.make.analysis import Analysis
from video2gif.make.moments import Chosen
from video2gif.make.rankers import Moment, Ranker

_OUR_NAME = re.compile(r"\d{2,}_\d+m\d\ds_(\d+\.\d\d|-\d+\.\d\d|unscored)\.(gif|webp|avif|mp4|jpg)")


@dataclass(frozen=True)
class MadeGif:
    """A GIF on disk, the moment it shows, and how."""

    path: Path
    moment: Moment
    bytes: int
    recipe: Recipe
    seam: Seam
    plain: Seam
    width: int


def make_gifs(
    analysis: Analysis,
    chosen: Sequence[Chosen],
    folder: Path,
    options: GifOptions,
    context: Context,
    *,
    ranker: Ranker,
    params: Params,
    words: Sequence[Word] = (),
) -> list[MadeGif]:
    """Write one GIF a moment into `folder`, named so that they sort: 01_0m42s_0.87.gif.

    Beside each stands its first frame, 01_0m42s_0.87.jpg, for the page. Files appear whole or
    not at all. Raises `ItemError` when one cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ordered = [_item(analysis, one, words) for one in chosen]
    work = rendering(options, has_words=bool(words))
    outcomes = items.compute("encode", work, ordered, context)
    made = []
    for one, outcome in zip(chosen, outcomes, strict=True):
        rendered = read_rendered(items.payload_of(outcome, context))
        receipt = _receipt(analysis, one.moment, rendered, ranker=ranker, params=params)
        path = folder / f"{_name(one.moment, rendered.recipe)}.{options.format}"
        made.append(_written(path, one.moment, rendered, receipt))
    return made


def export(
    analysis: Analysis,
    one: Chosen,
    folder: Path,
    options: GifOptions,
    context: Context,
    *,
    ranker: Ranker,
    params: Params,
    stem: str = "",
) -> MadeGif:
    """One GIF of a span that a person set by hand, named `stem`, or by the span."""
    folder.mkdir(parents=True, exist_ok=True)
    rendered = read_rendered(items.one("encode", rendering(options), _item(analysis, one), context))
    receipt = _receipt(analysis, one.moment, rendered, ranker=ranker, params=params)
    path = folder / f"{stem or span_name(analysis, one.moment)}.{options.format}"
    return _written(path, one.moment, rendered, receipt)


def span_name(analysis: Analysis, moment: Moment) -> str:
    """A file name without extension for a span: film_12.40-15.28s."""
    return f"{file_name(analysis.path.stem)}_{moment.start_s:.2f}-{moment.end_s:.2f}s"


def params_digest(params: Params) -> str:
    """Of the sections that decide what the moments of a video are and how they score."""
    sections = {
        name: dataclasses.asdict(getattr(params, name))
        for name in ("fingerprint", "segment", "extract")
    }
    return hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest()


def remove_stale(folder: Path, before: Iterable[str], now: Iterable[str]) -> None:
    """Delete what an earlier run made in `folder` and this one did not; nothing else.

    `before`: the files of the earlier gifs.json, relative paths. Only plain names of ours, at most
    one folder deep, are touched: a list may have been edited by anybody.
    """
    for name in sorted(set(before) - set(now)):
        parts = Path(name).parts
        if len(parts) > 2 or ".." in parts or not _OUR_NAME.fullmatch(parts[-1] if parts else ""):
            continue
        path = folder.joinpath(*parts)
        if path.resolve().is_relative_to(folder.resolve()) and not path.is_symlink():
            path.unlink(missing_ok=True)
            path.with_suffix(".jpg").unlink(missing_ok=True)


def _item(analysis: Analysis, one: Chosen, words: Sequence[Word] = ()) -> Item:
    return moment_item(
        f"video:{analysis.path.name}#{one.moment.rank}",
        analysis.path,
        sha256=analysis.sha256,
        fingerprint=analysis.fingerprint,
        within=one.within,
        words=words,
    )


def _receipt(
    analysis: Analysis, moment: Moment, rendered: Rendered, *, ranker: Ranker, params: Params
) -> Receipt:
    return Receipt(
        source=analysis.sha256,
        body=digest(rendered.content),
        model=ranker.digest,
        params=params_digest(params),
        tool=this_tool(),
        score=None if math.isnan(moment.score) else moment.score,
        moment=(moment.start_s, moment.end_s),
        recipe=rendered.recipe,
    )


def _written(path: Path, moment: Moment, rendered: Rendered, receipt: Receipt) -> MadeGif:
    content = embed(rendered.content, receipt)
    _write(path, content)
    _write(path.with_suffix(".jpg"), rendered.still)
    return MadeGif(
        path,
        moment,
        len(content),
        rendered.recipe,
        rendered.seam,
        rendered.plain,
        rendered.width,
    )


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _name(moment: Moment, recipe: Recipe) -> str:
    """Its rank, where the GIF begins (which may be later than its moment), its score."""
    minutes, seconds = divmod(int(recipe.start_s), 60)
    score = "unscored" if math.isnan(moment.score) else f"{moment.score:.2f}"
    return f"{moment.rank:02d}_{minutes}m{seconds:02d}s_{score}"
