"""Why this moment: its score among the others, its neighbours, what moves in it."""

import math
from collections.abc import Sequence

import numpy as np

from video2gif.make.analysis import Analysis, Moment

_MUCH, _LITTLE = 1.25, 0.8


def why(analysis: Analysis, moments: Sequence[Moment], moment: Moment) -> list[str]:
    """A few short facts; `moments` are all of the video, ranked."""
    facts = []
    if not math.isnan(moment.score):
        facts.append(f"ranked {moment.rank} of {len(moments)}")
        facts += _neighbours(moments, moment)
    facts.append(f"motion {_beside(analysis, moment, slice(None))}")
    facts.append(f"colour change {_beside(analysis, moment, slice(0, 2))}")
    return facts


def _neighbours(moments: Sequence[Moment], moment: Moment) -> list[str]:
    in_time = sorted(moments, key=lambda one: one.start_frame)
    at = in_time.index(moment)
    found = []
    for word, number in (("before", at - 1), ("after", at + 1)):
        if 0 <= number < len(in_time) and not math.isnan(in_time[number].score):
            found.append(f"{word} it {in_time[number].score:.2f}")
    return found


def _beside(analysis: Analysis, moment: Moment, columns: slice) -> str:
    """How much changes in it, in words, beside the video's median segment."""
    change = analysis.fingerprint.content[:, columns].mean(axis=1)
    own = _mean(change[moment.start_frame + 1 : moment.end_frame])
    usual = float(np.median([_mean(change[start + 1 : end]) for start, end in analysis.spans]))
    ratio = own / usual if usual > 0 else math.nan
    if math.isnan(ratio) or _LITTLE < ratio < _MUCH:
        return "as usual"
    return f"{ratio:.1f}× the usual"


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
