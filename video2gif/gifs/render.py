"""Make one GIF of one moment, as an item: decode once, close the loop, fit the budget, encode.

`work` makes all choices and notes them in a `Recipe`. `work_again` follows a recipe and gets the
same bytes; that is how a receipt is checked.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from annotated_types import Ge, Le, Lt
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from video2gif.core.errors import ItemError, UserError
from video2gif.core.sandbox import Limits
from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.types import Span
from video2gif.core.work import Item, Work
from video2gif.fingerprint.read import Fingerprint
from video2gif.gifs.budget import DEFAULT_HEIGHT, DEFAULT_RATE, fitted
from video2gif.gifs.encoders import Clip, Encoder, Format, Setting, encode, gifski_version
from video2gif.gifs.loop import Loop, LoopMode, Seam, Wish, close_loop, joined, shortlist
from video2gif.gifs.pace import Pace, pace_of
from video2gif.media.open import MAX_GIF_TOTAL_PIXELS
from video2gif.media.seek import frames_between
from video2gif.media.shown import Painter, even_width, width_of

_LIBRARIES = ("av", "numpy", "opencv-python-headless")
# A receipt takes at most this much. It is part of the file, so the byte budget includes it.
RECEIPT_BYTES = 1200
_MAX_HEIGHT = 720  # px; the largest under a byte budget, unless more is asked for
_MIN_HEIGHT = 16  # px; below it nobody sees anything
# All frames of a clip are held in memory at their largest height; above this they are held smaller.
_MAX_BYTES_IN_MEMORY = 700_000_000
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

    def __post_init__(self) -> None:
        if self.encoder == "gifski" and self.format != "gif":
            raise UserError(f"--encoder gifski writes GIFs only, not {self.format}")


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
    master_height: Annotated[int, Le(2160)]
    """Height at which the frames were kept, px."""
    height: Annotated[int, Ge(2)]
    rate: Annotated[float, Ge(0.1), Le(100)]
    hold: Annotated[int, Ge(0), Le(255)]
    quality: Annotated[float, Ge(0), Le(100)]
    format: Format
    encoder: Encoder


@dataclass(frozen=True)
class Rendered:
    """A GIF, its still (JPEG), how it was made and how well it loops."""

    content: bytes
    still: bytes
    recipe: Recipe
    seam: Seam
    plain: Seam
    width: int


def rendering(options: GifOptions) -> Work:
    """The work of `moment_item`s."""
    version = {"gifski": gifski_version()} if options.encoder == "gifski" else {}
    budget = options.max_bytes and max(1, options.max_bytes - RECEIPT_BYTES)
    return Work(
        function=f"{__name__}:work",
        params={**asdict(options), "max_bytes": budget, **version},
        libraries=_LIBRARIES,
        limits=_limits(options.encoder),
    )


def moment_item(
    item_id: str, path: Path, *, sha256: str, fingerprint: Fingerprint, within: Within
) -> Item:
    """The GIF of one moment of a video."""
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
    plan = {
        "pts_s": edges_s[: last - first],
        "end_s": float(edges_s[last - first]),
        "file_end_s": fingerprint.end_s,
        "hold_s": min(within.hold * within.pace.frame_s, fingerprint.end_s),
        "moment": [within.core[0] - first, within.core[1] - first],
        "spans": [[start - first, end - first] for start, end in spans],
    }
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
        libraries=_LIBRARIES,
        limits=_limits(recipe.encoder),
    )


def _limits(encoder: Encoder) -> Limits:
    return Limits(programs=encoder == "gifski")


def read_rendered(payload: bytes) -> Rendered:
    """From the item that `work` or `work_again` wrote."""
    arrays, notes = read_arrays(payload)
    return Rendered(
        arrays["content"].tobytes(),
        arrays["still"].tobytes(),
        Recipe(**notes["recipe"]),
        Seam(**notes["seam"]),
        Seam(**notes["plain"]),
        notes["width"],
    )


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
) -> None:
    """Write the `Rendered` GIF of a moment.

    `pts_s` are the times of the frames to decode, `end_s` is the end of the last one, `file_end_s`
    that of the last one of the file. The last frame of the GIF is shown for `hold_s` at most.
    `moment` and `spans` (the shortlist) count frames within them. `params` has the fields of
    `GifOptions`.
    """
    _, frames = _frames(
        Path(path),
        pts_s[0],
        end_s,
        expected=len(pts_s),
        height_of=_master_height(params, len(pts_s)),
        file_end_s=file_end_s,
    )
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
    clip = _looped(frames, edges_s, loop)
    _check_cost(clip, params["fps"] or DEFAULT_RATE)
    content, setting = fitted(clip, params, fps=fps, near=out)
    recipe = Recipe(
        start_s=float(edges_s[loop.span[0]]),
        end_s=float(edges_s[loop.span[1]]),
        n_frames=loop.span[1] - loop.span[0],
        loop=loop.mode,
        fade_frames=loop.fade_frames,
        master_height=clip.height,
        format=params["format"],
        encoder=params["encoder"],
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
    recipe = Recipe(**params)
    times_s, frames = _frames(
        Path(path),
        recipe.start_s,
        recipe.end_s,
        expected=recipe.n_frames,
        height_of=lambda *_: recipe.master_height,
        file_end_s=None,
    )
    seam = Seam(0.0, 0.0)
    loop = Loop((0, len(frames)), recipe.loop, recipe.fade_frames, seam, seam)
    clip = _looped(frames, np.array([*times_s, recipe.end_s]), loop)
    setting = Setting(
        height=recipe.height, rate=recipe.rate, hold=recipe.hold, quality=recipe.quality
    )
    content = encode(clip, setting, format=recipe.format, encoder=recipe.encoder, near=out)
    _write(out, content, clip, recipe, loop)


# Frames


HeightOf = Callable[[int, int], int]
"""From a source's height and shown width to the height at which its frames are kept."""


