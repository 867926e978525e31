"""Divide the videos into train, validation and test; near-duplicates stay together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from video2gif.core.config import LabelParams
from video2gif.datasets import published_test_ids
from video2gif.fingerprint.read import Fingerprints
from video2gif.labels.duplicates import near_duplicates, pictures
from video2gif.labels.overlap import Split, group_split, split_of


@dataclass(frozen=True)
class Assigned:
    """The split of a video."""

    split: Split
    duplicate_of: str = ""
    """The first of its near-duplicates in the manifest, whose split it takes; "" for that one."""


def splits_of(
    video_ids: Sequence[str],
    sources: pd.DataFrame,
    duplicates: Sequence[Sequence[str]],
    params: LabelParams,
) -> dict[str, Assigned]:
    """The split of each video, the same for near-duplicates (`duplicates`: groups of ids)."""
    fixed: dict[str, set[str]] = {}
    for video_id, split in zip(sources.video_id, sources.split, strict=True):
        fixed.setdefault(video_id, set()).add(split)
    # The published test videos are held out whatever the manifest says (docs/paper.md, Data).
    for video_id in published_test_ids():
        fixed.setdefault(video_id, set()).add("test")
    line = sources.groupby("video_id").line.min().fillna(math.inf).to_dict()
    grouped = {video_id for group in duplicates for video_id in group}
    found: dict[str, Assigned] = {}
    for group in [*duplicates, *([one] for one in video_ids if one not in grouped)]:
        # The manifest's first one decides: copies are added below it and so move no video.
        first = min(group, key=lambda video_id: (line.get(video_id, math.inf), video_id))
        words = {word for video_id in group for word in fixed.get(video_id, ())}
        split = group_split(words, _own_split(first, params))
        found |= {one: Assigned(split, "" if one == first else first) for one in group}
    return found


def _own_split(video_id: str, params: LabelParams) -> Split:
    return split_of(
        video_id,
        seed=params.split_seed,
        validation_fraction=params.validation_fraction,
        test_fraction=params.test_fraction,
    )


def _duplicates(
    video_ids: Sequence[str], fingerprints: Fingerprints, params: LabelParams
) -> list[list[str]]:
    def pictures_of(video_id: str) -> np.ndarray:
        fingerprint = fingerprints.get("video", video_id)
        return pictures(fingerprint.phash, fingerprint.quality)

    return near_duplicates(video_ids, pictures_of, min_share=params.duplicate_share)
