"""`python benchmarks/match.py [--frames 100000000]`: how fast hashes are compared and found.

Two tables from one run, on one core each:

1. Comparing everything with everything: numpy's popcount, faiss IndexBinaryFlat (nearest one, and
   all within a radius), our exhaustive scan. All must find the same pairs.
2. A corpus of synthetic videos (shots that begin at random, frames that differ by some bits), built
   on the fly in --folder, and GIFs planted in it with the bit errors of real GIFs
   (gif_noise.npz): time of the index, time of the exhaustive scan with the same voting, how often
   both find the same place, and what either says of GIFs that are not in the corpus.

`--measure-noise` makes gif_noise.npz anew from $VIDEO2GIF_REALDATA (default ../shared/realdata).
"""

import argparse
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import faiss
import numpy as np

from video2gif.fingerprint.phash import CROPS, PARTS, WINDOWS
from video2gif.fingerprint.track import THUMB_SIDE, Track, column
from video2gif.matching.corpus import queries
from video2gif.matching.corpus import search as corpus_search
from video2gif.matching.corpus.index import Index, IndexWriter, kept_frames
from video2gif.matching.corpus.kernels import within
from video2gif.matching.corpus.queries import PLANES, Hits
from video2gif.matching.corpus.search import Candidate, search_corpus

if TYPE_CHECKING:
    from match_realdata import Case

NOISE = Path(__file__).with_name("gif_noise.npz")
# Of the real videos' kept frames: how they change, and how often (see docs/benchmarks/match.md).
VIDEO_ROWS, SHOT_ROWS, ROWS_PER_S = 2000, 25, 8
SAME_S = 0.5


@dataclass(frozen=True)
class Noise:
    """A real GIF: when its frames appear, and which bits of their hashes are wrong."""

    pts_s: np.ndarray
    end_s: float
    masks: np.ndarray
    """uint64 (n,): the GIF's hashes XOR those of the video's kept frames shown at these times."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=1_000_000, help="of the corpus")
    parser.add_argument("--gifs", type=int, default=72, help="planted")
    parser.add_argument("--strangers", type=int, default=18, help="GIFs not in the corpus")
    parser.add_argument("--scan-frames", type=int, default=2_000_000, help="of the first table")
    parser.add_argument("--folder", type=Path, help="for the index; default: a temporary one")
    parser.add_argument("--measure-noise", action="store_true")
    args = parser.parse_args()
    if args.measure_noise:
        measure_noise()
        return
    compare_scans(args.scan_frames)
    folder = Path(tempfile.mkdtemp(prefix="match-", dir=args.folder))
    try:
        compare_searches(folder, args.frames, args.gifs, args.strangers)
    finally:
        shutil.rmtree(folder)


# --- 1. Comparing everything with everything ------------------------------------------------


def compare_scans(n: int, n_queries: int = 128) -> None:
    """Print comparisons a second on one core; check that all find the same pairs."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, n, dtype=np.uint64)
    queries = rng.integers(0, 2**64, n_queries, dtype=np.uint64)
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexBinaryFlat(64)
    flat.add(_bytes(hashes))
    limit = int(flat.search(_bytes(queries), 1)[0].max())  # So that every query has an answer.
    ways: dict[str, Callable[[], int]] = {
        "numpy popcount, blocked": lambda: _numpy_within(hashes, queries, limit),
        "faiss IndexBinaryFlat, nearest": lambda: len(flat.search(_bytes(queries), 1)[0]),
        # faiss excludes the radius itself.
        "faiss IndexBinaryFlat, range": lambda: int(
            flat.range_search(_bytes(queries), limit + 1)[0][-1]
        ),
        "ours, exhaustive": lambda: len(within(hashes, queries, radius=limit).row),
    }
    within(hashes[:10], queries, radius=limit)  # Compiles.
    print(f"{n:,} hashes × {n_queries} queries, radius {limit}, one core")
    print(f"{'':32}{'10⁹/s':>8}{'× nearest':>11}{'× range':>9}{'pairs':>9}")
    taken = {name: _best_of_three(way) for name, way in ways.items()}
    nearest_s, range_s = (taken[f"faiss IndexBinaryFlat, {k}"][0] for k in ("nearest", "range"))
    for name, (seconds, pairs) in taken.items():
        print(
            f"{name:32}{n * n_queries / seconds / 1e9:8.2f}{nearest_s / seconds:11.2f}"
            f"{range_s / seconds:9.2f}{pairs:9,}"
        )
    found = {pairs for name, (_, pairs) in taken.items() if "nearest" not in name}
    assert len(found) == 1, f"the ways disagree: {found}"


def _bytes(hashes: np.ndarray) -> np.ndarray:
    return hashes.view(np.uint8).reshape(-1, 8)


def _numpy_within(hashes: np.ndarray, queries: np.ndarray, radius: int) -> int:
    pairs = 0
    for block in np.split(hashes, range(8192, len(hashes), 8192)):
        pairs += int((np.bitwise_count(block ^ queries[:, None]) <= radius).sum())
    return pairs


