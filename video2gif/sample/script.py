"""What the embedded corpus contains: each video's shots, its planted moments, the GIFs made of it.

Nothing is drawn here. Everything depends only on ids (through `rng`). So any shot can be rendered
by itself, in any order, on any machine, and the manifest always agrees with the pictures.

A video has 4 to 7 shots. One or two are planted moments (`burst`); the others are dull. Some dull
shots are busy: they move as much as a moment, but nobody makes GIFs of them.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from video2gif.media.encode import Palette

Category = Literal["sports", "animals", "dance", "nature"]
ShotKind = Literal["burst", "calm", "pan", "rain", "confetti", "crowd", "still"]

FPS = 12
"""Frames per second of every sample video."""
CATEGORIES: tuple[Category, ...] = ("sports", "animals", "dance", "nature")
N_VIDEOS = 36

_VIDEO_FRAMES = (15 * FPS, 18 * FPS)
_MOMENT_FRAMES = (24, 34)  # 34 frames are 2.83 s: a moment is never split into segments
_DULL_FRAMES = (20, 54)
_MAX_SEGMENT_FRAMES = 3 * FPS  # params.yaml's segment.max_len_s, for the spans of dull GIFs
# Shares; they sum to 1.
_DULL_KINDS: dict[ShotKind, float] = {
    "calm": 0.34,
    "pan": 0.24,
    "rain": 0.18,
    "confetti": 0.12,
    "crowd": 0.12,
}
_STILL_IN = ("animals-03", "nature-06")  # these videos hold one shot in which nothing moves

_TITLES: dict[Category, tuple[str, ...]] = {
    "sports": ("Sunday league at the court", "Training day", "Dunk practice", "The long rally"),
    "animals": ("A walk in the meadow", "Feeding time", "Puppies meet the lawn", "Shelter diary"),
    "dance": ("Rehearsal on stage", "Street dance battle", "Club night", "Wedding dance floor"),
    "nature": ("Gulls over the bay", "Morning at the coast", "Storm watching", "Volcano island"),
}
_TAGS: dict[Category, tuple[str, ...]] = {
    "sports": ("ball", "court", "training", "slow motion", "trick shot", "team"),
    "animals": ("pets", "meadow", "cute", "puppy", "outdoors", "funny"),
    "dance": ("stage", "music", "choreography", "party", "lights", "freestyle"),
    "nature": ("sea", "birds", "landscape", "travel", "weather", "waves"),
}
_CAPTIONS = ("WOW", "WAIT FOR IT", "EPIC", "MOOD", "WHEN IT'S FRIDAY", "NOPE", "LOL", "THIS")


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One scene between two hard cuts. Frames are half-open, of the video."""

    key: str
    """`video_id/number`: the seed of all that is drawn."""
    category: Category
    kind: ShotKind
    start_frame: int
    end_frame: int
    hue: float
    """Main hue as a share of the circle, at least 0.3 from the hue of the shot before."""
    bright: bool
    """Bright and dark shots alternate, so that a shot detector finds every cut."""

    @property
    def n_frames(self) -> int:
        return self.end_frame - self.start_frame


@dataclass(frozen=True, kw_only=True)
class ScriptedVideo:
    """One video of the corpus."""

    video_id: str
    category: Category
    title: str
    tags: tuple[str, ...]
    shots: tuple[Shot, ...]

    @property
    def n_frames(self) -> int:
        return self.shots[-1].end_frame


@dataclass(frozen=True, kw_only=True)
class Edits:
    """What a web GIF maker does to a span of video."""

    width: int
    """Pixels; the height keeps the aspect of the crop."""
    crop: tuple[float, float, float, float]
    """Shares cut off at left, top, right, bottom; at most 0.1 of an axis in all."""
    fps: int
    palette: Palette
    speed: float
    """How many seconds of the video pass in one second of the GIF."""
    caption: str

    def __str__(self) -> str:
        left, top, right, bottom = self.crop
        return (
            f"width={self.width} crop={left:.3f},{top:.3f},{right:.3f},{bottom:.3f}"
            f" fps={self.fps} palette={self.palette} speed={self.speed:g} caption={self.caption!r}"
        )


@dataclass(frozen=True, kw_only=True)
class ScriptedGif:
    """One GIF with its exact source: frames [start_frame, end_frame) of its video."""

    gif_id: str
    video_id: str
    start_frame: int
    end_frame: int
    planted: bool
    """False for label noise: a GIF of a dull shot that hardly anybody viewed."""
    views: int
    age_days: int
    edits: Edits


