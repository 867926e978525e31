"""C3D forward on this machine's CPU: clips/s of each way to run it, against the measured GEMM peak.

    python benchmarks/c3d.py            about a minute; prints a markdown table

All in one run, random weights, batches of 2 clips, the fastest call of each (others may use the
machine). "share" is of the GEMM peak of the same number type: 1 means as fast as the
multiplications alone. Errors are against eager fp32. OpenVINO is measured if it is installed.
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
THREADS = len(os.sched_getaffinity(0))

Kind = Literal["fp32", "bf16"]
Forward = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Result:
    """One way to run the network."""

    name: str
    kind: Kind
    clips_a_s: float
    fc6: np.ndarray


def gemm_peak(kind: Kind) -> float:
    """FLOP/s of a 3072³ matrix product, the best of ten."""
    dtype = torch.float32 if kind == "fp32" else torch.bfloat16
    a, b = torch.randn(3072, 3072, dtype=dtype), torch.randn(3072, 3072, dtype=dtype)
    return 2 * 3072**3 / min(_seconds(lambda: a @ b) for _ in range(10))


def clips_a_second(forward: Callable[[], object], seconds: float) -> float:
    """Rate of the fastest call within `seconds`, after one to warm up."""
    forward()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        times.append(_seconds(forward))
    return BATCH / min(times)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def clips() -> torch.Tensor:
    """x_BCTHW float32, channels innermost."""
    x_BTHWC = np.random.default_rng(0).normal(0, 50, (BATCH, 16, 112, 112, 3)).astype(np.float32)
    return torch.from_numpy(x_BTHWC.transpose(0, 4, 1, 2, 3))


def ways() -> Iterator[tuple[str, Kind, Forward]]:
    """Name, number type and forward of each; a network lives only while it is measured."""
    weights = random_weights(0)
    plain = C3D.with_weights(weights).to(memory_format=torch.contiguous_format)
    yield "torch eager, NCDHW", "fp32", lambda x: plain(x.contiguous())
    last = C3D.with_weights(weights)
    yield "torch eager, channels last (what `extract` runs)", "fp32", last
    half = C3D.with_weights(weights).to(torch.bfloat16)
    yield "torch eager, channels last", "bf16", lambda x: half(x.to(torch.bfloat16)).float()
    if find_spec("openvino"):
        yield "openvino", "fp32", _openvino(last, "f32")
        yield "openvino", "bf16", _openvino(last, "bf16")


def _openvino(network: C3D, precision: str) -> Forward:
    import openvino

    model = openvino.convert_model(network, example_input=clips().contiguous())
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": THREADS}
    compiled = openvino.compile_model(model, "CPU", settings)
    return lambda x: torch.from_numpy(compiled(x.contiguous().numpy())[0])


def measure(seconds: float) -> Iterator[Result]:
    """Every way in turn, all with all cores."""
    torch.set_num_threads(THREADS)
    x = clips()
    with torch.inference_mode():
        for name, kind, forward in ways():
            rate = clips_a_second(lambda forward=forward: forward(x), seconds)
            yield Result(name, kind, rate, forward(x).numpy())


def processes(seconds: float) -> float:
    """Clips/s of one single-threaded process a core, together: how the extract stage works."""
    spawning = get_context("spawn")
    with spawning.Manager() as manager:
        together = manager.Barrier(THREADS)
        with ProcessPoolExecutor(THREADS, mp_context=spawning) as pool:
            jobs = [pool.submit(_alone, together, seconds) for _ in range(THREADS)]
            return sum(job.result() for job in jobs)


def _alone(together: Barrier, seconds: float) -> float:
    torch.set_num_threads(1)
    network, x = C3D.with_weights(random_weights(0)), clips()
    together.wait()
    with torch.inference_mode():
        return clips_a_second(lambda: network(x), seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each way")
    seconds = parser.parse_args().seconds
    peaks = {kind: gemm_peak(kind) for kind in ("fp32", "bf16")}
    print(f"{_machine()}; torch {torch.__version__}, {THREADS} threads, batch {BATCH}")
    print(f"GEMM peak: fp32 {peaks['fp32'] / 1e12:.3f}, bf16 {peaks['bf16'] / 1e12:.3f} TFLOP/s\n")
    print("| | type | clips/s | ratio | share of GEMM peak | max error / max | cosine |")
    print("|---|---|---|---|---|---|---|")
    first: Result | None = None
    for result in measure(seconds):
        first = first or result
        print(_row(result, first, peaks[result.kind]), flush=True)
    rate = processes(seconds)
    print(f"| {THREADS} processes × 1 thread, channels last | fp32 | {rate:.2f} |", end="")
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
