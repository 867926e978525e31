"""Make one GIF of one moment, as an item: decode once, close the loop, fit the budget, encode.

`work` makes all choices and notes them in a `Recipe`. `work_again` follows a recipe and gets the
same bytes; that is how a receipt is checked.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le, Len, Lt

from video2gif.core.errors import ItemError, UserError
from video2gif.core.sandbox import Limits
from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.types import Span
from video2gif.core.work import Item, Work
from video2gif.fingerprint.read import Fingerprint
from video2gif.gifs.budget import DEFAULT_RATE, fitted
from video2gif.gifs.encoders import Clip, Encoder, Format, Setting, encode, gifski_version
from video2gif.gifs.frames import Kept, Stretch, master
from video2gif.gifs.loop import Loop, LoopMode, Seam, Wish, close_loop, joined, shortlist
from video2gif.gifs.pace import Pace, pace_of
from video2gif.gifs.words import MOST_CHARS, MOST_WORDS, Word, fonts_of, text_at, with_words
from video2gif.gifs.words import within as words_within
from video2gif.media.open import MAX_GIF_TOTAL_PIXELS
from video2gif.media.strips import jpeg

_LIBRARIES = ("av", "numpy", "opencv-python-headless")
# A receipt takes at most this much. It is part of the file, so the byte budget includes it.
RECEIPT_BYTES = 1200
Pixels = Annotated[int, Ge(0), Le(8192)]
FilmSeconds = Annotated[float, Ge(-1e9), Le(1e9)]
WordText = Annotated[str, Len(max_length=MOST_CHARS)]
HOLD_S = 3.0
"""What a still is worth at the end of a GIF, however long it stood there."""
_EPSILON_S = 1e-6


@dataclass(frozen=True, kw_only=True)
class GifOptions:
    """How GIFs are written."""

    height: int | None = None
    """Pixels. None: 240, or with `max_bytes` chosen by the program. With `max_bytes` a number is an
    upper bound."""
    fps: float | None = None
    """Frames a second. None: 10, else as for `height`."""
    max_bytes: int | None = None
    format: Format = "gif"
    encoder: Encoder = "libav"
    loop: Wish = "auto"
    loop_count: int = 0
    """How often it is shown; 0 for ever."""
    speed: float = 1.0
    """How many times as fast as the film."""
    reverse: bool = False
    aspect: str = ""
    """Shape of a crop that keeps the subject, width to height, as `9:16`; "" for the film's own."""
    cut_bars: bool = False
    """Whether black bars at the edges are cut off."""
    max_width: int | None = None
    """Pixels."""
    max_frames: int | None = None
    max_s: float | None = None
    """How long the GIF may play, seconds: so much film is taken as fits, whatever its speed."""
    is_exact: bool = False
    """Whether the picture must have just the size asked for."""

    def __post_init__(self) -> None:
        if self.encoder == "gifski" and self.format != "gif":
            raise UserError(f"--encoder gifski writes GIFs only, not {self.format}")
        if self.loop_count and self.format not in ("gif", "webp"):
            raise UserError(f"--loop-count: {self.format} cannot say how often it is shown")


