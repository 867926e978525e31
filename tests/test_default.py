"""The default ranking: what each term does, that defects stand last, and what is said in words."""

import numpy as np
import pytest

from video2gif.core.errors import UserError
from video2gif.features import classes as named
from video2gif.fingerprint.cues import NAMES
from video2gif.fingerprint.defects import Clean
from video2gif.make.rankers import _groups
from video2gif.make.words import reasons
from video2gif.ranking.default import DEFECT, WEIGHTS, Terms, terms

N = 4
GOOD = Clean((0, 30), False, ())


def film(**changes: list[float]) -> Terms:
    """Four equal segments, but for the cues and classes named in `changes`."""
    means = {name: np.full(N, 0.3) for name in NAMES} | {"brightness": np.full(N, 120.0)}
    seen = np.full((N, 1000), 1e-4)
    for name, values in changes.items():
        if name in means:
            means[name] = np.array(values)
        elif name not in ("defective", "unlike"):
            seen[:, named.names().index(name)] = values
    features = np.ones((N, 8))
    for place, value in enumerate(changes.get("unlike", [])):
        features[place, 0] += value
    return terms(
        cues=means,
        defective=np.array(changes.get("defective", [0] * N), bool),
        features=[row[None] for row in features],
        classes=[row[None] for row in seen],
        groups=_groups(),
    )


@pytest.mark.parametrize(
    ("cue", "values", "best"),
    [
        pytest.param("motion", [1, 9, 2, 1], 1, id="motion"),
        pytest.param("sharpness", [0.1, 0.1, 0.5, 0.1], 2, id="crisp"),
        pytest.param("brightness", [5, 5, 5, 90], 3, id="not-dark"),
        pytest.param("plain", [0.9, 0.2, 0.9, 0.9], 1, id="not-plain"),
        pytest.param("unlike", [0, 0, 9, 0], 2, id="unlike"),
        pytest.param("wood rabbit", [0.1, 0.8, 0.1, 0.1], 1, id="animal"),
        pytest.param("suit", [0.1, 0.1, 0.8, 0.1], 2, id="person"),
        pytest.param("streetcar", [0.8, 0.1, 0.1, 0.1], 0, id="vehicle"),
        pytest.param("pizza", [0.1, 0.1, 0.1, 0.8], 3, id="food"),
        pytest.param("web site", [0.8, 0.8, 0.1, 0.8], 2, id="no-web-site"),
        pytest.param("menu", [0.8, 0.1, 0.8, 0.8], 1, id="no-menu"),
    ],
)
def test_each_term_alone_decides(cue: str, values: list[float], best: int):
    score = film(**{cue: values}).score
    assert score.argmax() == best
    assert (score == score.max()).sum() == 1


def test_a_defect_stands_behind_the_worst_without_one():
    best_of_all = film(
        motion=[9, 1, 1, 1],
        defective=[1, 0, 0, 0],
        brightness=[120, 0, 0, 0],
        **{"wood rabbit": [1, 0, 0, 0], "web site": [0, 1, 1, 1]},
    )
    assert best_of_all.score.argmin() == 0


def test_a_defect_costs_more_than_all_other_terms_together():
    assert sum(map(abs, WEIGHTS.values())) < DEFECT


def test_a_film_of_one_segment_has_a_score():
    one = terms(
        cues={name: np.array([0.3]) for name in NAMES},
        defective=np.array([False]),
        features=[np.ones((1, 8))],
        classes=[np.full((1, 1000), 1e-3)],
        groups=_groups(),
    )
    assert np.isfinite(one.score).all()


# --- in words ---


def test_reasons_name_what_is_in_it_how_it_moves_and_how_it_stands_out():
    found = film(motion=[9, 1, 2, 3], unlike=[9, 0, 0, 0], suit=[0.7, 0, 0, 0])
    said = reasons(found, [GOOD] * N)
    assert said[0][:3] == ("a person (suit)", "moves much", "unlike the rest of the film")
    assert "moves little" in said[1]


def test_a_defect_is_named_in_words():
    bad = Clean((0, 0), True, ("card", "fading"))
    assert reasons(film(), [bad] * N)[0] == ("a card of text", "fades")


# --- classes ---


def test_classes_have_the_names_and_the_order_of_imagenet():
    names = named.names()
    assert len(names) == 1000
    assert (names[0], names[330], names[917], names[999]) == (
        *("tench", "wood rabbit", "comic book", "toilet tissue"),
    )


def test_a_word_means_all_that_is_a_kind_of_it():
    names = np.array(named.names())
    assert set(names[named.about("rabbit")]) == {"wood rabbit", "Angora"}
    assert named.about("dogs").sum() == 118  # The known number of breeds in ImageNet.
    assert named.about("Animal").sum() == 398


def test_an_unknown_word_lists_the_nearest_known():
    with pytest.raises(UserError, match=r"--about rabit: .*rabbit"):
        named.about("rabit")


def test_tags_are_the_surest_classes_but_no_pages():
    scores = np.zeros((3, 1000), np.float16)
    for name, score in (("wood rabbit", 9.0), ("hare", 8.0), ("web site", 11.0)):
        scores[:, named.names().index(name)] = score
    assert named.tags(scores) == ("wood rabbit", "hare")
    assert named.tags(scores[:0]) == ()


def test_every_page_is_the_name_of_a_class():
    assert set(named.PAGES) <= set(named.names())
    assert named.called(named.PAGES).sum() == len(named.PAGES)
