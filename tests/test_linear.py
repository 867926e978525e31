"""The linear ranker against scikit-learn on all pairs, in any coordinates."""

import numpy as np
import torch
from sklearn.linear_model import Ridge

from video2gif.ranking import linear
from video2gif.ranking.batches import Block

D = 12


def block(seed: int, n_clips: list[int], pairs: list[tuple[int, int]]) -> Block:
    rng = np.random.default_rng(seed)
    return Block(
        x=torch.from_numpy(rng.normal(size=(sum(n_clips), D)).astype(np.float32)),
        n_clips=torch.tensor(n_clips),
        pairs=torch.tensor(pairs),
        popularity=torch.ones(len(pairs)),
    )


BLOCKS = [
    block(0, [2, 1, 3], [(0, 1), (0, 2)]),
    block(1, [1, 1, 2, 1], [(0, 1), (0, 2), (3, 1), (3, 2), (3, 2)]),
    block(2, [4, 1], [(1, 0)]),
]


def segment_means(one: Block) -> np.ndarray:
    parts = np.split(one.x.double().numpy(), np.cumsum(one.n_clips.numpy())[:-1])
    return np.stack([part.mean(axis=0) for part in parts])


def test_the_weights_are_those_of_ridge_regression_on_the_differences_of_all_pairs() -> None:
    rows, weight = [], []
    for one in BLOCKS:
        means = segment_means(one)
        rows += [means[positive] - means[negative] for positive, negative in one.pairs.tolist()]
        weight += [1 / len(one.pairs)] * len(one.pairs)
    oracle = Ridge(alpha=0.3 * D, fit_intercept=False).fit(rows, np.ones(len(rows)), weight)
    np.testing.assert_allclose(linear.fit(BLOCKS, D).numpy(), oracle.coef_, atol=1e-6)


def test_other_coordinates_of_the_same_span_give_the_same_scores() -> None:
    basis = torch.linalg.qr(torch.cat([one.x for one in BLOCKS]).T).Q.T
    within = [Block(one.x @ basis.T, one.n_clips, one.pairs, one.popularity) for one in BLOCKS]
    scores = [one.x @ linear.fit(BLOCKS, D) for one in BLOCKS]
    found = [one.x @ linear.fit(within, D) for one in within]
    torch.testing.assert_close(torch.cat(found), torch.cat(scores), atol=1e-5, rtol=1e-4)


def test_what_tells_positives_apart_is_found() -> None:
    truth = np.zeros(D, np.float32)
    truth[3] = 1
    blocks = []
    for seed in range(120):
        one = block(seed, [1] * 6, [(0, n) for n in range(1, 6)])
        one.x[0] += 3 * torch.from_numpy(truth)
        blocks.append(one)
    weights = linear.fit(blocks, D).numpy()
    assert weights[3] > 5 * np.abs(np.delete(weights, 3)).max()
