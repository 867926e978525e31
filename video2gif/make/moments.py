"""Which moments become GIFs, and how far each may move: filters on the ranking."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from video2gif.core.errors import ItemError
from video2gif.core.types import Span
from video2gif.fingerprint.defects import Clean, main_shot
from video2gif.gifs.pace import Pace, pace_of
from video2gif.gifs.render import HOLD_S, Within
from video2gif.make.analysis import Analysis
from video2gif.make.rankers import Moment
from video2gif.make.words import place_of, sentence, times

_SAME_BITS = 18  # of 64: two frames closer than this show the same scene (docs/benchmarks)
_SAME_SHARE = 0.5  # of a moment's frames that another one shows as well
_SAMPLED = 8
_SLACK_S = 0.5  # A GIF may start or end this much outside its segment.
_ROUNDING = 1e-6  # of frames
_FAR_S = 0.25  # A boundary may lie so far from the one that was asked for.
_SHRINK = 0.6  # A GIF keeps this share of its segment at least.


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a person asked for."""

    top: int = 6
    bottom: int = 0
    from_s: float = 0.0
    to_s: float = math.inf
    min_len_s: float | None = None
    max_len_s: float | None = None
    alike: bool = False
    """Whether two GIFs may show the same picture. Those of a film of one shot always may."""


@dataclass(frozen=True)
class Chosen:
    """A moment, and where its GIF may lie."""

    moment: Moment
    within: Within
    """Its core is the part of the segment that counts: one shot, inside [from, to)."""


def choose(analysis: Analysis, moments: Sequence[Moment], choice: Choice) -> list[Chosen]:
    """The best `top` moments that fit the wishes, then the worst `bottom`; `moments` ranked.

    A scene that comes back is taken once, unless `choice.alike`: rather fewer GIFs than the same
    one again. Whoever ranked them, none with a defect (`fingerprint.defects`) is among the best
    while one without fits: rather fewer GIFs than a title card.
    """
    clean = [one for one in moments if not _clean(analysis, one).is_defective]
    best = _pick(analysis, clean, choice, choice.top, [])
    best = best or _pick(analysis, moments, choice, choice.top, [])
    if not choice.bottom:
        return best
    return best + _pick(analysis, moments[::-1], choice, choice.bottom, best)[::-1]


def exactly(analysis: Analysis, start_s: float, end_s: float) -> Chosen:
    """A span as a person set it, moved to the nearest frames; its ends stay where they are.

    Raises `ItemError` (no_frames) when the video has no frame there.
    """
    edges_s = analysis.edges_s
    start, end = (int(np.abs(edges_s - time_s).argmin()) for time_s in (start_s, end_s))
    if start >= edges_s.size - 1 or start_s >= edges_s[-1]:
        raise ItemError("no_frames", f"{start_s:.3f}–{end_s:.3f} s holds no frame")
    hold_s = math.inf
    if abs(edges_s[end] - end_s) > _FAR_S or end <= start:
        # In the middle of a frame that stands for long: as much of it as was asked for.
        end = int(np.searchsorted(edges_s[:-1], end_s))
        start = max(0, min(start, end - 1))
        hold_s = end_s - max(start_s, float(edges_s[end - 1]))
    if start >= end:
        raise ItemError("no_frames", f"{start_s:.3f}–{end_s:.3f} s holds no frame")
    shown_until_s = min(float(edges_s[end]), float(edges_s[end - 1]) + hold_s)
    moment = Moment(0, float(edges_s[start]), shown_until_s, math.nan, start, end)
    return Chosen(moment, Within.exactly((start, end), edges_s, hold_s=hold_s))


def same_picture(analysis: Analysis, a: Span, b: Span) -> bool:
    """Whether half of the frames of one span stand, nearly, in the other.

    By whole-frame hashes of eight frames each; flat frames, whose hash is noise, are left out.
    """
    first, second = _sampled(analysis, a), _sampled(analysis, b)
    if not len(first) or not len(second):
        return False
    near = np.bitwise_count(first[:, None] ^ second[None]) < _SAME_BITS
    return max(near.any(axis=1).mean(), near.any(axis=0).mean()) >= _SAME_SHARE


def _pick(
    analysis: Analysis,
    moments: Sequence[Moment],
    choice: Choice,
    count: int,
    taken: Sequence[Chosen],
) -> list[Chosen]:
    found: list[Chosen] = []
    may_repeat = choice.alike or len(analysis.shots) == 1
    for moment in moments:
        if len(found) == count:
            break
        one = _fitting(analysis, moment, choice)
        if one is None:
            continue
        core, others = one.within.core, [other.within.core for other in (*taken, *found)]
        if any(_overlap(core, other) for other in others):
            continue
        if not may_repeat and any(same_picture(analysis, core, other) for other in others):
            continue
        found.append(one)
    return found


def _fitting(analysis: Analysis, moment: Moment, choice: Choice) -> Chosen | None:
    """The moment inside its shot and the window asked for; None if it is too short there.

    Black, blank and fading frames and cards are left out, unless nothing else is long enough.
    """
    shot = main_shot(analysis.shots, (moment.start_frame, moment.end_frame))
    part = _clean(analysis, moment)
    if not part.is_defective:
        found = _inside(analysis, moment, choice, _clean_room(analysis, shot, part.run))
        if found is not None:
            return found
    return _inside(analysis, moment, choice, shot)


def _clean(analysis: Analysis, moment: Moment) -> Clean:
    return analysis.clean[int(np.searchsorted(analysis.spans[:, 0], moment.start_frame))]


