"""`python benchmarks/finder.py FOLDER`: 1,000 clips planted in ten hours of film, found again.

Films: 24 made ones of 25 minutes (`finder_films.py`), each from its own seed; FOLDER keeps their
fingerprints and 64×64 pictures (4 GB), so that a second run only searches. Clips: 1 s to 10 min,
evenly spread over the logarithm, cut anywhere that moves at both ends (`MOVES`, as attacks.py).
Each is shown at 8 to 30 frames a second and at 0.8 to 1.25 times the speed (half of them at 1),
cropped by up to 10 %, brighter or darker, with noise, few gray levels or a caption: as many of
these as chance says. They are made of the 64×64 pictures, without an encoder; `finder_attacks.py`
encodes real GIFs of real films. One clip in ten is of a film that is not in the library.

Found: start and end within 0.25 s. Part: so for a part of the clip only. Wrong: a hit of another
place or film. Clips are matched with each film, as
`video2gif match` does it, in this process.
"""

import argparse
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from finder_films import FILM_S, FPS, film, luma, real_pictures, rng_of, track_of
from match_realdata import PARAMS, realdata

from video2gif.fingerprint.track import Track
from video2gif.matching.finder import find
from video2gif.matching.votes import SearchedFilm

MOVES = 1.5
"""Gray levels in 0.1 s."""
_SHORTEST_S, _LONGEST_S = 1.0, 600.0
_FILMS, _STRANGERS = 24, 1
_COLUMNS = ("pts_s", "hashes", "quality", "thumbs")


@dataclass(frozen=True)
class Planted:
    """A clip, and where it was cut."""

    film: int
    start_s: float
    span_s: float
    speed: float
    fps: float
    crop: tuple[float, float, float]
    """Left, top, and how much is left out."""
    bright: float
    gain: float
    noise: float
    levels: int
    caption: bool


@dataclass(frozen=True)
class Row:
    number: int
    film: int
    length_s: float
    status: str
    """found | part | missed | wrong | ambiguous; of clips that are in no film: nothing | wrong."""
    error_s: float
    seconds: float
    note: str


class Made:
    """A made film: its pictures, mapped, and its fingerprint."""

    def __init__(self, folder: Path, number: int, pictures: list[np.ndarray]) -> None:
        kept, columns = folder / f"{number:02d}.npy", folder / f"{number:02d}.npz"
        if not kept.exists():
            frames = luma(film(number, pictures, n_frames=round(FILM_S * FPS)))
            made = track_of(frames, np.arange(len(frames)) / FPS, FILM_S)
            np.savez(columns, **{name: getattr(made, name) for name in _COLUMNS})
            np.save(kept, frames)
        self.luma = np.load(kept, mmap_mode="r")
        with np.load(columns) as found:
            arrays = {name: found[name] for name in _COLUMNS}
        self.track = Track(end_s=FILM_S, **arrays)
        thumbs = self.track.thumbs
        step = round(FPS / 10)
        apart = np.abs(thumbs[step:].astype(np.int16) - thumbs[:-step]).mean(axis=(1, 2))
        self._moved = np.concatenate([[0.0], np.cumsum(apart)]) * (0.1 * FPS / step)

    def moves(self, start_s: float, end_s: float) -> bool:
        """Whether the film moves from here to there."""
        first, stop = round(start_s * FPS), min(round(end_s * FPS), len(self._moved) - 1)
        return bool(
            stop > first and (self._moved[stop] - self._moved[first]) / (stop - first) > MOVES
        )


def planted(number: int, made: list[Made]) -> Planted | None:
    """The clip with this number, or None if no place moves enough."""
    rng = rng_of("clip", number)
    stranger = number % 10 == 9
    which = _FILMS if stranger else int(rng.integers(_FILMS))
    speed = 1.0 if rng.random() < 0.5 else float(np.exp(rng.uniform(np.log(0.8), np.log(1.25))))
    length_s = float(np.exp(rng.uniform(np.log(_SHORTEST_S), np.log(_LONGEST_S))))
    fps = float(rng.uniform(8, 15) if length_s < 20 else rng.uniform(10, 30))
    # As many frames as a clip has, and the film's time they show.
    span_s = max(3, round(length_s * fps)) / fps * speed
    lost = float(rng.uniform(0, 0.1)) if rng.random() < 0.3 else 0.0
    crop = (*rng.uniform(0, max(lost, 1e-9), 2).tolist(), lost)
    chance = rng.random(4) < 0.3
    for _ in range(200):
        start_s = float(rng.uniform(0, FILM_S - span_s))
        ends = (start_s, start_s + 0.5), (start_s + span_s - 0.5, start_s + span_s)
        if all(made[which].moves(*part) for part in (*ends, (start_s, start_s + span_s))):
            return Planted(
                which,
                start_s,
                span_s,
                speed,
                fps,
                (crop[0], crop[1], lost),
                float(rng.uniform(-25, 25)) if chance[0] else 0.0,
                float(rng.uniform(0.8, 1.2)) if chance[0] else 1.0,
                float(rng.uniform(1, 5)) if chance[1] else 0.0,
                int(rng.integers(16, 64)) if chance[2] else 256,
                bool(chance[3]),
            )
    return None


