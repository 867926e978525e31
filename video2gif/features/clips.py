"""fc6 features of one video's segments: decode once, cut clips or stretches, run C3D.

Only the result grows with the video (8 KB a clip): small frames wait for their clip, clips for
their batch. One thread in each worker: the result is the same whatever their number.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from video2gif.core.config import ExtractParams
from video2gif.core.items import Context
from video2gif.core.layout import read_json
from video2gif.core.sandbox import Limits
from video2gif.core.store import write_arrays
from video2gif.core.types import Span
from video2gif.core.work import Work
from video2gif.features import backends, warmup
from video2gif.features import weights as c3d_weights
from video2gif.features.backends import ClipMode, Forward
from video2gif.features.network import Extraction, Network, Timed, batches, to_float16
from video2gif.features.preprocess import (
    CLIP_FRAMES,
    STEP,
    clip_starts,
    cut,
    load_mean,
    located_mean,
    mean_digest,
    needed,
    network_input,
    small_frame,
    stretches,
)
from video2gif.media.decode import DecodedFilm, Decoder
from video2gif.media.shown import Scaler

# Hours of video take hours here. A decoder that hangs has hung in the fingerprint stage already,
# which reads the same bytes within minutes.
_LIMITS = Limits(wall_s=24 * 3600, memory_bytes=12 << 30)  # torch maps far more than it touches.


def extraction(chosen: ExtractParams, *, root: Path, context: Context | None = None) -> Extraction:
    """C3D as params.yaml's `extract` asks for it; relative paths in it start at `root`.

    `context`: where another backend than the reference is warmed up. Raises `UserError` for
    weights, a mean cube or a backend that cannot be used.
    """
    weights, mean = c3d_weights.located(chosen.weights, root), located_mean(chosen.mean, root)
    digest = c3d_weights.digest(weights)
    backend = warmup.choose(chosen, weights=weights, digest=digest, context=context)
    library = backend.name.partition("-")[0]
    work = Work(
        function=f"{__name__}:work",
        params={
            "weights": digest,
            "mean": mean_digest(mean),
            "clip_stride": chosen.clip_stride,
            "mirror": chosen.mirror,
            "mode": chosen.mode,
            "backend": backend.name,
        },
        libraries=(
            "av",
            "numpy",
            "opencv-python-headless",
            "openvino" if library == "openvino" else "torch",
        ),
        limits=warmup.LIMITS if library == "cuda" else _LIMITS,
    )
    return Extraction(
        network=network(digest, Path(weights)),
        work=work,
        args={"weights": weights, "mean": mean},
        backend=backend.name,
        cosine=backend.cosine,
        mode=chosen.mode,
        by_segment=True,
    )


def network(digest: str, weights: Path) -> Network:
    """C3D with the weights of this digest; a file's own card says where they come from."""
    architecture = c3d_weights.ARCHITECTURE
    frames, rows, columns = architecture.clip
    is_random = c3d_weights.is_random(digest)
    card_path = weights.with_suffix(".json")
    card = read_json(card_path) if not is_random and card_path.is_file() else {}
    unknown = "seeded random numbers" if is_random else "not stated"
    return Network(
        name="c3d",
        width=architecture.n_fc6,
        n_classes=0,
        clip_frames=frames,
        rows=rows,
        columns=columns,
        weights=digest if is_random else f"sha256:{digest}",
        licence=str(card.get("licence", "not stated")),
        source=str(card.get("source", unknown)),
    )


def work(*, out: Path, params: dict[str, Any], path: str, **args: Any) -> None:
    """Write the features of a video's segments (`arrays`). Raises what the decoder raises."""
    with Decoder(Path(path)) as decoder:
        read(out, decoder, params=params, **args)


def read(out: Path, film: DecodedFilm, *, params: dict[str, Any], **args: Any) -> None:
    """Write them of a video that is being decoded (`media.together`)."""
    write_arrays(out, arrays(film.frames(), params=params, **args))


def arrays(
    frames: Iterable[Timed],
    *,
    params: dict[str, Any],
    segments: list[tuple[int, int]],
    weights: str,
    mean: str,
) -> dict[str, np.ndarray]:
    """`features` float16 (n, 4096), fc6 of clips in order of time, and `n_clips` of each segment.

    `segments` are [start, end) frames, ascending; one under 16 frames gets no clip. `params` has
    clip_stride, mirror, mode, backend, and the digests of what `weights` and `mean` name (they make
    the key). Raises `ItemError`: what the decoder raises; decode if the video ends before its last
    clip; overflow if the weights drive fc6 out of float16's range.
    """
    stride, mode = params["clip_stride"], params["mode"]
    clips = [clip_starts(*segment, stride=stride) for segment in segments]
    network = _network(weights, params["weights"], params["backend"], mode)
    mean_THWC = _mean(mean, params["mean"])
    if mode == "dense":
        spans = [[*stretches(*segment)] for segment in segments]
        pieces = video_pieces(frames, list(itertools.chain(*spans)))
        every_8 = dense_features(
            pieces, network=network, mean_THWC=mean_THWC, mirror=params["mirror"]
        )
        fc6 = every_8[_kept(segments, stride)]
    else:
        starts = list(itertools.chain(*clips))
        fc6 = clip_features(
            video_pieces(frames, [(start, start + CLIP_FRAMES) for start in starts]),
            network=network,
            mean_THWC=mean_THWC,
            mirror=params["mirror"],
            batch=backends.batch_size(params["backend"], mode),
        )
    n_clips = np.array([len(of_segment) for of_segment in clips], np.int32)
    return {"features": fc6, "n_clips": n_clips}


