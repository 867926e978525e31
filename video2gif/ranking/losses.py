"""The losses that a ranker can be trained with, one value a pair of segments.

The paper's four (docs/paper.md, Loss) are functions of u = 1 − h(s⁺) + h(s⁻); u ≤ 0 costs nothing:
the positive already leads by the margin of 1. `classification` is the paper's row of that name,
`listwise` is not the paper's: a positive against all its negatives at once.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

if TYPE_CHECKING:
    import pandas as pd

PairLossName = Literal["l1", "l2", "huber", "adaptive_huber"]
LossName = Literal["l1", "l2", "huber", "adaptive_huber", "classification", "listwise"]


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


def pair_loss(name: PairLossName, u: Tensor, *, delta: float, popularity: Tensor) -> Tensor:
    """The paper's loss of each pair by the name it has in params.yaml."""
    losses: dict[PairLossName, Callable[[], Tensor]] = {
        "l1": lambda: l1(u),
        "l2": lambda: l2(u),
        "huber": lambda: huber(u, delta),
        "adaptive_huber": lambda: adaptive_huber(u, delta, popularity),
    }
    return losses[name]()


def classification(positive: Tensor, negative: Tensor) -> Tensor:
    """Cross-entropy of "is a GIF" with h as the logit, of both segments of each pair.

    A pair counts its two segments once each, so the classes weigh the same.
    """
    return softplus(-positive) + softplus(negative)


def listwise(positive: Tensor, negative: Tensor, group: Tensor) -> Tensor:
    """Cross-entropy of choosing the positive among itself and all negatives of its group.

    −log(exp h(s⁺) / (exp h(s⁺) + Σ exp h(s⁻))), as ListNet with one relevant segment (Cao et al.,
    ICML 2007). `group` (P,) int64 from 0: pairs of one positive share it. Each of a group's pairs
    holds the group's loss, so that a positive weighs as many pairs as it has.
    """
    lead = negative - positive
    n_groups = int(group.max()) + 1
    # The largest exponent of a group is taken out, so that exp never overflows.
    top = lead.new_zeros(n_groups).scatter_reduce(0, group, lead.detach(), "amax")
    sums = torch.zeros_like(top).index_add(0, group, torch.exp(lead - top[group]))
    # exp(−top) is the positive itself, whose lead is 0.
    return (top + torch.log(torch.exp(-top) + sums))[group]


def ranking_loss(
    name: LossName,
    *,
    positive: Tensor,
    negative: Tensor,
    group: Tensor,
    delta: float,
    popularity: Tensor,
) -> Tensor:
    """The loss of each pair by the name it has in params.yaml, from the scores of its segments.

    `positive`, `negative`, `popularity` (P,) float; `group` as `listwise` takes it.
    """
    if name == "classification":
        return classification(positive, negative)
    if name == "listwise":
        return listwise(positive, negative, group)
    return pair_loss(name, 1 - positive + negative, delta=delta, popularity=popularity)


def curves(delta: float) -> "pd.DataFrame":
    """The losses over u, as the paper's figure compares them: plots/losses.csv.

    `adaptive_huber_p0` and `_p1` are those of a GIF nobody and of one everybody watched.
    """
    import pandas as pd

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
