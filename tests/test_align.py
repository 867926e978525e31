"""Alignment: every edit a GIF maker makes, on synthetic shots whose truth is known."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
from moving import moving_frames

from video2gif.fingerprint.decode import shrunk
from video2gif.fingerprint.phash import HASH_SIDE, phash, quality, window_hashes
from video2gif.fingerprint.track import THUMB_SIDE, Track
from video2gif.matching import align
from video2gif.matching.confidence import Match, _way_there, match

FPS = 25.0
START, END = 130, 190  # frames of the video that GIFs are cut from


def track(frames: list[np.ndarray], frame_s: float) -> Track:
    """What the fingerprint stage would keep of these frames, without a codec in between."""
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    luma = np.stack([cv2.resize(g, (64, 64), interpolation=cv2.INTER_AREA) for g in gray])
    small = shrunk(luma, HASH_SIDE)
    return Track(
        pts_s=np.arange(len(frames)) * frame_s,
        end_s=len(frames) * frame_s,
        hashes=np.column_stack([phash(small), window_hashes(luma)]),
        quality=quality(small),
        thumbs=shrunk(luma, THUMB_SIDE),
    )


@cache
def film(seed: int = 3) -> list[np.ndarray]:
    return moving_frames(400, seed=seed)


@cache
def video(seed: int = 3) -> Track:
    return track(film(seed), 1 / FPS)


def find(gif: Track, where: Track | None = None) -> Match:
    return match(gif, where or video(), min_confidence=0.9, min_frames=4)


def cut(speed: float = 1.0, gif_fps: float = 10.0) -> list[np.ndarray]:
    """GIF frames of [START, END) at a speed and frame rate."""
    times_s = np.arange(0.0, (END - START) / FPS / speed - 1e-9, 1.0 / gif_fps)
    return [film()[START + int(t * speed * FPS + 1e-6)] for t in times_s]


def crop(frame: np.ndarray, left: float, top: float, size: float) -> np.ndarray:
    height, width = frame.shape[:2]
    x, y = round(left * width), round(top * height)
    return frame[y : y + round(size * height), x : x + round(size * width)]


def captioned(frame: np.ndarray) -> np.ndarray:
    marked = frame.copy()
    cv2.rectangle(marked, (20, 84), (170, 104), (255, 255, 255), -1)
    cv2.putText(marked, "WHEN IT WORKS", (26, 99), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 2)
    return marked


def posterized(frame: np.ndarray) -> np.ndarray:
    """Six levels a channel, ordered dither: the web palette."""
    bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16 - 0.5
    height, width = frame.shape[:2]
    tiles = np.tile(bayer, (height // 4 + 1, width // 4 + 1))[:height, :width, None] * 51
    return np.clip(np.round((frame + tiles) / 51) * 51, 0, 255).astype(np.uint8)


def letterboxed(frame: np.ndarray) -> np.ndarray:
    bar = frame.shape[1] * 3 // 4 - frame.shape[0]
    return cv2.copyMakeBorder(frame, bar // 2, bar - bar // 2, 0, 0, cv2.BORDER_CONSTANT)


EDITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda f: f,
    "resize": lambda f: cv2.resize(f, (120, 68), interpolation=cv2.INTER_AREA),
    "crop-15-centre": lambda f: crop(f, 0.075, 0.075, 0.85),
    "crop-15-corner": lambda f: crop(f, 0.0, 0.15, 0.85),
    "crop-10-off-centre": lambda f: crop(f, 0.1, 0.03, 0.9),
    "crop-14-between-the-windows": lambda f: crop(f, 0.13, 0.06, 0.86),
    "caption": captioned,
    "web-palette": posterized,
    "gamma": lambda f: (255 * (f / 255.0) ** 1.4).astype(np.uint8),
    "brighter": lambda f: np.clip(f.astype(int) + 25, 0, 255).astype(np.uint8),
    "mirror": lambda f: f[:, ::-1],
    "letterbox": letterboxed,
    "pillarbox": lambda f: cv2.copyMakeBorder(f, 0, 0, 30, 30, cv2.BORDER_CONSTANT),
    "crop-caption-mirror": lambda f: captioned(crop(f, 0.08, 0.02, 0.9))[:, ::-1],
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_gif_is_found_within_a_quarter_second(edit: str) -> None:
    frames = [np.ascontiguousarray(EDITS[edit](frame)) for frame in cut()]
    found = find(track(frames, 0.1))
    assert found.status == "matched", found.reason
    assert found.span is not None
    assert found.span.start_s == pytest.approx(START / FPS, abs=0.25)
    assert found.span.end_s == pytest.approx(END / FPS, abs=0.25)
    assert found.mirror == ("mirror" in edit)


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.25, 2.0, 4.0])
def test_the_speed_is_found(speed: float) -> None:
    found = find(track(cut(speed, gif_fps=12.5), 0.08))
    assert found.status == "matched", found.reason
    assert found.span is not None
    assert found.speed == pytest.approx(speed, rel=0.06)
    assert found.span.start_s == pytest.approx(START / FPS, abs=0.25)
    assert found.span.end_s == pytest.approx(END / FPS, abs=0.25)


def test_a_gif_played_backwards_has_a_negative_speed() -> None:
    found = find(track(cut()[::-1], 0.1))
    assert found.status == "matched", found.reason
    assert found.span is not None
    assert found.speed == pytest.approx(-1.0, rel=0.06)
    assert found.span.start_s == pytest.approx(START / FPS, abs=0.25)
    assert found.span.end_s == pytest.approx(END / FPS, abs=0.25)


@pytest.mark.parametrize("turn", [slice(-2, 0, -1), slice(None, None, -1)])
def test_a_gif_that_plays_there_and_back_is_the_way_there(turn: slice) -> None:
    there = cut()
    found = find(track(there + there[turn], 0.1))
    assert found.status == "matched", found.reason
    assert found.span is not None
    assert found.span.start_s == pytest.approx(START / FPS, abs=0.25)
    assert found.span.end_s == pytest.approx(END / FPS, abs=0.25)


def drifting(n: int) -> list[np.ndarray]:
    """A still in which a small light patch wanders: hashes hardly change, pictures do."""
    frames = []
    for x in 10 + 60 * np.linspace(0, 1, n) ** 1.5:
        frame = film()[200].copy()
        left = round(float(x))
        frame[30:46, left : left + 20] = np.minimum(frame[30:46, left : left + 20] + 40, 255)
        frames.append(frame)
    return frames


def test_where_hashes_cannot_tell_pictures_do() -> None:
    frames = drifting(375)
    where = track(frames, 1 / FPS)
    assert len(np.unique(where.hashes[150:200, 0])) < 25
    found = find(track(frames[150:200:2], 2 / FPS), where)
    assert found.span is not None
    assert found.span.start_s == pytest.approx(150 / FPS, abs=0.25)
    assert found.span.end_s == pytest.approx(200 / FPS, abs=0.25)


def test_a_scene_that_hardly_moves_does_not_play_there_and_back() -> None:
    assert _way_there(track(drifting(400)[150:200:2], 0.1)) is None
    there = drifting(400)[150:200:2]
    assert _way_there(track(there + there[-2:0:-1], 0.1)) is not None


def test_a_long_video_is_searched_in_parts_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gif = track(cut(), 0.1)
    whole = align.search(gif, video())
    monkeypatch.setattr(align, "_MOST_BYTES", 1)
    parts = align.search(gif, video())
    assert parts.places == whole.places
    np.testing.assert_array_equal(parts.start_s, whole.start_s)
    np.testing.assert_array_equal(parts.speed, whole.speed)


@pytest.mark.parametrize("most", [1, 8, 32, 100])
def test_of_equal_places_the_first_are_taken_whatever_sorts_them(most: int) -> None:
    """An oracle that sorts everything: `np.partition` may order equals as it likes."""
    cost = np.random.default_rng(most).integers(0, 3, (4, 25)).astype(np.float32)
    found = align._best_of(cost, 1.0, 0)
    order = sorted((float(cost[v, b]), v, b) for v in range(4) for b in range(25))
    expected = sorted((v, (b + 0.5) * align._BIN_S) for _, v, b in order[: len(found)])
    assert sorted((place.variant, place.start_s) for place in found) == expected


def test_the_cost_of_a_place_does_not_depend_on_the_order_of_its_frames() -> None:
    """Processors add up in different orders: the sums must be exact."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, align.CAP + 1, (50, 2000)).astype(np.uint8)
    weights = align.weights_of(rng.random(2000).astype(np.float32))
    orders = [rng.permutation(2000) for _ in range(9)]
    costs = [align.mean_bits(bits[:, order], weights[order]) for order in orders]
    assert all((cost == costs[0]).all() for cost in costs)
    most = np.float32(align._COARSE_FRAMES * align.CAP * align._FULL_WEIGHT)
    assert most - np.float32(1) != most, "float32 could not count so far"


