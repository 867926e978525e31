"""`given`: features that came with the data, in place of a network's.

A manifest may name files of clips' features instead of videos (`media.given`). Their clips are
their frames, so the features of a segment are the rows of its frames.
"""

from pathlib import Path
from typing import Any

import numpy as np

from video2gif.core.errors import ItemError
from video2gif.core.store import write_arrays
from video2gif.core.work import Work
from video2gif.features.network import Extraction, Network
from video2gif.media import given
from video2gif.media.sniff import sniff

NAME = "given"


def extraction() -> Extraction:
    """What takes the place of a network: nothing is computed, so nothing can be chosen."""
    return Extraction(
        network=Network(
            name=NAME,
            width=0,  # As the files have it; the index of the shards tells.
            n_classes=0,
            clip_frames=1,
            rows=0,
            columns=0,
            weights="given",
            licence="that of the data",
            source="the data set itself",
        ),
        work=Work(function=f"{__name__}:work", libraries=("numpy",)),
        args={},
        backend="",
        cosine=1.0,
        mode="given",
        by_segment=False,
    )


def work(*, out: Path, params: dict[str, Any], path: str) -> None:
    """Write the features that a file brings. Raises `ItemError` (given) for any other file."""
    if sniff(Path(path)).kind != given.KIND:
        raise ItemError("given", "a video, not given features: name another network")
    rows = given.GivenClips.read(Path(path)).features
    write_arrays(out, {"features": rows, "frames": np.arange(len(rows), dtype=np.int64)})
