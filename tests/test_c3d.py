"""C3D against two independent references: scipy on a narrow net, numpy on the real one."""

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.ndimage
import torch
from reference import c3d_numpy

from video2gif.features import backends
from video2gif.features.c3d import C3D, Dense
from video2gif.features.preprocess import MEAN_BGR, network_input
from video2gif.features.weights import ARCHITECTURE, Architecture, random_weights

# 16 × 48 × 80 gives 1 × 3 × 5 in front of pool5: odd, so that rounding up matters on both sides.
NARROW = Architecture(channels=((2,), (3,), (2, 3), (3, 2), (2, 3)), n_fc6=7, clip=(16, 48, 80))

# float32 sums of up to 13,824 products, nine layers deep, against float64: measured 2e-6.
TOLERANCE = 1e-5


def layer_outputs(network: C3D, x_BCTHW: torch.Tensor) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, output) of the first clip, layer by layer."""
    with torch.inference_mode():
        for name, layer in network.named_children():
            x_BCTHW = layer(x_BCTHW)
            yield name, x_BCTHW[0].numpy().copy()


@pytest.fixture(scope="module")
def network() -> C3D:
    """The real architecture with the weights random:0."""
    return C3D.with_weights(random_weights(0))


def test_every_layer_of_a_narrow_net_equals_scipy() -> None:
    weights = random_weights(3, NARROW)
    rng = np.random.default_rng(0)
    weights = {k: v + rng.normal(0, 0.1, v.shape).astype("f4") for k, v in weights.items()}
    x = rng.normal(0, 50, (1, 3, *NARROW.clip)).astype(np.float32)
    found = dict(layer_outputs(C3D.with_weights(weights, NARROW), torch.from_numpy(x)))

    expected = x[0].astype(np.float64)
    for name, output in found.items():
        if name.startswith("conv"):
            expected = _scipy_convolution(expected, weights, name)
        elif name.startswith("relu"):
            expected = np.maximum(expected, 0)
        elif name.startswith("pool"):
            expected = c3d_numpy.pool(
                expected, (1, 2, 2) if name == "pool1" else (2, 2, 2), up=name == "pool5"
            )
        elif name == "flatten":
            expected = expected.ravel()
        else:
            expected = weights["fc6.weight"] @ expected + weights["fc6.bias"]
        np.testing.assert_allclose(
            output, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max(), err_msg=name
        )
    assert found["pool5"].shape == (3, 1, 2, 3)


def _scipy_convolution(x_CTHW: np.ndarray, weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    kernels, biases = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return np.stack(
        [
            bias + sum(map(_correlate, x_CTHW, kernel))
            for kernel, bias in zip(kernels, biases, strict=True)
        ]
    )


def _correlate(x_THW: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return scipy.ndimage.correlate(x_THW, kernel, mode="constant")


def test_the_real_net_equals_the_golden_activations_of_every_layer(network: C3D) -> None:
    golden = json.loads(c3d_numpy.GOLDEN.read_text())["layers"]
    clip = c3d_numpy.golden_clip()[None]
    x = network_input(clip, np.array(MEAN_BGR, np.float32).reshape(1, 1, 1, 3))
    found = dict(layer_outputs(network, torch.from_numpy(x)))
    found["fc6"] = found.pop("relu6")
    for name, layer in golden.items():
        values = found[name]
        assert list(values.shape) == layer["shape"], name
        at = c3d_numpy.golden_positions(name, values.size)
        scale = float(np.abs(values).max())
        np.testing.assert_allclose(
            values.ravel()[at], layer["values"], rtol=0, atol=TOLERANCE * scale, err_msg=name
        )
        assert values.mean(dtype=np.float64) == pytest.approx(layer["mean"], abs=1e-5 * scale)


def test_pool5_keeps_partial_windows_at_the_right_and_bottom_only() -> None:
    """The padding of most ports would give windows {0}, {1, 2}, … instead of {0, 1}, …, {6}."""
    x = torch.arange(49.0).reshape(1, 1, 1, 7, 7).repeat(1, 1, 2, 1, 1)
    pooled = dict(C3D(NARROW).named_children())["pool5"](x)[0, 0, 0]
    rows = np.array([1, 3, 5, 6])
    np.testing.assert_array_equal(pooled, 7 * rows[:, None] + rows)


def test_real_shapes_are_those_of_the_prototxt() -> None:
    with torch.device("meta"):
        network = C3D()
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == ARCHITECTURE.shapes
    assert shapes["fc6.weight"] == (4096, 8192)
    n_parameters = sum(map(math.prod, shapes.values()))
    # The published 78.4 M count fc7 and a classifier of UCF101's 101 classes with it.
    assert n_parameters + 4096 * 4097 + 101 * 4097 == 78_409_573


@pytest.mark.parametrize("clip", [(16, 112, 112), (16, 48, 80), (24, 64, 50)])
def test_the_computed_input_of_fc6_fits_the_layers(clip: tuple[int, int, int]) -> None:
    architecture = Architecture(channels=NARROW.channels, n_fc6=7, clip=clip)
    assert C3D(architecture)(torch.zeros(1, 3, *clip)).shape == (1, 7)


@pytest.fixture(scope="module")
def fc6_of_pairs() -> tuple[np.ndarray, np.ndarray]:
    """fc6 of the clips (a, b) and of (c, a)."""
    clips = np.random.default_rng(2).integers(0, 256, (3, 2, 7, 7, 3), np.uint8)
    clips = clips.repeat(8, axis=1).repeat(16, axis=2).repeat(16, axis=3)
    mean = np.array(MEAN_BGR, np.float32).reshape(1, 1, 1, 3)
    forward = backends.forward("torch-fp32", "clips", random_weights(0), threads=1)
    ab, ca = forward(network_input(clips[pair], mean) for pair in ([0, 1], [2, 0]))
    return ab, ca


def test_fc6_of_a_clip_does_not_depend_on_its_neighbour_or_its_place(
    fc6_of_pairs: tuple[np.ndarray, np.ndarray],
) -> None:
    ab, ca = fc6_of_pairs
    np.testing.assert_array_equal(ab[0], ca[1])


def test_random_weights_tell_clips_apart(fc6_of_pairs: tuple[np.ndarray, np.ndarray]) -> None:
    """He initialisation keeps the scale from layer to layer, and clips stay distinct."""
    (a, b), (c, _) = fc6_of_pairs
    fc6 = np.stack([a, b, c])
    unit = fc6 / np.linalg.norm(fc6, axis=1, keepdims=True)
    assert 0.2 < (fc6 > 0).mean() < 0.8
    assert 1 < fc6.max() < 5000
    assert (unit @ unit.T)[~np.eye(3, dtype=bool)].max() < 0.999


# --- dense ---


@pytest.fixture(scope="module")
def narrow() -> C3D:
    return C3D.with_weights(random_weights(3, NARROW), NARROW)


def test_a_stretch_of_one_clip_has_the_clips_features(narrow: C3D) -> None:
    x = torch.randn(2, 3, *NARROW.clip)
    torch.testing.assert_close(Dense(narrow)(x), narrow(x))


def test_dense_features_are_fc6_of_two_steps_of_the_shared_convolutions(narrow: C3D) -> None:
    """Row k comes from steps k and k + 1 of the stretch's conv5b: pool5 and fc6 in numpy."""
    x = torch.randn(1, 3, 48, *NARROW.clip[1:])
    dense = Dense(narrow)
    found = dense(x).numpy()
    assert found.shape == (5, 7)
    conv5b = dense.convolutions(x)[0].numpy()
    weights = random_weights(3, NARROW)
    for k in range(5):
        pooled = c3d_numpy.pool(conv5b[:, k : k + 2].astype(np.float64), (2, 2, 2), up=True)
        expected = np.maximum(weights["fc6.weight"] @ pooled.ravel() + weights["fc6.bias"], 0)
        np.testing.assert_allclose(found[k], expected, atol=TOLERANCE * np.abs(expected).max())


def test_clips_in_the_middle_of_a_stretch_do_not_depend_on_where_it_starts(narrow: C3D) -> None:
    """Convolutions reach 30 frames: a clip 32 frames from both ends sees no padding."""
    x = torch.randn(1, 3, 104, *NARROW.clip[1:])
    dense = Dense(narrow)
    whole, later = dense(x), dense(x[:, :, 8:])
    torch.testing.assert_close(whole[5:7], later[4:6])
    assert not torch.allclose(whole[1], later[0])
