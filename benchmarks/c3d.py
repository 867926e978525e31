"""C3D on this machine: clips/s of each backend and mode, against the measured GEMM peak.

    python benchmarks/c3d.py            minutes; prints a markdown table
    python benchmarks/c3d.py --busy     one thread, by CPU time: for a machine that others use too
    python benchmarks/c3d.py --film FILM        also the whole extraction of that film's features

All in one run, random weights, the fastest call of each. "share" is of the GEMM peak of the same
number type: 1 means as fast as torch multiplies matrices. Errors are against eager fp32. Dense
rows count clips of stride 8, in a stretch of 72 frames (a segment of 3 s at 25 frames/s) and in one
of the longest kind; their cosine is to the same frames' clips in fp32. What is not installed or not
there (OpenVINO, a GPU) is left out.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from typing import Literal

import numpy as np
import torch

from video2gif.features import backends, warmup
from video2gif.features.backends import ClipMode, Name
from video2gif.features.c3d import C3D
from video2gif.features.preprocess import MAX_STRETCH
from video2gif.features.weights import random_weights

FLOP_A_CLIP = 2 * 38.53e9  # multiply-adds of conv1a … fc6 (docs/paper.md, C3D), counted as two
BATCH = backends.batch_size(backends.REFERENCE, "clips")
STRETCHES = (72, MAX_STRETCH)

Kind = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Setup:
    """How all ways of a run are measured."""

    threads: int
    seconds: float
    """On `clock`, for each way."""
    clock: Callable[[], float]


@dataclass(frozen=True)
class Way:
    """One way to run the network."""

    name: str
    kind: Kind
    mode: ClipMode
    x_BCTHW: np.ndarray
    forward: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Result:
    """What came of it."""

    way: Way
    clips_a_s: float
    fc6: np.ndarray


def kinds() -> tuple[Kind, ...]:
    """bf16 only where the processor has it: without, one matrix product takes minutes."""
    return ("fp32", "bf16") if warmup.has_bf16() else ("fp32",)


def gemm_peak(kind: Kind, setup: Setup) -> float:
    """FLOP/s of torch's matrix product, the fastest of each size."""
    dtype = torch.float32 if kind == "fp32" else torch.bfloat16
    return max(_gemm_rate(size, dtype, setup) for size in (512, 3072))


def _gemm_rate(size: int, dtype: torch.dtype, setup: Setup) -> float:
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    return 2 * size**3 / _fastest_s(lambda: a @ b, setup)


def clips_a_second(forward: Callable[[], np.ndarray], setup: Setup) -> float:
    """Rate of the fastest call in `seconds`, after one to warm up; every row of fc6 is a clip."""
    n_clips = len(forward())
    return n_clips / _fastest_s(forward, setup)


def _fastest_s(call: Callable[[], object], setup: Setup) -> float:
    """Of the calls in `seconds`."""
    times: list[float] = []
    while not times or sum(times) < setup.seconds:
        start = setup.clock()
        call()
        times.append(setup.clock() - start)
    return min(times)


