"""What each stage computed, left in .video2gif/counts/ for the run that watches them."""

import json
import time
from dataclasses import asdict
from pathlib import Path

from video2gif.core.items import Counts
from video2gif.stages import STAGES


def note_counts(root: Path, stage: str, counts: Counts) -> None:
    """Leave what a stage did for the run that watches it."""
    path = root / ".video2gif" / "counts" / f"{stage}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**asdict(counts), "at": time.time()}))


def items_table(root: Path, *, since: float) -> list[dict[str, str | int]]:
    """A row for every stage: what it computed, reused and quarantined, or that it did not run."""
    return [_row(root / ".video2gif" / "counts" / f"{stage}.json", since) for stage in STAGES]


def _row(path: Path, since: float) -> dict[str, str | int]:
    try:
        note = json.loads(path.read_text())
        ran = note.pop("at") >= since
    except (OSError, ValueError, KeyError):
        ran = False
    return {"stage": path.stem, **note} if ran else {"stage": path.stem, "computed": "up to date"}
