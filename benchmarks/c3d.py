"""C3D forward on this machine's CPU: clips/s of each way to run it, against the measured GEMM peak.

    python benchmarks/c3d.py            about a minute; prints a markdown table
    python benchmarks/c3d.py --busy     one thread, by CPU time: for a machine that others use too

All in one run, random weights, batches of 2 clips, the fastest call of each. "share" is of the
GEMM peak of the same number type: 1 means as fast as torch multiplies matrices. Errors are against
eager fp32. OpenVINO is measured if it is installed.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from threading import Barrier
from typing import Literal

import numpy as np
import torch

from video2gif.features.c3d import C3D
from video2gif.features.extract import BATCH
from video2gif.features.weights import random_weights

FLOP_A_CLIP = 2 * 38.53e9  # multiply-adds of conv1a … fc6 (PAPER.md), counted as two

Kind = Literal["fp32", "bf16"]
Forward = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Setup:
    """How all ways of a run are measured."""

    threads: int
    seconds: float
    """On `clock`, for each way."""
    clock: Callable[[], float]


@dataclass(frozen=True)
class Result:
    """One way to run the network."""

    name: str
    kind: Kind
    clips_a_s: float
    fc6: np.ndarray


def gemm_peak(kind: Kind, setup: Setup) -> float:
    """FLOP/s of torch's matrix product, the fastest of ten of each size."""
    dtype = torch.float32 if kind == "fp32" else torch.bfloat16
    return max(_gemm_rate(size, dtype, setup) for size in (512, 3072))


def _gemm_rate(size: int, dtype: torch.dtype, setup: Setup) -> float:
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    return 2 * size**3 / min(_seconds(lambda: a @ b, setup) for _ in range(10))


def clips_a_second(forward: Callable[[], object], setup: Setup) -> float:
    """Rate of the fastest call, after one to warm up."""
    forward()
    times: list[float] = []
    while sum(times) < setup.seconds or len(times) < 3:
        times.append(_seconds(forward, setup))
    return BATCH / min(times)


def _seconds(call: Callable[[], object], setup: Setup) -> float:
    start = setup.clock()
    call()
    return setup.clock() - start


def clips() -> torch.Tensor:
    """x_BCTHW float32, channels innermost."""
    x_BTHWC = np.random.default_rng(0).normal(0, 50, (BATCH, 16, 112, 112, 3)).astype(np.float32)
    return torch.from_numpy(x_BTHWC.transpose(0, 4, 1, 2, 3))


def ways(threads: int) -> Iterator[tuple[str, Kind, Forward]]:
    """Name, number type and forward of each; a network lives only while it is measured."""
    weights = random_weights(0)
    plain = C3D.with_weights(weights).to(memory_format=torch.contiguous_format)
    yield "torch eager, NCDHW", "fp32", lambda x: plain(x.contiguous())
    last = C3D.with_weights(weights)
    yield "torch eager, channels last (what `extract` runs)", "fp32", last
    half = C3D.with_weights(weights).to(torch.bfloat16)
    yield "torch eager, channels last", "bf16", lambda x: half(x.to(torch.bfloat16)).float()
    if find_spec("openvino"):
        yield "openvino", "fp32", _openvino(last, "f32", threads)
        yield "openvino", "bf16", _openvino(last, "bf16", threads)


def _openvino(network: C3D, precision: str, threads: int) -> Forward:
    import openvino

    model = openvino.convert_model(network, example_input=clips().contiguous())
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
    compiled = openvino.compile_model(model, "CPU", settings)
    return lambda x: torch.from_numpy(compiled(x.contiguous().numpy())[0])


def measure(setup: Setup) -> Iterator[Result]:
    """Every way in turn."""
    x = clips()
    with torch.inference_mode():
        for name, kind, forward in ways(setup.threads):
            rate = clips_a_second(lambda forward=forward: forward(x), setup)
            yield Result(name, kind, rate, forward(x).numpy())


def processes(setup: Setup) -> float:
    """Clips/s of one single-threaded process a core, together: how the extract stage works."""
    spawning = get_context("spawn")
    with spawning.Manager() as manager:
        together = manager.Barrier(setup.threads)
        with ProcessPoolExecutor(setup.threads, mp_context=spawning) as pool:
            jobs = [pool.submit(_alone, together, setup) for _ in range(setup.threads)]
            return sum(job.result() for job in jobs)


def _alone(together: Barrier, setup: Setup) -> float:
    torch.set_num_threads(1)
    network, x = C3D.with_weights(random_weights(0)), clips()
    together.wait()
    with torch.inference_mode():
        return clips_a_second(lambda: network(x), setup)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each way")
    parser.add_argument("--busy", action="store_true", help="one thread, by CPU time")
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    clock = time.process_time if args.busy else time.perf_counter
    report(Setup(1 if args.busy else cores, args.seconds, clock))


def report(setup: Setup) -> None:
    torch.set_num_threads(setup.threads)
    peaks = {kind: gemm_peak(kind, setup) for kind in ("fp32", "bf16")}
    by = setup.clock.__name__
    print(f"{_machine()}; torch {torch.__version__}, {setup.threads} threads, batch {BATCH}, {by}")
    print(f"GEMM peak: fp32 {peaks['fp32'] / 1e12:.3f}, bf16 {peaks['bf16'] / 1e12:.3f} TFLOP/s\n")
    print("| | type | clips/s | ratio | share of GEMM peak | max error / max | cosine |")
    print("|---|---|---|---|---|---|---|")
    first: Result | None = None
    for result in measure(setup):
        first = first or result
        print(_row(result, first, peaks[result.kind]), flush=True)
    if first and setup.threads > 1:
        rate = processes(setup)
        print(
            f"| {setup.threads} processes × 1 thread, channels last | fp32 | {rate:.2f} |", end=""
        )
        print(f" {rate / first.clips_a_s:.2f} | {rate * FLOP_A_CLIP / peaks['fp32']:.0%} | | |")


def _row(result: Result, first: Result, peak: float) -> str:
    error = np.abs(result.fc6 - first.fc6).max() / np.abs(first.fc6).max()
    a, b = result.fc6.astype(np.float64), first.fc6.astype(np.float64)
    cosine = ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min()
    return (
        f"| {result.name} | {result.kind} | {result.clips_a_s:.2f}"
        f" | {result.clips_a_s / first.clips_a_s:.2f}"
        f" | {result.clips_a_s * FLOP_A_CLIP / peak:.0%} | {error:.1e} | {cosine:.7f} |"
    )


def _machine() -> str:
    with open("/proc/cpuinfo") as info:
        model = next((line.split(": ")[1].strip() for line in info if "model name" in line), "")
    return model or platform.processor()


if __name__ == "__main__":
    main()