def cut(clip: Planted, of: Made, number: int) -> Track:
    """The clip's fingerprint."""
    rng = rng_of("pixels", number)
    pts_s = np.arange(round(clip.span_s / clip.speed * clip.fps)) / clip.fps
    at = np.minimum(
        ((clip.start_s + clip.speed * pts_s) * FPS + 1e-6).astype(int), len(of.luma) - 1
    )
    pictures = np.stack([_edited(of.luma[i], clip, rng) for i in at])
    return track_of(pictures, pts_s, len(pts_s) / clip.fps)


def _edited(picture: np.ndarray, clip: Planted, rng: np.random.Generator) -> np.ndarray:
    x, y, lost = clip.crop
    if lost:
        side = 64 * (1 - lost)
        scale = side / 64
        matrix = np.array(
            [[scale, 0, 64 * x + scale / 2 - 0.5], [0, scale, 64 * y + scale / 2 - 0.5]]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        picture = cv2.warpAffine(np.ascontiguousarray(picture), matrix, (64, 64), flags=flags)
    levels = (picture.astype(np.float32) - 128) * clip.gain + 128 + clip.bright
    if clip.noise:
        levels += rng.normal(0, clip.noise, levels.shape).astype(np.float32)
    if clip.levels < 256:
        step = 256 / clip.levels
        levels = np.floor(levels / step) * step + step / 2
    if clip.caption:
        levels[52:60, 8:56] = 255
        levels[54:58, 12:52:4] = 0
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)


def judged(number: int, clip: Planted, track: Track, films: list[SearchedFilm]) -> Row:
    started = time.process_time()
    limits = PARAMS.match
    hits = [
        (which, hit)
        for which, one in enumerate(films)
        for hit in find(
            track, one, min_confidence=limits.min_confidence, min_frames=limits.min_frames
        )
    ]
    seconds = time.process_time() - started
    sure = [(which, hit) for which, hit in hits if hit.match.status == "matched"]
    error_s, note, wrong = float("inf"), "", False
    for which, hit in sure:
        span = hit.match.span
        assert span is not None
        note += f" {which}@{span.start_s:.2f}-{span.end_s:.2f} ×{hit.match.speed:.3f}"
        note += f" {hit.match.confidence:.3f} of {hit.clip_start_s:.1f}-{hit.clip_end_s:.1f};"
        # Of the part of the clip that it speaks of, and of all of it.
        part = (hit.clip_start_s, hit.clip_end_s), (0.0, track.end_s)
        off_s, whole_s = (
            max(
                abs(span.start_s - clip.start_s - clip.speed * low),
                abs(span.end_s - clip.start_s - clip.speed * high),
            )
            for low, high in part
        )
        wrong |= which != clip.film or off_s > 0.25
        error_s = min(error_s, whole_s) if which == clip.film else error_s
    if wrong:
        status = "wrong"
    elif sure:
        status = "found" if error_s <= 0.25 else "part"
    else:
        status = "nothing" if clip.film >= _FILMS else ("ambiguous" if hits else "missed")
    return Row(number, clip.film, track.end_s, status, error_s, seconds, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--every", type=int, default=1, help="only every n-th clip")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--films", type=int, default=_FILMS, help="search only so many")
    parser.add_argument("--rows", type=Path, help="JSON lines: a run goes on where these end")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    pictures = real_pictures(sorted((realdata() / "videos").iterdir()))
    made = [Made(asked.folder, number, pictures) for number in range(_FILMS + _STRANGERS)]
    films = [SearchedFilm.of(one.track) for one in made[: asked.films]]
    rows = _kept(asked.rows)
    done = {row.number for row in rows}
    for number in range(asked.first, asked.clips, asked.every):
        if number in done:
            continue
        clip = planted(number, made)
        if clip is None or asked.films <= clip.film < _FILMS:
            continue
        row = judged(number, clip, cut(clip, made[clip.film], number), films)
        rows.append(row)
        if row.status not in ("found", "nothing"):
            print(row, clip, file=sys.stderr, flush=True)
        if asked.rows:
            with asked.rows.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
    report(rows)


def _kept(path: Path | None) -> list[Row]:
    """What an earlier run has written."""
    lines = path.read_text().splitlines() if path and path.exists() else []
    return [Row(**json.loads(line)) for line in lines]


def report(rows: list[Row]) -> None:
    print("| clips | number | found ±0.25 s | part | ambiguous | missed | wrong | CPU s a clip |")
    print("|---|---|---|---|---|---|---|---|")
    kinds = [
        (f"{low:g} to {high:g} s", low, high)
        for low, high in ((1, 5), (5, 20), (20, 90), (90, 601))
    ]
    own = [row for row in rows if row.film < _FILMS]
    for name, low, high in (*kinds, ("**all**", 0, 1e9)):
        _line(name, [row for row in own if low <= row.length_s < high])
    _line("of another film", [row for row in rows if row.film >= _FILMS])
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    errors = sorted(row.error_s for row in own if row.status == "found")
    if errors:
        print(f"\nerror: median {errors[len(errors) // 2]:.3f} s, most {errors[-1]:.3f} s")
    print(f"memory: {used:.2f} GiB at most")


def _line(name: str, rows: list[Row]) -> None:
    if rows:
        counts = [
            sum(row.status in wanted for row in rows)
            for wanted in (("found",), ("part",), ("ambiguous",), ("missed", "nothing"), ("wrong",))
        ]
        seconds = sum(row.seconds for row in rows) / len(rows)
        print(f"| {name} | {len(rows)} | " + " | ".join(map(str, counts)) + f" | {seconds:.2f} |")


if __name__ == "__main__":
    main()
