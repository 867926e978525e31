"""What nobody wants in a GIF: black and blank frames, fades, cards of text, stills.

Reads the cues of a fingerprint (`fingerprint.cues.NAMES`). A frame is black, blank, a card or
fading, or it is clean; a segment is worth the longest run of clean frames in it. The limits were
set by looking at eleven films (docs/benchmarks/eyes.md), none of which has labels for this.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from video2gif.core.types import Span
from video2gif.fingerprint.cues import NAMES

DEFECTS = ("black", "blank", "card", "fading")

_BLACK_MEAN, _BLACK_TOP = 18.0, 28.0  # Levels of luma: one is enough.
_BLANK_CONTRAST = 5.0
_CARD_PLAIN, _CARD_MOTION = 0.8, 0.8  # Text does not move, people before black do.
_FADE_S = 0.4
_FADE_LIGHT = 0.35  # Of the change of a window, the share that is light alone.
_FADE_CONTRAST = 0.25  # Natural logarithm of how much the contrast changes in a window.
# Levels of change, and the share of frames below it that makes a still.
_STILL_CHANGE, _STILL_SHARE = 0.15, 0.7
# A run of at least so many seconds, and so great a share of its segment, is good.
_MIN_S = 0.8
_MIN_SHARE = 0.5
_SEEN_SHARE = 0.2


@dataclass(frozen=True)
class Clean:
    """The good part of one segment."""

    run: Span
    """The longest run of clean frames in its main shot; empty if there is none."""
    is_defective: bool
    """Whether too little of it is clean, or nothing moves."""
    defects: tuple[str, ...]
    """What spoils it: of `DEFECTS` those that a fifth of it shows, and `still`."""


def _column(cues: np.ndarray, name: str) -> np.ndarray:
    """One of the numbers of `NAMES` of all frames, float64 (n,)."""
    return cues[:, NAMES.index(name)].astype(np.float64)


def frame_defects(
    cues: np.ndarray, pts_s: np.ndarray, cuts: Sequence[int]
) -> Mapping[str, np.ndarray]:
    """For each of `DEFECTS` the frames that show it, bool (n,).

    `cues` (n, 9); `pts_s` (n,); `cuts`: first frames of the shots but the first.
    """
    # The whole picture: the edges of a dark one count as bars, and between them is what is lit.
    dark = _column(cues, "brightness") * (1 - _column(cues, "bars")) < _BLACK_MEAN
    flat = _column(cues, "plain") >= _CARD_PLAIN
    return {
        "black": dark | (_column(cues, "brightest") < _BLACK_TOP),
        "blank": _column(cues, "contrast") < _BLANK_CONTRAST,
        "card": flat & (_column(cues, "motion") < _CARD_MOTION),
        "fading": _fading(cues, pts_s, cuts),
    }


def clean_frames(cues: np.ndarray, pts_s: np.ndarray, cuts: Sequence[int]) -> np.ndarray:
    """Frames that show none of `DEFECTS`, bool (n,)."""
    return ~np.logical_or.reduce(list(frame_defects(cues, pts_s, cuts).values()))


def clean_parts(
    cues: np.ndarray, edges_s: np.ndarray, spans: np.ndarray, cuts: Sequence[int]
) -> list[Clean]:
    """The good part of each segment. `edges_s` (n + 1,): frame starts and the end of the last."""
    found = frame_defects(cues, edges_s[:-1], cuts)
    is_clean = ~np.logical_or.reduce(list(found.values()))
    shots = list(pairwise([0, *cuts, len(cues)]))
    still = _column(cues, "change") < _STILL_CHANGE
    parts = []
    for start, end in spans.tolist():
        shot = main_shot(shots, (start, end))
        run = _longest(is_clean, max(start, shot[0]), min(end, shot[1]))
        parts.append(_judged(run, (start, end), edges_s, found, still))
    return parts


def run_means(cues: np.ndarray, clean: Sequence[Clean]) -> dict[str, np.ndarray]:
    """For each of `NAMES` its mean over each run, float64 (segments,); 0 where it is empty.

    A run's first frame is left out: it changes by what was before it.
    """
    parts = [cues[part.run[0] + 1 : part.run[1]].astype(np.float64) for part in clean]
    means = [part.mean(axis=0) if len(part) else np.zeros(len(NAMES)) for part in parts]
    return dict(zip(NAMES, np.array(means).reshape(-1, len(NAMES)).T, strict=True))


def main_shot(shots: Sequence[Span], span: Span) -> Span:
    """The shot that holds most of a span: a segment may be joined from several short ones."""
    return max(shots, key=lambda shot: min(shot[1], span[1]) - max(shot[0], span[0]))


def _judged(
    run: Span,
    span: Span,
    edges_s: np.ndarray,
    found: Mapping[str, np.ndarray],
    still: np.ndarray,
) -> Clean:
    start, end = span
    seen = [kind for kind, flags in found.items() if flags[start:end].mean() >= _SEEN_SHARE]
    length_s = edges_s[run[1]] - edges_s[run[0]]
    share = length_s / max(edges_s[end] - edges_s[start], 1e-9)
    # A shorter run is good only in a segment that shows no defect, and so is short itself.
    is_spoilt = share < _MIN_SHARE if length_s >= _MIN_S else bool(seen) or run[0] == run[1]
    moving = still[(run[0] if length_s else start) + 1 : run[1] if length_s else end]
    is_still = not len(moving) or bool(moving.mean() > _STILL_SHARE)
    return Clean(run, is_spoilt or is_still, (*seen, *(["still"] if is_still else [])))


def _longest(is_clean: np.ndarray, start: int, end: int) -> Span:
    """The longest run of true in [start, end), the first of equals."""
    flags = np.concatenate([[0], is_clean[start:end].astype(np.int8), [0]])
    steps = np.flatnonzero(np.diff(flags))
    runs = [(start + int(a), start + int(b)) for a, b in steps.reshape(-1, 2)]
    return max(runs, key=lambda run: (run[1] - run[0], -run[0]), default=(start, start))


def _fading(cues: np.ndarray, pts_s: np.ndarray, cuts: Sequence[int]) -> np.ndarray:
    """Frames in a window of 0.4 s in which the light goes up or down and little else happens."""
    fading = np.zeros(len(cues), bool)
    change, relit = (_column(cues, name) ** 2 for name in ("change", "relit"))
    contrast = np.log(_column(cues, "contrast") + 4)
    length_s = float(pts_s[-1] - pts_s[0]) if len(pts_s) > 1 else 0.0
    window = max(2, round(_FADE_S * (len(pts_s) - 1) / length_s)) if length_s > 0 else 2
    for start, end in pairwise([0, *cuts, len(cues)]):
        if end - start <= window:
            continue
        # A shot's first frame changes by the cut.
        changed, left = (_sums(one[start + 1 : end], window) for one in (change, relit))
        step = np.abs(contrast[start + window : end] - contrast[start : end - window])
        is_light = left < (1 - _FADE_LIGHT) * changed
        for place in np.flatnonzero(is_light & (step > _FADE_CONTRAST)):
            fading[start + place : start + place + window + 1] = True
    return fading


def _sums(values: np.ndarray, window: int) -> np.ndarray:
    """Of each `window` values in a row, (n - window + 1,)."""
    totals = np.concatenate([[0.0], np.cumsum(values)])
    return totals[window:] - totals[:-window]
