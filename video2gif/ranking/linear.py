"""A linear ranker beside the network: least squares over the pairs of every video, solved at once.

Not in the paper. w minimises `_STRENGTH` · D · |w|² + Σ over videos of the mean over pairs of
(1 − w · (x⁺ − x⁻))², where x (D,) is the mean input of a segment's clips (Pahikkala et al., An
efficient algorithm for learning to rank from preference graphs, 2009). On the sample it errs less
than the network, on the real videos about as much: docs/benchmarks/ranking.md. No steps, no seed:
one answer.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from video2gif.ranking.batches import Block
from video2gif.ranking.model import segment_means

_STRENGTH = 0.3  # On the sample 0.03 to 0.3 do alike, 0.01 and 1 worse.


def fit(blocks: Sequence[Block], n_inputs: int) -> Tensor:
    """The weights (r,) float32, in the coordinates of the blocks' inputs (clips, r).

    Each block is a video's, as `batches.paired` leaves it. `n_inputs`: D, the number of inputs
    before any change of coordinates.
    """
    width = blocks[0].x.shape[1]
    # Inputs are standardised, so that |x|² grows with D: a strength times D means the same for any
    # width.
    curvature = _STRENGTH * n_inputs * torch.eye(width, dtype=torch.float64)
    slope = torch.zeros(width, dtype=torch.float64)
    for block in blocks:
        means = segment_means(block.x.double(), block.n_clips)
        positive, negative = one_hot(block.pairs, len(means)).double().unbind(dim=1)
        sides = positive - negative  # (pairs, n): 1 and −1 at the segments of each pair
        # Sums over pairs as sums over the few segments that they share.
        curvature += means.T @ (sides.T @ sides / len(sides)) @ means
        # A mean over its pairs: a video with many of them weighs no more than one with few.
        slope += means.T @ sides.mean(dim=0)
    return torch.linalg.solve(curvature, slope).float()
