"""From decoded frames to C3D's input, as its authors' data layer does it.

A frame is resized straight to 128 rows × 171 columns (aspect ratio not kept), stays B,G,R and
0–255, loses the mean, and is cropped to the central 112×112. The mean belongs to the pixels
before the crop; subtracting the cropped mean from the cropped frame gives the same bits and
touches half the pixels, so both are cropped first.

Arrays carry a legend: T frames, H rows, W columns, C channels (always B,G,R).
"""

import bz2
import hashlib
import io
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from video2gif.core.errors import ItemError, UserError
from video2gif.core.types import Span

CHANNEL = "channel"
CLIP_FRAMES = 16
STEP = 8  # Frames of one step of conv5b: pool2 to pool4 halve time three times.
MAX_STRETCH = 192  # 23 clips; conv1a's output of one takes 617 MB in fp32.
ROWS, COLUMNS = 128, 171
CROP = (slice(8, 120), slice(29, 141))  # 112×112, as the authors' centre crop falls on 128×171.
MEAN_BGR = (90.25, 97.66, 101.41)  # Channel means of the published Sports-1M cube.


_MEAN_TOLERANCE = 25.0  # Means of other data sets lie within 6 of MEAN_BGR; 0–1 or R,G,B do not.


def clip_starts(start_frame: int, end_frame: int, *, stride: int) -> range:
    """First frames of the clips of a segment [start, end): all that fit in it whole.

    With 5 frames a clip and stride 2, `|xxxxxxxx|` has clips `|xxxxx...|` and `|..xxxxx.|`.
    """
    return range(start_frame, end_frame - CLIP_FRAMES + 1, stride)


def small_frame(bgr_HWC: np.ndarray) -> np.ndarray:
    """uint8 (h, w, 3) of any size → uint8 (112, 112, 3): resized, then cropped.

    OpenCV's bilinear without smoothing, though it aliases: the authors' data layer calls the very
    same function, and the published weights have learned from such frames.
    """
    return cv2.resize(bgr_HWC, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR)[CROP]


def stretches(start_frame: int, end_frame: int) -> list[Span]:
    """Stretches of a segment [start, end) for dense features, at most `MAX_STRETCH` frames each.

    Each is a multiple of 8 frames long and holds the clips at its frames 0, 8, 16, …; the next one
    starts 8 frames before its end, so that together they hold the clips of stride 8, each once.
    """
    n_clips = len(clip_starts(start_frame, end_frame, stride=STEP))
    most = MAX_STRETCH // STEP - 1
    return [
        (start_frame + STEP * first, start_frame + STEP * (min(first + most, n_clips) + 1))
        for first in range(0, n_clips, most)
    ]


def cut(frames: Iterable[np.ndarray | None], spans: Sequence[Span]) -> Iterator[np.ndarray]:
    """Cut small frames into pieces, uint8 (end - start, 112, 112, 3), holding no more than one.

    `frames` yields every frame of the video from 0 on (None where `needed` says nobody looks);
    starts and ends of `spans` ascend. Stops reading after the last one. Raises `ItemError` if the
    video ends early.
    """
    waiting = deque(spans)
    if not waiting:
        return
    window: deque[np.ndarray | None] = deque(maxlen=max(end - start for start, end in spans))
    n_frames = 0
    for frame in frames:
        window.append(frame)
        n_frames += 1
        while n_frames == waiting[0][1]:
            start, end = waiting.popleft()
            held = itertools.islice(window, len(window) - (end - start), None)
            yield np.stack([part for part in held if part is not None])
            if not waiting:
                return
    raise ItemError("decode", f"{n_frames} frames decoded, but a clip needs {waiting[0][1]}")


def needed(spans: Sequence[Span]) -> Iterator[bool]:
    """For every frame up to the end of the last span: whether some span holds it."""
    done = 0
    for start, end in spans:
        yield from (False for _ in range(done, start))
        yield from (True for _ in range(max(done, start), end))
        done = max(done, end)


