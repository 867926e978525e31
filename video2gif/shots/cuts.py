"""Find hard cuts from stored differences between frames, as PySceneDetect's detectors would.

The cuts are those of scenedetect 0.7's ContentDetector and AdaptiveDetector with their default
weights on the same frames. One thing differs: lengths count decoded frames here, while
PySceneDetect computes the frame number of a variable-rate video from its average rate.

Source: scenedetect 0.7, detectors/content_detector.py, adaptive_detector.py and detector.py.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Literal

import numpy as np


@contextlib.contextmanager
def _no_programs() -> Iterator[None]:
    """While it lasts, no program is found by its name."""
    known = os.environ.get("PATH")
    os.environ["PATH"] = os.devnull
    try:
        yield
    finally:
        del os.environ["PATH"]
        if known is not None:
            os.environ["PATH"] = known


# When it is imported, scenedetect starts whatever `ffmpeg` comes first, to know whether there is
# one. Nobody here asks for it, and it takes a tenth of a second.
with _no_programs():
    from scenedetect import FrameTimecode
    from scenedetect.detector import FlashFilter

Detector = Literal["content", "adaptive"]

# AdaptiveDetector's defaults: frames on each side that a score is compared with, and the score
# below which nothing is a cut.
_ADAPTIVE_WINDOW = 2
_ADAPTIVE_MIN_CONTENT = 15.0
_ADAPTIVE_MAX_RATIO = 255.0
_ADAPTIVE_ZERO = 0.00001


def cuts(
    content: np.ndarray, *, detector: Detector, threshold: float, min_shot_frames: int
) -> list[int]:
    """Frame numbers, ascending, above 0, at which a new shot starts.

    `content` (n, 3): what `ContentMetrics.push` gave for each frame. `threshold` is the
    detector's own (content: score 0–255; adaptive: ratio to the neighbours). `min_shot_frames` is
    PySceneDetect's min_scene_len in frames; 0 keeps every cut.
    """
    score = scores(content)
    if detector == "content":
        return _without_flashes(score >= threshold, min_shot_frames)
    return _far_enough(_stands_out(score, threshold), min_shot_frames)


def cuts_between(transitions: np.ndarray, *, threshold: float) -> list[int]:
    """Cuts from the probabilities (n,) that TransNetV2 gives each frame to be in a transition.

    At a hard cut the network marks the last frame of the old shot, so the new shot starts after it.
    A longer transition is cut in its middle. One at the very start or end of the video divides
    nothing and gives no cut.
    """
    inside = np.asarray(transitions) > threshold
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    runs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [(start + end + 1) // 2 for start, end in runs if start > 0 and end < len(inside)]


def scores(content: np.ndarray) -> np.ndarray:
    """ContentDetector's frame score (n,): the mean difference (default weights 1, 1, 1, 0)."""
    hue, sat, lum = np.asarray(content, dtype=np.float64).reshape(-1, 3).T
    # Added in PySceneDetect's order: another order may change the last bit, and with it whether a
    # score that equals the threshold is a cut.
    return (hue + sat + lum) / 3.0


def _without_flashes(above: np.ndarray, min_shot_frames: int) -> list[int]:
    """Run PySceneDetect's own FlashFilter (mode MERGE) over the few frames that can change it.

    It merges cuts that are closer than `min_shot_frames`. Its state changes only at frame 0, at
    frames above the threshold, and `min_shot_frames` after these, where a merge may end. All other
    frames would pass through without effect, so they are left out, which makes it fast.
    """
    loud = np.flatnonzero(above)
    later = loud + max(min_shot_frames, 0)
    frames = np.union1d(np.r_[:1, loud], later[later < len(above)]) if len(above) else loud
    flash_filter = FlashFilter(FlashFilter.Mode.MERGE, min_shot_frames)
    found = [
        cut.frame_num
        for frame in frames.tolist()
        # The rate plays no part: FlashFilter compares an integer length with frame numbers.
        for cut in flash_filter.filter(FrameTimecode(frame, fps=1.0), bool(above[frame]))
    ]
    return sorted({cut for cut in found if cut > 0})


def _stands_out(score: np.ndarray, threshold: float) -> np.ndarray:
    """AdaptiveDetector's condition for each frame (n,): its score stands out from its neighbours'.

    False for the first and last frames, which do not have neighbours on both sides.
    """
    stands_out = np.zeros(len(score), dtype=bool)
    width = _ADAPTIVE_WINDOW
    if len(score) <= 2 * width:
        return stands_out
    target = score[width:-width]
    shifted = [
        score[shift : len(score) - 2 * width + shift]
        for shift in range(2 * width + 1)
        if shift != width
    ]
    # Summed in PySceneDetect's order, to the same last bit.
    average = sum(shifted[1:], start=shifted[0]) / (2.0 * width)
    ratio = np.full(len(target), _ADAPTIVE_MAX_RATIO)
    np.divide(target, average, out=ratio, where=np.abs(average) >= _ADAPTIVE_ZERO)
    ratio = np.minimum(ratio, _ADAPTIVE_MAX_RATIO)
    stands_out[width:-width] = (ratio >= threshold) & (target >= _ADAPTIVE_MIN_CONTENT)
    return stands_out


def _far_enough(candidate: np.ndarray, min_shot_frames: int) -> list[int]:
    """Candidates at least `min_shot_frames` after the cut before (or the first frame)."""
    found: list[int] = []
    last = 0
    for frame in np.flatnonzero(candidate).tolist():
        if frame - last >= min_shot_frames:
            found.append(frame)
            last = frame
    return found
