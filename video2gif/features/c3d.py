"""C3D up to fc6, exactly as its authors' prototxt has it (Tran et al., ICCV 2015).

Shapes carry a legend: B clips, C channels, T frames, H rows, W columns.
"""

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from video2gif.features.weights import ARCHITECTURE, Architecture


class C3D(nn.Sequential):
    """3×3×3 convolutions and max pooling, then fc6: x_BCTHW float32 → (B, 4096), after ReLU.

    Its children carry the prototxt's names (`conv1a`, `relu1a`, `pool1`, …), so the state dict
    has the keys of our weight files and every layer can be looked at by name.
    """

    def __init__(self, architecture: Architecture = ARCHITECTURE) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        n_in = 3
        for group, names in enumerate(architecture.groups, start=1):
            for name in names:
                n_out = architecture.widths[name]
                layers[name] = nn.Conv3d(n_in, n_out, kernel_size=3, padding=1)
                layers[name.replace("conv", "relu")] = nn.ReLU(inplace=True)
                n_in = n_out
            layers[f"pool{group}"] = _pool(group)
        layers["flatten"] = nn.Flatten()
        layers["fc6"] = nn.Linear(architecture.n_pool5, architecture.n_fc6)
        layers["relu6"] = nn.ReLU(inplace=True)
        super().__init__(layers)

    @classmethod
    def with_weights(
        cls, weights: Mapping[str, np.ndarray], architecture: Architecture = ARCHITECTURE
    ) -> "C3D":
        """The network in inference mode, channels last: about a third faster here than NCDHW."""
        with torch.device("meta"):  # No memory and no time for weights that are replaced at once.
            network = cls(architecture)
        tensors = {name: torch.from_numpy(weights[name]) for name in network.state_dict()}
        network.load_state_dict(tensors, assign=True)
        network.requires_grad_(False).eval()
        return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


class Dense(nn.Module):
    """The same network over a stretch of frames, its convolutions shared by all clips in it.

    x_BCTHW of T frames, T a multiple of 8 → (B · (T / 8 - 1), 4096): fc6 of the clips that start at
    frames 0, 8, 16, … pool1 to pool4 leave T / 8 steps, and pool5 takes two of them for each clip.
    A clip inside a stretch sees its neighbours where one on its own sees the padding's zeros: these
    are other features, except for a stretch of 16 frames.
    """

    def __init__(self, c3d: C3D) -> None:
        super().__init__()
        layers = dict(c3d.named_children())
        last = list(layers).index("pool5")
        self.convolutions = nn.Sequential(*list(layers.values())[:last])
        self.pool5 = nn.MaxPool3d((2, 2, 2), stride=(1, 2, 2), ceil_mode=True)
        self.fc6, self.relu6 = layers["fc6"], layers["relu6"]

    def forward(self, x_BCTHW: torch.Tensor) -> torch.Tensor:
        pooled_BTCHW = self.pool5(self.convolutions(x_BCTHW)).transpose(1, 2)
        fc6: torch.Tensor = self.relu6(self.fc6(pooled_BTCHW.flatten(2)))
        return fc6.flatten(0, 1)


def _pool(group: int) -> nn.Module:
    # pool1 keeps time. pool5 rounds up, as Caffe does: 2×7×7 → 1×4×4 with partial windows at the
    # right and bottom only; the padding=(0,1,1) of most ports shifts every window by one pixel.
    kernel = (1, 2, 2) if group == 1 else (2, 2, 2)
    return nn.MaxPool3d(kernel, stride=kernel, ceil_mode=group == 5)
