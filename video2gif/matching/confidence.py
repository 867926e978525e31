"""From what the search tried to one answer, and how sure it is.

Two ways to be wrong. The GIF may not be from this video: then even at its best place the hashes
are far (those of fixed windows, and of the very box that it shows), the pictures correlate less,
and the video's movement does not explain the GIF's; a logistic curve of the three is the
probability that it is there. Or it is, but other times are as good (a scene repeated, or hardly
moving): the share of the evidence of everything tried (`refine.Evidence`) that agrees with the
answer is the probability that the time is right. The confidence is the product.

A static scene explains no movement, so its GIFs come out ambiguous, whatever span fits best.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from video2gif.core.shards import ShardReader
from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.work import Work
from video2gif.fingerprint.read import of_row
from video2gif.fingerprint.track import Track
from video2gif.matching.align import PACE, VARIANTS, SpeedRange, cost_at, search
from video2gif.matching.bars import without_bars
from video2gif.matching.refine import Evidence, View, others, refine, view_cost

MatchStatus = Literal["matched", "ambiguous", "unmatched"]

TOLERANCE_S = 0.25
"""Spans whose starts and ends differ by no more than this are the same answer."""

# Logistic weights of a GIF being in a video at all: `benchmarks/fit_presence.py` fits them.
_BIAS, _PER_BIT, _PER_EXPLAINED, _PER_CORRELATION = -0.381, -0.765, 8.473, 8.601
FAR_BITS = 15.5
"""No true place of an attack or a real GIF was as far: unmatched, not ambiguous."""
# A GIF that fits forwards is also tried backwards where the forward place explains less than this
# share, or where its hashes are further than this and nearer when played backwards.
_SURELY_EXPLAINED, _NEAR_BITS = 0.97, 2.0
# Every true place measured explains more, except one (57 %): docs/benchmarks/attacks.md.
_TELLING_SHARE = 0.6
_MOST_ALTERNATIVES = 5
# The share of the evidence that counts against rivals. Errors of neighbouring frames are
# correlated: the full sum would make the best place look more certain than it is.
_RIVAL_SHARE = 0.5
# Of what moves: the frames of a GIF that plays there and back differ from their partners by less.
_FOLDED_SHARE = 0.2
# On a frame's own time, say, an answer must not lie before it here and after it elsewhere.
_DIGITS = 9
_PING_PONG_BITS = 2.0  # Palette noise between two showings of one frame.


@dataclass(frozen=True, kw_only=True)
class MatchedSpan:
    """A part of a video: frames [start_frame, end_frame), seconds [start_s, end_s)."""

    start_frame: int
    end_frame: int
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Match:
    """Where a GIF comes from, as far as its video tells."""

    status: MatchStatus
    reason: str = ""
    """Why it is not `matched`; "" if it is."""
    span: MatchedSpan | None = None
    """The best span, also of an ambiguous match."""
    speed: float = float("nan")
    """Video seconds that pass in one GIF second; negative if the GIF plays backwards."""
    distance: float = float("nan")
    """Mean Hamming distance of the GIF's frames at the span, capped at `align.CAP` bits."""
    confidence: float = 0.0
    """Probability that the span is right within `TOLERANCE_S` at both ends."""
    mirror: bool = False
    explained: float = float("nan")
    """Share of the GIF's movement that the video's movement at the span accounts for."""
    correlation: float = float("nan")
    """Of the GIF's pictures with those of the video at the span, at most 1."""
    margin: float = 0.0
    """Share of the posterior over everything tried that agrees with the span."""
    alternatives: tuple[MatchedSpan, ...] = ()
    """Other spans of an ambiguous match, best first."""

    def for_json(self) -> dict[str, Any]:
        """What people are told of it: no NaN, plain types."""
        return {
            "status": self.status,
            "reason": self.reason,
            "start_s": self.span and self.span.start_s,
            "end_s": self.span and self.span.end_s,
            "start_frame": self.span and self.span.start_frame,
            "end_frame": self.span and self.span.end_frame,
            "speed": None if math.isnan(self.speed) else self.speed,
            "confidence": self.confidence,
            "distance": None if math.isnan(self.distance) else self.distance,
            "mirror": self.mirror,
        }


def match(
    gif: Track, video: Track, *, min_confidence: float, min_frames: int, pace: SpeedRange = PACE
) -> Match:
    """Find a GIF in the video it is declared to come from.

    GIFs of fewer than `min_frames` distinct frames are unmatched: a still fits too many places.
    """
    reason = too_short(gif, min_frames)
    if reason:
        return Match(status="unmatched", reason=reason)
    found = _match_any_way(gif, video, min_confidence=min_confidence, pace=pace)
    bare_gif, bare_video = without_bars(gif), without_bars(video)
    if found.status == "matched" and bare_gif is None:
        return found
    if bare_gif is None and bare_video is None:
        return found
    bare = _match_any_way(
        bare_gif or gif, bare_video or video, min_confidence=min_confidence, pace=pace
    )
    return max(bare, found, key=lambda one: one.confidence)


