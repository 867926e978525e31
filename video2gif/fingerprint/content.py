"""Measure how much each frame differs from the one before, as PySceneDetect's ContentDetector does.

The differences are stored in the fingerprint, so that shots can be found again with another
threshold without a second decode (`video2gif.shots.cuts`). The detectors are in another room
because a change to them must not make fingerprints out of date.

Source: scenedetect 0.7, detectors/content_detector.py and scene_manager.py.
"""

import cv2
import numpy as np

# scene_manager.DEFAULT_MIN_WIDTH: frames are analysed with a longer side of 256 pixels.
_ANALYSIS_SIDE = 256


def analysis_size(width: int, height: int) -> tuple[int, int]:
    """Width and height, in pixels, of the frames PySceneDetect analyses for a source of this size.

    The longer side becomes 256; smaller sources stay as they are. Applied to its own result it
    changes nothing, so frames may be scaled before they are pushed.
    """
    longer = max(width, height)
    if longer <= _ANALYSIS_SIDE:
        return width, height
    # First divided, then rounded, as scene_manager does: 854×480 must give the same size.
    factor = longer / float(_ANALYSIS_SIDE)
    return max(1, round(width / factor)), max(1, round(height / factor))


class ContentMetrics:
    """Frame after frame, the mean absolute differences of hue, saturation and brightness.

    The first frame determines the size at which frames are compared. If the resolution changes
    later, those frames are scaled to it, so that every frame gets a row; PySceneDetect skips such
    frames.
    """

    def __init__(self) -> None:
        self._size: tuple[int, int] | None = None
        self._previous: np.ndarray | None = None

    def scaled(self, frame_bgr: np.ndarray) -> np.ndarray:
        """A frame, uint8 (h, w, 3 or 4), at the size of analysis."""
        height, width = frame_bgr.shape[:2]
        self._size = self._size or analysis_size(width, height)
        if (width, height) == self._size:
            return frame_bgr
        return cv2.resize(frame_bgr, self._size, interpolation=cv2.INTER_LINEAR)

    def push(self, frame_bgr: np.ndarray) -> tuple[float, float, float]:
        """(delta_hue, delta_sat, delta_lum) of a uint8 (h, w, 3) frame; zeros for the first one.

        A fourth channel is ignored.

        Hue counts 0–179, saturation and brightness 0–255 (OpenCV's 8-bit HSV); hue is compared
        as a number, not as an angle, as in PySceneDetect.
        """
        hsv = cv2.cvtColor(self.scaled(frame_bgr), cv2.COLOR_BGR2HSV)
        previous, self._previous = self._previous, hsv
        if previous is None:
            return 0.0, 0.0, 0.0
        # Sums of whole numbers are exact in any order, so this equals PySceneDetect's result, and
        # takes a third of the time.
        hue, sat, lum, _ = cv2.sumElems(cv2.absdiff(hsv, previous))
        pixels = float(hsv.shape[0] * hsv.shape[1])
        return hue / pixels, sat / pixels, lum / pixels
