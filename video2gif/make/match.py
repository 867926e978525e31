"""Where a GIF comes from: `video2gif match GIF VIDEO…`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from video2gif.config import Params
from video2gif.errors import ItemError
from video2gif.items import Context
from video2gif.make.analysis import fingerprint_file
from video2gif.matching.confidence import Match, match
from video2gif.matching.track import Track


@dataclass(frozen=True)
class Found:
    """A video and what was found in it; `failure` says why it could not be searched."""

    video: Path
    match: Match | None
    failure: str = ""
    path: Path | None = None
    """Where the file is, if `video` is a project's id of it."""

    @property
    def file(self) -> Path:
        return self.path or self.video

    def as_dict(self) -> dict[str, Any]:
        """For JSON: no NaN, plain types."""
        if self.match is None:
            return {"video": str(self.video), "status": "quarantined", "reason": self.failure}
        m = self.match
        return {
            "video": str(self.video),
            "status": m.status,
            "reason": m.reason,
            "start_s": m.span and m.span.start_s,
            "end_s": m.span and m.span.end_s,
            "start_frame": m.span and m.span.start_frame,
            "end_frame": m.span and m.span.end_frame,
            "speed": None if math.isnan(m.speed) else m.speed,
            "confidence": m.confidence,
            "distance": None if math.isnan(m.distance) else m.distance,
            "mirror": m.mirror,
        }

    @property
    def order(self) -> tuple[bool, float, str]:
        """Sort key: the surest first, failures last."""
        confidence = self.match.confidence if self.match and self.match.span else -1.0
        return self.match is None, -confidence, str(self.video)


def match_files(gif: Path, videos: Sequence[Path], params: Params, context: Context) -> list[Found]:
    """Search each video for the GIF; the surest first. Raises `ItemError` if the GIF is bad."""
    wanted = fingerprint_file(gif, "gif", params, context)[1].track
    found = [_search(wanted, video, params, context) for video in videos]
    return sorted(found, key=lambda one: one.order)


def _search(gif: Track, video: Path, params: Params, context: Context) -> Found:
    try:
        fingerprint = fingerprint_file(video, "video", params, context)[1]
    except ItemError as error:
        return Found(video, None, error.reason)
    limits = params.match
    answer = match(
        gif,
        fingerprint.track,
        min_confidence=limits.min_confidence,
        min_frames=limits.min_frames,
    )
    return Found(video, answer)
