"""Networks that look at single pictures, some of every second: appearance and classes.

Reads a video; writes an item of `features` float16 (n, width), `classes` float16 (n, classes) and
`frames` int64 (n,), the numbers of the frames looked at. Pictures are taken by time alone, so that
an item serves whatever segments the video is cut into. Decoding runs in a thread of its own, the
network in this one.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from video2gif.core.errors import EnvironmentProblem, UserError
from video2gif.core.sandbox import Limits
from video2gif.core.store import write_arrays
from video2gif.features import lite0 as network_data
from video2gif.features.backends import REMEDY, ahead, openvino_settings, silence_telemetry
from video2gif.features.network import Timed, batches, to_float16
from video2gif.media.decode import DecodedFilm, Decoder
from video2gif.media.shown import Scaler

BATCH = 4
"""Pictures in a batch. The last batch is filled up: sums may differ with the size of a batch."""
LIMITS = Limits(wall_s=24 * 3600, memory_bytes=12 << 30)  # torch maps far more than it touches.
LITE0 = "efficientnet-lite0"

PictureNetwork = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""RGB pictures uint8 (BATCH, rows, columns, 3) → appearance (BATCH, width), classes (BATCH, k)."""


def work(*, out: Path, params: dict[str, Any], path: str, **args: Any) -> None:
    """Write the features of a video's sampled pictures. Raises what the decoder raises."""
    with Decoder(Path(path)) as decoder:
        read(out, decoder, params=params, **args)


def read(out: Path, film: DecodedFilm, *, params: dict[str, Any], **args: Any) -> None:
    """Write them of a video that is being decoded (`media.together`)."""
    write_arrays(out, arrays(film.frames(), params=params, **args))


def arrays(
    frames: Iterable[Timed], *, params: dict[str, Any], model: str = ""
) -> dict[str, np.ndarray]:
    """The arrays of an item, from all frames of a video.

    `params`: network, weights (its digest), frames_per_s, side (rows, columns), backend. `model`:
    the file of a network that is none of ours.
    """
    run = _runner(params["network"], params["backend"], model, params["weights"])
    places: list[int] = []

    def pictures() -> Iterator[np.ndarray]:
        scaler = Scaler()  # Shared: a new one for each frame rebuilds its tables.
        for place, frame in sampled(frames, params["frames_per_s"]):
            places.append(place)
            yield picture(scaler, frame, *params["side"])

    found = list(looked_at(pictures(), run))
    features, classes = (np.concatenate(part) for part in zip(*found, strict=True))
    return {
        "features": to_float16(features),
        "classes": to_float16(classes),
        "frames": np.array(places, np.int64),
    }


def sampled(frames: Iterable[Timed], frames_per_s: float) -> Iterator[tuple[int, VideoFrame]]:
    """Frame number and frame of the first frame in each 1 / `frames_per_s` seconds.

    At 4 a second and 10 frames a second: `x..x.x..x.` (0.0, 0.3, 0.5 and 0.8 s).
    """
    last = -1
    for place, (time_s, frame) in enumerate(frames):
        # A frame that is due at 0.25 s may stand at 0.2499999.
        step = int(time_s * frames_per_s + 1e-6)
        if step > last:
            last = step
            yield place, frame


def picture(scaler: Scaler, frame: VideoFrame, rows: int, columns: int) -> np.ndarray:
    """The whole frame as uint8 RGB (rows, columns, 3); its aspect ratio is not kept.

    A crop would keep it and lose the sides, where half of the action is.
    """
    small = scaler(frame, columns, rows, "rgb24", interpolation=Interpolation.AREA)
    return small.to_ndarray()


