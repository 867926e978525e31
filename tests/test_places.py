"""GIFs made for a place: inside its limits, without bars, with the subject, and still provable."""

import contextlib
import math
from pathlib import Path

import numpy as np
import pytest
from moving import textured
from PIL import Image

from video2gif.core.config import Params, PlaceLimits
from video2gif.core.errors import UserError
from video2gif.core.items import Context
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore
from video2gif.gifs.framing import part_shown
from video2gif.gifs.loop import Wish
from video2gif.gifs.places import PLACES, longest_s, made_for, place_of
from video2gif.gifs.receipt import extract
from video2gif.gifs.render import GifOptions
from video2gif.make.moments import Choice
from video2gif.make.rankers import Baseline
from video2gif.make.run import Run
from video2gif.make.verify import verify
from video2gif.media.encode import write_video

PARAMS = Params.load(Path(__file__).parents[1] / "params.yaml")


def ball(n_frames: int, at: float, *, pan: float = 0.0, bars: int = 0, seed: int = 0):
    """Frames (180, 320) of a textured ball that swings near the column `at` (a share), and its
    masks; the background pans by so many pixels a frame."""
    wide = textured(height=180, width=640, seed=seed)
    sprite = textured(height=44, width=44, seed=seed + 100)
    y, x = np.mgrid[:44, :44] - 21.5
    disc = x**2 + y**2 <= 22**2
    frames, masks = [], []
    for n in range(n_frames):
        left = round(160 + pan * n)
        picture, mask = wide[:, left : left + 320].copy(), np.zeros((180, 320), bool)
        across = round(at * (320 - 44) + 10 * math.sin(n / 3))
        across, down = min(max(across, 0), 320 - 44), round(68 + 14 * math.cos(n / 3))
        picture[down : down + 44, across : across + 44][disc] = sprite[disc]
        mask[down : down + 44, across : across + 44] = disc
        if bars:
            picture[:bars] = picture[-bars:] = 0
        frames.append(picture)
        masks.append(mask)
    return frames, masks


@pytest.mark.parametrize("pan", [0.0, 1.5], ids=["still", "panning"])
@pytest.mark.parametrize("aspect", ["9:16", "1:1", "4:5"])
@pytest.mark.parametrize("at", [0.08, 0.5, 0.9])
def test_a_planted_subject_is_kept(at: float, aspect: str, pan: float):
    frames, masks = ball(16, at, pan=pan)
    part = part_shown(frames, aspect=aspect, cut_bars=False)
    rows, columns = (
        slice(round(a * length), round(b * length))
        for a, b, length in ((part.y0, part.y1, 180), (part.x0, part.x1, 320))
    )
    kept = [mask[rows, columns].sum() / mask.sum() for mask in masks]
    assert np.mean(kept) >= 0.95


def test_black_bars_are_cut_and_a_dark_picture_is_left_alone():
    frames, _ = ball(6, 0.5, bars=20)
    part = part_shown(frames, aspect="", cut_bars=True)
    assert (part.x0, part.x1) == (0, 1)
    assert 20 <= part.y0 * 180 <= 22
    assert 158 <= part.y1 * 180 <= 160
    night = [np.full((180, 320, 3), 5, np.uint8)] * 6
    night[2] = night[2].copy()
    night[2][80:90, 100:120] = 200
    assert part_shown(night, aspect="", cut_bars=True).height == 1


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two long shots: 14 s and 12 s; noise, so that bytes are dear."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    first, _ = ball(14 * 12, 0.2, seed=1)
    second, _ = ball(12 * 12, 0.8, pan=-0.9, seed=2, bars=16)
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(f + rng.normal(0, 3, f.shape), 0, 255).astype(np.uint8) for f in first + second
    ]
    write_video(path, noisy, fps=12)
    return path


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return Context(ItemStore(tmp_path_factory.mktemp("store")), SerialMapper())


def made(film: Path, options: GifOptions, folder: Path, context: Context, length_s: float) -> Path:
    least_s = 0.9 * min(length_s, longest_s(options, None) or length_s)
    choice = Choice(top=1, min_len_s=least_s)
    run = Run(PARAMS, Baseline(), options, choice, folder, context)
    assert run.all([str(film)], skip=contextlib.nullcontext) == 0
    return run.done[0].gifs[0].path


