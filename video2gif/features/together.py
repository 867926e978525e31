"""The features of videos by several networks, of which each video is decoded for all at once.

Each network's features are an item of their own, so that one can be added later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from video2gif.core.items import Context, compute
from video2gif.core.work import Outcome
from video2gif.features.network import Extraction
from video2gif.media.together import Reading, read_together


@dataclass(frozen=True)
class WantedVideo:
    """A video whose features are wanted."""

    id: str
    sha256: str
    path: Path
    spans: np.ndarray
    """Its segments, int (n, 2)."""


def compute_features(
    stage: str, extractions: Sequence[Extraction], videos: Sequence[WantedVideo], context: Context
) -> list[list[Outcome]]:
    """For each network its outcomes, in the order of `videos`."""
    readings = [[_reading(one, video) for one in extractions] for video in videos]
    read_together(stage, readings, context)
    return [
        compute(stage, one.work, [own[number].item for own in readings], context)
        for number, one in enumerate(extractions)
    ]


def _reading(extraction: Extraction, video: WantedVideo) -> Reading:
    item = extraction.item(
        f"video:{video.id}", sha256=video.sha256, path=video.path, spans=video.spans
    )
    return Reading(extraction.work, item)
