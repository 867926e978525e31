"""One item of the match stage: a GIF and the one video it is declared to come from."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from video2gif.matching.confidence import Match, Span, match
from video2gif.matching.track import Track
from video2gif.shards import ShardReader
from video2gif.store import read_arrays, write_arrays


def work(
    *,
    out: Path,
    params: Mapping[str, Any],
    folder: str,
    gif: Mapping[str, Any],
    video: Mapping[str, Any],
) -> None:
    """Write the `Match` of two fingerprints, each given by its row of the FINGERPRINTS table."""
    shards = ShardReader(Path(folder))
    found = match(Track.of(shards, gif), Track.of(shards, video), **params)
    write_arrays(out, {}, asdict(found))


def read_match(payload: bytes) -> Match:
    """From the item that `work` wrote."""
    notes = read_arrays(payload)[1]
    span = notes.pop("span")
    others = tuple(Span(**other) for other in notes.pop("alternatives"))
    return Match(**notes, span=span and Span(**span), alternatives=others)