def test_gamma_does_not_move_a_gif_within_a_fade() -> None:
    faded = [(frame * min(1.0, n / 100)).astype(np.uint8) for n, frame in enumerate(film()[:150])]
    lighter = [(255 * (frame / 255.0) ** 0.75).astype(np.uint8) for frame in faded[25:75]]
    found = find(track(lighter[::2], 2 / FPS), track(faded, 1 / FPS))
    assert found.span is not None
    assert found.span.start_s == pytest.approx(25 / FPS, abs=0.25)
    assert found.span.end_s == pytest.approx(75 / FPS, abs=0.25)


def test_a_gif_of_another_film_is_unmatched() -> None:
    found = find(track(cut(), 0.1), video(seed=4))
    assert found.status == "unmatched"
    assert found.span is None
    assert found.reason.startswith("distance")


def test_a_static_scene_is_ambiguous_and_names_its_alternatives() -> None:
    rng = np.random.default_rng(0)
    still = film()[200]
    noisy = [
        np.clip(still + rng.normal(0, 1, still.shape), 0, 255).astype(np.uint8) for _ in range(200)
    ]
    where = track(film()[:100] + noisy, 1 / FPS)
    found = find(track(noisy[40:100:4], 0.16), where)
    assert found.status == "ambiguous"
    assert found.confidence < 0.9


