"""What the ranker knows of a segment besides its pixels: category, tags, position.

The paper names category and tags (and, from memory, the position); see docs/paper.md, Network.
All parts are plain numbers that need no download: a one-hot category, a hashed bag of tags and
three relative positions. What is unknown is zeros, so a video without tags still has a score.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from video2gif.core.errors import UserError

CONTEXT_PARTS = ("category", "tags", "position")
# Start, rank and centre: `_positions`.
_POSITIONS = 3


@dataclass(frozen=True)
class ContextEncoder:
    """How context becomes numbers; stored in the model card so that scoring repeats training."""

    parts: tuple[str, ...]
    """Those of `CONTEXT_PARTS` in use, in that order."""
    categories: tuple[str, ...]
    """Vocabulary of the training split, sorted; another category becomes zeros."""
    tag_buckets: int

    @classmethod
    def fit(
        cls, *, parts: Iterable[str], categories: Iterable[str], tag_buckets: int
    ) -> "ContextEncoder":
        """Check the parts' names and take the vocabulary from the training videos' categories."""
        wanted = set(parts)
        if unknown := sorted(wanted - set(CONTEXT_PARTS)):
            raise UserError(
                f"train.context: unknown {', '.join(unknown)};"
                f" choose from {', '.join(CONTEXT_PARTS)}"
            )
        vocabulary = tuple(sorted({category for category in categories if category}))
        # In one order whatever params.yaml says, as the columns of a model must be.
        return cls(tuple(part for part in CONTEXT_PARTS if part in wanted), vocabulary, tag_buckets)

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> "ContextEncoder":
        """From a model card's `context`."""
        return cls(tuple(card["parts"]), tuple(card["categories"]), int(card["tag_buckets"]))

    def to_card(self) -> dict[str, Any]:
        """For a model card's `context`."""
        return {
            "parts": list(self.parts),
            "categories": list(self.categories),
            "tag_buckets": self.tag_buckets,
        }

    @property
    def size(self) -> int:
        """Numbers a segment."""
        sizes = {
            "category": len(self.categories),
            "tags": self.tag_buckets,
            "position": _POSITIONS,
        }
        return sum(sizes[part] for part in self.parts)

    def encode(
        self, *, category: str, tags: Iterable[str], spans_s: np.ndarray, duration_s: float
    ) -> np.ndarray:
        """Context of a video's segments, float32 (n, size).

        `spans_s` (n, 2): start and end of its segments in seconds, in order.
        """
        n_segments = len(spans_s)
        columns = {
            "category": lambda: np.tile(_one_hot(category, self.categories), (n_segments, 1)),
            "tags": lambda: np.tile(hashed_tags(tags, self.tag_buckets), (n_segments, 1)),
            "position": lambda: _positions(spans_s, duration_s),
        }
        # `hstack` needs one array at least.
        empty = np.zeros((n_segments, 0))
        return np.hstack([empty, *(columns[part]() for part in self.parts)]).astype(np.float32)


def hashed_tags(tags: Iterable[str], buckets: int) -> np.ndarray:
    """A bag of tags in `buckets` numbers, of length 1 (zeros without tags).

    A tag's bucket is its sha256 modulo `buckets`: equal on every machine, unlike `hash()`.
    Upper and lower case and surrounding blanks make no difference.
    """
    bag = np.zeros(buckets)
    for tag in tags:
        if word := tag.strip().casefold():
            bag[int.from_bytes(hashlib.sha256(word.encode()).digest()[:8]) % buckets] += 1
    length = np.linalg.norm(bag)
    return bag / length if length else bag


def _one_hot(category: str, vocabulary: tuple[str, ...]) -> np.ndarray:
    return np.array([float(category == known) for known in vocabulary])


def _positions(spans_s: np.ndarray, duration_s: float) -> np.ndarray:
    """Start, rank and centre of each segment, relative to the video: (n, 3) in [0, 1]."""
    # A video of no length has its segments at 0, and no division by 0.
    n_segments, duration_s = len(spans_s), max(duration_s, 1e-9)
    start = spans_s[:, 0] / duration_s
    rank = np.arange(n_segments) / max(n_segments, 1)
    centre = spans_s.mean(axis=1) / duration_s
    return np.stack([start, rank, centre], axis=1).clip(0, 1)