def _clean_room(analysis: Analysis, shot: Span, run: Span) -> Span:
    """A run of clean frames, as far as it goes on in its shot."""
    dirty = np.flatnonzero(~analysis.is_clean)
    before, after = dirty[dirty < run[0]], dirty[dirty >= run[1]]
    start = int(before[-1]) + 1 if len(before) else 0
    end = int(after[0]) if len(after) else len(analysis.is_clean)
    return max(shot[0], start), min(shot[1], end)


def _inside(analysis: Analysis, moment: Moment, choice: Choice, shot: Span) -> Chosen | None:
    edges_s = analysis.edges_s
    window = np.searchsorted(edges_s, [choice.from_s - 1e-6, choice.to_s + 1e-6])
    last = len(edges_s) - 1 if math.isinf(choice.to_s) else int(window[1]) - 1
    room = max(shot[0], int(window[0])), min(shot[1], last)
    core = max(room[0], moment.start_frame), min(room[1], moment.end_frame)
    if core[1] <= core[0]:
        return None
    pace = pace_of(edges_s, room)
    shortest, longest = (choice.min_len_s or 0) / pace.frame_s, math.inf
    hold = min(HOLD_S, choice.max_len_s or math.inf) / pace.frame_s
    slack = float(round(_SLACK_S / pace.frame_s))
    if pace.is_even:
        shortest = math.ceil(shortest - _ROUNDING)
    if choice.max_len_s:
        longest = choice.max_len_s / pace.frame_s
        longest = math.floor(longest + _ROUNDING) if pace.is_even else longest
    else:
        longest = max(pace.length(core, hold=hold), shortest) + slack
    if pace.length(room, hold=hold) < shortest - _ROUNDING or longest < shortest or longest <= 0:
        return None
    core = _resized(core, room, pace, shortest=shortest, longest=longest, hold=hold)
    least = _SHRINK * pace.length(core, hold=hold)
    least = max(shortest, min(longest, math.ceil(least) if pace.is_even else least))
    within = Within(
        core=core,
        room=room,
        pace=pace,
        min_frames=least,
        max_frames=longest,
        slack_frames=slack,
        hold=hold,
    )
    return Chosen(moment, within)


def _resized(
    core: Span, room: Span, pace: Pace, *, shortest: float, longest: float, hold: float
) -> Span:
    """The core grown to the shortest length allowed, or shrunk to the longest."""
    if pace.is_even:  # About its middle.
        length = int(min(max(core[1] - core[0], shortest), longest))
        start = min(max((core[0] + core[1] - length) // 2, room[0]), room[1] - length)
        return start, start + length
    start, end = core
    while end < room[1] and pace.length((start, end), hold=hold) < shortest:
        end += 1
    while start > room[0] and pace.length((start, end), hold=hold) < shortest:
        start -= 1
    # The stretch in which most happens, the first one of several.
    fitting = (
        (-_fitting_from(first, end, pace, longest=longest, hold=hold), first)
        for first in range(start, end)
    )
    count, first = min(fitting)
    return (first, first - count) if count else (start, start + 1)


def _fitting_from(first: int, end: int, pace: Pace, *, longest: float, hold: float) -> int:
    """How many frames from `first` on, before `end`, are shown within the longest length."""
    shown_until = np.minimum(pace.at[first + 1 : end + 1], pace.at[first:end] + hold)
    return int(np.searchsorted(shown_until - pace.at[first], longest + _ROUNDING, side="right"))


def _overlap(a: Span, b: Span) -> bool:
    """Whether two spans share more than half of the shorter one."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return 2 * shared > min(a[1] - a[0], b[1] - b[0])


def _sampled(analysis: Analysis, span: Span) -> np.ndarray:
    frames = np.unique(np.linspace(span[0], span[1] - 1, _SAMPLED).round().astype(int))
    found = analysis.fingerprint
    return found.phash[frames[found.quality[frames] > 0]]


@dataclass(frozen=True)
class Why:
    """Why a moment was chosen."""

    sentence: str
    """For anybody."""
    details: tuple[str, ...]
    """The figures behind it, a sentence each."""


def why(analysis: Analysis, moments: Sequence[Moment], moment: Moment) -> Why:
    """In words; `moments` are all of the video, ranked."""
    motion = _beside(analysis, moment, slice(None))
    colour = _beside(analysis, moment, slice(0, 2))
    details = [
        f"Compared with the usual part of this film, {times(motion)} as much moves"
        f" and {times(colour)} as much changes colour."
    ]
    if not math.isnan(moment.score):
        details.insert(0, f"Score {moment.score:.2f}{_neighbours(moments, moment)}.")
    place = "" if math.isnan(moment.score) else place_of(moment.rank, len(moments))
    return Why(f"{place}{sentence(moment.why, motion)}", tuple(details))


def _neighbours(moments: Sequence[Moment], moment: Moment) -> str:
    in_time = sorted(moments, key=lambda one: one.start_frame)
    at = in_time.index(moment)
    found = []
    for word, number in (("before", at - 1), ("after", at + 1)):
        if 0 <= number < len(in_time) and not math.isnan(in_time[number].score):
            found.append(f"the part {word} it has {in_time[number].score:.2f}")
    return f"; {' and '.join(found)}" if found else ""


def _beside(analysis: Analysis, moment: Moment, columns: slice) -> float:
    """How much changes in it, as a multiple of the video's median segment; NaN if none does."""
    change = analysis.fingerprint.content[:, columns].mean(axis=1)
    own = _mean(change[moment.start_frame + 1 : moment.end_frame])
    usual = float(np.median([_mean(change[start + 1 : end]) for start, end in analysis.spans]))
    return own / usual if usual > 0 else math.nan


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
