"""Features of a video's segments, for rankers: the pipeline's own items where they are there."""

import numpy as np

from video2gif.core.items import Context, compute, payload_of
from video2gif.core.work import Item
from video2gif.features.network import Extraction, Features
from video2gif.make.analysis import Analysis

_LONG_FRAMES = 1000
"""From so many frames on, C3D takes longer than a second start of the network."""


def film_features(extraction: Extraction, analysis: Analysis, context: Context) -> Features:
    """What one network sees in each segment.

    Where features depend on the segments, a long video goes in two halves, side by side, as an
    item runs on one core. The halves are the same on every machine.
    """
    spans = _parts(extraction, analysis, context)
    items = [_item(extraction, analysis, part) for part in spans]
    outcomes = compute("features", extraction.work, items, context)
    found = [
        extraction.read(payload_of(outcome, context), part)
        for outcome, part in zip(outcomes, spans, strict=True)
    ]
    return Features(
        np.concatenate([one.rows for one in found]),
        np.concatenate([one.n_clips for one in found]),
        np.concatenate([one.classes for one in found]),
        np.concatenate([one.frames for one in found]),
    )


def _parts(extraction: Extraction, analysis: Analysis, context: Context) -> list[np.ndarray]:
    whole = analysis.spans
    n_frames = len(analysis.fingerprint.pts_s)
    key = extraction.work.key(_item(extraction, analysis, whole).inputs)
    if not extraction.by_segment or n_frames < _LONG_FRAMES or context.store.has(key):
        return [whole]
    half = int(np.searchsorted(whole[:, 0], n_frames / 2))
    return [part for part in (whole[:half], whole[half:]) if len(part)]


def _item(extraction: Extraction, analysis: Analysis, spans: np.ndarray) -> Item:
    return extraction.item(
        f"video:{analysis.path.name}", sha256=analysis.sha256, path=analysis.path, spans=spans
    )
