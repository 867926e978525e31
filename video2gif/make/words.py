"""Why a segment stands where it does, in words: what is in it, how it moves, how it stands out.

Facts are short and fit a table (`reasons`); `sentence` makes of them what a page says to anybody.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from video2gif.features import classes as named
from video2gif.fingerprint.defects import Clean
from video2gif.ranking.default import Terms

_SURE = 0.25  # Mean probability of a class or a group from which it is named.
_MANY, _FEW = 0.75, 0.25  # Ranks in the film.
_DEFECTS = {
    "black": "dark",
    "blank": "blank",
    "card": "a card of text",
    "fading": "fades",
    "still": "hardly moves",
}
_GROUPS = (
    ("a person", named.PEOPLE),
    ("an animal", named.ANIMALS),
    ("a vehicle", named.VEHICLES),
    ("food", named.FOOD),
)
_MUCH, _LITTLE = 1.25, 0.8  # Times the usual motion: between them it is as usual.
_PLACES = ("", "The best", "The second best", "The third best")
_SAID = {
    "moves much": "moves a lot",
    "moves little": "moves little",
    "unlike the rest of the film": "looks unlike the rest of the film",
    "crisp": "is sharp",
    "soft": "is not quite sharp",
    "dark": "is dark",
    "text in it": "has text in it",
    "blank": "is blank",
    "a card of text": "is a card of text",
    "fades": "fades in or out",
    "hardly moves": "hardly moves",
    "too little of it is clean": "has too few good frames",
}


def reasons(terms: Terms, clean: Sequence[Clean]) -> list[tuple[str, ...]]:
    """For each segment a few facts, the strongest kinds first."""
    return [_of_one(terms, clean[place], place) for place in range(len(clean))]


def _of_one(terms: Terms, clean: Clean, place: int) -> tuple[str, ...]:
    if clean.is_defective:
        return tuple(_DEFECTS[kind] for kind in clean.defects) or ("too little of it is clean",)
    facts = [_shown(terms.classes[place])]
    facts.append(_by_rank(terms.motion[place], "moves much", "moves little"))
    facts.append(_by_rank(terms.unlike[place], "unlike the rest of the film", ""))
    facts.append(_by_rank(terms.crisp[place], "crisp", "soft"))
    facts.append("dark" if terms.dark[place] > 0.5 else "")
    facts.append("text in it" if terms.page[place] > _SURE else "")
    return tuple(fact for fact in facts if fact) or ("nothing stands out",)


def _shown(probability: np.ndarray) -> str:
    """The group that the picture most likely shows, with the class if that is sure as well."""
    masks = _masks()
    shares = [float(probability[mask].sum()) for mask in masks]
    best = int(np.argmax(shares))
    if shares[best] < _SURE:
        return ""
    own = np.where(masks[best], probability, 0)
    name = named.names()[int(own.argmax())]
    return f"{_GROUPS[best][0]} ({name})" if own.max() >= _SURE else _GROUPS[best][0]


@cache
def _masks() -> list[np.ndarray]:
    """The classes of each group, bool (1000,)."""
    return [named.members(words) & ~named.called(named.PAGES) for _, words in _GROUPS]


def _by_rank(rank: float, much: str, little: str) -> str:
    return much if rank >= _MANY else little if rank <= _FEW else ""


def place_of(rank: int, count: int) -> str:
    """Where a moment stands among all of its film: "The best of 21 moments."."""
    place = _PLACES[rank] if rank < len(_PLACES) else f"Number {rank}"
    return f"{place} of {count} moments. " if count > 1 else ""


def sentence(facts: Sequence[str], motion: float) -> str:
    """A moment's facts as one sentence; without any, how much moves (`motion`: times the usual)."""
    said = [_SAID.get(fact, f"shows {fact}") for fact in facts if fact != "nothing stands out"]
    if not said:
        return (
            "Nothing in it stands out." if facts else f"It moves {times(motion)} as much as usual."
        )
    return f"It {said[0]}." if len(said) == 1 else f"It {', '.join(said[:-1])} and {said[-1]}."


def times(ratio: float) -> str:
    """A ratio before "as much": "4.5 times", "about"; NaN and 1 are about as much."""
    if math.isnan(ratio) or _LITTLE < ratio < _MUCH:
        return "about"
    return f"{ratio:.1f} times" if ratio >= 0.05 else "hardly"
