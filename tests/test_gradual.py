"""Fades and dissolves: found where they are, and nothing else taken for one."""

import numpy as np
import pytest

from video2gif.fingerprint.phash import phash
from video2gif.shots.gradual import gradual, with_gradual


def picture(seed: int) -> np.ndarray:
    """A luma image float64 (32, 32) with structure at several scales."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.uniform(20, 235, (4, 4)), np.ones((8, 8)))
    return 0.7 * coarse + 0.3 * np.kron(rng.uniform(20, 235, (16, 16)), np.ones((2, 2)))


def shot(seed: int, n_frames: int) -> np.ndarray:
    return np.tile(picture(seed), (n_frames, 1, 1))


def mixed(one: int, other: np.ndarray, n_frames: int) -> np.ndarray:
    share = np.arange(1, n_frames + 1)[:, None, None] / (n_frames + 1)
    return (1 - share) * picture(one) + share * other


def fingerprint(*parts: np.ndarray) -> dict[str, np.ndarray]:
    frames = np.concatenate(parts)
    noise = np.random.default_rng(0).normal(0, 1, frames.shape)
    luma = np.clip(frames + noise, 0, 255).round().astype(np.uint8)
    thumbs = luma.reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4)).round().astype(np.uint8)
    return {"phash": phash(luma), "thumbs": thumbs}


BLACK, WHITE = np.zeros((32, 32)), np.full((32, 32), 255.0)


@pytest.mark.parametrize("length", [5, 8, 15, 24])
def test_a_dissolve_is_found_in_its_middle(length: int) -> None:
    video = fingerprint(shot(1, 60), mixed(1, picture(2), length), shot(2, 60))
    (found,) = gradual(**video)
    assert found.middle == pytest.approx(60 + length / 2, abs=1 + length / 4)


@pytest.mark.parametrize("flat", [BLACK, WHITE], ids=["black", "white"])
@pytest.mark.parametrize("hold", [0, 5, 60])
def test_a_fade_is_one_transition(flat: np.ndarray, hold: int) -> None:
    out, into = mixed(1, flat, 12), mixed(2, flat, 10)[::-1]
    video = fingerprint(shot(1, 60), out, np.tile(flat, (hold, 1, 1)), into, shot(2, 60))
    (found,) = gradual(**video)
    assert 60 <= found.middle <= 60 + 12 + hold + 10


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((shot(1, 120),), id="still"),
        pytest.param((shot(1, 60), shot(2, 60)), id="hard-cut"),
        pytest.param((shot(1, 40), 0.3 * shot(2, 12), shot(3, 40)), id="short-dark-shot"),
        pytest.param((shot(1, 40), np.tile(BLACK, (9, 1, 1)), shot(2, 40)), id="cut-to-black"),
        pytest.param((shot(1, 40), np.tile(WHITE, (2, 1, 1)), shot(1, 40)), id="flash"),
        pytest.param(
            (shot(1, 40), shot(1, 20) * np.linspace(1, 0.5, 20)[:, None, None], 0.5 * shot(1, 40)),
            id="light-dims",
        ),
        pytest.param((mixed(1, BLACK, 20)[::-1], shot(1, 60)), id="fade-in-at-the-start"),
        pytest.param((shot(1, 60), mixed(1, BLACK, 20)), id="fade-out-at-the-end"),
        pytest.param((np.tile(BLACK, (80, 1, 1)),), id="black"),
        pytest.param((shot(1, 2),), id="two-frames"),
    ],
)
def test_what_is_no_gradual_transition_is_none(parts: tuple[np.ndarray, ...]) -> None:
    assert gradual(**fingerprint(*parts)) == []


def test_a_pan_is_no_dissolve() -> None:
    rng = np.random.default_rng(5)
    wide = np.kron(rng.uniform(20, 235, (8, 60)), np.ones((4, 4)))
    frames = np.stack([wide[:, 2 * n : 2 * n + 32] for n in range(100)])
    assert gradual(**fingerprint(frames)) == []


def test_a_transition_takes_the_place_of_the_cuts_in_it_and_leaves_the_others() -> None:
    video = fingerprint(shot(1, 60), mixed(1, picture(2), 15), shot(2, 60), shot(3, 40))
    found = with_gradual([66, 135], min_shot_frames=8, **video)
    assert found[1:] == [135]
    assert found[0] == pytest.approx(67, abs=4)


def test_a_transition_that_leaves_too_short_a_shot_is_dropped() -> None:
    video = fingerprint(shot(1, 60), mixed(1, picture(2), 5), shot(2, 10), shot(3, 40))
    assert with_gradual([75], min_shot_frames=40, **video) == [75]


def test_a_film_of_any_length_is_looked_at_in_blocks() -> None:
    parts = (shot(1, 4090), mixed(1, picture(2), 15), shot(2, 60))
    assert len(gradual(**fingerprint(*parts))) == 1