def looked_at(
    pictures: Iterable[np.ndarray], run: PictureNetwork
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Appearance and classes of the pictures, some at once."""
    for batch in ahead(batches(pictures, BATCH)):
        filled = np.stack(batch + batch[-1:] * (BATCH - len(batch)))
        appearance, classes = run(filled)
        yield appearance[: len(batch)], classes[: len(batch)]


def normalised(rgb_BHWC: np.ndarray) -> np.ndarray:
    """uint8 (B, H, W, 3) → float32 (B, 3, H, W) about 0, as EfficientNet-Lite was trained.

    Its mean is 127 and its standard deviation 128 for all channels (efficientnet_lite_builder.py).
    """
    x_BHWC = (rgb_BHWC.astype(np.float32) - 127) / 128
    return np.ascontiguousarray(x_BHWC.transpose(0, 3, 1, 2))


# Kept for the life of a worker; the digest is part of the key so that a changed file is read anew.
@lru_cache(maxsize=2)
def _runner(network: str, backend: str, model: str, digest: str) -> PictureNetwork:
    if network == LITE0:
        return lite0(backend, threads=1)
    return openvino_file(Path(model), digest, threads=1)


def lite0(backend: str, *, threads: int) -> PictureNetwork:
    """EfficientNet-Lite0 on `torch-fp32`, `openvino-fp32` or `opencv-fp32`."""
    if backend == "openvino-fp32":
        silence_telemetry()
        import openvino

        model = openvino.Core().read_model(network_data.onnx_file(BATCH))
        return _compiled(model, normalised, threads)
    return _opencv(threads) if backend == "opencv-fp32" else _torch(threads)


def _opencv(threads: int) -> PictureNetwork:
    """OpenCV is there wherever pictures are: no runtime of 180 MB for one small network."""
    cv2.setNumThreads(threads)
    content = np.frombuffer(network_data.onnx_file(BATCH), np.uint8)
    network = cv2.dnn.readNetFromONNX(content)

    def run(rgb_BHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        network.setInput(normalised(rgb_BHWC))
        appearance, classes = network.forward(["appearance", "classes"])
        return appearance, classes

    return run


def _torch(threads: int) -> PictureNetwork:
    import torch

    from video2gif.features.efficientnet import EfficientNetLite0

    torch.set_num_threads(threads)
    network = EfficientNetLite0.pretrained()

    def run(rgb_BHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            appearance, classes = network(torch.from_numpy(normalised(rgb_BHWC)))
        return appearance.numpy(), classes.numpy()

    return run


def openvino_file(path: Path, digest: str, *, threads: int) -> PictureNetwork:
    """A network from an ONNX or TFLite file: its first output, flattened, is the appearance.

    It is given RGB, about 0 (`normalised`), or 0 to 255 where it wants bytes; what else a network
    asks of its input belongs into the file. Raises `UserError` for a file that is not the one
    named, or that does not take one picture.
    """
    model, is_first = _read_model(path, digest)

    def shaped(rgb_BHWC: np.ndarray) -> np.ndarray:
        wants_bytes = model.input(0).element_type.get_type_name() == "u8"
        x_BCHW = rgb_BHWC.transpose(0, 3, 1, 2) if wants_bytes else normalised(rgb_BHWC)
        return np.ascontiguousarray(x_BCHW if is_first else x_BCHW.transpose(0, 2, 3, 1))

    return _compiled(model, shaped, threads)


def file_shape(path: Path, digest: str) -> tuple[int, int, int]:
    """Rows and columns of the pictures that a network file takes, and its number of features."""
    model, is_first = _read_model(path, digest)
    shape = model.input(0).shape
    rows, columns = shape[2:] if is_first else shape[1:3]
    return int(rows), int(columns), int(np.prod(model.output(0).shape[1:]))


def _read_model(path: Path, digest: str) -> tuple[Any, bool]:
    """The model for batches of `BATCH`, and whether its channels come before rows and columns."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; named by extract.networks") from None
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise UserError(f"{path}: sha256 {found}, extract.networks says {digest}")
    try:
        import openvino
    except ImportError:
        raise EnvironmentProblem(f"{path}: needs OpenVINO: {REMEDY['openvino']}") from None
    try:
        model = openvino.Core().read_model(path)
        shape = list(model.input(0).partial_shape)
        sizes = [one.get_length() if one.is_static else -1 for one in shape]
        is_first = len(sizes) == 4 and sizes[1] == 3
        if len(model.inputs) != 1 or len(sizes) != 4 or not (is_first or sizes[3] == 3):
            raise UserError(f"{path}: its input is {sizes}; one of (n, 3, rows, columns) is needed")
        model.reshape([BATCH, *sizes[1:]])
        model.output(0).shape  # noqa: B018 - raises where a size stays open
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1:]
        raise UserError(f"{path}: OpenVINO does not read it: {' '.join(reason)}") from None
    return model, is_first


def _compiled(
    model: Any, shaped: Callable[[np.ndarray], np.ndarray], threads: int
) -> PictureNetwork:
    import openvino

    compiled = openvino.compile_model(model, "CPU", openvino_settings("f32", threads))
    n_outputs = len(compiled.outputs)

    def run(rgb_BHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = compiled(shaped(rgb_BHWC))
        # The answers lie in the network's own memory, which the next call overwrites.
        appearance = found[0].reshape(BATCH, -1).copy()
        classes = found[1].copy() if n_outputs == 2 else np.zeros((BATCH, 0), np.float32)
        return appearance, classes

    return run