def _master_height(params: Mapping[str, Any], n_frames: int) -> HeightOf:
    """The height asked for; under a byte budget at most the source's; less if memory is short."""

    def height_of(source: int, width: int) -> int:
        tall = params["height"] or (DEFAULT_HEIGHT if params["max_bytes"] is None else _MAX_HEIGHT)
        if params["max_bytes"] is not None:
            tall = min(tall, source - source % 2)
        whole = 3 * n_frames * tall * tall * width / source  # bytes of all frames, rgb24
        tall = int(tall * min(1.0, math.sqrt(_MAX_BYTES_IN_MEMORY / whole)))
        if tall < min(source, _MIN_HEIGHT):
            raise ItemError(
                "too_large",
                f"{n_frames} frames do not fit into memory even at {_MIN_HEIGHT} px; take a"
                " shorter span, or a shorter --max-len",
            )
        return max(2, tall + tall % 2)

    return height_of


def _frames(
    path: Path,
    start_s: float,
    end_s: float,
    *,
    expected: int,
    height_of: HeightOf,
    file_end_s: float | None,
) -> tuple[list[float], list[np.ndarray]]:
    """The frames with start_s <= time < end_s, rgb24, and their times."""
    painter = Painter()
    size: tuple[int, int] | None = None

    def small(_: int, frame: VideoFrame) -> np.ndarray:
        nonlocal size
        if size is None:
            height = height_of(frame.height, width_of(frame))
            size = even_width(frame, height), height
        return painter.pixels(frame, *size, interpolation=Interpolation.LANCZOS)

    return frames_between(
        path, start_s, end_s, expected=expected, keep=small, file_end_s=file_end_s
    )


def _looped(frames: list[np.ndarray], edges_s: np.ndarray, loop: Loop) -> Clip:
    """The frames of a loop in the order they are shown, each for as long as in the source."""
    # A blended frame lasts as long as the first of the two frames in it.
    order = list(range(*loop.span))[: loop.span[1] - loop.span[0] - loop.fade_frames]
    if loop.mode == "pingpong":
        order += order[-2:0:-1]
    durations_s = np.diff(edges_s)[order]
    starts_s = np.concatenate([[0.0], np.cumsum(durations_s)])
    return Clip(joined(frames, loop), starts_s[:-1], float(starts_s[-1]))


def _write(out: Path, content: bytes, clip: Clip, recipe: Recipe, loop: Loop) -> None:
    setting = Setting(height=recipe.height, rate=recipe.rate, quality=0)
    first = next(iter(replace(clip, frames=clip.frames[:1], times_s=clip.times_s[:1]).at(setting)))
    jpeg = cv2.imencode(".jpg", first[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 78])[1].ravel()
    write_arrays(
        out,
        {"content": np.frombuffer(content, np.uint8), "still": jpeg},
        {
            "recipe": asdict(recipe),
            "seam": asdict(loop.seam),
            "plain": asdict(loop.plain),
            "width": first.shape[1],
        },
    )
