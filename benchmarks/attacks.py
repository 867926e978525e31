"""`python benchmarks/attacks.py [VIDEO…]`: cut GIFs with every edit, match them, count errors.

Where GIFs are cut. A span *moves* when thumbnails (16×16 luma) 0.1 s apart differ by at least 1.5
gray levels on average, over the whole span and also over its first and last half second: where
nothing moves, no matcher can tell when. Its end is here the last frame that the GIF shows: a cut
after that tells nothing. It is *static* when the whole span, and the second on either side of it,
moves by less than 0.1. Spans lie within one shot if the film has one long enough; those `over a
cut` hold a cut in their middle half. A moving span is 1.5 to 4 s long unless the edit says
otherwise.

GIFs are made of the decoded film at ≤ 320 pixels, by `media.encode.write_gif`, and fingerprinted
like any other file. Each is matched against its film and a third of them, as negatives, against a
film they are not from; storyboards (stills from a whole film) must not match either. Misses go to
standard error as they come.

Recall counts GIFs with status `matched` whose start and end are both near enough; wrong ones are
`matched` and off. The calibration error (ECE) is over ten bins of the confidence of everything
matched against anything, where right means within 0.25 s.

`--edits NAME…` cuts GIFs of these alone, the same ones as a run of all edits. `--store DIR` keeps
fingerprints of GIFs, so that a second run only matches.
"""

import argparse
import hashlib
import json
import math
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from attack_edits import EDITS, Recipe, Rng, combined, rendered, timing
from av.video.reformatter import VideoReformatter
from match_realdata import PARAMS, film, find, realdata, tracks

from video2gif.core.errors import ItemError
from video2gif.fingerprint import decode as fingerprint
from video2gif.fingerprint.decode import fingerprinting
from video2gif.fingerprint.read import read_fingerprint
from video2gif.fingerprint.track import Track
from video2gif.matching.confidence import Match
from video2gif.media.decode import Decoder
from video2gif.media.encode import write_gif

MOVES, STANDS = 1.5, 0.1
"""Gray levels in 0.1 s: from where on a span moves, up to where it is static."""

_WIDTH = 320
_STEP_S = 0.1
_CUT = 25.0  # Gray levels between neighbouring frames' thumbnails: a cut.
_TRIES = 400
_RANDOM = {"two edits": 2, "three edits": 3}
_FAMILIES = ("none", *EDITS, *_RANDOM)
_ALL = (*_FAMILIES, "static", "storyboard")


@dataclass(frozen=True)
class Row:
    """One GIF against one film."""

    edit: str
    film: str
    right: str
    """span | ambiguous | nothing: what it should give."""
    status: str
    error_s: float
    confidence: float
    distance: float
    explained: float
    correlation: float
    margin: float
    length_s: float
    frames: int
    note: str

    @property
    def near(self) -> bool:
        return self.right != "nothing" and self.error_s <= 0.25

    @property
    def wrong(self) -> bool:
        return self.status == "matched" and not self.near

    def describe(self) -> str:
        """One line for a log."""
        return (
            f"{self.edit}: {self.status} {self.confidence:.3f}, off by {self.error_s:.2f} s,"
            f" {self.distance:.1f} bits, {self.explained:.2f} explained, margin {self.margin:.2f},"
            f" {self.frames} frames in {self.length_s:.2f} s, {self.note}"
        )


@dataclass(frozen=True)
class Cut:
    """A GIF to make: its recipe, and the frame its span starts with."""

    edit: str
    recipe: Recipe
    start_frame: int
    seed: int