def _best_of_three(way: Callable[[], int]) -> tuple[float, int]:
    seconds, answer = float("inf"), 0
    for _ in range(3):
        started = time.perf_counter()
        answer = way()
        seconds = min(seconds, time.perf_counter() - started)
    return seconds, answer


# --- 2. Finding planted GIFs ----------------------------------------------------------------


def compare_searches(folder: Path, n_frames: int, n_gifs: int, n_strangers: int) -> None:
    """Build a corpus, search it both ways, print."""
    started = time.perf_counter()
    build(folder, n_frames)
    built_s = time.perf_counter() - started
    index = Index(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"\ncorpus: {len(index):,} frames, {len(index.video_ids):,} videos;"
        f" generated and indexed in {built_s:.1f} s; {size / 1e9:.2f} GB on disk;"
        f" keys of {index.bits} bits"
    )
    rng = np.random.default_rng(1)
    noises = load_noise()
    planted = [plant(index, noises[i % len(noises)], rng) for i in range(n_gifs)]
    strangers = [stranger(noises[i % len(noises)], rng) for i in range(n_strangers)]

    search_corpus(planted[0][0], index)  # Compiles.
    ours = _timed(planted, lambda gif: search_corpus(gif, index))
    theirs = _timed(planted, lambda gif: search_exhaustively(gif, index))
    report(ours, theirs, [truth for _, truth in planted])
    for name, find in (("index", search_corpus), ("exhaustive", search_exhaustively)):
        best = [find(gif, index) for gif in strangers]
        distances = [found[0].distance for found in best if found]
        print(
            f"GIFs not in the corpus, {name}: {n_strangers - len(distances)} of {n_strangers}"
            f" without a candidate; least distance of the others {min(distances, default=64):.1f}"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak resident memory, building included: {peak / 1e6:.2f} GB")


def search_exhaustively(gif: Track, index: Index) -> list[Candidate]:
    """As `search_corpus`, by comparing every frame with every other."""

    def find(plane: int, hashes: np.ndarray) -> Hits:
        return within(index.hashes[plane], hashes, radius=queries.RADIUS)

    frames = queries.chosen(gif, corpus_search._FRAMES[0])
    return corpus_search._search(gif, frames, index, find, 8)


@dataclass(frozen=True)
class Timed:
    """What a search found for each GIF, and how long each took."""

    found: list[list[Candidate]]
    seconds: np.ndarray
    """float64 (GIFs, 2): by the clock, and of the processor."""


def _timed(
    planted: list[tuple[Track, Candidate]], search: Callable[[Track], list[Candidate]]
) -> Timed:
    found, seconds = [], []
    for gif, _ in planted:
        started = time.perf_counter(), time.process_time()
        found.append(search(gif))
        ended = time.perf_counter(), time.process_time()
        seconds.append(np.subtract(ended, started))
    return Timed(found, np.array(seconds))


def report(ours: Timed, theirs: Timed, truths: list[Candidate]) -> None:
    """Print times, and recall against the exhaustive answer and against the truth."""
    answers = [(mine, his[0]) for mine, his in zip(ours.found, theirs.found, strict=True) if his]
    kept = sum(any(same(his, one) for one in mine[:1]) for mine, his in answers)
    in_list = sum(any(same(his, one) for one in mine) for mine, his in answers)
    print(f"{'':12}{'ms a GIF':>9}{'median':>9}{'worst':>9}{'of CPU':>9}{'true place first':>18}")
    for name, timed in (("index", ours), ("exhaustive", theirs)):
        right = sum(
            any(same(t, one) for one in f[:1]) for f, t in zip(timed.found, truths, strict=True)
        )
        ms, cpu_ms = timed.seconds.T * 1e3
        print(
            f"{name:12}{ms.mean():9.2f}{np.median(ms):9.2f}{ms.max():9.2f}{cpu_ms.mean():9.2f}"
            f"{right:>10} of {len(truths)}"
        )
    clock, cpu = theirs.seconds.sum(axis=0) / ours.seconds.sum(axis=0)
    print(
        f"recall of the exhaustive answer: first place {kept / len(answers):.4f}, any place"
        f" {in_list / len(answers):.4f} ({len(answers)} answers);"
        f" {clock:.0f} × faster by the clock, {cpu:.0f} × in processor time"
    )


def same(one: Candidate, other: Candidate) -> bool:
    """Whether two candidates are one place, within `SAME_S` at both ends."""
    ends_s = abs(one.start_s - other.start_s), abs(one.end_s - other.end_s)
    return one.video_id == other.video_id and max(ends_s) <= SAME_S


def build(folder: Path, n_frames: int) -> None:
    """Index synthetic videos, whole frames only."""
    writer = IndexWriter(folder, planes=PLANES[:1])
    for number, (pts_s, hashes) in enumerate(videos(n_frames)):
        writer.append(f"v{number}", pts_s, float(pts_s[-1]) + 0.1, hashes[:, None])
    writer.finish()


def videos(n_frames: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Times and hashes of videos of up to `VIDEO_ROWS` kept frames.

    A shot begins with a random hash; each frame turns each bit of the one before with
    probability 1/16; frames come 0.04 to 0.21 s after one another.
    """
    rng = np.random.Generator(np.random.SFC64(seed))
    while n_frames > 0:
        rows = min(n_frames, VIDEO_ROWS * 256)
        turned = rng.integers(0, 2**64, (4, rows), dtype=np.uint64)
        new_shot = rng.random(rows, dtype=np.float32) < 1 / SHOT_ROWS
        turned[0] = np.where(new_shot, turned[0], np.bitwise_and.reduce(turned))
        hashes = np.bitwise_xor.accumulate(turned[0])
        steps_s = rng.uniform(0.04, 2 / ROWS_PER_S - 0.04, rows)
        for start in range(0, rows, VIDEO_ROWS):
            pts_s = np.cumsum(steps_s[start : start + VIDEO_ROWS])
            yield pts_s - pts_s[0], hashes[start : start + VIDEO_ROWS]
        n_frames -= rows


def plant(index: Index, noise: Noise, rng: np.random.Generator) -> tuple[Track, Candidate]:
    """A GIF cut from the corpus somewhere, at some speed, with a real GIF's errors; its truth."""
    while True:
        video = int(rng.integers(len(index.video_ids)))
        speed = float(rng.choice([0.5, 1.0, 1.0, 1.25, 1.5, 2.0]))
        start_s = float(rng.uniform(0, index.ends_s[video]))
        if start_s + speed * noise.end_s < index.ends_s[video]:
            break
    shown = (
        np.searchsorted(
            index.time_s, index.starts_s[video] + start_s + speed * noise.pts_s, "right"
        )
        - 1
    )
    hashes = index.hashes[index.planes[0]][shown] ^ noise.masks
    end_s = start_s + speed * noise.end_s
    truth = Candidate(index.video_ids[video], start_s, end_s, speed, False, len(hashes), 0.0)
    return gif_track(noise, hashes, rng), truth


def stranger(noise: Noise, rng: np.random.Generator) -> Track:
    """A GIF of another film."""
    other = next(videos(8 * VIDEO_ROWS, seed=int(rng.integers(1, 2**31))))
    shown = np.searchsorted(other[0], noise.pts_s, "right") - 1
    return gif_track(noise, other[1][shown], rng)


def gif_track(noise: Noise, hashes: np.ndarray, rng: np.random.Generator) -> Track:
    """A GIF whose whole frames have these hashes and whose windows look like nothing."""
    n = len(hashes)
    windows = rng.integers(0, 2**64, (n, len(WINDOWS)), dtype=np.uint64)
    thumbs = np.zeros((n, THUMB_SIDE, THUMB_SIDE), np.uint8)
    return Track(
        noise.pts_s,
        noise.end_s,
        np.column_stack([hashes, windows]),
        np.ones(n, np.float32),
        thumbs,
    )


# --- The errors of real GIFs ----------------------------------------------------------------


def measure_noise() -> None:
    """Write gif_noise.npz: the real GIFs against their videos' kept frames at the true places."""
    from match_realdata import manifest_cases, pair_cases, realdata, tracks

    cases = manifest_cases(realdata()) + pair_cases(realdata())
    of = tracks({path for case in cases for path in (case.gif, case.video)})
    arrays: dict[str, np.ndarray] = {}
    for case in cases:
        gif, video = of[case.gif], of[case.video]
        best = min(errors(case, gif, video), key=lambda mask: float(np.bitwise_count(mask).mean()))
        arrays |= {f"{case.name}.pts_s": gif.pts_s, f"{case.name}.masks": best}
        arrays[f"{case.name}.end_s"] = np.array(gif.end_s)
        print(f"{case.name:26} {len(gif):4} frames  {np.bitwise_count(best).mean():5.2f} bits")
    np.savez_compressed(NOISE, **arrays)  # type: ignore[arg-type]


def errors(case: "Case", gif: Track, video: Track) -> Iterator[np.ndarray]:
    """A GIF's hashes XOR its video's, in each plane and at times up to 0.1 s from the true ones.

    The truth is known to a frame only, and in fast scenes a frame is many bits.
    """
    kept = kept_frames(video)
    for late_s in np.linspace(-0.1, 0.1, 21):
        times_s = case.start_s + case.speed * gif.pts_s + late_s
        shown = kept[np.maximum(np.searchsorted(video.pts_s[kept], times_s, "right") - 1, 0)]
        for crop in CROPS:
            for part in PARTS:
                if (plane := column(part.inside(crop))) in PLANES:
                    yield gif.hashes[:, column(part)] ^ video.hashes[shown, plane]


def load_noise() -> list[Noise]:
    """The real GIFs' errors, sorted by name."""
    with np.load(NOISE, allow_pickle=False) as arrays:
        names = sorted(name.removesuffix(".masks") for name in arrays if name.endswith(".masks"))
        return [
            Noise(arrays[f"{n}.pts_s"], float(arrays[f"{n}.end_s"]), arrays[f"{n}.masks"])
            for n in names
        ]


if __name__ == "__main__":
    main()
