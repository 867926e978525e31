"""The measures of the data sets of highlights, by numpy alone: scores of clips, higher is better.

YouTube Highlights and TVSum grade clips of a few seconds and not frames, and their papers measure
in another way than this project's nMSD. All functions work on one video; means over the videos of
a domain and then over the domains are the caller's (`mean_of_domains`). Of clips with equal scores
the earlier one stands first.

Source of the formulas: the evaluation code of UMT (Liu et al., CVPR 2022), which the papers after
it share, and for Kendall's tau Otani et al. (Rethinking the evaluation of video summaries, CVPR
2019).
"""

from collections.abc import Mapping, Sequence

import numpy as np

TOP = 5
"""Clips that TVSum's measure looks at."""


def average_precision_of_order(hits: np.ndarray) -> float:
    """The area under the precision-recall polygon of clips in their order, best first.

    `hits` (n,) bool. The polygon starts at recall 0 with precision 1 and has a corner after every
    clip; between two corners it is a trapezoid. Recall counts the hits in `hits` alone. Without
    any hit 0.
    """
    hits = np.asarray(hits, bool)
    n_hits = int(hits.sum())
    if not n_hits:
        return 0.0
    found = np.cumsum(hits)
    precision = np.concatenate([[1.0], found / np.arange(1, len(hits) + 1)])
    recall = np.concatenate([[0.0], found / n_hits])
    return float((np.diff(recall) * (precision[1:] + precision[:-1]) / 2).sum())


def youtube_average_precision(*, truth: np.ndarray, score: np.ndarray) -> float:
    """YouTube Highlights: all clips of a video count. `truth` (n,) bool, `score` (n,)."""
    return average_precision_of_order(np.asarray(truth, bool)[_best_first(score)])


def tvsum_top5_precision(*, grades: np.ndarray, score: np.ndarray) -> float:
    """TVSum's "top-5 mAP" of one video: the mean over its annotators.

    `grades` (n, annotators), `score` (n,). A clip is true for an annotator who grades it above
    their own median (of an even number of grades the lower one). Only the five clips with the
    highest scores are looked at, and recall counts the true ones among these five, so that
    leaving out true clips costs nothing.
    """
    ordered = np.sort(grades, axis=0)
    median = ordered[(len(ordered) - 1) // 2]
    chosen = np.asarray(grades)[_best_first(score)[:TOP]]
    return float(np.mean([average_precision_of_order(hits) for hits in (chosen > median).T]))


def mean_kendall_tau(*, grades: np.ndarray, score: np.ndarray) -> float:
    """The mean over annotators of Kendall's tau-b between their grades and the scores.

    `grades` (n, annotators), `score` (n,). An annotator who gives all clips one grade orders
    nothing: 0.
    """
    return float(np.mean([kendall_tau(column, score) for column in np.asarray(grades).T]))


def kendall_tau(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b of two lists (n,): agreeing less disagreeing pairs, ties taken into account.

    (C − D) / √((C + D + ties in a alone) · (C + D + ties in b alone)); 0 where one is constant.
    """
    above = np.triu_indices(len(a), 1)
    order_a, order_b = (np.sign(np.subtract.outer(x, x)[above]) for x in map(np.asarray, (a, b)))
    # Pairs that a orders times pairs that b orders: the two factors below the root.
    untied = np.count_nonzero(order_a) * np.count_nonzero(order_b)
    return float((order_a * order_b).sum() / np.sqrt(untied)) if untied else 0.0


def mean_of_domains(
    values: Sequence[float], domains: Sequence[str]
) -> tuple[float, dict[str, float]]:
    """The mean over domains of the mean over each domain's videos, and those means by name."""
    groups: dict[str, list[float]] = {}
    for value, domain in zip(values, domains, strict=True):
        groups.setdefault(domain, []).append(value)
    means: Mapping[str, float] = {name: float(np.mean(groups[name])) for name in sorted(groups)}
    return float(np.mean(list(means.values()))), dict(means)


def _best_first(score: np.ndarray) -> np.ndarray:
    return np.argsort(-np.asarray(score, np.float64), kind="stable")