def video_pieces(frames: Iterable[Timed], spans: Sequence[Span]) -> Iterator[np.ndarray]:
    """These frames of a video, uint8 (end - start, 112, 112, 3) each; no frame after the last."""
    if spans:
        yield from cut(_small_frames(frames, spans), spans)


def clip_features(
    clips_THWC: Iterable[np.ndarray],
    *,
    network: Forward,
    mean_THWC: np.ndarray,
    mirror: bool,
    batch: int,
) -> np.ndarray:
    """uint8 clips (16, 112, 112, 3) → fc6 float16 (n, 4096), `batch` at once.

    With `mirror`, the mean of a clip's fc6 and of its mirror image's.
    """
    counts: list[int] = []  # Of the batches that the network has read so far.

    def inputs() -> Iterator[np.ndarray]:
        for clips in batches(clips_THWC, batch):
            counts.append(len(clips))
            filled = np.stack(clips + clips[-1:] * (batch - len(clips)))
            yield network_input(filled, mean_THWC)

    found = _run(network, inputs(), mirror)
    return _joined(fc6[: counts[number]] for number, fc6 in enumerate(found))


def dense_features(
    stretches_THWC: Iterable[np.ndarray], *, network: Forward, mean_THWC: np.ndarray, mirror: bool
) -> np.ndarray:
    """uint8 stretches (T, 112, 112, 3) → fc6 float16 of their clips at every 8th frame, (n, 4096).

    The mean cube holds one mean picture for each of a clip's 16 frames. A stretch is longer and its
    frames belong to several clips, so one picture, the average of the 16, is taken from all.
    """
    mean_HWC = mean_THWC.mean(axis=0)
    inputs = (network_input(piece[None], mean_HWC) for piece in stretches_THWC)
    return _joined(_run(network, inputs, mirror))


def _run(network: Forward, inputs: Iterable[np.ndarray], mirror: bool) -> Iterator[np.ndarray]:
    if not mirror:
        yield from network(inputs)
        return
    both = network(itertools.chain.from_iterable((x, mirrored(x)) for x in inputs))
    for fc6 in both:
        yield (fc6 + next(both)) / 2


def _joined(parts: Iterable[np.ndarray]) -> np.ndarray:
    found = [to_float16(part) for part in parts]
    return np.concatenate(found) if found else np.zeros((0, c3d_weights.ARCHITECTURE.n_fc6), "f2")


def _kept(segments: Iterable[Span], stride: int) -> np.ndarray:
    """Which of the clips at every 8th frame of the segments have the stride asked for, bool."""
    counts = [len(clip_starts(*segment, stride=STEP)) for segment in segments]
    return np.concatenate(
        [np.arange(n) % (stride // STEP) == 0 for n in counts] or [np.ones(0, bool)]
    )


def mirrored(x_BCTHW: np.ndarray) -> np.ndarray:
    """Left and right exchanged, channels kept innermost in memory.

    As in the authors' data layer, after mean and crop (which is off the centre by half a pixel).
    """
    return np.ascontiguousarray(np.moveaxis(x_BCTHW[..., ::-1], 1, -1)).transpose(0, 4, 1, 2, 3)


def _small_frames(frames: Iterable[Timed], spans: Sequence[Span]) -> Iterator[np.ndarray | None]:
    scaler = Scaler()  # Shared: a new one for each frame rebuilds its tables.
    for is_needed, (_, frame) in zip(needed(spans), frames, strict=False):
        if is_needed:
            yield small_frame(scaler(frame, None, None, "bgr24").to_ndarray())
        else:
            yield None


# Kept for the life of a worker; the digest is part of the key so that a changed file is read anew.
@lru_cache(maxsize=1)
def _network(spec: str, digest: str, backend: backends.Name, mode: ClipMode) -> Forward:
    del digest
    cv2.setNumThreads(1)
    return backends.forward(backend, mode, c3d_weights.load(spec), threads=1)


@lru_cache(maxsize=1)
def _mean(spec: str, digest: str) -> np.ndarray:
    del digest
    return load_mean(spec)
