"""What EfficientNet-Lite0's 1000 classes are called, and what they are kinds of.

`imagenet.tsv` has their names and everything above them in WordNet 3.0 (a wood rabbit is a rabbit,
an animal, …); tools/classes.py made it and names its sources.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from video2gif.core.errors import UserError

_TABLE = Path(__file__).with_name("imagenet.tsv")
N_CLASSES = 1000

PEOPLE = (
    *("person", "clothing", "mask", "wig", "headdress", "footwear"),
    *("musical instrument", "sports equipment"),
)
"""What people are, wear and hold. ImageNet has three classes of persons, and sees the others."""
ANIMALS = ("animal",)
VEHICLES = ("vehicle",)
FOOD = ("food", "edible fruit", "vegetable")
PAGES = (
    *("web site", "menu", "book jacket", "comic book", "crossword puzzle", "envelope", "packet"),
    *("scoreboard", "digital clock", "monitor", "screen", "television", "notebook", "binder"),
    *("iPod", "hand-held computer", "street sign", "rubber eraser", "letter opener"),
    *("matchstick", "nematode"),
)
"""What text, cards and blank pictures are taken for. Titles are web sites and book jackets; a
picture of next to nothing is a matchstick or a nematode."""


@dataclass(frozen=True)
class _Noun:
    names: tuple[str, ...]
    above: tuple[str, ...]


@cache
def _table() -> dict[str, _Noun]:
    found = {}
    for line in _TABLE.read_text().splitlines():
        own, names, above = line.split("\t")
        found[own] = _Noun(tuple(names.split(", ")), tuple(above.split()))
    return found


@cache
def names() -> tuple[str, ...]:
    """The first name of each class, in the order of the network's outputs."""
    return tuple(noun.names[0] for noun in list(_table().values())[:N_CLASSES])


@cache
def _all_names() -> tuple[frozenset[str], ...]:
    """Of each class its names and those of all it is a kind of, in lower case."""
    return tuple(frozenset(_names_from(own)) for own in list(_table())[:N_CLASSES])


def _names_from(own: str) -> set[str]:
    table, waiting, seen = _table(), [own], set[str]()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += table[one].above
    return {name.casefold() for one in seen for name in table[one].names}


def members(words: Sequence[str]) -> np.ndarray:
    """Which classes carry one of these names or are a kind of one: bool (1000,)."""
    wanted = {word.strip().casefold() for word in words}
    return np.array([bool(wanted & found) for found in _all_names()])


def called(words: Sequence[str]) -> np.ndarray:
    """Which classes have one of these as their first name: bool (1000,)."""
    return np.isin(names(), words)


def about(word: str) -> np.ndarray:
    """The classes that a person means by a word: bool (1000,).

    Also by the plural. Raises `UserError` for a word that no class has; it names the nearest.
    """
    plain = word.strip().casefold()
    for tried in (plain, plain.removesuffix("s"), plain.removesuffix("es")):
        found = members([tried])
        if found.any():
            return found
    known = sorted(set().union(*_all_names()))
    near = difflib.get_close_matches(plain, known, n=5, cutoff=0.5)
    near += [name for name in known if plain and plain in name.split() and name not in near][:5]
    hint = f"; the nearest known: {', '.join(near)}" if near else ""
    raise UserError(f"--about {word}: no class has that name{hint}")


def probabilities(classes: np.ndarray) -> np.ndarray:
    """Scores (n, 1000) → probabilities float64 (n, 1000): softmax."""
    scores = classes.astype(np.float64)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)


def tags(classes: np.ndarray, *, most: int = 5, least: float = 0.04) -> tuple[str, ...]:
    """Names of what a film shows, the surest first: at most `most` classes.

    `classes` (n, 1000) scores of its pictures. A class counts from a mean probability of `least`
    on: forty times what a class gets by chance. Those of `PAGES` are no subject of a film.
    """
    if not len(classes):
        return ()
    mean = probabilities(classes).mean(axis=0)
    mean[called(PAGES)] = 0
    # The class number settles ties.
    order = np.lexsort((np.arange(len(mean)), -mean))[:most]
    return tuple(names()[place] for place in order if mean[place] >= least)
