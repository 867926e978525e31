"""`python benchmarks/segment.py`: cuts and time beside PySceneDetect's, on the real videos.

Reads $VIDEO2GIF_REALDATA (default ../shared/realdata). Fingerprints every video once (not timed:
the pipeline has them), then runs, in turn for each video, PySceneDetect from the file and our
segmentation from the stored fingerprint. The ratio is what re-tuning a threshold gains; what a
first run costs is printed as well.
"""

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from scenedetect import AdaptiveDetector, ContentDetector, SceneManager, open_video

from video2gif.config import Params, Segment
from video2gif.fingerprint import Fingerprint, read_fingerprint, work
from video2gif.shots.cuts import cuts
from video2gif.shots.segments import segment_video

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
    fingerprint_s: float
    only_theirs: list[int]
    only_ours: list[int]
    n_cuts: int
    n_segments: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", choices=["content", "adaptive"], default="content")
    parser.add_argument("--threshold", type=float, help="default: 27 (content), 3 (adaptive)")
    args = parser.parse_args()
    threshold = args.threshold or (27.0 if args.detector == "content" else 3.0)
    params = Segment(
        method="shots",
        detector=args.detector,
        threshold=threshold,
        min_shot_frames=PARAMS.segment.min_shot_frames,
        max_len_s=PARAMS.segment.max_len_s,
        min_len_frames=PARAMS.segment.min_len_frames,
    )
    folder = Path(os.environ.get("VIDEO2GIF_REALDATA", ROOT / "../shared/realdata")) / "videos"
    print(f"{args.detector} {threshold:g}, at least {params.min_shot_frames} frames")
    print(
        "video               frames  cuts  segments  PySceneDetect   ours from fp   ratio  differ"
    )
    rows = [measure(path, params) for path in sorted(folder.resolve().iterdir())]
    for row in rows:
        print(line(row))
    theirs, ours = sum(r.theirs_s for r in rows), sum(r.ours_s for r in rows)
    first = sum(r.fingerprint_s for r in rows)
    print(
        f"all: PySceneDetect {theirs:.2f} s, ours from fingerprints {ours * 1e3:.1f} ms,"
        f" ratio {theirs / ours:.0f}; the fingerprints themselves took {first:.2f} s"
    )


def line(row: Measured) -> str:
    differ = f"theirs {row.only_theirs}, ours {row.only_ours}"
    same = "no" if not (row.only_theirs or row.only_ours) else differ
    return (
        f"{row.name:18} {row.n_frames:7} {row.n_cuts:5} {row.n_segments:9}"
        f" {row.theirs_s:12.2f} s {row.ours_s * 1e3:11.2f} ms {row.theirs_s / row.ours_s:7.0f}"
        f"  {same}"
    )


def measure(path: Path, params: Segment) -> Measured:
    started = time.perf_counter()
    found = fingerprint_of(path)
    fingerprint_s = time.perf_counter() - started
    started = time.perf_counter()
    theirs = pyscenedetect(path, params)
    theirs_s = time.perf_counter() - started
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        spans = segment_video(found.content, pts_s=found.pts_s, end_s=found.end_s, params=params)
        times.append(time.perf_counter() - started)
    ours = cuts(
        found.content,
        detector=params.detector,
        threshold=params.threshold,
        min_shot_frames=params.min_shot_frames,
    )
    return Measured(
        name=path.name,
        n_frames=len(found.pts_s),
        theirs_s=theirs_s,
        ours_s=min(times),
        fingerprint_s=fingerprint_s,
        only_theirs=sorted(set(theirs) - set(ours)),
        only_ours=sorted(set(ours) - set(theirs)),
        n_cuts=len(ours),
        n_segments=len(spans),
    )


def fingerprint_of(path: Path) -> Fingerprint:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "item"
        params = {"max_bad_packets": PARAMS.fingerprint.max_bad_packets}
        work(out=out, params=params, path=str(path), kind="video")
        return read_fingerprint(out.read_bytes())


def pyscenedetect(path: Path, params: Segment) -> list[int]:
    """The first frames of all scenes but the first, by PySceneDetect's own decode."""
    detector = (
        ContentDetector(threshold=params.threshold, min_scene_len=params.min_shot_frames)
        if params.detector == "content"
        else AdaptiveDetector(
            adaptive_threshold=params.threshold, min_scene_len=params.min_shot_frames
        )
    )
    manager = SceneManager()
    manager.add_detector(detector)
    manager.detect_scenes(open_video(str(path)))
    return [start.frame_num for start, _ in manager.get_scene_list()][1:]


if __name__ == "__main__":
    main()
