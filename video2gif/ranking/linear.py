"""A linear ranker beside the network: least squares over the pairs of every video, solved at once.

Not in the paper. w minimises `_STRENGTH` · D · |w|² + Σ over videos of the mean over pairs of
(1 − w · (x⁺ − x⁻))², where x (D,) is the mean input of a segment's clips (Pahikkala et al., An
efficient algorithm for learning to rank from preference graphs, 2009). With few videos it errs less
than a network, and elsewhere than one: the fusion gains by both. No steps, no seed: one answer.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from video2gif.ranking.batches import Block

_STRENGTH = 0.3  # 0.03 to 0.3 did as well on the sample, ten times more or less did worse.


def fit(blocks: Sequence[Block], n_inputs: int) -> Tensor:
    """The weights (r,) float32, in the coordinates of the blocks' inputs (clips, r).

    `n_inputs`: D, the number of inputs before any change of coordinates.
    """
    width = blocks[0].x.shape[1]
    curvature = _STRENGTH * n_inputs * torch.eye(width, dtype=torch.float64)
    slope = torch.zeros(width, dtype=torch.float64)
    for block in blocks:
        means = segments(block)
        # Sums over pairs as sums over segments: the Laplacian of the graph of pairs.
        positive, negative = block.pairs.unbind(dim=1)
        one = torch.full((len(block.pairs),), 1 / len(block.pairs), dtype=torch.float64)
        degree = torch.bincount(block.pairs.flatten(), minlength=len(means)) / len(block.pairs)
        laplacian = torch.diag(degree.double())
        laplacian.index_put_((positive, negative), -one, accumulate=True)
        laplacian.index_put_((negative, positive), -one, accumulate=True)
        curvature += means.T @ laplacian @ means
        slope += (means[positive] - means[negative]).mean(dim=0)
    return torch.linalg.solve(curvature, slope).float()


def segments(block: Block) -> Tensor:
    """The mean input of each segment's clips, (n, r) float64; NaN for one without clips."""
    owner = torch.repeat_interleave(torch.arange(len(block.n_clips)), block.n_clips)
    x = block.x.double()
    sums = x.new_zeros(len(block.n_clips), x.shape[1]).index_add(0, owner, x)
    return sums / block.n_clips[:, None]
