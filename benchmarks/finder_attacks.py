"""`python benchmarks/finder_attacks.py`: GIFs of real films that show them fast, held or in a part.

The films and the rule for where GIFs are cut are those of attacks.py. Each kind of GIF:

- *4 to 6, 6 to 10, 10 to 16 ×*: one to four seconds that show so much more of the film.
- *held end*: the last picture stands for 1 to 2.5 s. *held middle*: one picture stands as long,
  then the film goes on from there. *covered*: one stands for 0.5 to 1 s while the film goes on.
- *side by side*, *one above the other*: the film beside another film.
- *inset*: the film at 35 to 50 % of the size in a corner of another film. *with inset*: another
  film at 25 to 33 % in a corner of the film.

A third of the GIFs also against a film that they do not show. Right: start and end within 0.25 s.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from attack_edits import Recipe, rendered, timing
from attacks import Film as AttackedFilm
from attacks import _rng
from finder_paths import found_in, prints_of
from match_realdata import film, realdata, tracks

from video2gif.fingerprint.track import Track
from video2gif.matching.stretches import Hit
from video2gif.matching.votes import SearchedFilm
from video2gif.media.encode import write_gif

_FAST = {"4 to 6 ×": (4, 6), "6 to 10 ×": (6, 10), "10 to 16 ×": (10, 16)}
_HELD = ("held end", "held middle", "covered")
_PANELS = ("side by side", "one above the other", "inset", "with inset")
_KINDS = (*_FAST, *_HELD, *_PANELS)


@dataclass(frozen=True)
class Row:
    kind: str
    film: str
    own: bool
    status: str
    error_s: float
    confidence: float
    seconds: float
    note: str

    @property
    def right(self) -> bool:
        return self.own and self.status == "matched" and self.error_s <= 0.25

    @property
    def wrong(self) -> bool:
        return self.status == "matched" and not self.right


@dataclass(frozen=True)
class Clip:
    """A GIF's frames and delays, and what it shows of its film."""

    frames: list[np.ndarray]
    delays_cs: list[int]
    start_s: float
    end_s: float
    note: str


def recipe_of(kind: str, of: AttackedFilm, rng: np.random.Generator) -> Recipe:
    if kind in _FAST:
        speed = float(np.exp(rng.uniform(*np.log(_FAST[kind]))))
        length_s = min(float(rng.uniform(1.2, 4.0)), (of.track.end_s - 0.5) / speed)
        fps = float(rng.choice([8, 10, 12, 15]))
        return Recipe(span_s=length_s * speed, speed=speed, fps=fps, over_cut=False)
    return Recipe(span_s=float(rng.uniform(1.5, 4.0)), fps=float(rng.choice([8, 10, 12, 15])))


def clip_of(
    kind: str, of: AttackedFilm, other: AttackedFilm, rng: np.random.Generator
) -> Clip | None:
    recipe = recipe_of(kind, of, rng)
    start = of.start(recipe, rng, static=False)
    if start is None:
        return None
    times_s, delays = timing(recipe, rng)
    start_s = float(of.track.pts_s[start])
    frames = rendered(of.frames(of.track.shown_at(start_s + times_s + 5e-4)), recipe, rng)
    end_s = min(start_s + sum(delays) / 100 * recipe.speed, of.track.end_s)
    note = f"{of.path.stem} @{start_s:.2f}-{end_s:.2f} ×{recipe.speed:.2f} {len(frames)} frames"
    clip = Clip(frames, delays, start_s, end_s, note)
    if kind in _HELD:
        return _held(kind, clip, rng)
    if kind in _PANELS:
        at = float(rng.uniform(0, max(0.1, other.track.end_s - len(frames) / recipe.fps)))
        beside = other.frames(other.track.shown_at(at + times_s))
        return replace(clip, frames=_panels(kind, frames, beside, rng))
    return clip


def _held(kind: str, clip: Clip, rng: np.random.Generator) -> Clip:
    frames, delays = list(clip.frames), list(clip.delays_cs)
    if kind == "covered":
        count = max(2, round(float(rng.uniform(0.5, 1.0)) / (delays[0] / 100)))
        first = int(rng.integers(2, max(3, len(frames) - count - 2)))
        frames[first : first + count] = [frames[first]] * len(frames[first : first + count])
        return replace(clip, frames=frames)
    at = len(frames) - 1 if kind == "held end" else int(rng.integers(3, len(frames) - 3))
    delays[at] += round(100 * float(rng.uniform(1.0, 2.5)))
    return replace(clip, delays_cs=delays)


