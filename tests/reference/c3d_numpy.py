"""C3D forward in plain numpy, float64: the oracle of test_c3d.py, and its golden values.

    python tests/reference/c3d_numpy.py        writes c3d_golden.json beside this file

Written from the description of the network (docs/paper.md, C3D), not from
video2gif/features/c3d.py: a convolution is 27 shifted matrix products, pooling is a maximum over
strided views.
"""

import json
import math
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).with_name("c3d_golden.json")
SAMPLES = 12

# Convolutions before each pooling, and its kernel (also its stride): frames, rows, columns.
_PLAN = (
    (("conv1a",), (1, 2, 2)),
    (("conv2a",), (2, 2, 2)),
    (("conv3a", "conv3b"), (2, 2, 2)),
    (("conv4a", "conv4b"), (2, 2, 2)),
    (("conv5a", "conv5b"), (2, 2, 2)),
)


def activations(
    weights: Mapping[str, np.ndarray], x_CTHW: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, output) of every layer: conv before its ReLU, pool, fc6 after its ReLU."""
    x = x_CTHW.astype(np.float64)
    for group, (names, kernel) in enumerate(_PLAN, start=1):
        for name in names:
            x = convolve(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
            yield name, x
            x = np.maximum(x, 0)
        x = pool(x, kernel, up=group == 5)
        yield f"pool{group}", x
    yield "fc6", np.maximum(weights["fc6.weight"] @ x.ravel() + weights["fc6.bias"], 0)


def convolve(x_CTHW: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3×3×3 cross-correlation, zero padding 1."""
    n_in, *sides = x_CTHW.shape
    padded = np.pad(x_CTHW, ((0, 0), (1, 1), (1, 1), (1, 1)))
    total = np.zeros((len(weight), math.prod(sides))) + bias[:, None]
    for t, y, x in product(range(3), repeat=3):
        shifted = padded[:, t : t + sides[0], y : y + sides[1], x : x + sides[2]]
        total += weight[:, :, t, y, x].astype(np.float64) @ shifted.reshape(n_in, -1)
    return total.reshape(len(weight), *sides)


def pool(x_CTHW: np.ndarray, kernel: tuple[int, int, int], *, up: bool) -> np.ndarray:
    """Maximum over blocks from the top left; `up` keeps the partial blocks at the far ends."""
    sides = x_CTHW.shape[1:]
    counts = [math.ceil(n / k) if up else n // k for n, k in zip(sides, kernel, strict=True)]
    out = np.empty((len(x_CTHW), *counts))
    for place in product(*map(range, counts)):
        block = tuple(slice(i * k, (i + 1) * k) for i, k in zip(place, kernel, strict=True))
        out[(slice(None), *place)] = x_CTHW[(slice(None), *block)].max(axis=(1, 2, 3))
    return out


def golden_clip() -> np.ndarray:
    """uint8 (16, 112, 112, 3): coarse moving noise, the same everywhere."""
    coarse = np.random.Generator(np.random.PCG64(16)).integers(0, 256, (4, 14, 14, 3), np.uint8)
    return coarse.repeat(4, axis=0).repeat(8, axis=1).repeat(8, axis=2)


def golden_positions(name: str, size: int) -> np.ndarray:
    """Flat positions (C order of C, T, H, W) at which a layer's golden values are taken."""
    return np.random.Generator(np.random.PCG64(sum(name.encode()))).integers(0, size, SAMPLES)


def main() -> None:
    from video2gif.features.preprocess import MEAN_BGR
    from video2gif.features.weights import random_weights

    x_CTHW = (golden_clip() - np.array(MEAN_BGR)).transpose(3, 0, 1, 2)
    layers = {
        name: {
            "shape": values.shape,
            "mean": values.mean(),
            "values": values.ravel()[golden_positions(name, values.size)].tolist(),
        }
        for name, values in activations(random_weights(0), x_CTHW)
    }
    GOLDEN.write_text(json.dumps({"weights": "random:0", "layers": layers}, indent=1) + "\n")


if __name__ == "__main__":
    main()
