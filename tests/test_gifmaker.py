"""The GIF maker: loops that close, budgets that are filled, receipts that can be checked."""

import contextlib
import dataclasses
import itertools
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import PATIENCE_S, until
from PIL import Image

from video2gif.core.config import Params
from video2gif.core.errors import ItemError, UserError
from video2gif.core.items import Context
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore
from video2gif.fingerprint.read import Fingerprint
from video2gif.gifs import loop as seam
from video2gif.gifs.encoders import held
from video2gif.gifs.pace import pace_of
from video2gif.gifs.palette import colours_of
from video2gif.gifs.receipt import Receipt, embed, extract, parse
from video2gif.gifs.render import RECEIPT_BYTES, GifOptions, Recipe
from video2gif.gifs.shape import FILL, SizeModel, shown_at, solve, ssim
from video2gif.make import inputs as sources
from video2gif.make.analysis import Analysis
from video2gif.make.moments import Choice, choose
from video2gif.make.rankers import Baseline, Moment
from video2gif.make.run import Run
from video2gif.make.verify import verify
from video2gif.make.write import remove_stale
from video2gif.media.encode import write_gif, write_indexed_gif, write_video

REPO = Path(__file__).parents[1]


def textured(*, seed: int = 0, height: int = 96, width: int = 128) -> np.ndarray:
    """A smooth picture of many colours: what cameras see, not noise."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def swinging(n: int, *, period: int, seed: int = 0) -> list[np.ndarray]:
    """A picture that moves to and fro: frame i + period is frame i."""
    picture = textured(seed=seed)
    at = [round(20 * math.sin(2 * math.pi * i / period)) for i in range(n)]
    return [np.roll(picture, shift, axis=1) for shift in at]


def panning(n: int, *, seed: int = 0) -> list[np.ndarray]:
    """A picture that never comes back."""
    wide = textured(seed=seed, width=128 + 3 * n)
    return [wide[:, 3 * i : 3 * i + 128] for i in range(n)]


# Seams


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_a_seam_is_perfect_when_the_jump_is_a_usual_step():
    frames = np.stack([np.full((4, 4), 10 * i, np.uint8) for i in (0, 1, 2, 1)])
    found = seam.seam_of(frames)
    assert (found.jump, found.step, found.score) == (10.0, 10.0, 1.0)
    broken = seam.seam_of(frames[:3])
    assert broken.score == pytest.approx((10 + 1) / (20 + 1))


def test_the_chosen_loop_of_a_swing_is_a_whole_period():
    frames = swinging(60, period=20)
    spans = [(a, b) for a in range(0, 8) for b in range(25, 45)]
    found = seam.close_loop(frames, spans=spans, moment=(0, 27), fps=20, wish="auto")
    assert found.mode == "cut"
    assert found.seam.is_good
    assert found.plain.jump > 2 * found.seam.jump


@pytest.mark.parametrize(("wish", "mode"), [("auto", "fade"), ("pingpong", "pingpong")])
def test_a_pan_is_mended(wish: seam.Wish, mode: str):
    frames = panning(40)
    found = seam.close_loop(frames, spans=[(0, 40)], moment=(0, 40), fps=20, wish=wish)
    assert found.mode == mode
    shown = seam.joined(frames, found)
    assert difference(shown[-1], shown[0]) < difference(frames[-1], frames[0]) / 2
    steps = [difference(a, b) for a, b in zip(shown, [*shown[1:], shown[0]], strict=True)]
    assert max(steps) < 4 * np.median(steps)


def test_a_short_pan_is_played_back():
    frames = panning(18)
    found = seam.close_loop(frames, spans=[(0, 18)], moment=(0, 18), fps=20, wish="auto")
    assert found.mode == "pingpong"
    shown = seam.joined(frames, found)
    assert len(shown) == 2 * 18 - 2
    np.testing.assert_array_equal(shown[-1], shown[1])


def test_without_a_wish_for_loops_the_moment_stays_as_it_was_ranked():
    frames = panning(30)
    found = seam.close_loop(frames, spans=[(2, 20)], moment=(5, 25), fps=20, wish="none")
    assert (found.span, found.mode, found.seam) == ((5, 25), "cut", found.plain)


@given(
    st.integers(0, 60),
    st.integers(4, 40),
    st.integers(1, 30),
    st.integers(0, 12),
    st.integers(0, 2**32),
)
def test_shortlisted_spans_stay_inside_the_room(
    start: int, length: int, least: int, slack: int, seed: int
):
    n = 100
    rng = np.random.default_rng(seed)
    moment = start, min(start + length, n)
    room = max(0, start - 5), min(n, start + length + 5)
    least = min(least, room[1] - room[0])
    most = least + 10
    found = seam.shortlist(
        moment=moment,
        room=room,
        min_frames=least,
        max_frames=most,
        slack_frames=slack,
        hold=math.inf,
        pace=pace_of(np.arange(n + 1) / 25, (0, n)),
        hashes=rng.integers(0, 2**63, n, np.uint64),
        thumbs=rng.integers(0, 255, (n, 4, 4), np.uint8),
        content=rng.random((n, 3)),
    )
    assert found
    for a, b in found:
        assert room[0] <= a < b <= room[1]
        assert least <= b - a <= most


# Budgets


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
    for source, shown in zip(noisy, held(noisy, 3), strict=True):
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


# Colours


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


# Receipts


RECIPE = Recipe(
    start_s=1.0,
    end_s=2.5,
    n_frames=30,
    loop="fade",
    fade_frames=4,
    master_height=240,
    height=120,
    rate=12.5,
    hold=2,
    quality=0.0,
    format="gif",
    encoder="libav",
)
RECEIPT = Receipt(
    source="a" * 64,
    body="b" * 64,
    model="baseline",
    params="c" * 64,
    tool="video2gif 1, av 2",
    score=0.5,
    moment=(1.0, 3.0),
    recipe=RECIPE,
)


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_a_file_plays_with_its_receipt_and_is_whole_without(tmp_path: Path, kind: str):
    from video2gif.media.encode import write_webp

    path = tmp_path / f"a.{kind}"
    frames = panning(5)
    {
        "gif": lambda: write_gif(path, frames, delays_cs=10),
        "webp": lambda: write_webp(path, frames, delays_cs=[10] * 5),
        "mp4": lambda: write_video(path, frames, fps=10),
    }[kind]()
    content = path.read_bytes()
    marked = embed(content, RECEIPT)
    assert len(marked) - len(content) <= RECEIPT_BYTES
    assert extract(marked) == (RECEIPT, content)
    path.write_bytes(marked)
    if kind == "mp4":
        import av

        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 5
    else:
        with Image.open(path) as image:
            assert image.n_frames == 5


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"x" * 5000, id="long"),
        pytest.param(b"[" * 4000, id="deep"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(RECEIPT.dump().replace(b"0.5", b"NaN"), id="NaN"),
        pytest.param(RECEIPT.dump().replace(b'"rate":12.5', b'"rate":1e400'), id="infinity"),
        pytest.param(RECEIPT.dump().replace(b'"hold":2', b'"hold":2,"hold":3'), id="twice"),
        pytest.param(RECEIPT.dump().replace(b'"hold":2', b'"hold":"2"'), id="type"),
        pytest.param(RECEIPT.dump().replace(b'"hold":2', b'"hold":true'), id="bool"),
        pytest.param(RECEIPT.dump().replace(b'"hold":2,', b""), id="missing"),
        pytest.param(RECEIPT.dump().replace(b'"hold":2', b'"hold":2,"x":1'), id="more"),
        pytest.param(RECEIPT.dump().replace(b'"height":120', b'"height":99999'), id="huge"),
        pytest.param(RECEIPT.dump().replace(b'"gif"', b'"../x"'), id="format"),
        pytest.param(RECEIPT.dump().replace(b"a" * 64, b"A" * 64), id="digest"),
        pytest.param(RECEIPT.dump().replace(b"av 2", b"\\u001b[31m"), id="escape"),
        pytest.param(RECEIPT.dump().replace(b"[1.0,3.0]", b"[1.0]"), id="moment"),
        pytest.param(RECEIPT.dump().replace(b'"end_s":2.5', b'"end_s":1e8'), id="span"),
    ],
)
def test_D31_a_hostile_receipt_is_refused(text: bytes):
    with pytest.raises(ItemError) as caught:
        parse(text)
    assert caught.value.cause == "receipt"


def test_a_receipt_survives_its_json():
    assert parse(RECEIPT.dump()) == RECEIPT


@given(st.data())
def test_a_mutated_file_gives_an_item_error_or_a_receipt(data: st.DataObject):
    content = bytearray(MARKED)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    with contextlib.suppress(ItemError):  # Nothing else may come out.
        extract(bytes(content[:cut]))


def _marked() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.gif"
        write_gif(path, [textured(height=16, width=16)] * 2, delays_cs=10)
        return embed(path.read_bytes(), RECEIPT)


MARKED = _marked()


# Moments


# A bright, crisp frame that moves: no defect.
GOOD = np.array([0, 120, 50, 240, 0.2, 0.4, 5, 4, 3], np.float32)


def analysis_of(*, shots: Sequence[int], fps: float = 20, same: bool = False) -> Analysis:
    """Shots of these numbers of frames, each of one picture, cut into segments of two seconds."""
    n = sum(shots)
    numbers = np.repeat(np.arange(len(shots)), shots)
    pictures = np.random.default_rng(0).integers(0, 2**63, len(shots), np.uint64)
    found = Fingerprint(
        pts_s=np.arange(n) / fps,
        end_s=n / fps,
        phash=pictures[numbers * (not same)],
        windows=np.zeros((n, 1), np.uint64),
        quality=np.ones(n, np.float32),
        thumbs=np.zeros((n, 16, 16), np.uint8),
        content=np.ones((n, 3)),
        cues=np.tile(GOOD, (n, 1)),
        width=64,
        height=48,
        bad_packets=0,
    )
    starts = np.cumsum([0, *shots])
    spans = np.array(
        [(a, min(a + 40, e)) for s, e in itertools.pairwise(starts) for a in range(s, e, 40)]
    )
    return Analysis(Path("film.mp4"), "0" * 64, found, spans, tuple(map(int, starts[1:-1])))


def ranked(analysis: Analysis) -> list[Moment]:
    edges = analysis.edges_s
    return [
        Moment(i + 1, float(edges[a]), float(edges[b]), 1.0 / (i + 1), int(a), int(b))
        for i, (a, b) in enumerate(analysis.spans)
    ]


def test_the_window_asked_for_bounds_the_room():
    analysis = analysis_of(shots=[80, 80])
    found = choose(analysis, ranked(analysis), Choice(from_s=3.0, to_s=5.5))
    assert [one.moment.rank for one in found] == [2, 3]
    assert found[0].within.room == (60, 80)
    assert found[0].within.core == (60, 80)
    assert found[1].within.room == (80, 110)


def test_a_moment_grows_to_the_least_length_but_not_past_its_shot():
    analysis = analysis_of(shots=[80, 40])
    found = choose(analysis, ranked(analysis), Choice(min_len_s=3.0))
    assert [one.within.core for one in found] == [
        (0, 60)
    ]  # 80 frames hold no second one; 40 are too few
    shorter = choose(analysis, ranked(analysis), Choice(max_len_s=1.0))
    assert [one.within.max_frames for one in shorter] == [20, 20, 20]


def test_diverse_moments_show_different_pictures():
    analysis = analysis_of(shots=[80, 80, 40])
    found = choose(analysis, ranked(analysis), Choice(diverse=True))
    assert [one.moment.start_frame for one in found] == [0, 80, 160]
    alike = analysis_of(shots=[80, 80, 40], same=True)
    assert len(choose(alike, ranked(alike), Choice(diverse=True))) == 1


def test_the_worst_moments_come_last():
    analysis = analysis_of(shots=[80, 80])
    found = choose(analysis, ranked(analysis), Choice(top=1, bottom=2))
    assert [one.moment.rank for one in found] == [1, 3, 4]


# A whole run


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for number, name in enumerate(("a/film.mp4", "b/film.mp4")):
        (folder / name).parent.mkdir()
        shots = [*swinging(30, period=20, seed=number), *panning(36, seed=number + 5)]
        write_video(folder / name, shots, fps=20)
    return folder


@pytest.fixture(scope="module")
def params() -> Params:
    return Params.load(REPO / "params.yaml")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return Context(ItemStore(tmp_path_factory.mktemp("store")), SerialMapper())


class Skipped(list[str]):
    """Notes which videos were skipped, and why."""

    def __call__(self, name: str):  # type: ignore[no-untyped-def]
        @contextlib.contextmanager
        def skipping():  # type: ignore[no-untyped-def]
            try:
                yield
            except ItemError as error:
                self.append(f"{name} {error.reason}")

        return skipping()


def run_of(params: Params, context: Context, output: Path, **options: object) -> Run:
    choice = Choice(top=2)
    return Run(params, Baseline(), GifOptions(**options), choice, output, context)  # type: ignore[arg-type]


def test_equal_stems_get_folders_of_their_own(films, params, shared, tmp_path):
    run, skipped = run_of(params, shared, tmp_path, height=48), Skipped()
    assert run.all([f"{films}/*/film.mp4", str(films / "none.mp4")], skip=skipped) == 1
    assert "none.mp4" in skipped[0]
    assert len(list((tmp_path / "film").glob("*.gif"))) == 2
    assert len(list((tmp_path / "film-2").glob("*.gif"))) == 2
    listing = json.loads((tmp_path / "gifs.json").read_text())
    for video in listing["videos"]:
        for gif in video["gifs"]:
            assert (tmp_path / gif["file"]).is_file()
            assert 0 < gif["loop"]["score"] <= 1


def test_a_new_run_removes_what_the_last_one_made_and_nothing_else(films, params, shared, tmp_path):
    film = [str(films / "a" / "film.mp4")]
    run_of(params, shared, tmp_path, height=48).all(film, skip=Skipped())
    own = tmp_path / "01_0m00s_0.50.gif"
    own.write_bytes(b"not listed")
    run = dataclasses.replace(run_of(params, shared, tmp_path, height=48), choice=Choice(top=1))
    run.all(film, skip=Skipped())
    assert len(list(tmp_path.glob("*.gif"))) == 1 + 1
    assert len(list(tmp_path.glob("*.jpg"))) == 1 + 1  # The filmstrip.
    assert own.exists()


@pytest.mark.parametrize(
    "name", ["../x/01_0m00s_1.00.gif", "/etc/passwd", "a/b/01_0m00s_1.00.gif", "film.mp4", ""]
)
def test_an_edited_list_deletes_nothing_of_others(tmp_path: Path, name: str):
    victim = (tmp_path / "out" / name) if name else tmp_path / "out" / "x"
    (tmp_path / "out").mkdir()
    if not Path(name).is_absolute():
        victim.parent.mkdir(parents=True, exist_ok=True)
        victim.touch()
    remove_stale(tmp_path / "out", [name], [])
    assert victim.exists()


def test_a_budget_is_filled_and_the_receipt_is_true(films, params, shared, tmp_path):
    film = films / "b" / "film.mp4"
    run = run_of(params, shared, tmp_path, max_bytes=60_000)
    assert run.all([str(film)], skip=Skipped()) == 0
    (made,) = run.done
    for gif in made.gifs:
        assert gif.path.stat().st_size <= 60_000
        is_full = gif.recipe.height == 96 and gif.recipe.rate == 20
        assert gif.path.stat().st_size >= FILL * 60_000 - RECEIPT_BYTES or is_full
    gif = made.gifs[0].path
    checks = verify(gif, film, Baseline(), params, shared)
    assert {check.state for check in checks} == {"true"}
    other = verify(gif, films / "a" / "film.mp4", Baseline(), params, shared)
    assert [check.state for check in other] == ["true", "false"]
    altered = bytearray(gif.read_bytes())
    altered[400] ^= 1
    (tmp_path / "altered.gif").write_bytes(altered)
    states = {
        c.what: c.state for c in verify(tmp_path / "altered.gif", film, Baseline(), params, shared)
    }
    assert states["not altered since"] == "false"


def test_a_lie_about_the_span_or_the_score_is_found(films, params, shared, tmp_path):
    film = films / "b" / "film.mp4"
    run = run_of(params, shared, tmp_path, height=48)
    run.all([str(film)], skip=Skipped())
    receipt, body = extract(run.done[0].gifs[0].path.read_bytes())
    shift_s = 0.15 if receipt.recipe.start_s < 1 else -0.15
    moved = dataclasses.replace(
        receipt.recipe,
        start_s=receipt.recipe.start_s + shift_s,
        end_s=receipt.recipe.end_s + shift_s,
    )
    lies = {
        "span": dataclasses.replace(receipt, recipe=moved),
        "score": dataclasses.replace(receipt, score=0.123),
        "model": dataclasses.replace(receipt, model="0" * 64),
        "parameters": dataclasses.replace(receipt, params="0" * 64),
    }
    for what, lie in lies.items():
        (tmp_path / "lie.gif").write_bytes(embed(body, lie))
        checks = verify(tmp_path / "lie.gif", film, Baseline(), params, shared)
        states = {check.what.split()[0]: check.state for check in checks}
        assert states.pop(what) != "true", what
        if what == "score":
            assert set(states.values()) == {"true"}


def test_gifski_is_used_when_it_is_there(films, params, tmp_path, monkeypatch):
    """A stand-in of the same command line: gifski itself is in no Debian release."""
    program = tmp_path / "bin" / "gifski"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\nfrom PIL import Image\n"
        "a = sys.argv[1:]\n"
        "if a == ['--version']: print('gifski 9.9'); raise SystemExit\n"
        "names = [x for x in a if x.endswith('.png')]\n"
        "first, *rest = [Image.open(x) for x in names]\n"
        "first.save(a[a.index('--output') + 1], save_all=True, append_images=rest)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    context = Context(ItemStore(tmp_path / "store"), SerialMapper())
    run = run_of(params, context, tmp_path / "out", height=48, encoder="gifski")
    assert run.all([str(films / "a" / "film.mp4")], skip=Skipped()) == 0
    with pytest.raises(UserError):
        GifOptions(encoder="gifski", format="webp")


def test_arguments_may_be_files_folders_globs_and_urls(films: Path):
    found = sources.expand(
        [str(films / "a"), f"{films}/b/*", "https://x.test/v.mp4?token=1", "-x.mp4"]
    )
    assert found == [
        str(films / "a" / "film.mp4"),
        str(films / "b" / "film.mp4"),
        "https://x.test/v.mp4?token=1",
        "-x.mp4",
    ]
    assert sources.folder_names([Path("a/x.mp4"), Path("b/X.mkv"), Path("x-2.mp4")]) == [
        "x",
        "X-2",
        "x-2-2",
    ]


def test_ctrl_c_leaves_only_whole_files(films: Path, tmp_path: Path):
    process = subprocess.Popen(
        [
            *(Path(sys.executable).with_name("video2gif"), "gif", f"{films}/*/*.mp4"),
            *("-o", "out", "--ranker", "baseline", "--height", "480", "--root", str(REPO)),
        ],
        cwd=tmp_path,
        env={**os.environ, "VIDEO2GIF_CACHE": str(tmp_path / "cache")},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    until(lambda: list(tmp_path.glob("out/*/*.gif")) or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode in (0, 130)  # 0: it was done before the signal came
    assert not list(tmp_path.glob("out/**/*.tmp"))
    for path in tmp_path.glob("out/**/*.gif"):
        assert path.read_bytes().endswith(b";")
