"""Backends give the reference's features; the choice among them is measured and recorded."""

import dataclasses
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from patience import until

from video2gif.core.config import Params
from video2gif.core.errors import UserError
from video2gif.core.work import Item
from video2gif.features import backends, warmup
from video2gif.features.backends import ClipMode, Forward, Name, ahead, pipelined
from video2gif.features.c3d import C3D, Dense
from video2gif.features.clips import extraction
from video2gif.features.warmup import ChosenBackend, choose, cosine
from video2gif.features.weights import Architecture, random_weights

REPO = Path(__file__).parents[1]
NARROW = Architecture(channels=((8,), (8,), (8, 8), (8, 8), (8, 8)), n_fc6=64)

needs_openvino = pytest.mark.skipif(not find_spec("openvino"), reason="openvino is an extra")


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return random_weights(2, NARROW)


def run(forward: Forward, inputs: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(forward(iter(inputs))))


def inputs(mode: ClipMode, batch: int) -> list[np.ndarray]:
    """Clips in batches, or stretches of three lengths; channels innermost."""
    shapes = [(batch, 16)] * 2 if mode == "clips" else [(1, 16), (1, 40), (1, 24)]
    rng = np.random.default_rng(3)
    return [
        rng.normal(0, 50, (n, frames, 112, 112, 3)).astype("f4").transpose(0, 4, 1, 2, 3)
        for n, frames in shapes
    ]


@pytest.mark.parametrize(
    ("name", "mode", "tolerance"),
    [
        ("torch-fp32", "dense", 1e-5),
        ("torch-bf16", "clips", 3e-2),
        pytest.param("openvino-fp32", "clips", 1e-5, marks=needs_openvino),
        pytest.param("openvino-bf16", "dense", 3e-2, marks=needs_openvino),
    ],
)
def test_every_backend_gives_the_references_features(
    name: Name, mode: ClipMode, tolerance: float, weights: dict[str, np.ndarray]
) -> None:
    """bf16 keeps 8 bits (relative 4e-3) in each of nine layers."""
    x = inputs(mode, backends.batch_size(name, mode))
    found = run(backends.forward(name, mode, weights, threads=1, architecture=NARROW), x)
    c3d = C3D.with_weights(weights, NARROW)
    network = Dense(c3d) if mode == "dense" else c3d
    with torch.inference_mode():
        expected = np.concatenate([network(torch.from_numpy(part)).numpy() for part in x])
    assert found.dtype == np.float32
    assert found.shape == ((4, 64) if mode == "clips" else (1 + 4 + 2, 64))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * expected.max())
    assert cosine(found, expected) > 0.999


def test_E4_one_and_two_threads_give_the_same_features(weights: dict[str, np.ndarray]) -> None:
    x = inputs("clips", 2)
    one, two = (
        run(backends.forward("torch-fp32", "clips", weights, threads=n, architecture=NARROW), x)
        for n in (1, 2)
    )
    torch.set_num_threads(1)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-5 * one.max())


def test_the_gpu_pipeline_keeps_the_order_and_runs_on_a_cpu_as_well(
    weights: dict[str, np.ndarray],
) -> None:
    network = C3D.with_weights(weights, NARROW)
    x = [part[:1] * scale for part in inputs("clips", 1) for scale in (1.0, 0.5, 2.0)]
    x = [part.astype(np.float32) for part in x]
    found = run(pipelined(network, torch.device("cpu"), "clips"), x)
    expected = run(
        backends.forward("torch-fp32", "clips", weights, threads=1, architecture=NARROW), x
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU in this machine")
def test_one_graph_gives_what_its_kernels_give_one_by_one(weights: dict[str, np.ndarray]) -> None:
    network = C3D.with_weights(weights, NARROW).to("cuda")
    x = [torch.from_numpy(part[:1] * scale).float().cuda() for part in inputs("clips", 1)
         for scale in (1.0, 0.5)]  # fmt: skip
    with torch.inference_mode():
        replay = backends.graphed(network, x[0])
        for part in reversed(x):
            torch.testing.assert_close(replay(part), network(part))


# --- reading ahead ---


def test_reading_ahead_gives_the_same_items_and_stays_two_in_front() -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for n in range(50):
            taken = n
            yield n

    items = ahead(source())
    assert list(itertools.islice(items, 3)) == [0, 1, 2]
    time.sleep(0.2)
    assert taken <= 3 + 2
    assert list(items) == list(range(3, 50))


def test_errors_pass_through_reading_ahead() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError("decoder")

    items = ahead(source())
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError, match="decoder"):
        next(items)


