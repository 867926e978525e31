"""The ranking without labels: what moves, what stands out, what is in the picture.

Takes a fingerprint's cues and the features of a network of single pictures that names classes.
Each term is a share in [0, 1]; their weights stand in `WEIGHTS`, written by hand. They were set by
looking at the picks of eleven films, not by any score: docs/benchmarks/eyes.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from video2gif.ranking.baselines import rank_in_video

WEIGHTS = {
    "motion": 0.45,
    "unlike": 0.20,
    "subject": 0.25,
    "crisp": 0.10,
    "page": -0.50,
    "dark": -0.40,
    "plain": -0.20,
}
"""motion: rank in the film of the motion of the clean part, light and camera move taken out.
unlike: rank in the film of the mean cosine distance from the other segments' appearance.
subject: probability of people, animals, vehicles and food together.
crisp: rank in the film of the sharpness.
page: probability of web sites, menus, book jackets and what else text is taken for.
dark: how far the mean brightness lies below 40 of 255.
plain: how far the share of the two commonest levels lies above 0.6.
"""

_DARK = 40.0
_PLAIN = 0.6
DEFECT = 2.5
"""What a defective segment loses: more than the 2.1 that all other terms can make between two
segments, so that none stands before a better one."""


@dataclass(frozen=True)
class Groups:
    """Which classes are what, bool (n_classes,) each."""

    people: np.ndarray
    animals: np.ndarray
    vehicles: np.ndarray
    food: np.ndarray
    pages: np.ndarray


@dataclass(frozen=True)
class Terms:
    """The terms of each segment, (n,) each, and what they are made of."""

    motion: np.ndarray
    unlike: np.ndarray
    subject: np.ndarray
    crisp: np.ndarray
    page: np.ndarray
    dark: np.ndarray
    plain: np.ndarray
    defective: np.ndarray
    """bool."""
    classes: np.ndarray
    """(n, n_classes): mean probabilities of the clean part."""

    @property
    def score(self) -> np.ndarray:
        """The weighted sum, float64 (n,); any segment with a defect below all without."""
        total = sum(weight * getattr(self, name) for name, weight in WEIGHTS.items())
        return np.asarray(total - DEFECT * self.defective)


def terms(
    *,
    cues: Mapping[str, np.ndarray],
    defective: np.ndarray,
    features: Sequence[np.ndarray],
    classes: Sequence[np.ndarray],
    groups: Groups,
) -> Terms:
    """The terms of a film's n segments.

    `cues`: means of the fingerprint's cues over each segment's good part, (n,) each; `defective`
    (n,) bool; `features` and `classes`: of the pictures of each good part, (k, width) and
    (k, n_classes) probabilities, k ≥ 1.
    """
    seen = np.stack([part.mean(axis=0) for part in classes])
    named = groups.people | groups.animals | groups.vehicles | groups.food
    return Terms(
        motion=rank_in_video(cues["motion"]),
        unlike=rank_in_video(distance(features)),
        # A class may be both (a menu is food, and text): then it is a page.
        subject=seen[:, named & ~groups.pages].sum(axis=1),
        crisp=rank_in_video(cues["sharpness"]),
        page=seen[:, groups.pages].sum(axis=1),
        dark=(1 - cues["brightness"] / _DARK).clip(0, 1),
        plain=((cues["plain"] - _PLAIN) / (1 - _PLAIN)).clip(0, 1),
        defective=defective,
        classes=seen,
    )


def distance(features: Sequence[np.ndarray]) -> np.ndarray:
    """Mean cosine distance of each segment's mean appearance from the others', (n,).

    Each picture counts by its direction alone. Rounded, so that the order of a sum does not decide
    a rank.
    """
    means = np.stack([_unit(part.astype(np.float64)).mean(axis=0) for part in features])
    directions = _unit(means)
    apart = 1 - directions @ directions.T
    return np.asarray((apart.sum(axis=1) / max(len(means) - 1, 1)).round(6))


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
