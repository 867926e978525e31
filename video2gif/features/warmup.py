"""Which backend to run, by measurement: a warm-up of each, kept in the item store.

It asks how fast each backend is here, and how near its features are to the reference's (cosine).
The timings stay in the store; the backend's name and its cosine go into the index.
"""

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from video2gif.core.config import ExtractParams
from video2gif.core.errors import EnvironmentProblem, ItemError, UserError
from video2gif.core.items import Context, one
from video2gif.core.sandbox import Limits
from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.work import Item, Work
from video2gif.features import backends, sampled
from video2gif.features import weights as c3d_weights
from video2gif.features.backends import REFERENCE, ClipMode, Name

MIN_COSINE = 0.9999
"""`auto` takes no backend whose features lie further from the reference's."""

# CUDA reserves address space for all of the GPU's and the machine's memory.
LIMITS = Limits(wall_s=900, memory_bytes=1 << 44, gpu=True)

_ROUNDS = 3
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
_CPU_FLAGS = _BF16_FLAGS | {"avx2", "avx512f"}


@dataclass(frozen=True)
class ChosenBackend:
    """A backend, and the smallest cosine of its features to the reference's on the warm-up."""

    name: Name
    cosine: float


def choose(
    chosen: ExtractParams, *, weights: str, digest: str, context: Context | None
) -> ChosenBackend:
    """The backend that `extract.backend` names; `auto`: the fastest here.

    `auto` tries bf16 on a CPU only where the processor computes it (`has_bf16`). Anything but the
    reference is warmed up first (once a machine and weights). Raises `UserError` for one that this
    machine lacks.
    """
    if chosen.backend == REFERENCE:
        return ChosenBackend(REFERENCE, 1.0)
    wanted = worth_a_try() if chosen.backend == "auto" else (REFERENCE, chosen.backend)
    item = Item(id="warm-up", inputs=(digest,), args={"weights": weights})
    params = {"names": list(wanted), "mode": chosen.mode}
    found = _measured("work", params, item, context or Context.default())
    if chosen.backend == "auto":
        return _fastest(found)
    if chosen.backend not in found:
        remedy = backends.REMEDY.get(chosen.backend.partition("-")[0], "")
        raise UserError(
            f"extract.backend = {chosen.backend} cannot run here: {remedy}; or set auto"
        )
    return ChosenBackend(chosen.backend, found[chosen.backend]["cosine"])


def choose_for_pictures(backend: str, *, digest: str, context: Context | None) -> ChosenBackend:
    """The backend of EfficientNet-Lite0: `torch-fp32`, `openvino-fp32` or `opencv-fp32`.

    `auto`: the fastest here. It has no bf16: where C3D is to run so, its own fp32 does. Raises
    `UserError` where what it needs is not installed.
    """
    if backend != "auto":
        # They agree with PyTorch to 3e-5 (a test), so no warm-up is needed to say so.
        by_runtime = {name.partition("-")[0]: name for name in backends.PICTURE_BACKENDS}
        name = by_runtime.get(backend.partition("-")[0], REFERENCE)
        if not backends.is_here(name):
            remedy = backends.REMEDY[name.partition("-")[0]]
            raise UserError(
                f"extract.backend = {backend} cannot run here: {remedy}; or set opencv-fp32"
            )
        return ChosenBackend(name, 1.0)
    item = Item(id="warm-up", inputs=(digest,), args={})
    params = {"names": list(backends.PICTURE_BACKENDS)}
    return _fastest(_measured("pictures_work", params, item, context or Context.default()))


def worth_a_try() -> tuple[Name, ...]:
    """C3D's backends, less those that this processor could only emulate, many times slower."""
    emulated = () if has_bf16() else ("torch-bf16", "openvino-bf16")
    return tuple(name for name in backends.BACKENDS if name not in emulated)


def has_bf16() -> bool:
    """Whether the processor computes bf16; without, one matrix product can take minutes."""
    return not _BF16_FLAGS.isdisjoint(machine().split())


def _fastest(found: Mapping[Name, Mapping[str, float]]) -> ChosenBackend:
    near = {name: of for name, of in found.items() if of["cosine"] >= MIN_COSINE}
    best = max(near, key=lambda name: near[name]["per_s"])
    return ChosenBackend(best, near[best]["cosine"])