class Film:
    """A decoded video: small frames for GIFs, the fingerprint to match against."""

    def __init__(self, path: Path, track: Track) -> None:
        self.path, self.track = path, track
        self._frames: list[np.ndarray] = []
        thumbs = track.thumbs.astype(np.float32)
        ticks = np.arange(0, track.end_s - _STEP_S, _STEP_S)
        here, then = (thumbs[track.shown_at(t)] for t in (ticks, ticks + _STEP_S))
        self._movement = np.abs(then - here).mean(axis=(1, 2))
        between = np.abs(np.diff(thumbs, axis=0)).mean(axis=(1, 2))
        self.cuts_s = track.pts_s[1:][between > _CUT]

    def frames(self, numbers: np.ndarray) -> list[np.ndarray]:
        """uint8 RGB, at most 320 pixels wide. The film is decoded once, when first asked."""
        if not self._frames:
            with Decoder(self.path) as decoder:
                scaler = VideoReformatter()
                for _, frame in decoder.frames():
                    width = min(_WIDTH, frame.width)
                    height = 2 * round(width * frame.height / frame.width / 2)
                    small = scaler.reformat(frame, width, height, "rgb24", interpolation="AREA")
                    self._frames.append(small.to_ndarray())
        return [self._frames[number] for number in numbers]

    def movement(self, start_s: float, end_s: float) -> float:
        """Mean over [start_s, end_s), gray levels in 0.1 s."""
        first, end = math.ceil(start_s / _STEP_S - 1e-6), math.floor(end_s / _STEP_S + 1e-6)
        part = self._movement[first:end]
        return float(part.mean()) if len(part) else 0.0

    def start(self, recipe: Recipe, rng: Rng, *, static: bool) -> int | None:
        """A first frame for a span, or None if the film has no such span."""
        latest = int(np.searchsorted(self.track.pts_s, self.track.end_s - recipe.span_s - 0.05))
        found = None
        for frame in rng.integers(0, max(latest, 1), _TRIES if latest > 0 else 0):
            start_s = float(self.track.pts_s[frame])
            end_s = start_s + recipe.span_s
            if static and not self._stands(start_s, end_s):
                continue
            if not static and not self._moves(start_s, start_s + recipe.last_s):
                continue
            inside = self.cuts_s[(self.cuts_s > start_s) & (self.cuts_s < end_s)]
            middle = np.abs(inside - (start_s + end_s) / 2) < recipe.span_s / 4
            if bool(middle.any()) if recipe.over_cut else not len(inside):
                return int(frame)
            found = int(frame) if found is None and not recipe.over_cut else found
        return found

    def _moves(self, start_s: float, end_s: float) -> bool:
        parts = ((start_s, end_s), (start_s, start_s + 0.5), (end_s - 0.5, end_s))
        return all(self.movement(*part) >= MOVES for part in parts)

    def _stands(self, start_s: float, end_s: float) -> bool:
        return 1 <= start_s <= self.track.end_s - 1 and (
            self.movement(start_s - 1, end_s + 1) < STANDS
        )


def _rng(*names: object) -> Rng:
    return np.random.default_rng(zlib.crc32(" ".join(map(str, names)).encode()))


def cuts(
    of: Film, *, edits: Sequence[str], seed: int, turn: int, of_films: int, each: int
) -> Iterator[Cut]:
    """The GIFs of one film: films take turns, `each` GIFs an edit from all of them together."""
    for place, edit in enumerate(_ALL):
        if edit not in edits:
            continue
        if edit == "storyboard":
            yield storyboard(of, seed=seed)
            continue
        for number in range((turn - place) % of_films, each, of_films):
            rng = _rng(seed, of.path.name, edit, number)
            recipe = Recipe(span_s=float(rng.uniform(1.5, 4.0)))
            if edit in EDITS:
                recipe = EDITS[edit][1](recipe, rng)
            elif edit in _RANDOM:
                recipe = combined(recipe, rng, _RANDOM[edit])
            start = of.start(recipe, rng, static=edit == "static")
            if start is not None:
                yield Cut(edit, recipe, start, int(rng.integers(1 << 31)))


