"""Videos spliced from real shots, with transitions of known kind and place.

Shots are what PySceneDetect's content detector finds in the real videos, trimmed at both ends;
trailers are left out, since their dissolves hide in what it takes for one shot. Neighbours differ
in their hashes, so that every transition can be seen.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from video2gif.fingerprint.read import Fingerprint
from video2gif.media.decode import Decoder
from video2gif.media.encode import write_video
from video2gif.shots.cuts import cuts

WIDTH, HEIGHT, FPS = 320, 180, 25
Kind = Literal["cut", "dissolve", "fade"]

_TRIM = 8  # Frames dropped at each end of a shot: its own transitions.
_MIN_FRAMES, _MAX_FRAMES = 60, 90  # Longer than two transitions: some frames are one shot alone.
_DISSOLVE = (6, 25)  # Frames, both inclusive.
_FADE = (5, 20)  # Frames of either half of a fade.
_HOLD = (0, 8)  # Black frames between them.
_DIFFERENT_BITS = 20
SOURCES = ("bikes", "bunny0", "bunny1", "bunny2", "bunny3", "creatures", "dream0", "dream1")


@dataclass(frozen=True)
class Shot:
    """Frames uint8 (n, 180, 320, 3) of one real shot, and the hashes of its first and last."""

    frames: np.ndarray
    first: int
    last: int


@dataclass(frozen=True)
class Transition:
    """Frames [start, end] in which the picture is neither the one shot nor the other; a hard cut
    has start = end, the first frame of the new shot."""

    kind: Kind
    start: int
    end: int


def real_shots(path: Path, fingerprint: Fingerprint) -> list[Shot]:
    """The shots of one video that are long enough and show something."""
    found = cuts(fingerprint.content, detector="content", threshold=27.0, min_shot_frames=15)
    bounds = [0, *found, len(fingerprint.pts_s)]
    spans = [
        (start + _TRIM, min(end - _TRIM, start + _TRIM + _MAX_FRAMES))
        for start, end in pairwise(bounds)
    ]
    spans = [
        (start, end)
        for start, end in spans
        if end - start >= _MIN_FRAMES and _is_steady(fingerprint.thumbs[start:end])
    ]
    frames = _decoded(path)
    return [
        Shot(frames[start:end], int(fingerprint.phash[start]), int(fingerprint.phash[end - 1]))
        for start, end in spans
    ]


def _is_steady(thumbs: np.ndarray) -> bool:
    """Whether a shot shows something all the time, and does not itself fade."""
    contrast = thumbs.reshape(len(thumbs), -1).std(axis=1)
    return bool(contrast.min() > 10.0 and contrast.max() < 2.0 * contrast.min())


def _decoded(path: Path) -> np.ndarray:
    with Decoder(path) as decoder:
        pictures = [f.reformat(WIDTH, HEIGHT, "rgb24").to_ndarray() for _, f in decoder.frames()]
    return np.stack(pictures)


def splice(
    shots: list[Shot], kinds: tuple[Kind, ...], *, n_shots: int, seed: int, target: Path
) -> list[Transition]:
    """Write a video of `n_shots` random shots; its transitions, in order."""
    source = np.random.default_rng(seed)
    frames: list[np.ndarray] = []
    truth: list[Transition] = []
    last: Shot | None = None
    for index in source.permutation(len(shots)):
        shot = shots[index]
        if last is not None and (last.last ^ shot.first).bit_count() < _DIFFERENT_BITS:
            continue
        if last is None:
            frames.extend(shot.frames)
        else:
            truth.append(_join(frames, shot.frames, kinds[len(truth) % len(kinds)], source))
        last = shot
        if len(truth) == n_shots - 1:
            break
    write_video(target, frames, fps=FPS, crf=23)
    return truth


def _join(
    frames: list[np.ndarray], new: np.ndarray, kind: Kind, source: np.random.Generator
) -> Transition:
    """Append a shot by a transition that consumes frames of both."""
    if kind == "cut":
        start = len(frames)
        frames.extend(new)
        return Transition(kind, start, start)
    if kind == "dissolve":
        length = int(source.integers(*_DISSOLVE, endpoint=True))
        start = len(frames) - length
        for n, share in enumerate(np.arange(1, length + 1) / (length + 1)):
            frames[start + n] = _mixed(frames[start + n], new[n], share)
        frames.extend(new[length:])
        return Transition(kind, start, start + length)
    out, into = (int(n) for n in source.integers(*_FADE, size=2, endpoint=True))
    hold = int(source.integers(*_HOLD, endpoint=True))
    start = len(frames) - out
    black = np.zeros_like(new[0])
    for n in range(out):
        frames[start + n] = _mixed(frames[start + n], black, (n + 1) / (out + 1))
    frames.extend([black] * hold)
    frames.extend(_mixed(black, new[n], (n + 1) / (into + 1)) for n in range(into))
    frames.extend(new[into:])
    return Transition(kind, start, start + out + hold + into)


def _mixed(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return np.round(one * (1.0 - share) + other * share).astype(np.uint8)


@dataclass(frozen=True)
class Tally:
    """Transitions found, missed and invented."""

    hits: int = 0
    misses: int = 0
    extra: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.hits + other.hits, self.misses + other.misses, self.extra + other.extra)

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(2 * self.hits + self.misses + self.extra, 1)


def tally(found: list[int], truth: list[Transition], *, tolerance: int = 2) -> Tally:
    """Each transition takes at most one cut that lies in it; every other cut is one too many."""
    left = sorted(found)
    hits = 0
    for transition in truth:
        inside = [
            cut for cut in left if transition.start - tolerance <= cut <= transition.end + tolerance
        ]
        if inside:
            hits += 1
            left.remove(inside[0])
    return Tally(hits, len(truth) - hits, len(left))