@dataclass(frozen=True, kw_only=True)
class Within:
    """The frames among which a GIF of a moment may begin and end."""

    core: Span
    """The moment itself."""
    room: Span
    """No frame outside of it is shown: usually the moment's shot."""
    pace: Pace
    """In its usual frames the following lengths are counted."""
    min_frames: float
    max_frames: float
    slack_frames: float
    """How far either end may move outwards from the core."""
    hold: float
    """How long the last frame of the GIF may be shown: it may have stood for minutes."""

    @classmethod
    def exactly(cls, span: Span, edges_s: np.ndarray, *, hold_s: float = math.inf) -> "Within":
        """Just these frames; `edges_s`: when each frame starts, and the last one ends."""
        pace = pace_of(edges_s, span)
        hold = hold_s / pace.frame_s
        length = pace.length(span, hold=hold)
        return cls(
            core=span,
            room=span,
            pace=pace,
            min_frames=length,
            max_frames=length,
            slack_frames=0,
            hold=hold,
        )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that was chosen for one GIF. Recipe and video together give the same bytes.

    The limits are for a recipe in a receipt: a stranger's is checked before it is followed.
    """

    start_s: Annotated[float, Ge(0), Lt(1e9)]
    end_s: Annotated[float, Lt(1e9)]
    n_frames: Annotated[int, Ge(1), Le(36_000)]
    """Source frames in [start_s, end_s)."""
    loop: LoopMode
    fade_frames: Annotated[int, Ge(0)]
    master_height: Annotated[int, Le(8192)]
    """Height at which whole frames were made, px."""
    height: Annotated[int, Ge(2)]
    rate: Annotated[float, Ge(0.1), Le(100)]
    hold: Annotated[int, Ge(0), Le(255)]
    quality: Annotated[float, Ge(0), Le(100)]
    format: Format
    encoder: Encoder
    # What a plain GIF has not; receipts leave out what has its default.
    crop: tuple[Pixels, Pixels, Pixels, Pixels] | None = None
    """What is cut out of whole frames: left, top, width, height."""
    speed: Annotated[float, Ge(0.1), Le(16)] = 1.0
    reverse: bool = False
    loop_count: Annotated[int, Ge(0), Le(1000)] = 0
    words: Annotated[
        tuple[tuple[FilmSeconds, FilmSeconds, WordText], ...], Len(max_length=MOST_WORDS)
    ] = ()
    """What stands on the pictures, from when to when in the film."""
    fonts: Annotated[str, Len(max_length=16)] = ""
    """Digest of the fonts it was drawn with."""


@dataclass(frozen=True)
class Rendered:
    """A GIF, its still (JPEG), how it was made and how well it loops."""

    content: bytes
    still: bytes
    recipe: Recipe
    seam: Seam
    plain: Seam
    width: int


def rendering(options: GifOptions, *, has_words: bool = False) -> Work:
    """The work of `moment_item`s. `has_words`: whether any of them may have some."""
    version = {"gifski": gifski_version()} if options.encoder == "gifski" else {}
    budget = options.max_bytes and max(1, options.max_bytes - RECEIPT_BYTES)
    return Work(
        function=f"{__name__}:work",
        params={**asdict(options), "max_bytes": budget, **version},
        libraries=_libraries(has_words=has_words),
        limits=_limits(options.encoder),
    )


def moment_item(
    item_id: str,
    path: Path,
    *,
    sha256: str,
    fingerprint: Fingerprint,
    within: Within,
    words: Sequence[Word] = (),
) -> Item:
    """The GIF of one moment of a video, with what is said in it on its pictures."""
    spans = shortlist(
        moment=within.core,
        room=within.room,
        min_frames=within.min_frames,
        max_frames=within.max_frames,
        slack_frames=within.slack_frames,
        hold=within.hold,
        pace=within.pace,
        hashes=fingerprint.phash,
        thumbs=fingerprint.thumbs,
        content=fingerprint.content,
    )
    first = min(start for start, _ in [within.core, *spans])
    last = max(end for _, end in [within.core, *spans])
    # Only this part of the video is decoded, so all frame numbers are counted from `first`.
    edges_s = [*fingerprint.pts_s[first : last + 1].tolist(), fingerprint.end_s]
    plan: dict[str, Any] = {
        "pts_s": edges_s[: last - first],
        "end_s": float(edges_s[last - first]),
        "file_end_s": fingerprint.end_s,
        "hold_s": min(within.hold * within.pace.frame_s, fingerprint.end_s),
        "moment": [within.core[0] - first, within.core[1] - first],
        "spans": [[start - first, end - first] for start, end in spans],
    }
    if said := words_within(words, edges_s[0], plan["end_s"]):
        plan["words"] = said
    return Item(
        id=item_id,
        inputs=(sha256, json.dumps(plan, sort_keys=True)),
        args={"path": str(path.resolve()), **plan},
    )


def rendering_again(recipe: Recipe) -> Work:
    """The work that makes the GIF of a recipe. Its item has the video's sha256 as input."""
    return Work(
        function=f"{__name__}:work_again",
        params=asdict(recipe),
        libraries=_libraries(has_words=bool(recipe.words)),
        limits=_limits(recipe.encoder),
    )


def _libraries(*, has_words: bool) -> tuple[str, ...]:
    """Pillow draws words and nothing else, and the small installation does without it."""
    return (*_LIBRARIES, "pillow") if has_words else _LIBRARIES


def _limits(encoder: Encoder) -> Limits:
    return Limits(programs=encoder == "gifski")


def read_rendered(payload: bytes) -> Rendered:
    """From the item that `work` or `work_again` wrote."""
    arrays, notes = read_arrays(payload)
    return Rendered(
        arrays["content"].tobytes(),
        arrays["still"].tobytes(),
        recipe_of(notes["recipe"]),
        Seam(**notes["seam"]),
        Seam(**notes["plain"]),
        notes["width"],
    )


def recipe_of(fields: Mapping[str, Any]) -> Recipe:
    """From its fields as JSON has them, which knows no tuples."""
    crop, words = fields.get("crop"), fields.get("words", ())
    return Recipe(**{**fields, "crop": crop and tuple(crop), "words": tuple(map(tuple, words))})


