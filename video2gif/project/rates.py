"""How long stages took on this machine: `rates.json` in the item store, for `video2gif plan`.

No result depends on it, so it may be deleted at any time.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from video2gif.core.items import Counts
from video2gif.core.store import atomic_path

_NEWEST = 0.5  # Weight of the last run against all before it, because machines and videos change.


@dataclass(frozen=True)
class Rate:
    """Seconds on the clock: of a whole run, and of each item that it computed."""

    run_s: float
    item_s: float | None


def remember(root: Path, stage: str, counts: Counts, seconds: float) -> None:
    """Note a finished run of a stage. Does nothing if the store cannot be written."""
    rates = known(root)
    item_s = seconds / counts.computed if counts.computed else None
    if before := rates.get(stage):
        seconds = _mean(before.run_s, seconds)
        # A run that only reused says nothing about an item.
        item_s = before.item_s if item_s is None else _mean(before.item_s or item_s, item_s)
    rates[stage] = Rate(seconds, item_s)
    content = {name: vars(rate) for name, rate in sorted(rates.items())}
    try:
        root.mkdir(parents=True, exist_ok=True)
        with atomic_path(root / "rates.json") as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n")
    except OSError:
        return


def known(root: Path) -> dict[str, Rate]:
    """Rates of the stages that have run; a damaged file counts as none."""
    try:
        content = json.loads((root / "rates.json").read_text())
        return {str(stage): Rate(float(r["run_s"]), r["item_s"]) for stage, r in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _mean(before: float, now: float) -> float:
    return (1 - _NEWEST) * before + _NEWEST * now
