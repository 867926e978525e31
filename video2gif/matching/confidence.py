"""From what the search tried to one answer, and how sure it is.

Two ways to be wrong: the GIF is not from this video at all (even its best place costs too much),
or it is, but other places are as good (a static scene). The first is a logistic curve of the best
cost; for the second, hypotheses weighted by exp(-frames · cost / temperature) are a posterior, and
the share of it that agrees with the answer is the probability that the answer is right. The
confidence is the product.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from video2gif.matching.align import VARIANTS, Hypotheses, search, shown_at
from video2gif.matching.track import Track

Status = Literal["matched", "ambiguous", "unmatched"]

TOLERANCE_S = 0.25
"""Spans whose starts and ends differ by no more than this are the same answer."""

# Measured on the real GIFs against their own and all other videos (benchmarks/match_realdata.py):
# true places cost up to 12.1 bits, those of other videos 15.6 and more.
_PRESENT_COST, _PRESENT_SCALE = 14.0, 0.5
# Neighbouring frames err alike: this many bits of summed cost count as one of evidence.
_TEMPERATURE = 8.0
_MOST_FRAMES = 40  # Beyond this, more frames of one scene are no more evidence.
_MOST_ALTERNATIVES = 5


@dataclass(frozen=True, kw_only=True)
class Span:
    """A part of a video: frames [start_frame, end_frame), seconds [start_s, end_s)."""

    start_frame: int
    end_frame: int
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Match:
    """Where a GIF comes from, as far as its video tells."""

    status: Status
    reason: str = ""
    """Why it is not `matched`; "" if it is."""
    span: Span | None = None
    """The best span, also of an ambiguous match."""
    speed: float = float("nan")
    """Video seconds that pass in one GIF second."""
    distance: float = float("nan")
    """Mean Hamming distance of the GIF's frames at the span, capped at `align.CAP` bits."""
    confidence: float = 0.0
    """Probability that the span is right within `TOLERANCE_S` at both ends."""
    mirror: bool = False
    alternatives: tuple[Span, ...] = field(default=())
    """Other spans of an ambiguous match, best first."""


def match(gif: Track, video: Track, *, min_confidence: float, min_frames: int) -> Match:
    """Find a GIF in the video it is declared to come from.

    GIFs of fewer than `min_frames` distinct frames are unmatched: a still fits too many places.
    """
    distinct = len(np.unique(gif.hashes[gif.quality > 0], axis=0))
    if len(gif) == 1:
        return Match(status="unmatched", reason="short: the GIF has one frame")
    if distinct < min_frames:
        return Match(
            status="unmatched",
            reason=f"short: {distinct} distinct frames with a picture; match.min_frames is"
            f" {min_frames}",
        )
    return judge(search(gif, video), gif, video, min_confidence=min_confidence)


def judge(tried: Hypotheses, gif: Track, video: Track, *, min_confidence: float) -> Match:
    """The posterior's best answer. `tried` is what `align.search` found."""
    if not len(tried):
        return Match(status="unmatched", reason="too_long: the GIF does not fit into the video")
    best = int(np.argmin(tried.cost))
    weight = _posterior(tried, frames=int((gif.quality > 0).sum()))
    same = _agreeing(tried, tried.start_s[best], tried.end_s[best])
    answer = _mean(tried, weight, same & (tried.cost <= tried.cost[best] + 0.5))
    present = 1.0 / (1.0 + np.exp((tried.cost[best] - _PRESENT_COST) / _PRESENT_SCALE))
    confidence = float(present * weight[_agreeing(tried, answer[0], answer[1])].sum())
    status, reason, others = _verdict(tried, weight, answer, float(present), confidence, video)
    if confidence >= min_confidence:
        status, reason, others = "matched", "", ()
    return Match(
        status=status,
        reason=reason,
        span=None if status == "unmatched" else to_span(video, answer[0], answer[1]),
        speed=float("nan") if status == "unmatched" else answer[2],
        distance=float(tried.cost[best]),
        confidence=confidence,
        mirror=VARIANTS[int(tried.variant[best])].mirror,
        alternatives=others,
    )


def to_span(video: Track, start_s: float, end_s: float) -> Span:
    """Whole frames: from the one on screen at the start to the last one shown before the end."""
    first = int(shown_at(video, np.array([start_s]))[0])
    # A frame that is on screen for less than half its time before the end is not in the span.
    edges = np.append(video.pts_s, video.end_s)
    middles = (edges[:-1] + edges[1:]) / 2
    end = max(first + 1, int(np.searchsorted(middles, end_s)))
    return Span(
        start_frame=first, end_frame=end, start_s=float(edges[first]), end_s=float(edges[end])
    )


def _posterior(tried: Hypotheses, *, frames: int) -> np.ndarray:
    evidence = -(tried.cost - tried.cost.min()) * min(frames, _MOST_FRAMES) / _TEMPERATURE
    weight = np.exp(evidence)
    return weight / weight.sum()


def _agreeing(tried: Hypotheses, start_s: float, end_s: float) -> np.ndarray:
    return (np.abs(tried.start_s - start_s) <= TOLERANCE_S) & (
        np.abs(tried.end_s - end_s) <= TOLERANCE_S
    )


def _mean(tried: Hypotheses, weight: np.ndarray, chosen: np.ndarray) -> tuple[float, float, float]:
    """Start, end, speed: the posterior mean of the chosen hypotheses.

    Costs are flat between two frames' times; their mean is the middle of the plateau.
    """
    share = weight[chosen] / weight[chosen].sum()
    start_s, end_s, speed = (
        float(share @ values[chosen]) for values in (tried.start_s, tried.end_s, tried.speed)
    )
    return start_s, end_s, speed


def _verdict(
    tried: Hypotheses,
    weight: np.ndarray,
    answer: tuple[float, float, float],
    present: float,
    confidence: float,
    video: Track,
) -> tuple[Status, str, tuple[Span, ...]]:
    """What an answer is that is not sure enough to be a match."""
    if present < 0.5:
        reason = f"distance: the best place is {tried.cost.min():.1f} bits away"
        return "unmatched", reason, ()
    others = _others(tried, weight, answer, video)
    reason = f"ambiguous: confidence {confidence:.2f}, {len(others)} other spans nearly as good"
    return "ambiguous", reason, others


def _others(
    tried: Hypotheses, weight: np.ndarray, answer: tuple[float, float, float], video: Track
) -> tuple[Span, ...]:
    """The best spans apart from the answer and from one another, with a share of the posterior."""
    left = ~_agreeing(tried, answer[0], answer[1])
    spans: list[Span] = []
    while left.any() and len(spans) < _MOST_ALTERNATIVES:
        best = int(np.argmax(np.where(left, weight, -1.0)))
        if weight[best] < 0.05 * weight.max():
            break
        spans.append(to_span(video, tried.start_s[best], tried.end_s[best]))
        left &= ~_agreeing(tried, tried.start_s[best], tried.end_s[best])
    return tuple(spans)
