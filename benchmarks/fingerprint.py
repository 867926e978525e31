"""`python benchmarks/fingerprint.py [FILE…]`: fingerprinting beside bare decoding and its peers.

For each file, side by side in one run, in short turns that alternate: PyAV decoding with its own
number of threads and nothing else; ours (hashes and shot metrics in one decode, with the same
number of decoding threads, and one); an imagehash and PIL loop; PySceneDetect alone with its PyAV
and its OpenCV backend. Prints frames/s by wall time (best and median turn), CPU time a frame, and
both as ratios to bare decoding. Without FILE: the bench film at 720p, a film at 360p, and a
synthetic one of each size.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import imagehash
import numpy as np
import scenedetect

from video2gif.fingerprint.decode import Measuring
from video2gif.media.decode import Decoder
from video2gif.media.encode import write_video

ROOT = Path(__file__).parents[1]


def bare(path: Path, n: int) -> int:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return sum(1 for _ in islice(container.decode(stream), n))


def ours(path: Path, n: int, *, threads: int = 0) -> int:
    class Some(Decoder):
        def frames(self, *, from_s: float = 0.0) -> Iterator[tuple[float, av.VideoFrame]]:
            return islice(super().frames(from_s=from_s), n)

    with Some(path, threads=threads) as decoder:
        return sum(len(block["pts_s"]) for block in Measuring(decoder).blocks())


def ours_one_thread(path: Path, n: int) -> int:
    return ours(path, n, threads=1)


def hash_loop(path: Path, n: int) -> int:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        frames = islice(container.decode(stream), n)
        return len([imagehash.phash(f.to_image()) for f in frames])  # type: ignore[no-untyped-call]


def scenes(path: Path, n: int, backend: str) -> int:
    manager = scenedetect.SceneManager()
    manager.add_detector(scenedetect.ContentDetector())
    video = scenedetect.open_video(str(path), backend=backend)
    return int(manager.detect_scenes(video, duration=n))


CONTESTANTS: dict[str, Callable[[Path, int], int]] = {
    "PyAV decode AUTO": bare,
    "ours, AUTO": ours,
    "ours, 1 decoding thread": ours_one_thread,
    "imagehash + PIL": hash_loop,
    "PySceneDetect, PyAV": lambda path, n: scenes(path, n, "pyav"),
    "PySceneDetect, OpenCV": lambda path, n: scenes(path, n, "opencv"),
}


def synthetic(folder: Path, width: int, height: int, n: int) -> Path:
    """A moving, textured video with a cut every two seconds."""
    rng = np.random.default_rng(0)
    path = folder / f"synthetic_{height}p.mp4"

    def frames() -> Iterator[np.ndarray]:
        for i in range(n):
            if i % 50 == 0:
                small = rng.integers(0, 256, (height // 8 + 40, width // 8 + 40, 3), np.uint8)
                world = cv2.resize(small, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
            at = 3 * (i % 50)
            yield np.ascontiguousarray(world[at : at + height, at : at + width])

    write_video(path, frames(), fps=25)
    return path


def turns(path: Path, *, n: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """(wall, CPU) seconds a frame of each contestant, one of each in each round."""
    cv2.setNumThreads(1)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name, run in CONTESTANTS.items():
            wall, cpu = time.perf_counter(), time.process_time()
            count = run(path, n)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            found[name].append((wall / count, cpu / count))
    return found


def report(path: Path, found: dict[str, list[tuple[float, float]]]) -> None:
    print(f"\n### {path.name}\n")
    print("| | frames/s, best | median | CPU ms/frame | wall ratio, best | median | CPU ratio |")
    print("|---|---|---|---|---|---|---|")
    base = found["PyAV decode AUTO"]
    for name, seconds in found.items():
        best = min(wall for wall, _ in seconds)
        median = statistics.median(wall for wall, _ in seconds)
        cpu = min(cpu for _, cpu in seconds)
        in_pairs = [b / own for (b, _), (own, _) in zip(base, seconds, strict=True)]
        print(
            f"| {name} | {1 / best:.0f} | {1 / median:.0f} | {cpu * 1e3:.2f}"
            f" | {min(wall for wall, _ in base) / best:.2f} | {statistics.median(in_pairs):.2f}"
            f" | {min(c for _, c in base) / cpu:.2f} |"
        )
    one = [min(cost[which] for cost in found["ours, AUTO"]) for which in (0, 1)]
    peers = ("imagehash + PIL", "PySceneDetect, OpenCV")
    both = [sum(min(cost[which] for cost in found[p]) for p in peers) for which in (0, 1)]
    print(
        f"\nimagehash loop, then PySceneDetect (OpenCV), against ours: {both[0] / one[0]:.2f} ×"
        f" the wall time, {both[1] / one[1]:.2f} × the CPU time"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=500, help="of each file, a turn")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, PyAV {av.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for path in options.files or list(_defaults(Path(folder), options.frames)):
            report(path, turns(path, n=options.frames, rounds=options.rounds))
    print(f"\nload at the end {os.getloadavg()[0]:.1f}")


def _defaults(folder: Path, n: int) -> Iterator[Path]:
    real = Path(os.environ.get("VIDEO2GIF_REALDATA", ROOT / "../shared/realdata")).resolve()
    yield real / "bench" / "bunny_177s_720p.ts"
    yield real / "videos" / "bunny0.mp4"
    yield synthetic(folder, 1280, 720, n)
    yield synthetic(folder, 640, 360, n)


if __name__ == "__main__":
    main()