def too_short(gif: Track, min_frames: int) -> str:
    """Why a GIF shows too little to be looked for, or ""."""
    if len(gif) == 1:
        return "short: the GIF has one frame"
    distinct = len(np.unique(gif.hashes[gif.quality > 0], axis=0))
    if distinct < min_frames:
        return f"short: {distinct} distinct frames with a picture; match.min_frames is {min_frames}"
    return ""


def _match_any_way(gif: Track, video: Track, *, min_confidence: float, pace: SpeedRange) -> Match:
    """Forwards, there and back, or backwards."""
    there = _way_there(gif)
    if there is not None:
        return _match_forwards(there, video, min_confidence=min_confidence, pace=pace)
    found = _match_forwards(gif, video, min_confidence=min_confidence, pace=pace)
    back_gif = gif.backwards()
    is_sure = found.status == "matched" and found.explained >= _SURELY_EXPLAINED
    # Fast turns look much the same both ways in 16×16 pixels, not so in their hashes.
    if is_sure and (
        found.distance <= _NEAR_BITS or _least_bits(back_gif, video, pace) >= found.distance
    ):
        return found
    back = _match_forwards(back_gif, video, min_confidence=min_confidence, pace=pace)
    # Backwards must convince: an unsure answer is more likely the forward one.
    if back.status != "matched":
        return found
    if found.status == "matched" and found.explained >= back.explained:
        return found
    return replace(back, speed=-back.speed)


def _least_bits(gif: Track, video: Track, pace: SpeedRange) -> float:
    places = search(gif, video, pace=pace).places
    return min((place.cost for place in places), default=float("inf"))


