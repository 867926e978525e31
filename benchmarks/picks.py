"""`python benchmarks/picks.py [FILM…] [--ranker NAME] [--top 6]`: how many picks nobody wants.

Each film's picks are judged by this script's own measurements of the frames themselves, not by the
cues that the ranking used: black (mean luma), card (two levels make up the picture and it does not
move), still (nothing changes), fading (the same picture, but fainter, at an end). Prints a line a
pick and `n bad of n`. Films: those of $VIDEO2GIF_REALDATA/videos if none is named.
"""

import argparse
import os
from pathlib import Path

import cv2
import numpy as np

from video2gif.core.config import Params
from video2gif.core.items import Context
from video2gif.core.layout import Layout
from video2gif.make.moments import Choice, Chosen, choose
from video2gif.make.rankers import analysed, choose_ranker, rank
from video2gif.media.decode import Decoder

ROOT = Path(__file__).parents[1]
_WIDTH = 160
_END_S = 0.4


def frames_of(path: Path, start_s: float, end_s: float) -> np.ndarray:
    """Gray pictures, 160 pixels wide, of the frames in [start_s, end_s): uint8 (n, h, w)."""
    found = []
    with Decoder(path) as decoder:
        for time_s, frame in decoder.frames():
            if time_s >= end_s - 1e-6:
                break
            if time_s >= start_s - 1e-6:
                gray = frame.reformat(format="gray").to_ndarray()
                size = (_WIDTH, max(2, round(_WIDTH * gray.shape[0] / gray.shape[1])))
                found.append(cv2.resize(gray, size, interpolation=cv2.INTER_AREA))
    return np.stack(found)


def faults(gray_NHW: np.ndarray, fps: float) -> list[str]:
    """What is wrong with a pick: any of black, card, still, fading."""
    change = np.abs(np.diff(gray_NHW.astype(np.int16), axis=0)).mean(axis=(1, 2))
    checks = {
        "black": np.median(gray_NHW.mean(axis=(1, 2))) < 16,
        "card": np.median([two_levels(one) for one in gray_NHW[::4]]) > 0.85
        and np.median(change, axis=0) < 0.6,
        "still": len(change) == 0 or np.mean(change < 0.1) > 0.7,
        "fading": fades(gray_NHW, max(2, round(_END_S * fps))),
    }
    return [name for name, holds in checks.items() if holds]


def two_levels(gray: np.ndarray) -> float:
    """Share of the pixels near the commonest level and near the next one apart from it."""
    counts = np.bincount(gray.ravel(), minlength=256).astype(float)
    near = np.convolve(counts, np.ones(15), "same")
    best = int(near.argmax())
    apart = near.copy()
    apart[max(0, best - 15) : best + 16] = 0
    return float((near[best] + apart.max()) / gray.size)


def fades(gray_NHW: np.ndarray, n_end: int) -> bool:
    """Whether an end shows what is shown further in, with less than 0.65 of its contrast."""
    if len(gray_NHW) <= n_end:
        return False
    for outer, inner in ((0, n_end), (-1, -1 - n_end)):
        a, b = (gray_NHW[place].astype(float).ravel() for place in (outer, inner))
        if a.std() < 0.65 * b.std() and (a.std() < 2 or np.corrcoef(a, b)[0, 1] > 0.7):
            return True
    return False


def judged(path: Path, picks: list[Chosen], edges_s: np.ndarray) -> list[list[str]]:
    """The faults of each pick, printed as they are found."""
    found = []
    for pick in picks:
        start, end = pick.within.core
        gray = frames_of(path, float(edges_s[start]), float(edges_s[end]))
        fps = (end - start) / float(edges_s[end] - edges_s[start])
        found.append(faults(gray, fps))
        why = ", ".join(pick.moment.why)
        span = f"{edges_s[start]:7.2f}–{edges_s[end]:6.2f}"
        print(
            f"  {span} {pick.moment.score:6.2f} {' '.join(found[-1]) or 'fine':8s} {why}",
            flush=True,
        )
    return found


def main() -> None:
    """Rank, choose, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", nargs="*", type=Path)
    parser.add_argument("--ranker", default="default")
    parser.add_argument("--top", type=int, default=6)
    asked = parser.parse_args()
    shared = Path(os.environ.get("VIDEO2GIF_REALDATA", ROOT.parent / "shared" / "realdata"))
    films = asked.films or sorted((shared / "videos").iterdir())
    params, context = Params.load(ROOT / "params.yaml"), Context.default()
    ranker = choose_ranker(asked.ranker, params, layout=Layout(ROOT))
    n_bad = n_all = 0
    for film in films:
        analysis = analysed(film, ranker, params, context)
        picks = choose(analysis, rank(analysis, ranker, context), Choice(top=asked.top))
        print(f"{film.name}: {len(picks)} picks of {len(analysis.spans)} segments")
        found = judged(film, picks, analysis.edges_s)
        n_bad, n_all = n_bad + sum(map(bool, found)), n_all + len(found)
    print(f"{n_bad} bad of {n_all}")


if __name__ == "__main__":
    main()
