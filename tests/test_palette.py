"""The colours of a GIF: exact arithmetic, errors that cancel out, still pixels that stay still."""

import os
import subprocess
import sys
from itertools import product

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving import moving_frames

from video2gif.gifs.lab import CHROMA, PARTS, lab_of, nearest
from video2gif.gifs.palette import MAX_COLOURS, Colours, colours_of
from video2gif.gifs.pixels import indexed


def sky(n: int = 4) -> list[np.ndarray]:
    """A gradient with the grain of a camera, of more shades than a palette has colours."""
    rng = np.random.default_rng(5)
    down, across = np.mgrid[0:96, 0:160] / np.array([96, 160])[:, None, None]
    clean = np.stack([90 + 70 * down, 140 + 60 * across, 215 + 20 * down * across], axis=2)
    others = [30 + 200 * down, 200 - 150 * across, 40 + 100 * across]
    clean = np.concatenate([clean, np.stack(others, axis=2)])
    return [np.clip(clean + rng.normal(0, 2, clean.shape), 0, 255).astype(np.uint8)] * n


def seen_error(source: np.ndarray, shown: np.ndarray) -> float:
    """Mean CIELAB difference after a blur: what the eye cannot average away."""
    a, b = (
        cv2.cvtColor(cv2.GaussianBlur(x.astype(np.float32) / 255, (0, 0), 2), cv2.COLOR_RGB2Lab)
        for x in (source, shown)
    )
    return float(np.sqrt(((a - b) ** 2).sum(axis=2)).mean())


def test_whole_number_lab_equals_opencvs():
    levels = np.random.default_rng(0).integers(0, 256, (5000, 3))
    ours = lab_of(PARTS * levels) / [10, 10 * CHROMA, 10 * CHROMA]
    theirs = cv2.cvtColor((levels[None] / 255).astype(np.float32), cv2.COLOR_RGB2Lab)[0]
    # 2^14 steps of light are coarse where it is dark; on the mean it is rounding.
    assert np.abs(ours - theirs).max() < 1.5
    assert np.abs(ours - theirs).mean() < 0.15


def test_distances_in_lab_are_exact_in_float32():
    # So that no order of summation, and no processor, gives another nearest colour.
    cube = lab_of(PARTS * np.array(list(product(range(0, 256, 15), repeat=3))))
    assert (cube == np.rint(cube)).all()
    furthest = (cube**2).sum(axis=1).max()
    assert 3 * furthest < 2**24  # |c|² - 2 p·c, and each of its partial sums


@given(st.integers(0, 2**32 - 1), st.integers(1, MAX_COLOURS))
def test_nearest_is_the_first_of_the_nearest(seed: int, n_colours: int):
    rng = np.random.default_rng(seed)
    points, colours = (rng.integers(-9, 9, (n, 3)) for n in (60, n_colours))
    squares = ((points[:, None] - colours) ** 2).sum(axis=2)
    found = nearest(points.astype(np.float32), colours.astype(np.float32))
    np.testing.assert_array_equal(found, squares.argmin(axis=1))


def test_colours_do_not_depend_on_what_was_asked_before():
    # A search asks at many sizes, `verify` at one; both must give the same bytes.
    frames = moving_frames(8, seed=3)
    fresh, used = colours_of(frames), colours_of(frames)
    for frame in frames:
        used.indices(cv2.resize(frame, (64, 36), interpolation=cv2.INTER_AREA))
    for frame in reversed(frames):
        np.testing.assert_array_equal(fresh.indices(frame), used.indices(frame))


def test_every_frame_of_a_fade_has_its_colours():
    picture = moving_frames(1, seed=9)[0]
    fade = [(picture * (1 - i / 30)).astype(np.uint8) for i in range(30)]
    colours = colours_of(fade)
    errors = [seen_error(f, colours.shown(colours.indices(f))) for f in fade]
    assert max(errors) < 2 * np.median(errors)


@pytest.mark.parametrize("pictures", [sky(1), moving_frames(1, seed=1)], ids=["sky", "texture"])
def test_what_the_eye_cannot_average_away_is_a_tenth_less_than_with_the_nearest_colour(
    pictures: list[np.ndarray],
):
    colours = colours_of(pictures)
    (ours,) = indexed(pictures, colours, 3)
    plain = colours.indices(pictures[0])
    errors = [seen_error(pictures[0], colours.shown(index)) for index in (ours, plain)]
    assert errors[0] < 0.9 * errors[1]


def test_a_still_pixel_keeps_its_colour_whatever_happens_around_it():
    still = sky(1)[0]
    frames = [still.copy() for _ in range(5)]
    for number, frame in enumerate(frames):
        frame[:, : 20 * number] = 255 - frame[:, : 20 * number]
    first, *others = indexed(frames, colours_of(frames), 3)
    for number, now in enumerate(others, start=1):
        np.testing.assert_array_equal(now[:, 20 * number :], first[:, 20 * number :])
    assert (others[0] != first).any()


def test_a_picture_that_only_trembles_costs_one_frame():
    rng = np.random.default_rng(2)
    base = sky(1)[0].astype(int)
    frames = [np.clip(base + rng.integers(-1, 2, base.shape), 0, 255) for _ in range(4)]
    shown = list(indexed([f.astype(np.uint8) for f in frames], colours_of(sky(1)), 3))
    for now in shown[1:]:
        np.testing.assert_array_equal(now, shown[0])


def digest_of_a_gif() -> str:
    frames = moving_frames(6, seed=4)
    colours: Colours = colours_of(frames)
    indices = np.stack(list(indexed(frames, colours, 3)))
    return f"{colours.palette_RGB.sum()} {np.bincount(indices.ravel()).tolist()}"


@pytest.mark.parametrize(
    "told",
    [
        {"OPENBLAS_CORETYPE": "Nehalem"},
        {"NPY_DISABLE_CPU_FEATURES": "X86_V3"},
        {"OPENCV_CPU_DISABLE": "AVX,FP16,AVX2,FMA3"},
        {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4"},
    ],
    ids=lambda told: next(iter(told)),
)
def test_another_processor_chooses_the_same_colours(told: dict[str, str]):
    # The frames are made here: only the colours are under test.
    code = "import test_palette; print(test_palette.digest_of_a_gif())"
    folder = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **told, "PYTHONPATH": folder, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest_of_a_gif()
