"""A GIF beside the video it comes from: `video2gif match GIF VIDEO --preview strip.png`.

Frames of the GIF above, below each the frame that the video shows at the aligned time, as the GIF
shows it (mirrored where it is), with both times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from video2gif.core.config import Params
from video2gif.core.errors import UserError
from video2gif.core.items import Context, one
from video2gif.core.work import Item
from video2gif.fingerprint.track import Track
from video2gif.make.analysis import fingerprint_file
from video2gif.make.match import Found
from video2gif.matching.confidence import Match
from video2gif.media.strips import side_by_side

_TILES = 8


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
    return one("preview", side_by_side(), item, context)
