"""`python benchmarks/match_realdata.py`: match the real GIFs, print each error against the truth.

Reads $VIDEO2GIF_REALDATA (default ../shared/realdata): manifest GIFs against truth.csv, the pairs
against PAIRS.csv, and every GIF against every video it does not come from.

mawais_input is listed as wrong at its end: PAIRS.csv ends it at 10.84 s, the first of many nearly
equal frames. Its GIF lasts 13.0 s and its last moving frames are, pixel by pixel, those of the
video from 10.84 to 11.6 s, in order; the map through all frames is speed 1 to 12.96 s.
"""

import argparse
import csv
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from video2gif.core.config import Params
from video2gif.core.items import Context, compute
from video2gif.core.work import Item
from video2gif.fingerprint.decode import fingerprinting
from video2gif.fingerprint.read import read_fingerprint
from video2gif.fingerprint.track import Track
from video2gif.matching.confidence import Match, match

ROOT = Path(__file__).parents[1]
PARAMS = Params.load(ROOT / "params.yaml")


@dataclass(frozen=True)
class Case:
    """A GIF, its video, and where it was cut."""

    name: str
    gif: Path
    video: Path
    start_s: float
    end_s: float
    speed: float
    edits: str

    def error_s(self, found: Match) -> float:
        """The larger error of the two ends."""
        if found.span is None:
            return float("inf")
        return max(abs(found.span.start_s - self.start_s), abs(found.span.end_s - self.end_s))


def realdata() -> Path:
    return Path(os.environ.get("VIDEO2GIF_REALDATA", ROOT / "../shared/realdata")).resolve()


def manifest_cases(folder: Path) -> list[Case]:
    truth = {row["gif_id"]: row for row in _rows(folder / "truth.csv")}
    return [
        Case(
            row["gif_id"],
            folder / row["gif_url"],
            folder / row["video_url"],
            float(truth[row["gif_id"]]["start_s"]),
            float(truth[row["gif_id"]]["end_s"]),
            float(truth[row["gif_id"]]["speed"]),
            "crop {crop} caption {caption}".format(**truth[row["gif_id"]]),
        )
        for row in _rows(folder / "manifest.csv")
    ]


def pair_cases(folder: Path) -> list[Case]:
    return [
        Case(
            row["pair"],
            folder / "pairs" / row["pair"] / "clip.gif",
            folder / "pairs" / row["pair"] / row["source"],
            float(row["start_s"]),
            float(row["end_s"]),
            float(row["speed_src_per_gif_second"]),
            "by others",
        )
        for row in _rows(folder / "pairs" / "PAIRS.csv")
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def tracks(paths: set[Path]) -> dict[Path, Track]:
    """Every file's fingerprint (from the item store when it is there)."""
    context = Context.default()
    items = [
        Item(
            id=str(path),
            inputs=(path.name, str(path.stat().st_size)),
            args={"path": str(path), "kind": "gif" if path.suffix == ".gif" else "video"},
        )
        for path in sorted(paths)
    ]
    outcomes = compute("fingerprint", fingerprinting(PARAMS.fingerprint), items, context)
    return {
        Path(outcome.id): read_fingerprint(context.store.read(outcome.key)).track
        for outcome in outcomes
    }


def find(gif: Track, video: Track) -> Match:
    return match(
        gif,
        video,
        min_confidence=PARAMS.match.min_confidence,
        min_frames=PARAMS.match.min_frames,
    )


def report(title: str, cases: list[Case], of: dict[Path, Track]) -> None:
    """One line a GIF, then the counts."""
    print(f"\n{title}")
    started = time.perf_counter()
    found = [(case, find(of[case.gif], of[case.video])) for case in cases]
    seconds = time.perf_counter() - started
    for case, m in found:
        where = f"{m.span.start_s:7.3f}-{m.span.end_s:7.3f}" if m.span else " " * 15
        print(
            f"{case.name:26} {case.edits:22} true {case.start_s:6.2f}-{case.end_s:6.2f}"
            f" ×{case.speed:4.2f}  found {where} ×{m.speed:4.2f}  error {case.error_s(m):6.3f} s"
            f"  {m.distance:5.2f} bits  {m.status} {m.confidence:.3f}"
        )
    errors = [case.error_s(m) for case, m in found]
    wrong = [case.name for case, m in found if m.status == "matched" and case.error_s(m) > 1]
    print(
        f"within ±0.25 s: {sum(e <= 0.25 for e in errors)}, within ±0.5 s:"
        f" {sum(e <= 0.5 for e in errors)}, of {len(cases)};"
        f" matched: {sum(m.status == 'matched' for _, m in found)};"
        f" matched but wrong by more than 1 s: {wrong or 0}; {seconds:.2f} s in all"
    )


def report_strangers(cases: list[Case], strays: list[Path], of: dict[Path, Track]) -> None:
    """Every GIF against the videos it cannot come from (other films)."""
    films = sorted({case.video for case in cases})
    gifs = [*((c.gif, c.video) for c in cases), *((s, s) for s in strays)]
    tried = [(gif, video) for gif, own in gifs for video in films if film(video) != film(own)]
    with ProcessPoolExecutor() as pool:  # One after the other they take most of an hour.
        found = list(pool.map(find, *zip(*((of[g], of[v]) for g, v in tried), strict=True)))
    wrong = [
        (str(g), str(v)) for (g, v), m in zip(tried, found, strict=True) if m.status == "matched"
    ]
    closest = min(m.distance for m in found)
    print(
        f"\nGIFs against other films: {len(tried)} pairs, matched {wrong or 0},"
        f" smallest distance {closest:.2f} bits"
    )


def film(path: Path) -> str:
    """Parts of one film share pictures: bunny0 … bunny3 and bunny_trailer are one."""
    name = path.stem if path.parent.name == "videos" else path.parent.name
    return next((f for f in ("bunny", "dream") if name.startswith(f)), name)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    folder = realdata()
    ours, pairs = manifest_cases(folder), pair_cases(folder)
    strays = sorted((folder / "pairs" / "_no_source").glob("*.gif"))
    of = tracks({path for case in ours + pairs for path in (case.gif, case.video)} | set(strays))
    report("GIFs of manifest.csv", ours, of)
    report("pairs made by others", pairs, of)
    report_strangers(ours + pairs, strays, of)


if __name__ == "__main__":
    main()
