"""Make small pictures of decoded frames, at a fraction of the cost of converting whole frames.

libswscale is told to use one thread. By default PyAV lets it use several, which take two to three
times the CPU for the same pixels.
"""

from typing import cast

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from video2gif.media.shown import Scaler, is_plain

# 8-bit formats whose first plane is the luma; those of the second row use the full range.
_LIMITED = {"yuv420p", "yuv422p", "yuv444p", "nv12"}
_FULL = {"yuvj420p", "yuvj422p", "yuvj444p"}
# libswscale's fast conversion of these gives BGRA the same values as BGR24, but for widths of one
# to four pixels above a multiple of 16: there it leaves the last columns as they were in memory.
_FAST_BGRA = {"yuv420p", "yuvj420p"}
_LEFT_OUT = range(1, 5)
_JPEG = 2  # AVCOL_RANGE_JPEG: the frame says that its luma is 0 to 255.
_LUMA_ROWS = 256  # Rows of the source that are averaged: four for each of 64.

# Video luma usually runs from 16 to 235. This table stretches it to 0 to 255, as libswscale does
# when it converts YUV to grey.
_EXPANDED = np.clip(np.round((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)


class Luma:
    """Makes luma pictures uint8 (side, side), 0 to 255, of the frames of one file.

    Each value is the mean of an area. Of a tall frame only every n-th row is read, but at least 256
    rows; docs/benchmarks/fingerprint.md says what that changes.
    """

    def __init__(self, side: int) -> None:
        self._side = side
        # One shared scaler: VideoFrame.reformat builds one for every frame.
        self._scaler = Scaler()

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        name = frame.format.name
        if name not in _LIMITED | _FULL or not is_plain(frame):
            return self._scaled(frame)
        step = max(1, frame.height // _LUMA_ROWS)
        rows = plane(frame, 0)[(step - 1) // 2 :: step]
        if min(rows.shape) >= _LUMA_ROWS:
            # OpenCV averages 2×2 pixels in a tenth of the time that libswscale needs.
            half = (rows.shape[1] // 2, rows.shape[0] // 2)
            even = rows[: 2 * half[1], : 2 * half[0]]
            rows = cv2.resize(even, half, interpolation=cv2.INTER_AREA)
        small = self._scaled(VideoFrame.from_numpy_buffer(rows, "gray8"))
        is_full = name in _FULL or frame.color_range == _JPEG
        return small if is_full else _EXPANDED[small]

    def _scaled(self, frame: VideoFrame) -> np.ndarray:
        small = self._scaler(
            frame, self._side, self._side, "gray8", interpolation=Interpolation.AREA
        )
        return plane(small, 0)


class Colour:
    """Makes BGR pictures uint8 (h, w, 3 or 4) of the frames of one file, to be analysed smaller.

    PySceneDetect converts a whole frame to BGR and then scales it (`cv2.resize`, INTER_LINEAR). If
    the frame is k times as large and k is odd, that scaling just picks every k-th pixel, because
    the centre of a small pixel is the centre of a large one. Then only those pixels are converted
    here, and the picture already has the small size. Otherwise it has the size of the frame.
    """

    def __init__(self) -> None:
        self._scaler = Scaler()
        self._pixels: VideoFrame | None = None

    def __call__(self, frame: VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """`size`: (width, height) of the analysis of such a frame."""
        if not is_plain(frame):
            # A whole frame of HDR costs fifty times as much, and PySceneDetect does not map it.
            return plane(self._scaler(frame, *size, "bgr24"), 0).reshape(size[1], size[0], 3)
        if frame.format.name not in _FAST_BGRA:
            return self._converted(frame, "bgr24")
        step = frame.width // size[0]
        is_sampled = (step * size[0], step * size[1]) == (frame.width, frame.height)
        if step == 1 or step % 2 == 0 or not is_sampled or _is_left_out(2 * size[0]):
            return self._converted(frame, "bgr24" if _is_left_out(frame.width) else "bgra")
        picture = self._converted(self._sampled(frame, size), "bgra")
        pixels = picture.view(np.uint32)[::2, ::2, 0]
        return np.ascontiguousarray(pixels)[..., None].view(np.uint8)

    def _sampled(self, frame: VideoFrame, size: tuple[int, int]) -> VideoFrame:
        """A frame of twice the size whose even pixels are the sampled ones.

        Four pixels share one of chroma in these formats: so each sampled one keeps its own. The
        others are left as they are.
        """
        width, height = 2 * size[0], 2 * size[1]
        kind = (width, height, frame.format.name)
        pixels = self._pixels
        if pixels is None or (pixels.width, pixels.height, pixels.format.name) != kind:
            pixels = self._pixels = VideoFrame(*kind)
        pixels.color_range, pixels.colorspace = frame.color_range, frame.colorspace
        for number in range(3):
            # The pixel at the centre, which of chroma is the one that covers the luma's centre.
            centres = cv2.resize(plane(frame, number), size, interpolation=cv2.INTER_NEAREST_EXACT)
            every = 2 if number == 0 else 1
            plane(pixels, number)[::every, ::every] = centres
        return pixels

    def _converted(self, frame: VideoFrame, name: str) -> np.ndarray:
        picture = self._scaler(frame, None, None, name)
        return plane(picture, 0).reshape(frame.height, frame.width, -1)


def _is_left_out(width: int) -> bool:
    return width % 16 in _LEFT_OUT


def plane(frame: VideoFrame, number: int) -> np.ndarray:
    """A plane of 8-bit samples as uint8 (rows, bytes of a row): a view without the row padding."""
    samples = frame.planes[number]
    # PyAV does not declare that its planes are buffers.
    rows = np.frombuffer(cast(bytes, samples), np.uint8).reshape(-1, samples.line_size)
    n_bytes = {"bgra": 4, "bgr24": 3}.get(frame.format.name, 1) * samples.width
    return rows[: samples.height, :n_bytes]
