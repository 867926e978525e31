"""`python benchmarks/fit_presence.py ROWS…`: fit the presence curve of `matching.confidence`.

ROWS are files of `attacks.py --rows`. The confidence is sigmoid(bias + cost + explained +
correlation terms) × margin. The four weights are those of the greatest likelihood of a GIF of a
moving span being found near its place, and one of another film anywhere (with a weak prior, since
the two may be told apart completely). Fitted on every second film, the calibration error on the
other films is printed beside theirs; then fitted on all.
Prints the line that stands in `video2gif/matching/confidence.py`.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.optimize
from attacks import Row, calibration_error

_FOUND_S = 1.0
_PRIOR = 0.02  # Of the squared weights, features being of unit size.
_UNITS = np.array([1.0, 5.0, 0.2, 0.1])
"""Sizes of the features: one, bits, share, correlation."""


def features(rows: list[Row]) -> np.ndarray:
    """(n, 4): 1, cost, explained, correlation. Negative values say no more than zero."""
    return np.array(
        [[1.0, row.distance, max(row.explained, 0.0), max(row.correlation, 0.0)] for row in rows]
    )


def presence(weights: np.ndarray, features_N4: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(features_N4 @ weights, -50, 50)))


def fit(rows: list[Row]) -> np.ndarray:
    """Weights (4,) of the greatest likelihood of what was there and what was not."""
    # How sure the time is, and storyboards, are the margin's business.
    telling = [row for row in rows if row.right == "span" or row.edit == "other film"]
    scaled = features(telling) / _UNITS
    there = np.array([row.right == "span" and row.error_s <= _FOUND_S for row in telling])

    def loss(weights: np.ndarray) -> float:
        share = np.clip(presence(weights, scaled), 1e-6, 1 - 1e-6)
        likelihood = np.where(there, np.log(share), np.log(1 - share)).sum()
        return float(_PRIOR * (weights**2).sum() - likelihood)

    return scipy.optimize.minimize(loss, np.zeros(4), method="Nelder-Mead").x / _UNITS


def recalibrated(rows: list[Row], weights: np.ndarray) -> list[Row]:
    """The rows with the confidence that these weights give."""
    confidence = presence(weights, features(rows)) * [row.margin for row in rows]
    return [replace(r, confidence=float(c)) for r, c in zip(rows, confidence, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rows", nargs="+", type=Path)
    lines = [line for path in parser.parse_args().rows for line in path.read_text().splitlines()]
    rows = [row for row in (Row(**json.loads(line)) for line in lines) if row.distance >= 0]
    films = sorted({row.film for row in rows})
    seen = [row for row in rows if row.film in films[::2]]
    others = [row for row in rows if row.film in films[1::2]]
    for name, part in (("fitted on", seen), ("not seen", others)):
        error = calibration_error(recalibrated(part, fit(seen)))
        print(f"{name}: {len(part)} matches, calibration error {error:.4f}")
    weights = np.round(fit(rows), 3)
    values = ", ".join(str(weight) for weight in weights)
    print(f"_BIAS, _PER_BIT, _PER_EXPLAINED, _PER_CORRELATION = {values}")


if __name__ == "__main__":
    main()
