"""`python benchmarks/personalise.py`: does a ranking follow ten marks?

For each real video with 14 segments or more and each of several made-up tastes: a person marks the
six best of the motion-and-colour ranking, ranks again, marks the four best that are new, and ranks
again. Good is what the taste likes: the third of the segments that is calmest, brightest, …; or
what the planted truth covers by half. Printed: the mean average precision of the segments not
marked, before and after.

Reads $VIDEO2GIF_REALDATA (default ../shared/realdata); keeps fingerprints in $VIDEO2GIF_CACHE.
"""

import csv
import os
import time
from pathlib import Path

import numpy as np

from video2gif.core.config import Params
from video2gif.core.items import Context
from video2gif.make.analysis import Analysis, analyse
from video2gif.make.rankers import Baseline
from video2gif.make.taste import Marked, Taste, look, standardised

ROOT = Path(__file__).parents[1]
REALDATA = Path(os.environ.get("VIDEO2GIF_REALDATA", ROOT / "../shared/realdata")).resolve()
ROUNDS = (6, 4)
LEAST_SEGMENTS = 14


def main() -> None:
    params, context = Params.load(ROOT / "params.yaml"), Context.default()
    found: dict[str, list[tuple[float, float]]] = {}
    seconds = []
    for path in sorted((REALDATA / "videos").iterdir()):
        analysis = analyse(path, params, context)
        if len(analysis.spans) < LEAST_SEGMENTS:
            continue
        known = analysis.fingerprint
        prior = standardised(Baseline().score(analysis, context))
        features = look(known.content, known.thumbs, analysis.spans)
        for taste, liked in tastes(analysis).items():
            began = time.perf_counter()
            rest, scores = after_marks(prior, features, liked)
            seconds.append(time.perf_counter() - began)
            if liked[rest].any() and not liked[rest].all():
                pair = precision(liked[rest], prior[rest]), precision(liked[rest], scores[rest])
                found.setdefault(taste, []).append(pair)
    for taste, pairs in found.items():
        before, after = np.mean(pairs, axis=0)
        print(f"{taste:9} {len(pairs):2} videos  {before:.2f} -> {after:.2f}")
    print(f"two rounds of re-ranking take {1000 * max(seconds):.0f} ms at most")


def tastes(analysis: Analysis) -> dict[str, np.ndarray]:
    """What each made-up person likes: bool (n,)."""
    known, spans = analysis.fingerprint, analysis.spans.tolist()
    change = known.content.mean(axis=1)
    light = known.thumbs.astype(float).mean(axis=(1, 2))
    detail = np.abs(np.diff(known.thumbs.astype(int), axis=2)).mean(axis=(1, 2))
    values = {
        "calm": [-change[a + 1 : b].mean() for a, b in spans],
        "bright": [light[a:b].mean() for a, b in spans],
        "dark": [-light[a:b].mean() for a, b in spans],
        "detailed": [detail[a:b].mean() for a, b in spans],
    }
    likes = {name: np.array(v) >= np.quantile(v, 2 / 3) for name, v in values.items()}
    truth = [
        (float(row["start_s"]), float(row["end_s"]))
        for row in csv.DictReader((REALDATA / "truth.csv").open())
        if row["video_id"] == analysis.path.stem
    ]
    likes["truth"] = np.array(
        [
            any(min(b, end) - max(a, start) >= (b - a) / 2 for start, end in truth)
            for a, b in analysis.spans_s
        ]
    )
    return likes


def after_marks(
    prior: np.ndarray, features: np.ndarray, liked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The segments never marked, and the scores after all rounds."""
    scores, marked = prior, np.zeros(0, int)
    for count in ROUNDS:
        new = [i for i in np.argsort(-scores, kind="stable") if i not in marked][:count]
        marked = np.concatenate([marked, new]).astype(int)
        told = Marked(features[marked], prior[marked], liked[marked])
        scores = Taste.of([told]).rerank(features, prior)
    return np.setdiff1d(np.arange(len(prior)), marked), scores


def precision(liked: np.ndarray, scores: np.ndarray) -> float:
    """Average precision of a ranking."""
    hits = liked[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)).mean())


if __name__ == "__main__":
    main()