def storyboard(of: Film, *, seed: int) -> Cut:
    """Stills from a whole film, in order, 2 to 6 a second; at least 6 times as fast as it."""
    rng = _rng(seed, of.path.name, "storyboard")
    fps = float(rng.integers(2, 7))
    speed = max(6.0, of.track.end_s / rng.integers(10, 30) * fps)
    span_s = of.track.end_s - speed / fps
    return Cut("storyboard", Recipe(span_s=span_s, speed=speed, fps=fps), 0, seed)


class Maker:
    """Makes GIFs and their fingerprints; keeps the latter."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._code = fingerprinting(PARAMS.fingerprint).key(())

    def make(self, cut: Cut, of: Film) -> tuple[Track, float]:
        """The GIF's track, and the end of its span, seconds."""
        rng = np.random.default_rng(cut.seed)
        times_s, delays = timing(cut.recipe, rng)
        start_s = float(of.track.pts_s[cut.start_frame])
        name = json.dumps([str(of.path), asdict(cut), self._code], sort_keys=True)
        kept = self._store / hashlib.sha256(name.encode()).hexdigest()
        if not kept.exists():
            # Half a millisecond: a frame's time may be a rounded number.
            frames = of.frames(of.track.shown_at(start_s + times_s + 5e-4))
            self._fingerprint(rendered(frames, cut.recipe, rng), delays, cut.recipe, kept)
        track = read_fingerprint(kept.read_bytes()).track
        shown = track.end_s
        if cut.recipe.play == "ping-pong":
            shown = (times_s.max() / cut.recipe.speed) + delays[0] / 100
        return track, start_s + shown * cut.recipe.speed

    def _fingerprint(
        self, frames: list[np.ndarray], delays: list[int], recipe: Recipe, kept: Path
    ) -> None:
        gif = kept.with_suffix(".gif")
        write_gif(gif, frames, delays_cs=delays, palette=recipe.palette, dither=recipe.dither)
        params = fingerprinting(PARAMS.fingerprint).params
        fingerprint.work(out=kept, params=params, path=str(gif), kind="gif")
        gif.unlink()


def judged(cut: Cut, gif: Track, of: Film, end_s: float, against: Film) -> Row:
    """Match a GIF against a film, its own or not."""
    found = find(gif, against.track)
    own = against is of
    right = "nothing" if not own or cut.edit == "storyboard" else "span"
    right = "ambiguous" if cut.edit == "static" and own else right
    return Row(
        edit=cut.edit if own else "other film",
        film=against.path.stem,
        right=right,
        status=found.status,
        error_s=_error_s(found, float(of.track.pts_s[cut.start_frame]), end_s),
        confidence=found.confidence,
        distance=found.distance,
        explained=found.explained,
        correlation=found.correlation,
        margin=found.margin,
        length_s=gif.end_s,
        frames=len(gif),
        note=f"{of.path.stem} @{of.track.pts_s[cut.start_frame]:.2f}-{end_s:.2f}"
        f" found {found.span and (round(found.span.start_s, 2), round(found.span.end_s, 2))}"
        f" ×{found.speed:.2f} {found.reason} {_changed(cut.recipe)}",
    )


def _changed(recipe: Recipe) -> str:
    plain = asdict(Recipe(span_s=0.0))
    return " ".join(f"{k}={v}" for k, v in asdict(recipe).items() if v != plain[k])


def _error_s(found: Match, start_s: float, end_s: float) -> float:
    if found.span is None:
        return float("inf")
    return max(abs(found.span.start_s - start_s), abs(found.span.end_s - end_s))


