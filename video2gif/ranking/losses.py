"""The four pair losses of the paper, on u = 1 − h(s⁺) + h(s⁻) (PAPER.md, 'Loss').

Every function takes and returns a tensor of one value a pair; u ≤ 0 costs nothing: the positive
already leads by the margin of 1.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

LossName = Literal["l1", "l2", "huber", "adaptive_huber"]


def l1(u: Tensor) -> Tensor:
    """max(0, u): robust, a wrong label costs no more than its distance."""
    return u.clamp(min=0)


def l2(u: Tensor) -> Tensor:
    """max(0, u)²: smooth at the margin, but one wrong label can outweigh many."""
    return u.clamp(min=0) ** 2


def huber(u: Tensor, delta: Tensor | float) -> Tensor:
    """½·l2 up to u = δ, then δ·l1 − ½δ²: the same value and slope δ where they meet."""
    return torch.where(u <= delta, 0.5 * l2(u), delta * l1(u) - 0.5 * delta**2)


def adaptive_huber(u: Tensor, delta: float, popularity: Tensor) -> Tensor:
    """Huber with δᵢ = δ + popularityᵢ: GIFs that many people watched are trusted for longer.

    `popularity` in [0, 1], one value a pair.
    """
    return huber(u, delta + popularity)


def pair_loss(name: LossName, u: Tensor, *, delta: float, popularity: Tensor) -> Tensor:
    """The loss of each pair by the name it has in params.yaml."""
    losses: dict[LossName, Callable[[], Tensor]] = {
        "l1": lambda: l1(u),
        "l2": lambda: l2(u),
        "huber": lambda: huber(u, delta),
        "adaptive_huber": lambda: adaptive_huber(u, delta, popularity),
    }
    return losses[name]()


def curves(delta: float) -> pd.DataFrame:
    """The losses over u, as the paper's figure compares them: plots/losses.csv.

    `adaptive_huber_p0` and `_p1` are those of a GIF nobody and of one everybody watched.
    """
    u = torch.linspace(-1, 5, 121, dtype=torch.float64)
    return pd.DataFrame(
        {
            "u": np.round(u.numpy(), 6),
            "l1": l1(u).numpy(),
            "l2": l2(u).numpy(),
            "huber": huber(u, delta).numpy(),
            "adaptive_huber_p0": adaptive_huber(u, delta, torch.zeros_like(u)).numpy(),
            "adaptive_huber_p1": adaptive_huber(u, delta, torch.ones_like(u)).numpy(),
        }
    )
