"""Shape, rate, held pixels and colours of a GIF under a byte budget."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving import panning, textured
from PIL import Image

from video2gif.gifs.palette import colours_of
from video2gif.gifs.pixels import held
from video2gif.gifs.shape import FILL, SizeModel, shown_at, solve, ssim
from video2gif.media.encode import write_gif, write_indexed_gif


@given(st.floats(0.8, 3), st.floats(0, 5), st.integers(2_000, 500_000))
def test_solve_lands_in_the_band_for_any_power_law(power: float, scale: float, budget: int):
    def size(height: int) -> int:
        return round(math.exp(scale) * height**power)

    found = solve(
        lambda knob: 2 * round(math.exp(knob) / 2),
        size,
        start=math.log(200),
        low=math.log(16),
        high=math.log(2000),
        slope=1.9,
        budget=budget,
        snap=lambda knob: math.log(2 * round(math.exp(knob) / 2)),
    )
    if size(16) > budget:
        assert found is None
        return
    assert found is not None
    assert found.bytes <= budget
    next_size = size(found.result + 2)  # Heights are even: nothing lies between.
    assert found.bytes >= FILL * budget or next_size > budget or found.result >= 2000


def test_the_size_model_inverts_itself():
    model = SizeModel.of([(100 * 160, 50, 400_000), (100 * 160, 20, 200_000)])
    assert model.power == pytest.approx(math.log(2) / math.log(2.5))
    assert model.height(budget=400_000, frames=50, aspect=1.6) == pytest.approx(100)


@given(st.integers(1, 80), st.sampled_from([8.0, 10.0, 12.5, 25.0, 50.0]))
def test_shown_frames_are_as_often_early_as_late(n: int, rate: float):
    times = np.arange(n) / 25
    found = shown_at(rate, times, n / 25)
    assert len(found) == max(1, round(n / 25 * rate))
    middles = (np.arange(len(found)) + 0.5) / rate
    shown = times[found] + 0.5 / 25
    assert np.abs(shown - middles).max() <= max(0.5 / 25, 0.5 / rate) + 1e-9
    if rate == 25:
        np.testing.assert_array_equal(found, np.arange(n))


def test_held_pixels_never_stray_from_their_source():
    rng = np.random.default_rng(0)
    base = textured().astype(int)
    noisy = [np.clip(base + rng.integers(-2, 3, base.shape), 0, 255).astype(np.uint8)] * 1
    noisy += [np.clip(base + rng.integers(-2, 3, base.shape), 0, 255).astype(np.uint8)] * 1
    noisy += [np.clip(base + rng.integers(-9, 10, base.shape), 0, 255).astype(np.uint8)]
    for source, (shown, _) in held(noisy, 3):
        assert np.abs(source.astype(int) - shown).max() <= 3


def test_ssim_equals_a_reference_written_from_the_definition():
    rng = np.random.default_rng(1)
    a = textured()[:, :, 0][:24, :24]
    b = np.clip(a + rng.normal(0, 9, a.shape), 0, 255).astype(np.uint8)
    axis = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / np.outer(axis, axis).sum()
    x, y = (np.pad(p.astype(float), 5, mode="reflect") for p in (a, b))
    values = []
    for i in range(24):
        for j in range(24):
            p, q = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            c1, c2 = 2.55**2, 7.65**2
            top = (2 * mp * mq + c1) * (2 * cov + c2)
            values.append(top / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    assert ssim(a, b) == pytest.approx(np.mean(values), abs=1e-4)  # float32 inside
    assert ssim(a, a) == pytest.approx(1)


def test_few_colours_are_kept_exactly(tmp_path: Path):
    rng = np.random.default_rng(3)
    palette = rng.integers(0, 256, (40, 3), np.uint8)
    frames = [palette[rng.integers(0, 40, (32, 48))] for _ in range(4)]
    colours = colours_of(frames)
    for frame in frames:
        shown = colours.palette_RGB[colours.indices(frame)]
        assert np.abs(shown.astype(int) - frame).max() <= 4  # a box may hold two of them


def test_our_colours_are_nearer_than_palettegens(tmp_path: Path):
    frames = panning(6)
    write_gif(tmp_path / "theirs.gif", frames, delays_cs=10, dither="none")
    colours = colours_of(frames)
    write_indexed_gif(
        tmp_path / "ours.gif",
        [colours.indices(frame) for frame in frames],
        colours_RGB=colours.palette_RGB,
        delays_cs=[10] * 6,
    )
    errors = []
    for name in ("ours.gif", "theirs.gif"):
        with Image.open(tmp_path / name) as image:
            shown = []
            for number in range(6):
                image.seek(number)
                shown.append(np.asarray(image.convert("RGB")).astype(int))
        errors.append(np.mean([(a - b) ** 2 for a, b in zip(shown, frames, strict=True)]))
    assert errors[0] < errors[1]