def _way_there(gif: Track) -> Track | None:
    """The first half of a GIF that plays there and back (ping-pong), or None."""
    # The turning frames may be shown once or twice: a b c b, or a b c c b a.
    for period, half in ((len(gif), len(gif) // 2 + 1), (len(gif) - 1, (len(gif) + 1) // 2)):
        partner = (period - np.arange(len(gif))) % len(gif)
        apart = np.bitwise_count(gif.hashes[:, 0] ^ gif.hashes[partner, 0])
        if apart.mean() < _PING_PONG_BITS and half < len(gif) and _folds(gif.thumbs, partner):
            return gif.first(half)
    return None


def _folds(thumbs: np.ndarray, partner: np.ndarray) -> bool:
    """Whether frames and their partners differ little beside what moves: a still scene may not."""
    levels = thumbs.astype(np.float32)
    # A difference of two pictures has twice the variance of one.
    apart = ((levels - levels[partner]) ** 2).mean() / 2
    return bool(apart <= _FOLDED_SHARE * levels.var(axis=0).mean())


def _match_forwards(gif: Track, video: Track, *, min_confidence: float, pace: SpeedRange) -> Match:
    tried = _hypotheses(gif, video, pace)
    if not len(tried):
        return Match(status="unmatched", reason="too_long: the GIF does not fit into the video")
    return judge(tried, gif, video, min_confidence=min_confidence, pace=pace)


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Everything tried at all places, in parallel arrays (m,)."""

    start_s: np.ndarray
    end_s: np.ndarray
    speed: np.ndarray
    evidence: np.ndarray
    """Log likelihood up to a constant."""
    explained: np.ndarray
    """Share of the GIF's movement that the video accounts for."""
    view: np.ndarray
    """Number in `views`."""
    views: tuple[View, ...]

    def __len__(self) -> int:
        return len(self.start_s)


def _hypotheses(gif: Track, video: Track, pace: SpeedRange) -> Hypotheses:
    found = search(gif, video, pace=pace)

    def refined(start_s: float, speed: float, *, mirror: bool) -> Evidence:
        return refine(gif, video, start_s=start_s, speed=speed, mirror=mirror, pace=pace)

    tried = [refined(p.start_s, p.speed, mirror=VARIANTS[p.variant].mirror) for p in found.places]
    tried = [one for one in tried if len(one.start_s)]
    if tried:
        best = max(tried, key=lambda one: float(one.evidence.max()))
        tried += [
            refined(start_s, speed, mirror=best.view.mirror)
            for start_s, speed in others(
                gif, video, tried, start_s=found.start_s, speed=found.speed
            )
        ]
    start_s, speed, evidence, explained = (
        np.concatenate([np.empty(0), *(getattr(t, name) for t in tried)])
        for name in ("start_s", "speed", "evidence", "explained")
    )
    view = np.repeat(np.arange(len(tried)), [len(t.start_s) for t in tried])
    views = tuple(t.view for t in tried)
    end_s = start_s + speed * gif.end_s
    return Hypotheses(start_s, end_s, speed, evidence, explained, view, views)


def judge(
    tried: Hypotheses, gif: Track, video: Track, *, min_confidence: float, pace: SpeedRange = PACE
) -> Match:
    """The best answer, and what it is worth."""
    best = int(np.argmax(tried.evidence))
    weight = np.exp(tried.evidence - tried.evidence[best])
    weight /= weight.sum()
    near = _agreeing(tried, tried.start_s[best], tried.end_s[best])
    answer = _mean(tried, weight, near)
    view, explained = tried.views[tried.view[best]], float(tried.explained[best])
    cost = min(
        cost_at(gif, video, start_s=answer[0], speed=answer[2]),
        view_cost(gif, video, view, start_s=answer[0], speed=answer[2]),
    )
    present = _presence(cost, explained, view.correlation)
    doubt = np.exp(_RIVAL_SHARE * (tried.evidence - tried.evidence[best]))
    margin = float(doubt[_agreeing(tried, answer[0], answer[1])].sum() / doubt.sum())
    # If the video hardly explains what moves, nothing tells when.
    margin *= min(max(explained / _TELLING_SHARE, 0.0), 1.0)
    confidence = present * margin
    if not pace.is_inside(answer[2]):
        # At the end of the grid the true map may lie beyond it: a slide show, say.
        confidence *= float(explained >= _SURELY_EXPLAINED) / 2 + 0.5
    found = Match(
        status="matched",
        span=to_span(video, answer[0], answer[1]),
        speed=answer[2],
        distance=cost,
        confidence=confidence,
        mirror=view.mirror,
        explained=explained,
        correlation=view.correlation,
        margin=margin,
    )
    if confidence >= min_confidence:
        return found
    if cost > FAR_BITS:
        reason = f"distance: the best place is {cost:.1f} bits away"
        return replace(
            found, status="unmatched", reason=reason, span=None, speed=float("nan"), mirror=False
        )
    others = _others(tried, doubt, answer, video)
    reason = (
        f"ambiguous: confidence {confidence:.2f}, {explained:.0%} of the movement"
        f" explained, {len(others)} other spans nearly as good"
    )
    return replace(found, status="ambiguous", reason=reason, alternatives=others)


def _presence(cost: float, explained: float, correlation: float) -> float:
    """Probability that the GIF is from this video at all."""
    score = _BIAS + _PER_BIT * cost
    score += _PER_EXPLAINED * max(explained, 0.0)
    score += _PER_CORRELATION * max(correlation, 0.0)
    return 1.0 / (1.0 + float(np.exp(-score)))


def to_span(video: Track, start_s: float, end_s: float) -> MatchedSpan:
    """Whole frames: from the one on screen at the start to the last one shown before the end."""
    first = int(video.shown_at(np.array([start_s]))[0])
    # A frame that is on screen for less than half its time before the end is not in the span.
    edges = np.append(video.pts_s, video.end_s)
    middles = (edges[:-1] + edges[1:]) / 2
    end = max(first + 1, int(np.searchsorted(middles, end_s)))
    return MatchedSpan(
        start_frame=first, end_frame=end, start_s=float(edges[first]), end_s=float(edges[end])
    )


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
        round(float((share * values[chosen]).sum()), _DIGITS)
        for values in (tried.start_s, tried.end_s, tried.speed)
    )
    return start_s, end_s, speed


def _others(
    tried: Hypotheses, weight: np.ndarray, answer: tuple[float, float, float], video: Track
) -> tuple[MatchedSpan, ...]:
    """The best spans apart from the answer and from one another, with a share of the posterior."""
    left = ~_agreeing(tried, answer[0], answer[1])
    spans: list[MatchedSpan] = []
    while left.any() and len(spans) < _MOST_ALTERNATIVES:
        best = int(np.argmax(np.where(left, weight, -1.0)))
        if weight[best] < 0.05 * weight.max():
            break
        spans.append(to_span(video, tried.start_s[best], tried.end_s[best]))
        left &= ~_agreeing(tried, tried.start_s[best], tried.end_s[best])
    return tuple(spans)


def matching(*, min_confidence: float, min_frames: int) -> Work:
    """The work of an item whose inputs are the two tracks' digests."""
    return Work(
        function=f"{__name__}:work",
        params={"min_confidence": min_confidence, "min_frames": min_frames},
        libraries=("numpy",),
    )


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
    found = match(of_row(shards, gif).track, of_row(shards, video).track, **params)
    write_arrays(out, {}, asdict(found))


def read_match(payload: bytes) -> Match:
    """From the item that `work` wrote."""
    return match_of_notes(read_arrays(payload)[1])


def match_of_notes(notes: Mapping[str, Any]) -> Match:
    """From what `asdict` made of a match, read back from JSON."""
    span = notes["span"] and MatchedSpan(**notes["span"])
    others = tuple(MatchedSpan(**other) for other in notes["alternatives"])
    return Match(**{**notes, "span": span, "alternatives": others})
