"""The linear ranker of surroundings: what it learns, and what it must not look at."""

import numpy as np
import pytest
import torch

from video2gif.core.errors import EnvironmentProblem, UserError
from video2gif.ranking import neighbourhood
from video2gif.ranking.neighbourhood import Lesson, Neighbourhood, directions, surroundings

WIDTH = 12


def lesson(seed: int, *, sign: float = 1.0, category: str = "a", level: float = 0.0) -> Lesson:
    """Runs of ten segments, chosen where the first feature times `sign` is high."""
    rng = np.random.default_rng(seed)
    chosen = np.repeat(rng.permutation([0, 1, 0, 1]), 10)
    x = rng.normal(size=(40, WIDTH))
    x[:, 0] += 1.5 * sign * chosen
    x[:, 1] += level
    return Lesson(torch.from_numpy(x).float(), torch.from_numpy(chosen).float(), category)


def accuracy(learned: Neighbourhood, one: Lesson) -> float:
    """Share of pairs in the right order."""
    score = learned.score(one.x, one.category)
    return float((score[one.target == 1][:, None] > score[one.target == 0]).float().mean())


def test_what_was_planted_is_found_in_a_video_that_was_not_seen():
    learned = neighbourhood.fit([lesson(seed) for seed in range(8)], seed=0)
    assert accuracy(learned, lesson(99)) > 0.9


def test_the_level_of_a_video_teaches_nothing():
    # Videos at a high level of a feature are chosen throughout, the others hardly.
    lessons = [lesson(seed) for seed in range(8)]
    shifted = [
        Lesson(one.x + 5 * (number % 2), one.target + number % 2, one.category)
        for number, one in enumerate(lessons)
    ]
    plain, other = (neighbourhood.fit(group, seed=0) for group in (lessons, shifted))
    assert abs(accuracy(plain, lesson(99)) - accuracy(other, lesson(99))) < 0.05


def test_a_category_goes_its_own_way_and_an_unknown_one_the_way_of_most():
    lessons = [lesson(seed, category=name) for seed in range(6) for name in ("a", "b")]
    lessons += [lesson(seed, sign=-1, category="c") for seed in range(6)]
    learned = neighbourhood.fit(lessons, seed=0)
    assert learned.categories == ("a", "b", "c")
    assert accuracy(learned, lesson(99, sign=-1, category="c")) > 0.9
    assert accuracy(learned, lesson(99, category="new")) > 0.7


def test_a_video_without_trust_teaches_nothing():
    lessons = [lesson(seed) for seed in range(4)]
    wrong = [Lesson(-one.x, one.target, "a", trust=0.0) for one in lessons]
    learned = neighbourhood.fit([*lessons, *wrong], seed=0)
    assert accuracy(learned, lesson(99)) > 0.9


def test_segments_of_unknown_target_lend_only_their_surroundings():
    one = lesson(0)
    target = one.target.clone()
    target[::2] = torch.nan
    learned = neighbourhood.fit([Lesson(one.x, target, "a")], seed=0)
    assert torch.isfinite(learned.weights).all()


def test_a_longer_video_weighs_no_more():
    twice = [lesson(seed) for seed in range(4)]
    # The same segments with the same surroundings: each one three times over, as three videos.
    thrice = [part for one in twice for part in (one, one, one)]
    basis = directions(torch.cat([one.x for one in twice]), seed=0)
    once = neighbourhood._moments(twice, basis)
    again = neighbourhood._moments(thrice, basis)
    for a, b in zip(once, again, strict=True):
        assert torch.allclose(a, b)


def test_averages_keep_a_constant_and_see_both_sides():
    z = torch.zeros(21, 1)
    z[10] = 1.0
    near, far = surroundings(z).T
    assert torch.allclose(surroundings(torch.ones(21, 3)), torch.ones(21, 6))
    assert torch.allclose(near, near.flip(0))
    assert near[10] > far[10] > 0


def test_the_directions_are_those_of_an_exact_decomposition():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 20)) * np.linspace(5, 0.1, 20)
    found = directions(torch.from_numpy(x).float(), seed=0)
    centred = torch.from_numpy(x - x.mean(axis=0)).float()
    variances = (centred @ found).var(dim=0, correction=0)
    exact = torch.from_numpy(np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1].copy())
    # Scaled by λ^(-1/4) the variances are √λ, made to sum to 1.
    expected = (exact.sqrt() / exact.sqrt().sum()).float()
    assert torch.allclose(variances, expected, rtol=1e-3)  # float32 products of 300 rows


def test_a_wide_stream_does_not_drown_a_narrow_one():
    lessons = []
    for seed in range(8):
        one = lesson(seed)
        noise = 3 * torch.from_numpy(np.random.default_rng(seed).normal(size=(40, 60))).float()
        lessons.append(Lesson(torch.cat([one.x, noise], dim=1), one.target, "a"))
    learned = neighbourhood.fit(lessons, seed=0, streams=[WIDTH, 60])
    z = torch.cat([one.x for one in lessons]) @ learned.basis
    first, second = z.var(dim=0, correction=0).split([WIDTH, 60])
    assert float(first.sum()) == pytest.approx(float(second.sum()), rel=1e-3)  # float32 sums


def test_streams_of_another_width_are_refused():
    with pytest.raises(UserError, match=r"train\.streams: 5, 5 sum to 10, the features are 12"):
        neighbourhood.fit([lesson(0)], seed=0, streams=[5, 5])


def test_equal_seeds_give_equal_bytes():
    lessons = [lesson(seed) for seed in range(3)]
    one, other = (neighbourhood.fit(lessons, seed=5) for _ in range(2))
    assert torch.equal(one.weights, other.weights)
    assert torch.equal(one.basis, other.basis)


def test_tensors_of_another_model_are_refused():
    learned = neighbourhood.fit([lesson(0)], seed=0)
    tensors = learned.tensors()
    same = Neighbourhood.of(tensors.__getitem__, learned.categories, n_inputs=WIDTH)
    assert torch.equal(same.weights, learned.weights)
    with pytest.raises(EnvironmentProblem, match="2 categories"):
        Neighbourhood.of(tensors.__getitem__, ("a", "b"), n_inputs=WIDTH)
