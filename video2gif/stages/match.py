"""Find where in its video each GIF was cut (docs/paper.md, Alignment).

Reads data/sources.parquet and data/fingerprints/; writes data/matches.parquet.

Every GIF of the manifest gets one row with the video that the manifest names for it: `matched`;
`ambiguous`, with the best span and the other possible ones in `alternatives`; or `unmatched`, with
a reason.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from video2gif.core.config import Params
from video2gif.core.items import Context, Counts, compute
from video2gif.core.layout import Layout
from video2gif.core.tables import FINGERPRINTS, MATCHES, SOURCES
from video2gif.core.work import Item
from video2gif.matching.confidence import Match, MatchedSpan, matching, read_match

STAGE = "match"

Pair = tuple[str, str]
"""gif_id, video_id."""

# An empty span, which `labels.place` takes for none.
_NOWHERE = MatchedSpan(start_frame=0, end_frame=0, start_s=np.nan, end_s=np.nan)
# What `fingerprint.read.of_row` needs to find a file's rows in the shards.
_PLACE = ("shard", "row", "n_frames", "duration_s", "width", "height", "bad_packets")


def declared_pairs(sources: pd.DataFrame) -> list[Pair]:
    """The GIFs of the manifest, each with its video, sorted."""
    gifs = sources[sources.gif_id != ""]
    return sorted(set(zip(gifs.gif_id, gifs.video_id, strict=True)))


def obstacle(pair: Pair, index: Mapping[Pair, Any]) -> str:
    """Why a pair cannot be matched at all, or "". `index`: rows of FINGERPRINTS by (kind, id)."""
    for kind, item_id in zip(("gif", "video"), pair, strict=True):
        row = index.get((kind, item_id))
        if row is None:
            return f"missing: {kind} {item_id} has no fingerprint; see downloads.parquet"
        if row["status"] != "ok":
            return f"{row['reason']} ({kind} {item_id})"
    return ""


def to_row(pair: Pair, match: Match) -> dict[str, Any]:
    """A row of MATCHES."""
    columns = {"distance", "speed", "confidence", "status"}
    found = {name: value for name, value in asdict(match).items() if name in columns}
    also = ", ".join(f"{s.start_s:.2f}-{s.end_s:.2f} s" for s in match.alternatives)
    reason = f"{match.reason}: {also}" if also else match.reason
    span = asdict(match.span or _NOWHERE)
    return {
        "gif_id": pair[0],
        "video_id": pair[1],
        **span,
        **found,
        "reason": reason,
        "alternatives": sorted([s.start_frame, s.end_frame] for s in match.alternatives),
    }


def run(layout: Layout, params: Params, context: Context) -> Counts:
    """Match what is new; write every pair's row."""
    index: dict[Pair, Any] = {
        (row["kind"], row["id"]): row
        for row in FINGERPRINTS.read(layout.fingerprints / "index.parquet").to_dict("records")
    }
    pairs = declared_pairs(SOURCES.read(layout.sources))
    # What cannot be matched at all costs no item, and has a row all the same.
    hindered = {pair: why for pair in pairs if (why := obstacle(pair, index))}
    todo = [_item(pair, index, layout) for pair in pairs if pair not in hindered]
    limits = params.match
    work = matching(min_confidence=limits.min_confidence, min_frames=limits.min_frames)
    outcomes = compute(STAGE, work, todo, context)
    matches = {pair: Match(status="unmatched", reason=why) for pair, why in hindered.items()}
    open_pairs = [pair for pair in pairs if pair not in hindered]
    for pair, outcome in zip(open_pairs, outcomes, strict=True):
        matches[pair] = (
            read_match(context.store.read(outcome.key))
            if outcome.ok
            else Match(status="unmatched", reason=outcome.reason)
        )
    MATCHES.write(layout.matches, [to_row(pair, match) for pair, match in matches.items()])
    return Counts.of(outcomes)


def _item(pair: Pair, index: Mapping[Pair, Any], layout: Layout) -> Item:
    gif, video = index["gif", pair[0]], index["video", pair[1]]
    return Item(
        id=f"gif:{pair[0]}",
        # Digests of the hashes, not of the files: a re-encoded file with equal hashes is not new.
        inputs=(gif["digest"], video["digest"]),
        args={
            "folder": str(layout.fingerprints),
            "gif": {name: gif[name] for name in _PLACE},
            "video": {name: video[name] for name in _PLACE},
        },
    )
