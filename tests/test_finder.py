"""`video2gif match CLIPS… --in LIBRARY…`: clips of any length in films of any length."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from moving import moving_frames

from video2gif.cli.match import in_before_each
from video2gif.core.config import Params
from video2gif.core.errors import UserError
from video2gif.core.items import Context, Counts
from video2gif.core.mappers import ProcessMapper
from video2gif.core.sandbox import Limits
from video2gif.core.store import ItemStore
from video2gif.fingerprint.decode import shrunk
from video2gif.fingerprint.panels import HALVES, boxes
from video2gif.fingerprint.phash import HASH_SIDE, LUMA_SIDE, phash, quality, window_hashes
from video2gif.fingerprint.track import THUMB_SIDE, Track
from video2gif.make.finder import search
from video2gif.make.match import match_files
from video2gif.matching.align import SpeedRange, speeds
from video2gif.matching.finder import find, finding
from video2gif.matching.holds import filled, without_holds
from video2gif.matching.stretches import Hit
from video2gif.matching.votes import SearchedFilm
from video2gif.media.encode import write_gif, write_video

PARAMS = Params.load(Path(__file__).parents[1] / "params.yaml")
FPS = 10
NEAR_S = 0.15
"""A frame and a half of the films here: spans begin and end with frames."""


def pictures(n: int, seed: int, *, cut_every: int = 40) -> np.ndarray:
    """uint8 (n, 64, 64): shots of 4 s."""
    frames = moving_frames(n, seed=seed, width=96, height=64, cut_every=cut_every)
    gray = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
    size = (LUMA_SIDE, LUMA_SIDE)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in gray])


def track(luma_N6464: np.ndarray, pts_s: np.ndarray | None = None, end_s: float = 0.0) -> Track:
    """The fingerprint of such pictures, ten a second unless times are given."""
    small = shrunk(luma_N6464, HASH_SIDE)
    hashes = np.column_stack([phash(small), window_hashes(luma_N6464)])
    times_s = np.arange(len(luma_N6464)) / FPS if pts_s is None else pts_s
    end_s = end_s or len(luma_N6464) / FPS
    return Track(times_s, end_s, hashes, quality(small), shrunk(luma_N6464, THUMB_SIDE))


def hits(clip: Track, film: Track) -> list[Hit]:
    return find(clip, SearchedFilm.of(film), min_confidence=0.9, min_frames=3)


@pytest.fixture(scope="module")
def long_film() -> np.ndarray:
    """200 s: too long to be looked at as a whole."""
    return pictures(2000, seed=1)


def where(hit: Hit) -> tuple[float, float]:
    assert hit.match.status == "matched"
    assert hit.match.span is not None
    return hit.match.span.start_s, hit.match.span.end_s


def test_the_stage_tries_the_speeds_it_always_did() -> None:
    assert SpeedRange().coarse() == speeds(0.25, 4.0, 72).tolist()


def test_a_clip_of_a_second_is_found_in_a_long_film(long_film: np.ndarray) -> None:
    (hit,) = hits(track(long_film[1203:1213]), track(long_film))
    assert where(hit) == pytest.approx((120.3, 121.3), abs=NEAR_S)


def test_a_clip_of_another_film_is_nowhere_and_says_why(long_film: np.ndarray) -> None:
    (hit,) = hits(track(pictures(40, seed=7)), track(long_film))
    assert hit.match.status == "unmatched"
    assert hit.match.reason.startswith("distance")


@pytest.mark.parametrize("speed", [6, 12])
def test_a_gif_that_shows_a_minute_in_seconds_is_found(long_film: np.ndarray, speed: int) -> None:
    # Cuts every 4 s: each of its frames is of the shot of that time, or the one after.
    fast = long_film[400 : 400 + 48 * speed : speed]
    (hit,) = hits(track(fast), track(long_film))
    assert where(hit) == pytest.approx((40.0, 40.0 + 4.8 * speed), abs=0.25)
    assert hit.match.speed == pytest.approx(speed, rel=0.01)


def test_a_minute_of_a_film_is_one_hit_with_exact_ends(long_film: np.ndarray) -> None:
    (hit,) = hits(track(long_film[307:907]), track(long_film))
    assert where(hit) == pytest.approx((30.7, 90.7), abs=NEAR_S)
    assert (hit.clip_start_s, hit.clip_end_s) == (0.0, 60.0)


def test_a_clip_of_two_stretches_has_two_hits(long_film: np.ndarray) -> None:
    other = pictures(150, seed=9)
    clip = np.concatenate([long_film[1500:1650], other, long_film[200:400]])
    first, second = hits(track(clip), track(long_film))
    assert where(first) == pytest.approx((150.0, 165.0), abs=0.5)
    assert where(second) == pytest.approx((20.0, 40.0), abs=0.5)
    assert (second.clip_start_s, second.clip_end_s) == pytest.approx((30.0, 50.0), abs=0.5)


def test_a_picture_held_at_the_end_is_no_part_of_the_film(long_film: np.ndarray) -> None:
    clip = track(long_film[805:830], end_s=2.5 + 2.0)
    (hit,) = hits(clip, track(long_film))
    assert where(hit) == pytest.approx((80.5, 83.0), abs=NEAR_S)


def test_holds_are_found_by_how_long_others_stand() -> None:
    luma = pictures(20, seed=3)
    times_s = np.append(np.arange(10) * 0.1, np.arange(10) * 0.1 + 2.0)
    held = track(luma, times_s, 3.0)
    cut = without_holds(held)
    assert cut is not None
    assert cut.end_s == pytest.approx(2.0)
    assert len(filled(held)) == 20 + 10
    assert without_holds(track(luma)) is None


def test_the_box_of_an_inset_is_proposed_after_the_halves() -> None:
    under = moving_frames(20, seed=1, width=160, height=120)
    over = moving_frames(20, seed=2, width=64, height=48)
    for below, above in zip(under, over, strict=True):
        below[66:114, 90:154] = above
    gray = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in under])
    found = boxes(gray.astype(np.float32))
    assert found[:4] == list(HALVES)
    inset = (90 / 160, 66 / 120, 154 / 160, 114 / 120)
    assert any(box == pytest.approx(inset, abs=0.02) for box in found[4:])


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Each test counts from an empty store, in whatever order they come."""
    return Context(ItemStore(tmp_path / "store"), ProcessMapper(1))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films, a GIF of the first, one that shows it beside the second, and a broken file."""
    folder = tmp_path_factory.mktemp("library")
    one, two = moving_frames(120, seed=1), moving_frames(120, seed=2)
    write_video(folder / "one.mp4", one, fps=20)
    write_video(folder / "two.mp4", two, fps=20)
    write_gif(folder / "cut.gif", one[20:60:2], delays_cs=10)
    other = moving_frames(40, seed=5)
    beside = [np.concatenate(pair, axis=1) for pair in zip(one[20:60:2], other, strict=False)]
    write_gif(folder / "beside.gif", beside, delays_cs=10)
    (folder / "bad.mp4").write_bytes(b"nothing")
    return folder


def test_a_new_film_costs_its_own_fingerprint_and_its_own_comparisons(
    library: Path, context: Context
) -> None:
    clips = [library / "cut.gif"]
    first = search(clips, [library / "one.mp4"], PARAMS, context)
    assert (first.decoded, first.compared) == (Counts(computed=2), Counts(computed=1))
    again = search(clips, [library / "one.mp4", library / "two.mp4"], PARAMS, context)
    assert again.decoded == Counts(computed=1, reused=2)
    assert again.compared == Counts(computed=1, reused=1)
    (clip,) = again.clips
    (hit,) = clip.hits
    assert hit.film.name == "one.mp4"
    assert where(hit.hit) == pytest.approx((1.0, 3.0), abs=NEAR_S)


def test_a_bad_file_has_its_reason_and_the_others_are_searched(
    library: Path, context: Context
) -> None:
    clips = [library / "no.gif", library / "cut.gif"]
    films = [library / "bad.mp4", library / "one.mp4"]
    found = search(clips, films, PARAMS, context)
    assert [clip.status for clip in found.clips] == ["quarantined", "matched"]
    ((film, reason),) = found.failed_films
    assert film.name == "bad.mp4"
    assert reason


def test_a_comparison_that_fails_is_told(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = Limits(wall_s=0.001)
    late = lambda **asked: replace(finding(**asked), limits=soon)  # noqa: E731
    monkeypatch.setattr("video2gif.make.finder.finding", late)
    context = Context(ItemStore(tmp_path / "store"), ProcessMapper(1))
    found = search([library / "cut.gif"], [library / "one.mp4"], PARAMS, context)
    ((film, reason),) = found.failed_films
    assert film.name == "one.mp4"
    assert "cut.gif: timeout" in reason
    (told,) = match_files(library / "cut.gif", [library / "one.mp4"], PARAMS, context)
    assert (told.match, told.failure.partition(":")[0]) == (None, "timeout")


def test_a_film_beside_another_is_found_in_its_half(library: Path, context: Context) -> None:
    found = search([library / "beside.gif"], [library / "one.mp4"], PARAMS, context)
    (hit,) = found.clips[0].hits
    assert hit.hit.box == HALVES[0]
    assert where(hit.hit) == pytest.approx((1.0, 3.0), abs=NEAR_S)


def test_all_words_after_in_are_films_up_to_the_next_option() -> None:
    assert in_before_each(["a", "--in", "b", "c", "--json", "d"]) == [
        *("a", "--in", "b", "--in", "c", "--json", "d")
    ]
    with pytest.raises(UserError, match="name the films"):
        in_before_each(["a", "--in"])
