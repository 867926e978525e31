"""C3D's input against plain numpy; clips against slices; mean cubes in every published order."""

import bz2
import io
import itertools
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video2gif.core.errors import ItemError, UserError
from video2gif.features import preprocess
from video2gif.features.preprocess import (
    CROP,
    MAX_STRETCH,
    MEAN_BGR,
    clip_starts,
    cut,
    load_mean,
    mean_digest,
    needed,
    network_input,
    small_frame,
    stretches,
)


def bilinear(image_HWC: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Plain bilinear interpolation between pixel centres, edges repeated, no smoothing."""

    def places(n_out: int, n_in: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, n_in - 1), at - low

    top, bottom, down = places(rows, image_HWC.shape[0])
    left, right, along = places(columns, image_HWC.shape[1])
    image = image_HWC.astype(np.float64)
    down, along = down[:, None, None], along[None, :, None]
    upper = image[top][:, left] * (1 - along) + image[top][:, right] * along
    lower = image[bottom][:, left] * (1 - along) + image[bottom][:, right] * along
    return upper * (1 - down) + lower * down


@pytest.mark.parametrize(
    "size",
    [
        pytest.param((360, 640), id="wide"),
        pytest.param((720, 405), id="tall"),
        pytest.param((128, 171), id="same"),
        pytest.param((33, 57), id="enlarged"),
        pytest.param((1, 1), id="one-pixel"),
    ],
)
def test_a_frame_is_resized_straight_to_128_by_171_then_cropped(size: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    found = small_frame(frame)
    expected = bilinear(frame, 128, 171)[8:120, 29:141]
    assert found.shape == (112, 112, 3)
    assert found.dtype == np.uint8
    # OpenCV works in 11-bit fixed point and rounds once a direction.
    np.testing.assert_allclose(found.astype(float), expected, atol=1.0)


def test_subtracting_the_cropped_mean_is_subtracting_the_mean_before_the_crop() -> None:
    rng = np.random.default_rng(1)
    clip = rng.integers(0, 256, (16, 128, 171, 3), np.uint8)
    cube = rng.normal(100, 5, (3, 16, 128, 171)).astype(np.float32)

    whole = clip.astype(np.float32).transpose(3, 0, 1, 2) - cube
    expected = whole[:, :, 8:120, 29:141]

    mean = cube.transpose(1, 2, 3, 0)[:, *CROP]
    found = network_input(clip[None, :, *CROP], mean)
    np.testing.assert_array_equal(found[0], expected)
    assert found.dtype == np.float32


def test_channels_stay_blue_green_red_with_their_own_means() -> None:
    clip = np.broadcast_to(np.array([10, 20, 30], np.uint8), (1, 16, 112, 112, 3))
    x = network_input(clip, load_mean("channel"))
    assert x.shape == (1, 3, 16, 112, 112)
    expected = [10 - 90.25, 20 - 97.66, 30 - 101.41]
    np.testing.assert_allclose(x[0, :, 7, 50, 50], expected, rtol=1e-6)


# --- clips ---


@given(st.integers(0, 50), st.integers(0, 80), st.integers(1, 40))
def test_clips_are_all_multiples_of_the_stride_that_fit(
    start: int, length: int, stride: int
) -> None:
    found = list(clip_starts(start, start + length, stride=stride))
    every = [start + k * stride for k in range(100)]
    assert found == [s for s in every if s + 16 <= start + length]


@pytest.mark.parametrize(("length", "n_clips"), [(0, 0), (15, 0), (16, 1), (31, 1), (32, 2)])
def test_a_segment_has_a_clip_from_16_frames_on(length: int, n_clips: int) -> None:
    assert len(clip_starts(7, 7 + length, stride=16)) == n_clips


# Distances between clip starts: overlapping, touching, apart.
starts_strategy = st.lists(st.integers(1, 40), max_size=6).map(lambda s: np.cumsum(s).tolist())


@given(starts_strategy, st.integers(0, 5))
def test_streamed_clips_equal_slices(starts: list[int], spare: int) -> None:
    n_frames = (starts[-1] + 16 if starts else 0) + spare
    video = np.arange(n_frames)
    spans = [(start, start + 16) for start in starts]
    wanted = list(needed(spans))
    frames = (
        np.array(frame) if i < len(wanted) and wanted[i] else None for i, frame in enumerate(video)
    )
    found = list(cut(frames, spans))
    assert [clip.tolist() for clip in found] == [video[s : s + 16].tolist() for s in starts]


def test_a_frame_is_needed_only_inside_a_clip() -> None:
    expected = np.zeros(60, bool)
    expected[2:18] = expected[10:26] = expected[44:60] = True
    np.testing.assert_array_equal(list(needed([(2, 18), (10, 26), (44, 60)])), expected)


def test_reading_stops_after_the_last_clip() -> None:
    frames = iter(np.zeros((100, 1)))
    assert len(list(cut(frames, [(0, 16), (16, 32)]))) == 2
    assert len(list(frames)) == 68


def test_a_video_that_ends_inside_a_clip_is_an_item_error() -> None:
    with pytest.raises(ItemError, match="40 frames decoded, but a clip needs 48") as caught:
        list(cut(iter(np.zeros((40, 1))), [(0, 16), (16, 32), (32, 48)]))
    assert caught.value.cause == "decode"


@given(st.integers(0, 50), st.integers(0, 400))
def test_stretches_hold_every_clip_of_stride_8_once(start: int, length: int) -> None:
    found = stretches(start, start + length)
    held = [first + 8 * k for first, last in found for k in range((last - first) // 8 - 1)]
    assert held == list(clip_starts(start, start + length, stride=8))
    for first, last in found:
        assert (last - first) % 8 == 0
        assert 16 <= last - first <= MAX_STRETCH
        assert start <= first
        assert last <= start + length


@given(st.lists(st.integers(0, 150), max_size=5))
def test_streamed_stretches_equal_slices(lengths: list[int]) -> None:
    edges = np.cumsum([0, *lengths]).tolist()
    spans = [s for a, b in itertools.pairwise(edges) for s in stretches(a, b)]
    video = np.arange(edges[-1])
    found = list(cut((np.array(frame) for frame in video), spans))
    assert [piece.tolist() for piece in found] == [video[a:b].tolist() for a, b in spans]


# --- mean cubes ---


@pytest.fixture(scope="module")
def cube() -> np.ndarray:
    """(3, 16, 128, 171), smooth in time like a published one."""
    noise = np.random.default_rng(4).normal(0, 4, (3, 16, 128, 171))
    return (noise + np.array(MEAN_BGR)[:, None, None, None]).astype(np.float32)


def _saved(folder: Path, array: np.ndarray) -> Path:
    path = folder / "mean.npy"
    np.save(path, array)
    return path


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(lambda c: c, id="channel-frame"),
        pytest.param(lambda c: c.astype(np.float64), id="float64"),
        pytest.param(lambda c: c[None], id="caffe-blob"),
        pytest.param(lambda c: c.transpose(1, 0, 2, 3), id="frame-channel"),
        pytest.param(lambda c: c.reshape(16, 3, 128, 171), id="frame-channel-misread"),
        pytest.param(lambda c: c.transpose(1, 2, 3, 0), id="channels-last"),
        pytest.param(lambda c: c[:, :, 8:120, 29:141].transpose(1, 2, 3, 0), id="cropped"),
    ],
)
def test_a_mean_cube_is_recognised_in_any_published_order(
    layout: Callable[[np.ndarray], np.ndarray], cube: np.ndarray, tmp_path: Path
) -> None:
    found = load_mean(str(_saved(tmp_path, layout(cube))))
    np.testing.assert_array_equal(found, cube[:, :, 8:120, 29:141].transpose(1, 2, 3, 0))
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda c: c[::-1], "looks like R,G,B", id="rgb"),
        pytest.param(lambda c: c / 255, "0–255", id="scaled"),
        pytest.param(lambda c: c * np.nan, "channel means nan", id="nan"),
        pytest.param(lambda c: c[:, :8], r"shape \(3, 8, 128, 171\)", id="eight-frames"),
        pytest.param(lambda c: c.transpose(0, 1, 3, 2), r"shape \(3, 16, 171, 128\)", id="x-y"),
        pytest.param(lambda c: c.astype("S4"), "not one array of numbers", id="text"),
    ],
)
def test_a_wrong_mean_is_refused_with_the_reason(
    change: Callable[[np.ndarray], np.ndarray], message: str, cube: np.ndarray, tmp_path: Path
) -> None:
    path = _saved(tmp_path, change(cube))
    with pytest.raises(UserError, match=message) as caught:
        mean_digest(str(path))
    assert str(path) in str(caught.value)


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_D16_a_pickle_in_a_mean_file_is_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    objects = io.BytesIO()
    np.save(objects, np.array([_Canary(canary)], object), allow_pickle=True)
    for content in (pickle.dumps(_Canary(canary)), objects.getvalue(), b"", b"\x93NUMPY"):
        path = tmp_path / "mean.npy"
        path.write_bytes(content)
        with pytest.raises(UserError, match="no readable mean cube"):
            load_mean(str(path))
    assert not canary.exists()


def test_mean_digest_is_the_word_channel_or_follows_the_file(
    cube: np.ndarray, tmp_path: Path
) -> None:
    assert mean_digest("channel") == "channel"
    first = mean_digest(str(_saved(tmp_path, cube)))
    assert first != mean_digest(str(_saved(tmp_path, cube + 1)))
    assert preprocess.located_mean("channel", tmp_path) == "channel"
    assert preprocess.located_mean("m.npy", tmp_path) == str(tmp_path.resolve() / "m.npy")


@pytest.mark.realdata
def test_the_two_published_cubes_are_read_as_the_same_mean_where_they_overlap(
    realdata: Path,
) -> None:
    """The published files agree: the cropped cube equals the whole one cropped [8:120, 29:141]."""
    whole = load_mean(str(realdata / "mean" / "c3d_train01_16_128_171_mean.npy.bz2"))
    cropped = load_mean(str(realdata / "mean" / "c3d_tf_crop_mean.npy"))
    np.testing.assert_array_equal(whole, cropped)
    packed = (realdata / "mean" / "c3d_train01_16_128_171_mean.npy.bz2").read_bytes()
    raw = np.load(io.BytesIO(bz2.decompress(packed)), allow_pickle=False)
    np.testing.assert_allclose(raw.mean(axis=(1, 2, 3)), MEAN_BGR, atol=0.01)