def ways(threads: int) -> Iterator[Way]:
    """Every way in turn; a network lives only while it is measured."""
    weights, film = random_weights(0), warmup.film(1, frames=MAX_STRETCH)
    plain = C3D.with_weights(weights)
    plain.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    pair = batch_of(film, BATCH)

    def eager(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return plain(torch.from_numpy(np.ascontiguousarray(x))).numpy()

    yield Way("torch eager, NCDHW", "fp32", "clips", pair, eager)
    for mode in ("clips", "dense"):
        for name in backends.available():
            kind: Kind = "bf16" if name.endswith("bf16") else "fp32"
            if kind not in kinds():
                continue
            run = _network(name, mode, weights, threads)
            if mode == "clips":
                x = batch_of(film, backends.batch_size(name, mode))
                yield Way(name, kind, mode, x, run)
                continue
            for frames in STRETCHES:
                yield Way(f"{name}, {frames} frames", kind, mode, film[:, :, :frames], run)


def _network(
    name: Name, mode: ClipMode, weights: dict[str, np.ndarray], threads: int
) -> Callable[[np.ndarray], np.ndarray]:
    run = backends.forward(name, mode, weights, threads=threads)
    return lambda x: next(run([x]))


def batch_of(film: np.ndarray, n_clips: int) -> np.ndarray:
    """The first clips of stride 8 of a film (1, 3, T, 112, 112), channels innermost."""
    starts = [8 * (k % (MAX_STRETCH // 8 - 1)) for k in range(n_clips)]
    clips = np.concatenate([film[:, :, start : start + 16] for start in starts])
    return np.ascontiguousarray(clips.transpose(0, 2, 3, 4, 1)).transpose(0, 4, 1, 2, 3)


def measure(setup: Setup) -> Iterator[Result]:
    """Every way in turn."""
    for way in ways(setup.threads):
        rate = clips_a_second(partial(way.forward, way.x_BCTHW), setup)
        yield Result(way, rate, way.forward(way.x_BCTHW))


def processes(setup: Setup) -> float:
    """Clips/s of one single-threaded process a core, together: how the extract stage works."""
    spawning = get_context("spawn")
    with spawning.Manager() as manager:
        together = manager.Barrier(setup.threads)
        with ProcessPoolExecutor(setup.threads, mp_context=spawning) as pool:
            jobs = [pool.submit(_alone, together, setup) for _ in range(setup.threads)]
            return sum(job.result() for job in jobs)


def _alone(together: Barrier, setup: Setup) -> float:
    forward = _network(backends.REFERENCE, "clips", random_weights(0), 1)
    x = batch_of(warmup.film(1, frames=MAX_STRETCH), BATCH)
    together.wait()
    return clips_a_second(lambda: forward(x), setup)


def extraction(film: Path, name: Name, mode: ClipMode, setup: Setup) -> tuple[int, float, float]:
    """Clips, seconds of the whole extraction of a film, and of the network alone, one thread."""
    from video2gif.features import clips
    from video2gif.features.preprocess import clip_starts
    from video2gif.media.decode import Decoder

    with Decoder(film) as decoder:
        n_frames = sum(1 for _ in decoder.frames())
    segments = [(start, min(start + 75, n_frames)) for start in range(0, n_frames, 75)]
    n_clips = sum(len(clip_starts(*segment, stride=8)) for segment in segments)
    alone = 0.0
    network = clips._network("random:0", "random:0", name, mode)

    def timed(batches: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal alone
        for x in batches:
            start = setup.clock()
            (fc6,) = network([x])
            alone += setup.clock() - start
            yield fc6

    setattr(clips, "_network", lambda *_: timed)  # noqa: B010
    params = {"weights": "random:0", "mean": "channel", "clip_stride": 8, "mirror": False}
    params |= {"mode": mode, "backend": name}
    with TemporaryDirectory() as folder:
        start = setup.clock()
        clips.work(
            out=Path(folder) / "out",
            params=params,
            path=str(film),
            segments=segments,
            weights="random:0",
            mean="channel",
        )
        return n_clips, setup.clock() - start, alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each way")
    parser.add_argument("--busy", action="store_true", help="one thread, by CPU time")
    parser.add_argument("--film", type=Path, help="only the whole extraction of this film")
    parser.add_argument("--backend", default=backends.REFERENCE, help="with --film")
    parser.add_argument("--mode", default="clips", help="with --film")
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    clock = time.process_time if args.busy else time.perf_counter
    setup = Setup(1 if args.busy or args.film else cores, args.seconds, clock)
    if args.film:
        n_clips, whole, alone = extraction(args.film, args.backend, args.mode, setup)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {args.film.name} | {args.backend} | {args.mode} | {n_clips} clips", end="")
        print(f" | {n_clips / whole:.2f} clips/s | {alone / whole:.0%} network | {peak:.0f} MB |")
        return
    report(setup)


def report(setup: Setup) -> None:
    torch.set_num_threads(setup.threads)
    peaks = {kind: gemm_peak(kind, setup) for kind in kinds()}
    by = setup.clock.__name__
    print(f"{warmup.machine()}; torch {torch.__version__}, {setup.threads} threads, {by}")
    told = ", ".join(f"{kind} {peak / 1e12:.3f}" for kind, peak in peaks.items())
    print(f"GEMM peak: {told} TFLOP/s\n")
    print("| | mode | clips/s | ratio | share of GEMM peak | max error / max | cosine |")
    print("|---|---|---|---|---|---|---|", flush=True)
    first: Result | None = None
    reference: np.ndarray | None = None
    for result in measure(setup):
        first = first or result
        if reference is None:
            reference = _clips_one_by_one(result.way)
        print(_row(result, first, reference, peaks[result.way.kind]), flush=True)
    if first and setup.threads > 1:
        rate = processes(setup)
        print(f"| {setup.threads} processes × 1 thread, {backends.REFERENCE} | clips |", end="")
        print(f" {rate:.2f} | {rate / first.clips_a_s:.2f} |", end="")
        print(f" {rate * FLOP_A_CLIP / peaks['fp32']:.0%} | | |")


def _clips_one_by_one(way: Way) -> np.ndarray:
    """fp32 features of all clips of the stretch, in order."""
    film = warmup.film(1, frames=MAX_STRETCH)
    starts = range(0, MAX_STRETCH - 15, 8)
    return np.concatenate([way.forward(film[:, :, s : s + 16]) for s in starts])


def _row(result: Result, first: Result, reference: np.ndarray, peak: float) -> str:
    way, n = result.way, min(len(result.fc6), len(reference))
    found, expected = result.fc6[:n], reference[:n]
    error = np.abs(found - expected).max() / np.abs(expected).max()
    # Dense mode does less arithmetic for a clip: its share of the peak would mean nothing.
    share = f"{result.clips_a_s * FLOP_A_CLIP / peak:.0%}" if way.mode == "clips" else ""
    return (
        f"| {way.name} | {way.mode} | {result.clips_a_s:.2f}"
        f" | {result.clips_a_s / first.clips_a_s:.2f}"
        f" | {share} | {error:.1e} | {warmup.cosine(found, expected):.7f} |"
    )


if __name__ == "__main__":
    main()
