"""Small pictures of frames: equal to, or close to, what converting whole frames gives."""

import cv2
import imagehash
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from moving import moving_frames
from PIL import Image

from video2gif.fingerprint.content import ContentMetrics, analysis_size
from video2gif.fingerprint.phash import HASH_SIDE, LUMA_SIDE, phash
from video2gif.fingerprint.planes import Colour, Luma

PICTURES = moving_frames(3, seed=3, cut_every=2)


def frames(width: int, height: int, name: str, *, full: bool = False) -> list[VideoFrame]:
    """Real-looking pictures with noise, so that every value of every plane turns up."""
    rng = np.random.default_rng(width)
    made = []
    for picture in PICTURES:
        large = cv2.resize(picture, (width, height)).astype(int)
        noisy = np.clip(large + rng.integers(-60, 60, large.shape), 0, 255).astype(np.uint8)
        frame = VideoFrame.from_ndarray(noisy, "rgb24").reformat(
            format=name, dst_color_range="JPEG" if full else None
        )
        frame.color_range = 2 if full else 1
        made.append(frame)
    return made


def converted(frame: VideoFrame) -> np.ndarray:
    return VideoReformatter().reformat(frame, format="bgr24").to_ndarray()


SIZES = [(1280, 720), (640, 360), (854, 480), (1792, 1008), (768, 432), (320, 180), (101, 67)]
# Widths at which libswscale's fast conversion leaves columns out, whole or sampled.
SIZES += [(340, 256), (411, 768)]


@pytest.mark.parametrize(("width", "height"), SIZES, ids=lambda value: str(value))
@pytest.mark.parametrize("name", ["yuv420p", "yuvj420p", "yuv444p", "yuv420p10le", "bgra"])
def test_differences_are_those_of_whole_frames_to_the_last_bit(
    width: int, height: int, name: str
) -> None:
    ours, whole, colour = ContentMetrics(), ContentMetrics(), Colour()
    for frame in frames(width, height, name):
        picture = colour(frame, analysis_size(width, height))
        assert ours.push(picture) == whole.push(converted(frame))


@pytest.mark.parametrize("colorspace", [1, 5, 9])
@pytest.mark.parametrize("full", [False, True])
def test_sampled_pixels_keep_the_colours_that_the_frame_declares(
    colorspace: int, full: bool
) -> None:
    colour = Colour()
    for frame in frames(1280, 720, "yuv420p", full=full)[:2]:
        frame.colorspace = colorspace
        whole = cv2.resize(converted(frame), (256, 144), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(colour(frame, (256, 144))[..., :3], whole)


def test_frames_of_two_sizes_in_one_file_are_each_converted_right() -> None:
    colour = Colour()
    mixed = [frames(*size, "yuv420p")[0] for size in [(1280, 720), (768, 432), (1280, 720)]]
    for frame in mixed:
        whole = cv2.resize(converted(frame), (256, 144), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(colour(frame, (256, 144))[..., :3], whole)


@pytest.mark.parametrize(("width", "height"), SIZES, ids=lambda value: str(value))
@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "yuvj420p", "bgra", "gray"])
def test_luma_is_close_to_the_mean_of_all_pixels(width: int, height: int, name: str) -> None:
    luma = Luma(LUMA_SIDE)
    for frame in frames(width, height, name)[:2]:
        gray = VideoReformatter().reformat(frame, format="gray8").to_ndarray().astype(np.float32)
        # From tall frames half the rows or fewer are read: noise of ±60 is averaged less.
        mean = cv2.resize(gray, (LUMA_SIDE, LUMA_SIDE), interpolation=cv2.INTER_AREA)
        assert np.abs(luma(frame) - mean).mean() < (3 if width > 200 else 8)


@pytest.mark.parametrize("full", [False, True])
def test_luma_of_either_range_is_that_of_the_picture(full: bool) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 256, axis=0).repeat(3, axis=2)
    frame = VideoFrame.from_ndarray(ramp, "rgb24").reformat(
        format="yuv420p", dst_color_range="JPEG" if full else "MPEG"
    )
    frame.color_range = 2 if full else 1
    expected = np.arange(256).reshape(64, 4).mean(axis=1)
    assert np.abs(Luma(64)(frame) - expected).max() <= 2


def test_hashes_of_the_luma_are_imagehashs_on_the_same_image() -> None:
    luma = Luma(HASH_SIDE)
    images = [luma(frame) for frame in frames(640, 360, "yuv420p")]
    theirs = [int(str(imagehash.phash(Image.fromarray(image))), 16) for image in images]
    assert phash(np.array(images)).tolist() == theirs