def played(gif: Path) -> tuple[tuple[int, int], int, float]:
    """Width and height, frames and seconds of a GIF or WebP."""
    with Image.open(gif) as image:
        length_ms = 0
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            length_ms += image.info.get("duration", 0)
        return image.size, image.n_frames, length_ms / 1000


@pytest.mark.parametrize("name", sorted(PLACES))
def test_every_target_s_gifs_are_inside_every_limit(
    film: Path, context: Context, tmp_path: Path, name: str
):
    place = PLACES[name]
    gif = made(film, made_for(GifOptions(), place), tmp_path, context, 11.0)
    assert gif.stat().st_size <= place.max_bytes
    size, n_frames, length_s = played(gif)
    if place.is_exact:
        assert size == (place.max_width, place.max_height)
    assert size[0] <= place.max_width
    assert size[1] <= place.max_height
    assert n_frames <= (place.max_frames or math.inf)
    assert length_s <= (place.max_s or math.inf)
    if place.aspect:
        across, down = map(int, place.aspect.split(":"))
        assert abs(size[0] - size[1] * across / down) <= 1  # Sides are even.
    assert gif.suffix == f".{place.format or 'gif'}"


@pytest.mark.parametrize(
    ("speed", "loop"), [(1.0, "none"), (2.0, "none"), (0.5, "none"), (1.0, "pingpong")]
)
def test_a_gif_plays_no_longer_than_its_options_say(
    film: Path, context: Context, tmp_path: Path, speed: float, loop: Wish
):
    options = GifOptions(height=60, max_s=2.0, speed=speed, loop=loop)
    assert 1.6 <= played(made(film, options, tmp_path, context, 9.0))[2] <= 2.0


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(GifOptions(height=90, speed=2.0, reverse=True, loop_count=3), id="changed"),
        pytest.param(
            made_for(GifOptions(loop="none", speed=0.5), PLACES["slack-emoji"]), id="cropped"
        ),
    ],
)
def test_the_receipt_of_a_changed_gif_is_true(
    film: Path, context: Context, tmp_path: Path, options: GifOptions
):
    gif = made(film, options, tmp_path, context, 2.0)
    receipt, _ = extract(gif.read_bytes())
    assert (receipt.recipe.speed, receipt.recipe.reverse) == (options.speed, options.reverse)
    assert (receipt.recipe.crop is not None) == bool(options.aspect)
    assert {c.state for c in verify(gif, film, Baseline(), PARAMS, context)} == {"true"}
    with Image.open(gif) as image:
        # Once, and then so many times more.
        assert image.info.get("loop") == (options.loop_count - 1 if options.loop_count else 0)


def test_a_plain_gif_s_receipt_says_nothing_of_what_was_not_changed(
    film: Path, context: Context, tmp_path: Path
):
    gif = made(film, GifOptions(height=60), tmp_path, context, 1.0)
    assert b"speed" not in gif.read_bytes()


def test_backwards_is_backwards(film: Path, context: Context, tmp_path: Path):
    options = {"height": 90, "loop": "none", "fps": 12}
    there = made(film, GifOptions(**options), tmp_path / "a", context, 2.0)
    back = made(film, GifOptions(**options, reverse=True), tmp_path / "b", context, 2.0)
    with Image.open(there) as a, Image.open(back) as b:
        a.seek(a.n_frames - 1)
        last, first = (np.asarray(one.convert("RGB"), int) for one in (a, b))
        assert np.abs(last - first).mean() < 6  # levels; each has a palette of its own


def test_a_place_of_one_s_own_beats_ours_and_an_unknown_one_is_named():
    mine = PlaceLimits(max_bytes=50_000, max_width=100, max_height=80)
    assert place_of("discord", {"discord": mine}) is mine
    assert made_for(GifOptions(height=200), mine).height == 80
    with pytest.raises(UserError, match="--for moon: choose discord"):
        place_of("moon", {})
