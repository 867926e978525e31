"""Bars: found where they are, and a file without them hashes like the picture inside."""

import cv2
import numpy as np
import pytest
from moving import moving_frames
from test_align import track

from video2gif.matching.bars import picture_box, without_bars

FRAMES = moving_frames(40, seed=5)


def barred(top: int, left: int, level: int = 0) -> list[np.ndarray]:
    return [
        cv2.copyMakeBorder(f, top, top, left, left, cv2.BORDER_CONSTANT, value=(level,) * 3)
        for f in FRAMES
    ]


@pytest.mark.parametrize(
    ("top", "left", "level"), [(18, 0, 0), (30, 0, 255), (0, 12, 0), (0, 40, 90), (20, 30, 0)]
)
def test_the_picture_stands_where_it_was_put(top: int, left: int, level: int) -> None:
    height, width = FRAMES[0].shape[:2]
    box = picture_box(track(barred(top, left, level), 0.1).thumbs)
    # A fifth of a thumbnail's pixel.
    assert box.y0 == pytest.approx(top / (height + 2 * top), abs=0.013)
    assert box.x0 == pytest.approx(left / (width + 2 * left), abs=0.013)
    assert (box.x1, box.y1) == (1 - box.x0, 1 - box.y0)


def test_a_picture_without_bars_stays_as_it_is() -> None:
    assert without_bars(track(FRAMES, 0.1)) is None


def test_hashes_without_bars_are_those_of_the_picture() -> None:
    whole, bare = track(FRAMES, 0.1), without_bars(track(barred(18, 0), 0.1))
    assert bare is not None
    apart = np.bitwise_count(whole.hashes[:, 0] ^ bare.hashes[:, 0])
    assert apart.mean() < 8
    assert np.array_equal(bare.pts_s, whole.pts_s)


def test_all_black_is_no_bar() -> None:
    assert without_bars(track([np.zeros((90, 160, 3), np.uint8)] * 5, 0.1)) is None