def test_a_scene_shown_twice_is_ambiguous() -> None:
    twice = film()[:100] + film()[START:END] + film()[200:260] + film()[START:END] + film()[:40]
    found = find(track(cut(), 0.1), track(twice, 1 / FPS))
    assert found.status == "ambiguous"
    starts = sorted(span.start_s for span in (found.span, *found.alternatives) if span)
    assert starts[0] == pytest.approx(100 / FPS, abs=0.25)
    assert starts[-1] == pytest.approx(220 / FPS, abs=0.25)


def test_A24_a_still_or_flat_gif_is_unmatched_and_says_so() -> None:
    one = find(track(cut()[:1], 0.1))
    assert (one.status, one.reason) == ("unmatched", "short: the GIF has one frame")
    black = find(track([np.zeros((90, 160, 3), np.uint8)] * 20, 0.1))
    assert black.status == "unmatched"
    assert black.reason.startswith("short: 0 distinct frames")


def test_a_gif_longer_than_its_video_allows_is_unmatched() -> None:
    found = find(track(moving_frames(300, seed=9), 0.2), track(film()[:100], 1 / FPS))
    assert found.status == "unmatched"


def test_spans_are_the_frames_own_times_in_a_video_of_variable_frame_rate() -> None:
    frame_s = np.tile([0.033, 0.1, 0.02], 134)[:400]
    base = track(film(), 1 / FPS)
    edges = np.concatenate([[0.0], np.cumsum(frame_s)])
    vfr = Track(edges[:-1], float(edges[-1]), base.hashes, base.quality, base.thumbs)
    times_s = np.arange(edges[START], edges[END], 0.1)
    gif = track([film()[vfr.shown_at(t)] for t in times_s], 0.1)
    found = find(gif, vfr)
    assert found.status == "matched"
    assert found.span is not None
    assert found.span.start_s == edges[found.span.start_frame]
    assert found.span.end_s == edges[found.span.end_frame]
    assert abs(found.span.start_frame - START) <= 2
    assert abs(found.span.end_frame - END) <= 3


def test_the_mean_cost_of_a_true_place_is_the_hamming_distance_by_hand() -> None:
    gif = track(cut(), 0.1)
    cost = align.cost_at(gif, video(), start_s=START / FPS + 0.001, speed=1.0)
    frames = [START + int(t * FPS + 0.03) for t in gif.pts_s]
    apart = [
        bin(int(a) ^ int(video().hashes[f, 0])).count("1")
        for a, f in zip(gif.hashes[:, 0], frames, strict=True)
    ]
    assert cost <= np.mean(apart) + 1e-9


def test_a_crop_between_the_windows_is_near_in_the_box_that_was_found() -> None:
    gif = track([crop(frame, 0.13, 0.06, 0.86) for frame in cut()], 0.1)
    windows = align.cost_at(gif, video(), start_s=START / FPS, speed=1.0)
    assert find(gif).distance < windows / 2