def test_a_consumer_that_stops_early_ends_the_thread() -> None:
    before = threading.active_count()
    items = ahead(itertools.count())
    next(items)
    items.close()  # type: ignore[attr-defined]
    until(lambda: threading.active_count() == before)


# --- the choice ---

MEASURED = {
    "torch-fp32": {"per_s": 2.0, "cosine": 1.0},
    "torch-bf16": {"per_s": 9.0, "cosine": 0.999},
    "openvino-bf16": {"per_s": 6.0, "cosine": 0.99998},
}


@pytest.fixture
def choosing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ChosenBackend]:
    def measured(_: str, params: dict[str, Any], *__: object) -> dict[str, dict[str, float]]:
        return {name: MEASURED[name] for name in params["names"] if name in MEASURED}

    monkeypatch.setattr(warmup, "_measured", measured)
    extract = Params.load(REPO / "params.yaml").extract

    def chosen(backend: str) -> ChosenBackend:
        wanted = dataclasses.replace(extract, backend=backend)  # type: ignore[arg-type]
        return choose(wanted, weights="random:0", digest="random:0", context=None)

    return chosen


def test_auto_takes_the_fastest_that_is_near_enough(
    choosing: Callable[[str], ChosenBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warmup, "has_bf16", lambda: True)
    assert choosing("auto") == ChosenBackend("openvino-bf16", 0.99998)
    assert choosing("torch-bf16") == ChosenBackend("torch-bf16", 0.999)


def test_auto_does_not_try_what_the_processor_only_emulates(
    choosing: Callable[[str], ChosenBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without bf16 of its own, one matrix product took minutes and the warm-up its 900 s."""
    monkeypatch.setattr(warmup, "machine", lambda: "Some CPU avx2 avx512f")
    assert choosing("auto") == ChosenBackend("torch-fp32", 1.0)
    monkeypatch.setattr(warmup, "machine", lambda: "Some CPU amx_bf16 avx2")
    assert choosing("auto").name == "openvino-bf16"


def test_a_backend_that_this_machine_lacks_is_refused_with_the_remedy(
    choosing: Callable[[str], ChosenBackend],
) -> None:
    with pytest.raises(UserError, match="cuda-bf16 cannot run here: it needs an NVIDIA GPU"):
        choosing("cuda-bf16")
    with pytest.raises(UserError, match=r"pip install 'video2gif\[openvino\]'"):
        choosing("openvino-fp32")


def test_c3d_is_not_run_by_pytorch_under_the_name_of_opencv() -> None:
    """OpenCV has no convolutions over time: what the warm-up leaves out is refused."""
    assert "torch-fp32" in backends.available()
    assert "opencv-fp32" not in backends.available()


def test_the_reference_needs_no_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "_measured", None)
    extract = Params.load(REPO / "params.yaml").extract
    extract = dataclasses.replace(extract, backend="torch-fp32")
    assert choose(extract, weights="random:0", digest="random:0", context=None).cosine == 1.0


def test_cosine_is_the_smallest_over_rows() -> None:
    a = np.array([[1, 0], [3, 4], [0, 0]], "f4")
    b = np.array([[1, 1], [3, 4], [0, 0]], "f4")
    assert cosine(a, b) == pytest.approx(0.5**0.5)


@pytest.mark.slow
def test_a_gpu_that_is_not_there_is_named_by_the_stage(context, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    extract = Params.load(REPO / "params.yaml").extract
    with pytest.raises(UserError, match="cuda-bf16 cannot run here"):
        extraction(
            dataclasses.replace(extract, backend="cuda-bf16"), root=tmp_path, context=context
        )


@pytest.mark.slow
def test_the_warm_up_measures_every_backend_of_this_machine(context) -> None:
    """Those that the processor only emulates have no limit that any machine keeps."""
    names = warmup.worth_a_try()
    item = Item(id="warm-up", inputs=("random:0",), args={"weights": "random:0"})
    found = warmup._measured("work", {"names": list(names), "mode": "clips"}, item, context)
    assert set(found) == set(names) & set(backends.available())
    assert found["torch-fp32"]["cosine"] == pytest.approx(1.0)
    assert all(one["cosine"] > 0.9999 and one["per_s"] > 0 for one in found.values())