def work(
    *,
    out: Path,
    params: dict[str, Any],
    path: str,
    pts_s: list[float],
    end_s: float,
    file_end_s: float,
    hold_s: float,
    moment: Span,
    spans: list[Span],
    words: Sequence[Word] = (),
) -> None:
    """Write the `Rendered` GIF of a moment.

    `pts_s` are the times of the frames to decode, `end_s` is the end of the last one, `file_end_s`
    that of the last one of the file. The last frame of the GIF is shown for `hold_s` at most.
    `moment` and `spans` (the shortlist) count frames within them. `params` has the fields of
    `GifOptions`.
    """
    stretch = Stretch(Path(path), pts_s[0], end_s, len(pts_s), file_end_s)
    _, frames, kept = stretch.frames(master(params, len(pts_s), stretch.part(params)))
    edges_s = np.array([*pts_s, end_s])
    pace = pace_of(edges_s, (0, len(pts_s)))
    even_fps = len(pts_s) / max(end_s - pts_s[0], _EPSILON_S)
    fps = even_fps if pace.is_even else 1 / pace.frame_s
    loop = close_loop(
        frames,
        spans=[(a, b) for a, b in spans],
        moment=(moment[0], moment[1]),
        fps=fps,
        wish=params["loop"],
    )
    last = loop.span[1]
    edges_s[last] = min(edges_s[last], edges_s[last - 1] + hold_s)
    said = tuple((start, end, text) for start, end, text in words)
    if said and params["max_bytes"] is not None:
        room = params["max_bytes"] - len(json.dumps(said))
        params = {**params, "max_bytes": max(1, room)}
    clip = _paced(_looped(frames, edges_s, loop, said), params)
    _check_cost(clip, params["fps"] or DEFAULT_RATE)
    content, setting = fitted(clip, params, fps=fps * params["speed"], near=out)
    recipe = Recipe(
        start_s=float(edges_s[loop.span[0]]),
        end_s=float(edges_s[loop.span[1]]),
        n_frames=loop.span[1] - loop.span[0],
        loop=loop.mode,
        fade_frames=loop.fade_frames,
        master_height=kept.height,
        format=params["format"],
        encoder=params["encoder"],
        crop=kept.crop,
        speed=params["speed"],
        reverse=params["reverse"],
        loop_count=params["loop_count"],
        words=said,
        fonts=fonts_of(said),
        **asdict(setting),
    )
    _write(out, content, clip, recipe, loop)


def _check_cost(clip: Clip, rate: float) -> None:
    """Raise `ItemError` (too_large) for a GIF that we would not read ourselves."""
    n_frames = clip.duration_s * rate
    if n_frames * clip.height * clip.width > MAX_GIF_TOTAL_PIXELS:
        raise ItemError(
            "too_large",
            f"{clip.duration_s:.0f} s at {rate:g} frames a second of {clip.width}×{clip.height}"
            f" pixels; the limit is {MAX_GIF_TOTAL_PIXELS} pixels in all. Take a shorter span,"
            " or a lower --height or --fps",
        )


def work_again(*, out: Path, params: dict[str, Any], path: str) -> None:
    """Write the `Rendered` GIF of the recipe in `params`."""
    recipe = recipe_of(params)
    stretch = Stretch(Path(path), recipe.start_s, recipe.end_s, recipe.n_frames)
    kept = Kept(recipe.master_height, recipe.crop)
    times_s, frames, _ = stretch.frames(lambda *_: kept)
    seam = Seam(0.0, 0.0)
    loop = Loop((0, len(frames)), recipe.loop, recipe.fade_frames, seam, seam)
    edges_s = np.array([*times_s, recipe.end_s])
    clip = _paced(_looped(frames, edges_s, loop, recipe.words), params)
    setting = Setting(
        height=recipe.height, rate=recipe.rate, hold=recipe.hold, quality=recipe.quality
    )
    content = encode(clip, setting, format=recipe.format, encoder=recipe.encoder, near=out)
    _write(out, content, clip, recipe, loop)


def _looped(
    frames: list[np.ndarray], edges_s: np.ndarray, loop: Loop, words: Sequence[Word]
) -> Clip:
    """The frames of a loop in the order they are shown, each for as long as in the source.

    Words are put on last: no fade blends two of them.
    """
    # A blended frame lasts as long as the first of the two frames in it.
    order = list(range(*loop.span))[: loop.span[1] - loop.span[0] - loop.fade_frames]
    if loop.mode == "pingpong":
        order += order[-2:0:-1]
    durations_s = np.diff(edges_s)[order]
    starts_s = np.concatenate([[0.0], np.cumsum(durations_s)])
    shown = joined(frames, loop)
    if words:
        times_s = edges_s[order]
        shown = [with_words(f, text_at(words, t)) for f, t in zip(shown, times_s, strict=True)]
    return Clip(shown, starts_s[:-1], float(starts_s[-1]))


def _paced(clip: Clip, params: Mapping[str, Any]) -> Clip:
    """Faster or slower, or backwards: `speed`, `reverse` and `loop_count` of options or recipe."""
    frames, edges_s = clip.frames, np.append(clip.times_s, clip.duration_s) / params["speed"]
    if params["reverse"]:
        frames, edges_s = frames[::-1], (edges_s[-1] - edges_s)[::-1]
    return Clip(frames, edges_s[:-1], float(edges_s[-1]), plays=params["loop_count"])


def _write(out: Path, content: bytes, clip: Clip, recipe: Recipe, loop: Loop) -> None:
    setting = Setting(height=recipe.height, rate=recipe.rate, quality=0)
    first = next(iter(replace(clip, frames=clip.frames[:1], times_s=clip.times_s[:1]).at(setting)))
    write_arrays(
        out,
        {"content": np.frombuffer(content, np.uint8), "still": jpeg(first[:, :, ::-1])},
        {
            "recipe": asdict(recipe),
            "seam": asdict(loop.seam),
            "plain": asdict(loop.plain),
            "width": first.shape[1],
        },
    )
