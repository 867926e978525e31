"""A GIF beside the video it comes from: `video2gif match GIF VIDEO --preview strip.png`.

Frames of the GIF above, below each the frame that the video shows at the aligned time, as the GIF
shows it (mirrored where it is), with both times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from video2gif.core.config import Params
from video2gif.core.errors import UserError
from video2gif.core.items import Context, one
from video2gif.core.sandbox import Limits
from video2gif.core.work import Item, Work
from video2gif.fingerprint.track import Track
from video2gif.make.analysis import fingerprint_file
from video2gif.make.match import Found
from video2gif.matching.confidence import Match
from video2gif.media.decode import Decoder
from video2gif.media.strips import tile

_TILES = 8
_HEIGHT = 120  # Pixels, of a tile.
_LABEL = 14
_GAP = 4
_EPSILON_S = 1e-6


@dataclass(frozen=True)
class FramePairs:
    """Frames of a GIF and those of its video that show the same, in the GIF's order."""

    gif_frames: list[int]
    video_frames: list[int]


def aligned(gif: Track, video: Track, found: Match) -> FramePairs:
    """Some frames of the GIF, evenly spread, each with the video's at that time of the map.

    Raises `ValueError` for a match without a span.
    """
    if found.span is None:
        raise ValueError("nothing was found: there is nothing to show")
    gif_frames = np.linspace(0, len(gif) - 1, min(_TILES, len(gif))).round().astype(int)
    # A frame shows the moment at which it appears or, backwards, at which it disappears.
    edges_s = np.append(gif.pts_s, gif.end_s)
    passed_s = edges_s[gif_frames + (found.speed < 0)] * abs(found.speed)
    length_s = found.span.end_s - found.span.start_s
    whole_s = gif.end_s * abs(found.speed)
    if whole_s > 1.5 * length_s:  # There and back: the span is the way there.
        passed_s = np.minimum(passed_s, whole_s - passed_s)
    from_start_s = passed_s if found.speed > 0 else length_s - passed_s
    shown = video.shown_at(found.span.start_s + from_start_s)
    shown = np.clip(shown, found.span.start_frame, found.span.end_frame - 1)
    return FramePairs(gif_frames.tolist(), shown.tolist())


def write_preview(
    path: Path, gif: Path, found: Sequence[Found], params: Params, context: Context
) -> None:
    """Write the strip of the best span. Raises `UserError` when there is none, `ItemError`."""
    best = next((one for one in found if one.match and one.match.span), None)
    if best is None or best.match is None:
        raise UserError(f"--preview {path}: the GIF was found in none of the videos")
    path.write_bytes(preview(gif, best.file, best.match, params, context))


def preview(gif: Path, video: Path, found: Match, params: Params, context: Context) -> bytes:
    """The strip as PNG. Raises `ItemError`, and `ValueError` for a match without a span."""
    gif_sha256, gif_print = fingerprint_file(gif, "gif", params, context)
    video_sha256, video_print = fingerprint_file(video, "video", params, context)
    pairs = aligned(gif_print.track, video_print.track, found)
    first = min(pairs.video_frames)
    args = {
        "gif": str(gif.resolve()),
        "video": str(video.resolve()),
        "gif_frames": pairs.gif_frames,
        # Counted from the first one: what comes before it need not be decoded.
        "video_frames": [frame - first for frame in pairs.video_frames],
        "from_s": float(video_print.pts_s[first]),
        "mirror": found.mirror,
    }
    rest = [repr(value) for name, value in sorted(args.items()) if name not in ("gif", "video")]
    item = Item(id=f"preview:{gif.name}", inputs=(gif_sha256, video_sha256, *rest), args=args)
    return one("preview", previewing(), item, context)


def previewing() -> Work:
    """The work of an item whose args are two files and the frames of each to show."""
    return Work(
        function=f"{__name__}:work",
        libraries=("av", "opencv-python"),
        limits=Limits(confined=True),
    )


def work(
    *,
    out: Path,
    params: Mapping[str, Any],
    gif: str,
    video: str,
    gif_frames: Sequence[int],
    video_frames: Sequence[int],
    from_s: float,
    mirror: bool,
) -> None:
    """Write the PNG of two rows of frames, the second mirrored if asked."""
    above = _tiles(gif, gif_frames, from_s=0.0)
    below = [
        (time_s, tile[:, ::-1] if mirror else tile)
        for time_s, tile in _tiles(video, video_frames, from_s=from_s)
    ]
    width = max(tile.shape[1] for _, tile in above + below)
    rows = [np.hstack([_labelled(*one, width) for one in row]) for row in (above, below)]
    out.write_bytes(cv2.imencode(".png", np.vstack(rows))[1].tobytes())


def _tiles(path: str, wanted: Sequence[int], *, from_s: float) -> list[tuple[float, np.ndarray]]:
    """(seconds, uint8 BGR of `_HEIGHT` rows) of frames counted from the one at `from_s`."""
    scaler, asked = VideoReformatter(), frozenset(wanted)
    found: dict[int, tuple[float, np.ndarray]] = {}
    with Decoder(Path(path)) as decoder:
        frames = (one for one in decoder.frames(from_s=from_s) if one[0] >= from_s - _EPSILON_S)
        for number, (time_s, frame) in enumerate(frames):
            if number in asked:
                found[number] = (time_s, tile(frame, _HEIGHT, scaler))
            if number >= max(asked):
                break
    return [found[number] for number in wanted]


def _labelled(time_s: float, tile: np.ndarray, width: int) -> np.ndarray:
    """A tile in the middle of its column, its time below it."""
    column = np.full((_HEIGHT + _LABEL + _GAP, width + _GAP, 3), 255, np.uint8)
    left = (width - tile.shape[1]) // 2
    column[:_HEIGHT, left : left + tile.shape[1]] = tile
    at = (2, _HEIGHT + _LABEL - 4)
    cv2.putText(
        column, f"{time_s:.2f} s", at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA
    )
    return column
