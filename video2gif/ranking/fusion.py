"""The network's ranking fused with plainer ones, the weights learned from the same pairs.

Not in the paper. The weights of the network and of the linear ranker (`ranking/linear.py`) depend
on how well they rank training videos that they have not seen; the cues of the fingerprint get the
rest. Ten numbers are learned by a convex problem, in milliseconds. Every input is a rank within its
video, since they have no common unit (Wolpert, Stacked generalization, 1992; logistic loss on
differences of a pair as in RankNet).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from video2gif.ranking.baselines import CUES, rank_in_video

FUSED = ("network", "linear", *CUES)
_DIGITS = 9
_TRUST = 2.0  # The evidence of one video against the prior, a unit Gaussian on each weight.


@dataclass(frozen=True)
class Fusion:
    """A weight for each of `FUSED`."""

    weights: tuple[float, ...]

    def score(self, network: np.ndarray, linear: np.ndarray, cues: np.ndarray) -> np.ndarray:
        """Scores (n,) of a video's segments; NaN where `network` and `linear` (n,) have none.

        `cues` (n, 8): `baselines.CUES`.
        """
        fused = np.full(len(network), np.nan)
        # Ranks among the scored segments only: one without a score moves no other.
        scored = ~np.isnan(network)
        inputs = ranks(network[scored], linear[scored], cues[scored])
        # Not `@`, whose sums depend on the processor.
        fused[scored] = np.einsum("ni,i->n", inputs, np.array(self.weights))
        return fused


def ranks(network: np.ndarray, linear: np.ndarray, cues: np.ndarray) -> np.ndarray:
    """The inputs of the fusion, each a rank within the video in [−1, 1]: (n, 10)."""
    columns = (network, linear, *cues.T)
    return np.stack([2 * rank_in_video(column) - 1 for column in columns], axis=1)


def fit(differences: Sequence[np.ndarray]) -> Fusion:
    """Weights from the pairs of each video, (P, 10): inputs of the positive less the negative's.

    Minimises ½|w|² + `_TRUST` · Σ over videos of the mean over pairs of log(1 + exp(−w · d)), by
    Newton's method: strictly convex, so that there is one answer. It is rounded to
    nine digits after the point: processors that add in another order differ far behind them. The
    scores must be of videos that their rankers were not trained on: on training videos a ranker
    that has memorised them would look best and get too much weight.
    """
    given = [rows for rows in differences if len(rows)]
    if not given:
        return Fusion((1.0,) + (0.0,) * (len(FUSED) - 1))
    d = np.concatenate(given)
    # A video counts once, however many pairs it has.
    weight = _TRUST * np.concatenate([np.full(len(rows), 1 / len(rows)) for rows in given])
    w = np.zeros(d.shape[1])
    # Newton's method needs a few steps for so few weights; 50 only make sure that it ends.
    for _ in range(50):
        wrong = 1 / (1 + np.exp(d @ w))
        gradient = w - np.einsum("p,pi->i", weight * wrong, d)
        curvature = np.eye(len(w)) + np.einsum("p,pi,pj->ij", weight * wrong * (1 - wrong), d, d)
        step = np.linalg.solve(curvature, gradient)
        w = w - step
        if np.abs(step).max() < 1e-12:
            break
    return Fusion(tuple(np.round(w, _DIGITS).tolist()))