def attack(
    number: int,
    films: dict[Path, Track],
    *,
    edits: Sequence[str],
    each: int,
    seed: int,
    store: Path,
) -> list[Row]:
    """All GIFs of one film, matched."""
    cv2.setNumThreads(1)
    paths = sorted(films)
    own = Film(paths[number], films[paths[number]])
    others = [Film(p, t) for p, t in films.items() if film(p) != film(own.path)]
    maker = Maker(store)
    made = cuts(own, edits=edits, seed=seed, turn=number, of_films=len(films), each=each)
    rows: list[Row] = []
    done = 0
    for cut in made:
        try:
            gif, end_s = maker.make(cut, own)
        except ItemError as error:
            print(f"left out: {cut}: {error}")
            continue
        rows.append(judged(cut, gif, own, end_s, own))
        # A third of them also against another film: that takes twice as long, to say no.
        if others and cut.seed % 3 == 0:
            stranger = others[cut.seed // 3 % len(others)]
            rows.append(judged(cut, gif, own, end_s, stranger))
        for row in rows[done:]:
            if row.wrong or (row.right == "span" and not (row.near and row.status == "matched")):
                print(row.describe(), file=sys.stderr, flush=True)
        done = len(rows)
    return rows


def calibration_error(rows: Sequence[Row], bins: int = 10) -> float:
    """Expected calibration error: mean over all of |share right - mean confidence| by bin."""
    confidence = np.array([row.confidence for row in rows])
    right = np.array([row.near for row in rows])
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(right[index == b].mean() - confidence[index == b].mean()) * (index == b).mean()
        for b in np.unique(index)
    ]
    return float(sum(gaps))


def report(rows: Sequence[Row]) -> None:
    """The table, as Markdown, then the totals."""
    print("| edit | GIFs | ±0.25 s | ±0.5 s | ambiguous | unmatched | wrong > 0.25 s | > 1 s |")
    print("|---|---|---|---|---|---|---|---|")
    singles = [row for row in rows if row.edit in EDITS or row.edit == "none"]
    for name in (*_ALL, "other film"):
        _line(name, [row for row in rows if row.edit == name])
    _line("**every single edit**", singles)
    _line("**all**", rows)
    answers = [row for row in rows if row.right == "span"]
    print(
        f"\nCalibration error: {calibration_error(rows):.4f} over all {len(rows)},"
        f" {calibration_error(answers):.4f} over the {len(answers)} GIFs of moving spans"
        " against their film"
    )


def _line(name: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    matched = [row for row in rows if row.status == "matched"]

    def share(good: int) -> str:
        return f"{good / len(rows):.1%}"

    off = [row.error_s if row.right != "nothing" else float("inf") for row in matched]
    near, half = (sum(error <= limit for error in off) for limit in (0.25, 0.5))
    states = [share(sum(row.status == s for row in rows)) for s in ("ambiguous", "unmatched")]
    wrong = [str(sum(error > limit for error in off)) for limit in (0.25, 1.0)]
    cells = [name, str(len(rows)), share(near), share(half), *states, *wrong]
    print("| " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("videos", nargs="*", type=Path, help="default: $VIDEO2GIF_REALDATA/videos")
    parser.add_argument("--gifs-per-edit", type=int, default=11)
    parser.add_argument("--edits", nargs="+", choices=_ALL, default=_ALL, metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--store", type=Path, help="keep fingerprints of GIFs here")
    parser.add_argument("--rows", type=Path, help="write every match here, JSON lines")
    asked = parser.parse_args()
    paths = sorted(asked.videos or (realdata() / "videos").iterdir())
    films = tracks(set(paths))
    started = time.perf_counter()
    # Processes work side by side: more threads in each would only wait for one another.
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as scratch:
        store = asked.store or Path(scratch)
        store.mkdir(parents=True, exist_ok=True)
        work = partial(
            attack,
            films=films,
            edits=asked.edits,
            each=asked.gifs_per_edit,
            seed=asked.seed,
            store=store,
        )
        with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool:
            rows: list[Row] = []
            for part in pool.map(work, range(len(films))):
                rows += part
                if asked.rows:
                    # After every film: a run that is cut short has told something.
                    asked.rows.write_text("".join(json.dumps(asdict(r)) + "\n" for r in rows))
    report(rows)
    print(f"{time.perf_counter() - started:.0f} s with {asked.workers} processes")


if __name__ == "__main__":
    main()
