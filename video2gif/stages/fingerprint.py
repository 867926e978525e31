"""Decode every downloaded file once. Reads downloads.parquet and media; writes data/fingerprints/.

One row in the index for every file that was downloaded: `ok` with its place in the shards, or
`quarantined` with the reason.
"""

from dataclasses import asdict, dataclass

import pandas as pd

from video2gif.core.config import Params
from video2gif.core.items import Context, Counts, check_failed_fraction, compute
from video2gif.core.layout import Layout, clear_folder
from video2gif.core.shards import ShardWriter
from video2gif.core.tables import DOWNLOADS, FINGERPRINTS
from video2gif.core.work import Item, Outcome
from video2gif.fingerprint.decode import fingerprinting
from video2gif.fingerprint.read import parts, track_digest

STAGE = "fingerprint"


@dataclass(frozen=True)
class _Row:
    """A row of FINGERPRINTS; the defaults are those of a quarantined file."""

    kind: str
    id: str
    status: str
    reason: str
    shard: str = ""
    row: int = 0
    n_frames: int = 0
    duration_s: float = 0.0
    width: int = 0
    height: int = 0
    bad_packets: int = 0
    digest: str = ""


def items(downloads: pd.DataFrame, layout: Layout) -> list[Item]:
    """One item for each file that is there, in the table's order (kind, id)."""
    here = downloads[downloads.status == "ok"]
    return [
        Item(
            id=f"{row.kind}:{row.id}",
            inputs=(row.sha256,),
            args={"path": str(layout.media_file(row.path)), "kind": row.kind},
        )
        for row in here.itertuples(index=False)
    ]


def run(layout: Layout, params: Params, context: Context) -> Counts:
    """Fingerprint what is new, then pack all fingerprints into shards."""
    todo = items(DOWNLOADS.read(layout.downloads), layout)
    outcomes = compute(STAGE, fingerprinting(params.fingerprint), todo, context)
    _pack(layout, outcomes, context)
    counts = Counts.of(outcomes)
    # After the table, which says why each one failed.
    check_failed_fraction(
        STAGE,
        failed=counts.quarantined,
        total=counts.total,
        limit=params.fingerprint.max_failed_fraction,
    )
    return counts


def _pack(layout: Layout, outcomes: list[Outcome], context: Context) -> None:
    clear_folder(layout.fingerprints)
    shards = ShardWriter(layout.fingerprints)
    rows = [asdict(_row(outcome, shards, context)) for outcome in outcomes]
    shards.close()
    FINGERPRINTS.write(layout.fingerprints / "index.parquet", rows)


def _row(outcome: Outcome, shards: ShardWriter, context: Context) -> _Row:
    # A kind has no colon, an id may have some.
    kind, _, item_id = outcome.id.partition(":")
    if not outcome.ok:
        return _Row(kind, item_id, "quarantined", outcome.reason)
    # Copied part by part, as the fingerprint of a ten-hour video has half a gigabyte.
    with context.store.arrays(outcome.key) as stored:
        shard, row = shards.add_parts(item_id, parts(stored))
        return _Row(
            kind,
            item_id,
            "ok",
            "",
            shard=shard,
            row=row,
            n_frames=len(stored),
            duration_s=stored.notes["end_s"],
            width=stored.notes["width"],
            height=stored.notes["height"],
            bad_packets=stored.notes["bad_packets"],
            digest=track_digest(stored),
        )
