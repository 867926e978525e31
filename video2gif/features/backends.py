"""The ways to run C3D, behind one small interface: batches in, fc6 out, in order.

`torch-fp32` is the reference. The others give other bits (bf16 keeps eight bits of a number), so
the backend's name is part of every item's key and stands in the index. PyTorch and OpenVINO are
imported only where they run.
"""

import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from video2gif.core.errors import install_line
from video2gif.features.weights import ARCHITECTURE, Architecture

if TYPE_CHECKING:
    import torch

Name = Literal[
    "torch-fp32", "torch-bf16", "openvino-fp32", "openvino-bf16", "cuda-bf16", "opencv-fp32"
]
ClipMode = Literal["clips", "dense"]

Forward = Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]
"""x_BCTHW float32 … → fc6 float32 … after ReLU, one for each, in order.

Clips (B, 3, 16, 112, 112) give (B, 4096), a dense stretch (1, 3, T, 112, 112) gives
(T / 8 - 1, 4096). It may read some inputs ahead.
"""

REFERENCE: Name = "torch-fp32"
BACKENDS: tuple[Name, ...] = (
    REFERENCE,
    "torch-bf16",
    "openvino-fp32",
    "openvino-bf16",
    "cuda-bf16",
)
PICTURE_BACKENDS: tuple[Name, ...] = (REFERENCE, "openvino-fp32", "opencv-fp32")
"""Those of EfficientNet-Lite0: OpenCV has no convolutions over time."""

REMEDY = {
    "torch": install_line("torch"),
    "openvino": install_line("openvino"),
    "opencv": "it runs networks of single pictures only",
    "cuda": "it needs an NVIDIA GPU and a CUDA build of torch",
}

_AHEAD = 2

T = TypeVar("T")


def batch_size(name: Name, mode: ClipMode) -> int:
    """Clips per batch. The last batch is filled up: with another size, sums may round differently.

    On a CPU two at once are 1.4 × as fast as one and four no faster; a GPU wants more. Stretches
    differ in length and go one by one.
    """
    if mode == "dense":
        return 1
    return 32 if name.startswith("cuda") else 2


def available() -> tuple[Name, ...]:
    """C3D's backends that can run in this process. All need PyTorch, also to be converted."""
    return tuple(filter(is_here, BACKENDS))


def is_here(name: Name) -> bool:
    """Whether what a backend runs on is installed; for CUDA, whether there is a GPU as well."""
    runtime = name.partition("-")[0]
    if runtime == "opencv":
        return True  # It is no extra.
    if runtime != "cuda":
        return find_spec(runtime) is not None
    if not find_spec("torch"):
        return False
    import torch

    return torch.cuda.is_available()


def forward(
    name: Name,
    mode: ClipMode,
    weights: Mapping[str, np.ndarray],
    *,
    threads: int,
    architecture: Architecture = ARCHITECTURE,
) -> Forward:
    """C3D with these weights, ready to run on `threads` threads."""
    import torch

    from video2gif.features.c3d import C3D, Dense

    torch.set_num_threads(threads)
    c3d = C3D.with_weights(weights, architecture)
    network = Dense(c3d) if mode == "dense" else c3d
    device, _, precision = name.partition("-")
    if device == "openvino":
        return _openvino(network, mode, precision, threads=threads)
    if precision == "bf16":
        network = network.to(torch.bfloat16)
    if device == "cuda":
        return pipelined(network.to(torch.device("cuda")), torch.device("cuda"), mode)
    return _torch(network)