def network_input(clips_BTHWC: np.ndarray, mean_THWC: np.ndarray) -> np.ndarray:
    """uint8 (B, 16, 112, 112, 3) → float32 (B, 3, 16, 112, 112), the mean subtracted.

    The result is a view whose channels are innermost in memory: what channels_last_3d wants.
    """
    return (clips_BTHWC.astype(np.float32) - mean_THWC).transpose(0, 4, 1, 2, 3)


def located_mean(spec: str, root: Path) -> str:
    """`spec` with a relative path made to start at `root`."""
    return spec if spec == CHANNEL else str((root / spec).resolve())


def mean_digest(spec: str) -> str:
    """What stands for the mean in item keys: `channel` itself, or the file's sha256."""
    if spec == CHANNEL:
        return spec
    load_mean(spec)  # A wrong cube stops the stage, not each of its items.
    return hashlib.sha256(Path(spec).read_bytes()).hexdigest()


def load_mean(spec: str) -> np.ndarray:
    """float32 mean of a cropped clip, (16, 112, 112, 3), or (1, 1, 1, 3) for `channel`.

    `spec` is `channel` (the three channel means) or the path of a mean cube (.npy, .npy.bz2).
    """
    if spec == CHANNEL:
        return np.array(MEAN_BGR, np.float32).reshape(1, 1, 1, 3)
    return _read_mean(Path(spec))


def _read_mean(path: Path) -> np.ndarray:
    cube_THWC = _in_order(_read_array(path), path)
    channels = cube_THWC.mean(axis=(0, 1, 2))
    off = float(np.abs(channels - MEAN_BGR).max())
    off_reversed = float(np.abs(channels[::-1] - MEAN_BGR).max())
    # `not <=` so that NaN is refused as well.
    if not off <= _MEAN_TOLERANCE or off_reversed < off:
        found = ", ".join(f"{value:.2f}" for value in channels)
        hint = "; it looks like R,G,B" if off_reversed < off else ""
        raise UserError(
            f"{path}: channel means {found}, expected near {MEAN_BGR} (B, G, R on 0–255){hint}"
        )
    return cube_THWC[:, CROP[0], CROP[1]] if cube_THWC.shape[1] == ROWS else cube_THWC


def _read_array(path: Path) -> np.ndarray:
    try:
        opener = bz2.open if path.suffix == ".bz2" else open
        with opener(path, "rb") as file:
            content = file.read()
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path}: no readable mean cube ({error}); set extract.mean to `channel` or to a .npy"
        ) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise UserError(f"{path}: not one array of numbers; expected a .npy of (3, 16, 128, 171)")
    return array.astype(np.float32)


def _in_order(cube: np.ndarray, path: Path) -> np.ndarray:
    """Any published axis order → (16, H, W, 3), told by the sizes, which all differ."""
    shape = cube.shape
    if cube.ndim == 5 and shape[0] == 1:  # A Caffe blob keeps its leading `num` axis.
        return _in_order(cube[0], path)
    sides = tuple(n for n in shape if n not in (3, CLIP_FRAMES))
    cropped = (CROP[0].stop - CROP[0].start, CROP[1].stop - CROP[1].start)
    if cube.ndim != 4 or sides not in ((ROWS, COLUMNS), cropped):
        raise UserError(
            f"{path}: shape {shape}; expected the axes channel 3, frame 16, rows 128 (or 112 when"
            " cropped), columns 171 (or 112), such as (3, 16, 128, 171)"
        )
    ordered = np.moveaxis(cube, (shape.index(CLIP_FRAMES), shape.index(3)), (0, 3))
    # The same numbers reshaped, not transposed, to (16, 3, …) is a known bug of ports. Frames of
    # a mean differ by fractions; misread, they jump between channels: take the smoother reading.
    if shape[:2] == (CLIP_FRAMES, 3):
        reread = cube.reshape(3, CLIP_FRAMES, *sides).transpose(1, 2, 3, 0)
        return min(ordered, reread, key=_jump_between_frames)
    return ordered


def _jump_between_frames(cube_THWC: np.ndarray) -> float:
    return float(np.ptp(cube_THWC.mean(axis=(1, 2)), axis=0).max())
