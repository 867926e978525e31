"""Weights: seeded ones are the same bits everywhere, files are checked before they are used."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from video2gif.core.errors import UserError
from video2gif.features import weights
from video2gif.features.weights import Architecture

NARROW = Architecture(channels=((2,), (3,), (2, 3), (3, 2), (2, 3)), n_fc6=7)

Tensors = dict[str, np.ndarray]


@pytest.fixture
def tensors() -> Tensors:
    return weights.random_weights(5, NARROW)


def test_random_weights_are_the_same_bits_on_every_machine() -> None:
    """Pinned: a change would silently make every stored feature another one."""
    conv1a = weights.random_weights(0, NARROW)["conv1a.weight"]
    assert conv1a.astype("<f4").tobytes().hex()[:32] == "64f774bdb42d613e70aa7a3db73308be"


def test_random_weights_differ_by_seed_and_layer(tensors: Tensors) -> None:
    again, other = weights.random_weights(5, NARROW), weights.random_weights(6, NARROW)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, again[name])
        if name.endswith("weight"):
            assert not np.array_equal(tensor, other[name])
    assert not np.array_equal(tensors["conv3b.weight"].ravel(), tensors["conv4a.weight"].ravel())


def test_random_weights_have_the_variance_of_he_initialisation() -> None:
    wide = Architecture(channels=((64,), (32,), (2, 3), (3, 2), (2, 3)), n_fc6=7)
    conv2a = weights.random_weights(0, wide)["conv2a.weight"]  # 55,296 values, fan-in 64 × 27
    assert conv2a.var() == pytest.approx(2 / (64 * 27), rel=0.02)
    assert conv2a.mean() == pytest.approx(0, abs=4 * conv2a.std() / np.sqrt(conv2a.size))


def test_saved_weights_come_back_and_equal_weights_give_equal_bytes(
    tmp_path: Path, tensors: Tensors
) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    weights.save(first, tensors, NARROW)
    weights.save(second, dict(reversed(tensors.items())), NARROW)
    assert first.read_bytes() == second.read_bytes()
    found = weights.load(str(first), NARROW)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_the_unused_layers_of_published_files_are_accepted(
    tmp_path: Path, tensors: Tensors
) -> None:
    path = tmp_path / "w.safetensors"
    weights.save(path, tensors | {"fc8.bias": np.zeros(487, np.float32)}, NARROW)
    assert "fc8.bias" in weights.read(path, NARROW)


def test_digest_is_the_seed_or_the_files_sha256(tmp_path: Path, tensors: Tensors) -> None:
    path = tmp_path / "w.safetensors"
    weights.save(path, tensors, NARROW)
    assert weights.digest("random:07") == "random:7"
    assert weights.digest(str(path), NARROW) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_relative_paths_start_at_the_project(tmp_path: Path) -> None:
    assert weights.located("models/c3d.safetensors", tmp_path) == str(
        tmp_path.resolve() / "models" / "c3d.safetensors"
    )
    assert weights.located("random:0", tmp_path) == "random:0"


@pytest.mark.parametrize("spec", ["random:", "random:-1", "random:x", "random:1.5", "random:²"])
def test_a_seed_must_be_a_whole_number(spec: str) -> None:
    with pytest.raises(UserError, match="random:SEED"):
        weights.load(spec)
    with pytest.raises(UserError, match="random:SEED"):
        weights.digest(spec)


def _with(name: str, tensor: np.ndarray) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: tensor}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(_with("fc6.bias", np.full(7, np.nan, "f4")), r"fc6\.bias holds NaN", id="nan"),
        pytest.param(
            _with("conv1a.bias", np.array([0, np.inf], "f4")), r"conv1a\.bias holds NaN", id="inf"
        ),
        pytest.param(
            _with("fc6.bias", np.zeros(8, "f4")), r"fc6\.bias is float32 \(8,\)", id="shape"
        ),
        pytest.param(_with("fc6.bias", np.zeros(7)), r"fc6\.bias is float64", id="dtype"),
        pytest.param(_with("conv9.bias", np.zeros(7, "f4")), r"unknown conv9\.bias", id="stray"),
        pytest.param(
            lambda tensors: {k: v for k, v in tensors.items() if k != "fc6.bias"},
            r"missing fc6\.bias",
            id="missing",
        ),
    ],
)
def test_D18_wrong_tensors_are_refused_with_their_name(
    damage: Callable[[Tensors], Tensors], message: str, tmp_path: Path, tensors: Tensors
) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors.numpy.save(damage(tensors)))
    with pytest.raises(UserError, match=message) as caught:
        weights.read(path, NARROW)
    assert str(path) in str(caught.value)
    with pytest.raises(UserError, match=message):
        weights.save(tmp_path / "other", damage(tensors), NARROW)
    assert not (tmp_path / "other").exists()


def _header(**entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


def _entry(dtype: str, shape: list[int], end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff" * 8 + b"{}", id="header-longer-than-file"),
        pytest.param(_header(a=_entry("F32", [4], 16)), id="promises-more-bytes"),
        pytest.param(_header(a=_entry("F32", [4], 8)) + bytes(8), id="shape-against-offsets"),
        pytest.param(_header(a=_entry("F32", [1 << 62, 8], 8)) + bytes(8), id="overflow"),
        pytest.param(_header(a=_entry("F99", [2], 8)) + bytes(8), id="unknown-dtype"),
        pytest.param(_header(a=_entry("BF16", [4], 8)) + bytes(8), id="dtype-without-numpy"),
        pytest.param(b"\x80\x04cos\nsystem\n(S'touch canary'\ntR.", id="pickle"),
    ],
)
def test_D19_a_file_with_a_lying_header_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"w\.safetensors: not") as caught:
        weights.read(path, NARROW)
    assert "weights import" in str(caught.value)


def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.*No such file.*set extract\.weights"):
        weights.load(str(tmp_path / "nowhere"))