def _panels(
    kind: str, frames: list[np.ndarray], beside: list[np.ndarray], rng: np.random.Generator
) -> list[np.ndarray]:
    height, width = frames[0].shape[:2]
    if kind in ("side by side", "one above the other"):
        axis, first = int(kind == "side by side"), rng.random() < 0.5
        small = [
            cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in beside
        ]
        pairs = zip(frames, small, strict=True)
        return [np.concatenate(pair if first else pair[::-1], axis=axis) for pair in pairs]
    share = rng.uniform(0.35, 0.5) if kind == "inset" else rng.uniform(0.25, 0.33)
    size = round(width * share), round(height * share)
    margin = round(0.03 * width) if rng.random() < 0.5 else 0
    x = margin if rng.random() < 0.5 else width - size[0] - margin
    y = margin if rng.random() < 0.5 else height - size[1] - margin
    under, over = (beside, frames) if kind == "inset" else (frames, beside)
    made = []
    for below, above in zip(under, over, strict=True):
        whole = cv2.resize(below, (width, height), interpolation=cv2.INTER_AREA)
        whole[y : y + size[1], x : x + size[0]] = cv2.resize(
            above, size, interpolation=cv2.INTER_AREA
        )
        made.append(whole)
    return made


def judged(kind: str, clip: Clip, own: bool, name: str, hits: Sequence[Hit], seconds: float) -> Row:
    """The best hit; several that are matched count by the worst."""
    sure = [hit.match for hit in hits if hit.match.status == "matched"]
    found = sure or [hit.match for hit in hits]
    errors = [
        max(abs(m.span.start_s - clip.start_s), abs(m.span.end_s - clip.end_s))
        if m.span
        else float("inf")
        for m in found
    ]
    said = "; ".join(
        f"{m.status} {m.confidence:.3f}"
        f" {m.span and (round(m.span.start_s, 2), round(m.span.end_s, 2))} ×{m.speed:.2f}"
        f" {m.reason}"
        f" {m.distance:.1f} bits {m.explained:.2f} explained {m.correlation:.2f}"
        for m in found
    )
    best = found[0] if found else None
    return Row(
        kind,
        name,
        own,
        best.status if best else "unmatched",
        max(errors, default=float("inf")),
        best.confidence if best else 0.0,
        seconds,
        f"{clip.note}: {said}",
    )


def attack(
    number: int,
    films: dict[Path, Track],
    *,
    kinds: Sequence[str],
    each: int,
    seed: int,
    kept: Path | None,
) -> list[Row]:
    """All GIFs of one film, found."""
    cv2.setNumThreads(1)
    paths = sorted(films)
    own = AttackedFilm(paths[number], films[paths[number]])
    others = [p for p in paths if film(p) != film(own.path)]
    opened: dict[Path, AttackedFilm] = {}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        for kind in kinds:
            for turn in range(each):
                rng = _rng(seed, own.path.name, kind, turn)
                beside = others[int(rng.integers(len(others)))]
                stranger = others[int(rng.integers(len(others)))]
                if kind in _PANELS and beside not in opened:
                    opened[beside] = AttackedFilm(beside, films[beside])
                clip = clip_of(kind, own, opened.get(beside, own), rng)
                if clip is None:
                    continue
                gif = Path(scratch) / "clip.gif"
                write_gif(gif, clip.frames, delays_cs=clip.delays_cs)
                prints = prints_of(gif, with_panels=kind in _PANELS)
                against = [own.path]
                if turn % 3 == 0 and stranger != beside:
                    against.append(stranger)
                for path in against:
                    started = time.process_time()
                    hits = found_in(prints, SearchedFilm.of(films[path]))
                    seconds = time.process_time() - started
                    row = judged(kind, clip, path == own.path, path.stem, hits, seconds)
                    rows.append(row)
                    if kept:
                        with kept.open("a") as file:
                            file.write(json.dumps(asdict(row)) + "\n")
                    if row.wrong or (row.own and not row.right):
                        print(row, file=sys.stderr, flush=True)
    return rows


def report(rows: Sequence[Row]) -> None:
    print("| GIF | GIFs | ±0.25 s | ambiguous | unmatched | wrong | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for kind in (*_KINDS, "all"):
        _line(kind, [row for row in rows if row.own and kind in (row.kind, "all")])
    _line("other film", [row for row in rows if not row.own])


def _line(name: str, rows: Sequence[Row]) -> None:
    if rows:
        right = sum(row.right for row in rows)
        states = [sum(row.status == s for row in rows) for s in ("ambiguous", "unmatched")]
        wrong = sum(row.wrong for row in rows)
        seconds = sum(row.seconds for row in rows) / len(rows)
        cells = [name, len(rows), f"{right / len(rows):.1%}", *states, wrong, f"{seconds:.2f}"]
        print("| " + " | ".join(map(str, cells)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--each", type=int, default=3, help="GIFs a film and kind")
    parser.add_argument("--kinds", nargs="+", choices=_KINDS, default=_KINDS, metavar="KIND")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rows", type=Path, help="append every row here, JSON lines")
    asked = parser.parse_args()
    films = tracks(set((realdata() / "videos").iterdir()))
    work = partial(
        attack,
        films=films,
        kinds=asked.kinds,
        each=asked.each,
        seed=asked.seed,
        kept=asked.rows,
    )
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool:
        rows = [row for some in pool.map(work, range(len(films))) for row in some]
    report(rows)


if __name__ == "__main__":
    main()