def rng(*names: object) -> np.random.Generator:
    """A random generator seeded by names only."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


# Kept: each rendering asks for all of them.
@cache
def videos() -> tuple[ScriptedVideo, ...]:
    """All videos. Categories take turns, so that the first four videos cover all categories."""
    return tuple(_video(number) for number in range(N_VIDEOS))


@cache
def gifs() -> tuple[ScriptedGif, ...]:
    """All GIFs, in the order of their videos and spans."""
    return tuple(gif for number, video in enumerate(videos()) for gif in _gifs(number, video))


def _video(number: int) -> ScriptedVideo:
    category = CATEGORIES[number % len(CATEGORIES)]
    video_id = f"{category}-{number // len(CATEGORIES) + 1:02d}"
    chance = rng(video_id, "script")
    kinds, lengths = _plan(video_id, n_moments=2 if number % 3 == 2 else 1, chance=chance)
    return ScriptedVideo(
        video_id=video_id,
        category=category,
        title=str(chance.choice(_TITLES[category])),
        tags=tuple(sorted(map(str, chance.choice(_TAGS[category], size=3, replace=False)))),
        shots=tuple(_shots(video_id, category, kinds=kinds, lengths=lengths, chance=chance)),
    )


def _plan(
    video_id: str, *, n_moments: int, chance: np.random.Generator
) -> tuple[list[ShotKind], list[int]]:
    """Kinds and lengths of a video's shots; drawn again until the video is 15 to 18 s long."""
    while True:
        n_shots = int(chance.integers(4, 8))
        # There is a dull shot between two moments. Neighbours would look like one long moment.
        moments = chance.choice(n_shots, size=n_moments, replace=False)
        lengths = [int(n) for n in chance.integers(_DULL_FRAMES[0], _DULL_FRAMES[1] + 1, n_shots)]
        for moment in moments:
            lengths[moment] = int(chance.integers(_MOMENT_FRAMES[0], _MOMENT_FRAMES[1] + 1))
        if _VIDEO_FRAMES[0] <= sum(lengths) <= _VIDEO_FRAMES[1] and np.ptp(moments) != 1:
            break
    kinds = _dull_kinds(n_shots, chance)
    for moment in moments:
        kinds[moment] = "burst"
    if video_id in _STILL_IN:
        kinds[next(n for n, kind in enumerate(kinds) if kind != "burst")] = "still"
    return kinds, lengths


def _dull_kinds(n: int, chance: np.random.Generator) -> list[ShotKind]:
    names, weights = list(_DULL_KINDS), list(_DULL_KINDS.values())
    return [names[i] for i in chance.choice(len(names), size=n, p=weights)]


def _shots(
    video_id: str,
    category: Category,
    *,
    kinds: Sequence[ShotKind],
    lengths: Sequence[int],
    chance: np.random.Generator,
) -> list[Shot]:
    shots: list[Shot] = []
    hue, bright, start = chance.random(), bool(chance.integers(2)), 0
    for number, (kind, length) in enumerate(zip(kinds, lengths, strict=True)):
        shots.append(
            Shot(
                key=f"{video_id}/{number}",
                category=category,
                kind=kind,
                start_frame=start,
                end_frame=start + length,
                hue=float(hue),
                bright=bright,
            )
        )
        hue, bright, start = (hue + chance.uniform(0.3, 0.7)) % 1, not bright, start + length
    return shots


def _gifs(number: int, video: ScriptedVideo) -> list[ScriptedGif]:
    """A GIF of every moment, and in every fifth video one of a dull shot, as a wrong label."""
    chosen = [shot for shot in video.shots if shot.kind == "burst"]
    if number % 5 == 3:
        dull = [shot for shot in video.shots if shot.kind not in ("burst", "still")]
        chosen.append(min(dull, key=lambda shot: shot.n_frames))
    chosen.sort(key=lambda shot: shot.start_frame)
    return [
        _gif(f"{video.video_id}-{letter}", video, shot)
        for letter, shot in zip("abc", chosen, strict=False)
    ]


def _gif(gif_id: str, video: ScriptedVideo, shot: Shot) -> ScriptedGif:
    chance = rng(gif_id, "gif")
    planted = shot.kind == "burst"
    # A long dull shot will be divided into equal segments: the GIF lies in the first of them.
    segment_frames = shot.n_frames // math.ceil(shot.n_frames / _MAX_SEGMENT_FRAMES)
    # Up to a tenth is cut off at either end. At least 0.8 of the segment remains, which is above
    # the 0.66 of a positive even if a shot boundary is found a frame beside the true one.
    head, tail = (int(chance.uniform(0, 0.1) * segment_frames) for _ in range(2))
    # Half of the GIFs have more than 30,000 views, of the wrong labels more than 30 (e^3.4).
    log_views = chance.normal(math.log(30_000), 1.2) if planted else chance.normal(3.4, 0.8)
    low, high = (2_000, 500_000) if planted else (5, 200)
    return ScriptedGif(
        gif_id=gif_id,
        video_id=video.video_id,
        start_frame=shot.start_frame + head,
        end_frame=shot.start_frame + segment_frames - tail,
        planted=planted,
        views=int(np.clip(np.exp(log_views), low, high)),
        age_days=int(chance.integers(30, 900)),
        edits=_edits(chance),
    )


def _edits(chance: np.random.Generator) -> Edits:
    across, down = chance.uniform(0, 0.1, size=2) * (chance.random() < 0.6)
    x, y = chance.random(2)
    palettes: tuple[Palette, ...] = ("full", "full", "diff", "web")
    return Edits(
        width=int(chance.choice([240, 200, 160])),
        crop=(across * x, down * y, across * (1 - x), down * (1 - y)),
        fps=int(chance.choice([6, 8, 10])),
        palette=palettes[chance.integers(len(palettes))],
        speed=float(chance.choice([1.0, 1.0, 1.25, 1.5])),
        caption=str(chance.choice(_CAPTIONS)) if chance.random() < 0.4 else "",
    )