def _torch(network: "torch.nn.Module") -> Forward:
    import torch

    dtype = next(network.parameters()).dtype

    def run(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for x in batches:
            with torch.inference_mode():
                fc6 = network(torch.from_numpy(x).to(dtype)).float().numpy()
            yield fc6

    return run


def _openvino(
    network: "torch.nn.Module", mode: ClipMode, precision: str, *, threads: int
) -> Forward:
    """Compiled with its weights frozen into it; in dense mode for stretches of any length."""
    import torch

    silence_telemetry()
    import openvino

    frames = 16 if mode == "clips" else -1
    n_clips = batch_size("openvino-fp32", mode)
    example = torch.zeros(n_clips, 3, 32 if mode == "dense" else 16, 112, 112)
    with torch.inference_mode():
        model = openvino.convert_model(
            network,
            example_input=example,
            input=openvino.PartialShape([n_clips, 3, frames, 112, 112]),
        )
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    compiled = openvino.compile_model(model, "CPU", openvino_settings(hint, threads))

    def run(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for x in batches:
            # The answer lies in the network's own memory, which the next call overwrites.
            yield compiled(np.ascontiguousarray(x))[0].copy()

    return run


def silence_telemetry() -> None:
    """Keep OpenVINO's converter from writing to the home folder and calling out.

    It takes a stub where the package `openvino_telemetry` cannot be imported. Call before importing
    openvino.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def openvino_settings(precision: str, threads: int) -> dict[str, Any]:
    """How OpenVINO runs a network here: one stream, so that equal inputs give equal bytes."""
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # One process a core: pinned, all of them would sit on the first one.
        "ENABLE_CPU_PINNING": False,
    }


def pipelined(network: "torch.nn.Module", device: "torch.device", mode: ClipMode) -> Forward:
    """Decoding, upload, network and download at once: the GPU works while the next batch comes.

    Inputs are produced by a thread of their own and pass through pinned memory; results are
    waited for one batch late. Clips come in batches of one shape: there a GPU gets the whole
    network as one CUDA graph.
    """
    import torch

    parameter = next(network.parameters())
    on_gpu = device.type == "cuda"
    call: Callable[[torch.Tensor], torch.Tensor] | None = None

    def start(x: np.ndarray) -> tuple["torch.Tensor", Any]:
        nonlocal call
        host = torch.from_numpy(x)
        host = host.pin_memory() if on_gpu else host
        uploaded = host.to(device, non_blocking=True).to(parameter.dtype)
        if call is None:
            call = graphed(network, uploaded) if on_gpu and mode == "clips" else network
        fc6 = call(uploaded).float()
        if not on_gpu:
            return fc6, None
        pinned = torch.empty(fc6.shape, dtype=fc6.dtype, pin_memory=True)
        pinned.copy_(fc6, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record()
        return pinned, done

    def run(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        started: deque[tuple[torch.Tensor, Any]] = deque()
        for x in ahead(batches):
            with torch.inference_mode():
                started.append(start(x))
            if len(started) == _AHEAD:
                yield _finished(*started.popleft())
        while started:
            yield _finished(*started.popleft())

    return run


def graphed(
    network: "torch.nn.Module", example: "torch.Tensor"
) -> Callable[["torch.Tensor"], "torch.Tensor"]:
    """The network as one CUDA graph, for inputs of the example's shape: one launch, not twenty."""
    import torch

    held = example.clone()
    # Capturing wants kernels chosen and memory found beforehand.
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            network(held)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = network(held)

    def replay(x: torch.Tensor) -> torch.Tensor:
        held.copy_(x)
        graph.replay()
        return found.clone()

    return replay


def _finished(fc6: "torch.Tensor", done: Any) -> np.ndarray:
    if done is not None:
        done.synchronize()
    return fc6.numpy()


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, produced by a thread that stays at most two in front; errors pass through.

    A consumer that stops early stops the thread with its next item.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(_AHEAD)
    closed = threading.Event()

    def put(item: T | None, error: BaseException | None) -> None:
        while not closed.is_set():
            try:
                return ready.put((item, error), timeout=0.1)
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for item in items:
                put(item, None)
                if closed.is_set():
                    return
        except BaseException as error:
            put(None, error)
        else:
            put(None, StopIteration())

    threading.Thread(target=produce, daemon=True).start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        closed.set()