def _measured(
    function: str, params: Mapping[str, Any], item: Item, context: Context
) -> Mapping[Name, Mapping[str, float]]:
    """Of the backends that can run here, the reference first: `per_s` and `cosine`."""
    work_ = Work(
        function=f"{__name__}:{function}",
        params={**params, "machine": machine(), "libraries": _libraries()},
        limits=LIMITS,
    )
    try:
        notes = read_arrays(one("warm-up", work_, item, context))[1]
    except ItemError as error:
        raise EnvironmentProblem(
            f"the warm-up of extract.backend failed: {error.reason}; set it to {REFERENCE}"
        ) from None
    return notes  # type: ignore[return-value]


def work(*, out: Path, params: dict[str, Any], weights: str) -> None:
    """Notes `per_s` (clips or, in dense mode, stretches) and `cosine` of the backends asked for.

    Those that are not here are left out.

    Timed on one thread by CPU time where the CPU computes, as the extract stage runs it.
    """
    mode: ClipMode = params["mode"]
    tensors = c3d_weights.load(weights)
    notes: dict[str, dict[str, float]] = {}
    reference: np.ndarray | None = None
    here = backends.available()
    for name in (name for name in params["names"] if name in here):
        x = film(backends.batch_size(name, mode), frames=16 if mode == "clips" else 48)
        run = backends.forward(name, mode, tensors, threads=1)
        clock = time.perf_counter if name.startswith("cuda") else time.process_time
        fc6 = next(run([x]))  # Compiles, and fills the caches.
        seconds = min(_seconds(lambda run=run, x=x: list(run([x])), clock) for _ in range(_ROUNDS))
        reference = fc6 if reference is None else reference
        n = min(len(fc6), len(reference))
        notes[name] = {"per_s": len(x) / seconds, "cosine": cosine(fc6[:n], reference[:n])}
    write_arrays(out, {}, notes)


def pictures_work(*, out: Path, params: dict[str, Any]) -> None:
    """The same of EfficientNet-Lite0, in pictures a second."""
    notes: dict[str, dict[str, float]] = {}
    reference: np.ndarray | None = None
    for name in filter(backends.is_here, params["names"]):
        run = sampled.lite0(name, threads=1)
        x = bars(sampled.BATCH)
        appearance, _ = run(x)  # Compiles, and fills the caches.
        seconds = min(
            _seconds(lambda run=run, x=x: run(x), time.process_time) for _ in range(_ROUNDS)
        )
        reference = appearance if reference is None else reference
        notes[name] = {"per_s": len(x) / seconds, "cosine": cosine(appearance, reference)}
    write_arrays(out, {}, notes)


def bars(n_pictures: int) -> np.ndarray:
    """Pictures of crossed bars, each of another width: uint8 (n, 224, 224, 3)."""
    at = np.arange(224)
    waves = [np.sin(at[:, None] / (3 + k)) * np.sin(at[None] / (5 + k)) for k in range(n_pictures)]
    grey = np.stack(waves)[..., None]
    return (127 + 60 * np.sign(grey) * np.array([1.0, 0.7, 0.4])).astype(np.uint8)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The smallest cosine between rows of a and b, (n, 4096); 1 where both are zero."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    dots = (a * b).sum(axis=1)
    return float(np.divide(dots, lengths, out=np.ones_like(dots), where=lengths > 0).min())


def machine() -> str:
    """What decides how fast a backend is and which instructions it uses."""
    name, flags = platform.machine(), frozenset[str]()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() in ("flags", "Features"):
                flags = frozenset(value.split()) & _CPU_FLAGS
                break
    except OSError:
        pass
    gpu = "gpu" if os.path.exists("/proc/driver/nvidia/version") else ""
    return " ".join((name, *sorted(flags), gpu)).strip()


def _libraries() -> dict[str, str]:
    found = {}
    for name in ("torch", "openvino", "opencv-python-headless"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def film(n_clips: int, *, frames: int) -> np.ndarray:
    """Bars of several sizes that move, mean subtracted: float32 (n, 3, frames, 112, 112).

    Not noise: all noise gives nearly the same features, so that even a wrong backend would seem to
    agree with the reference.
    """
    at = np.arange(112)
    clips = []
    for clip in range(n_clips):
        phase = np.arange(frames)[:, None] * (clip + 1)
        rows = np.sign(np.sin((at + phase) / (3 + clip)))[:, :, None]
        columns = np.sign(np.sin((at - 2 * phase) / (5 + clip)))[:, None, :]
        clips.append(
            np.stack([60 * rows * columns, 40 * rows + 0 * columns, 50 * columns + 0 * rows])
        )
    x_BTHWC = np.stack(clips).astype(np.float32).transpose(0, 2, 3, 4, 1)
    return np.ascontiguousarray(x_BTHWC).transpose(0, 4, 1, 2, 3)


def _seconds(call: Any, clock: Any) -> float:
    start = clock()
    call()
    return float(clock() - start)
