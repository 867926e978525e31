"""Ranked moments as what editors and players read: EDL, FCPXML, OTIO, chapters, LosslessCut, csv.

Frames are counted at the film's rate, [start, end), from the beginning of its picture track as an
editor counts them: round(seconds × rate). At a constant rate that is the frame's own number.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import quoteattr

from video2gif.core.errors import UserError
from video2gif.core.names import shown
from video2gif.make.analysis import Analysis
from video2gif.make.rankers import Moment

EditorFormat = Literal["csv", "edl", "fcpxml", "otio", "chapters", "llc"]

_COMMON = tuple(Fraction(n * 1000, d) for n in (24, 25, 30, 48, 50, 60) for d in (1000, 1001))
_NEAR = 0.0005  # Of a rate: between 24 and 24000/1001 lies twice as much.
_EDL_EVENTS = 999  # CMX 3600 numbers them with three digits.


@dataclass(frozen=True)
class FilmFacts:
    """What an editor must know of the file."""

    path: Path
    rate: Fraction
    """Frames a second."""
    duration_s: float
    width: int
    height: int

    @property
    def name(self) -> str:
        return shown(self.path.name)

    @property
    def url(self) -> str:
        return self.path.resolve().as_uri()

    @property
    def n_frames(self) -> int:
        return self.frame(self.duration_s)

    def frame(self, time_s: float) -> int:
        return math.floor(Fraction(time_s) * self.rate + Fraction(1, 2))

    def span(self, moment: Moment) -> tuple[int, int]:
        """Frames [start, end) of a moment, at least one."""
        start = self.frame(moment.start_s)
        return start, max(start + 1, self.frame(moment.end_s))


def film_of(analysis: Analysis) -> FilmFacts:
    found = analysis.fingerprint
    rate = usual_rate(analysis.rate)
    return FilmFacts(analysis.path, rate, found.end_s, found.width, found.height)


def usual_rate(rate: Fraction) -> Fraction:
    """The rate that an editor takes a film for: a common one that is near, else a whole number."""
    near = [one for one in _COMMON if abs(rate / one - 1) <= _NEAR]
    return near[0] if near else Fraction(max(1, round(rate)))


def written(form: EditorFormat, film: FilmFacts, moments: Sequence[Moment]) -> str:
    """The moments, best first, as a document; it ends in a line break."""
    return _WRITERS[form](film, moments)


def title(moment: Moment) -> str:
    """`01 score 0.87`"""
    score = "unscored" if math.isnan(moment.score) else f"score {moment.score:.2f}"
    return f"{moment.rank:02d} {score}"


def csv(film: FilmFacts, moments: Sequence[Moment]) -> str:
    rows = ["rank,start_s,end_s,score"]
    for m in moments:
        score = "" if math.isnan(m.score) else f"{m.score:.6g}"
        rows.append(f"{m.rank},{m.start_s:.3f},{m.end_s:.3f},{score}")
    return "\n".join(rows) + "\n"


def edl(film: FilmFacts, moments: Sequence[Moment]) -> str:
    """CMX 3600, one event a moment, one after the other; time code without dropped numbers."""
    if len(moments) > _EDL_EVENTS:
        raise UserError(f"an EDL holds {_EDL_EVENTS} moments, not {len(moments)}; give --top")
    lines = [f"TITLE: {film.path.stem.encode('ascii', 'replace').decode()}", "FCM: NON-DROP FRAME"]
    at = 0
    for number, moment in enumerate(moments, start=1):
        start, end = film.span(moment)
        codes = [_time_code(n, film.rate) for n in (start, end, at, at + end - start)]
        lines += ["", f"{number:03d}  AX       V     C        {' '.join(codes)}"]
        lines += [f"* FROM CLIP NAME: {film.name}", f"* COMMENT: {title(moment)}"]
        at += end - start
    return "\n".join(lines) + "\n"


def fcpxml(film: FilmFacts, moments: Sequence[Moment]) -> str:
    """Final Cut's XML 1.8: a project with the moments one after the other."""
    total = sum(end - start for start, end in map(film.span, moments))
    frame = f"{film.rate.denominator}/{film.rate.numerator}s"
    clips, at = [], 0
    for moment in moments:
        start, end = film.span(moment)
        clips.append(
            f'            <asset-clip name={quoteattr(title(moment))} ref="r2" format="r1"'
            f' offset="{_seconds(at, film)}" start="{_seconds(start, film)}"'
            f' duration="{_seconds(end - start, film)}"/>'
        )
        at += end - start
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            "<!DOCTYPE fcpxml>",
            '<fcpxml version="1.8">',
            "  <resources>",
            f'    <format id="r1" frameDuration="{frame}" width="{film.width}"'
            f' height="{film.height}"/>',
            f'    <asset id="r2" name={quoteattr(film.name)} src={quoteattr(film.url)} start="0s"'
            f' duration="{_seconds(film.n_frames, film)}" hasVideo="1" format="r1"/>',
            "  </resources>",
            "  <library>",
            '    <event name="video2gif">',
            f"      <project name={quoteattr(film.name)}>",
            f'        <sequence format="r1" duration="{_seconds(total, film)}">',
            "          <spine>",
            *clips,
            "          </spine>",
            "        </sequence>",
            "      </project>",
            "    </event>",
            "  </library>",
            "</fcpxml>\n",
        ]
    )


def otio(film: FilmFacts, moments: Sequence[Moment]) -> str:
    """OpenTimelineIO's JSON: a timeline of one track."""
    whole = {
        "OTIO_SCHEMA": "ExternalReference.1",
        "target_url": film.url,
        "available_range": _range(0, film.n_frames, film),
    }
    clips = []
    for moment in moments:
        start, end = film.span(moment)
        clips.append(
            {
                "OTIO_SCHEMA": "Clip.1",
                "name": title(moment),
                "source_range": _range(start, end, film),
                "media_reference": whole,
                "metadata": {"video2gif": {"rank": moment.rank, "why": list(moment.why)}},
            }
        )
    track = {"OTIO_SCHEMA": "Track.1", "kind": "Video", "name": "moments", "children": clips}
    timeline = {
        "OTIO_SCHEMA": "Timeline.1",
        "name": film.name,
        "tracks": {"OTIO_SCHEMA": "Stack.1", "children": [track]},
    }
    return json.dumps(timeline, indent=2) + "\n"


def chapters(film: FilmFacts, moments: Sequence[Moment]) -> str:
    """ffmpeg's metadata file; chapters stand in the order of time."""
    lines = [";FFMETADATA1"]
    for moment in sorted(moments, key=lambda one: one.start_s):
        start, end = film.span(moment)
        lines += [
            "[CHAPTER]",
            f"TIMEBASE={film.rate.denominator}/{film.rate.numerator}",
            f"START={start}",
            f"END={end}",
            f"title={title(moment)}",
        ]
    return "\n".join(lines) + "\n"


def llc(film: FilmFacts, moments: Sequence[Moment]) -> str:
    """A project of LosslessCut; it cuts by seconds, so the frames' own times stand in it."""
    segments = [
        {"start": m.start_s, "end": m.end_s, "name": title(m), "tags": {"rank": str(m.rank)}}
        for m in moments
    ]
    project = {"version": 2, "mediaFileName": film.path.name, "cutSegments": segments}
    return json.dumps(project, indent=2) + "\n"


_WRITERS: Mapping[str, Callable[[FilmFacts, Sequence[Moment]], str]] = {
    "csv": csv,
    "edl": edl,
    "fcpxml": fcpxml,
    "otio": otio,
    "chapters": chapters,
    "llc": llc,
}
FORMATS = tuple(_WRITERS)


def _time_code(frame: int, rate: Fraction) -> str:
    """HH:MM:SS:FF: frames are numbered at the next whole rate, and none is left out."""
    seconds, frames = divmod(frame, math.ceil(rate))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}:{frames:02d}"


def _seconds(frames: int, film: FilmFacts) -> str:
    """A time of FCPXML: a fraction of seconds that is a whole number of frames."""
    return f"{frames * film.rate.denominator}/{film.rate.numerator}s"


def _range(start: int, end: int, film: FilmFacts) -> dict[str, Any]:
    def time(value: int) -> dict[str, Any]:
        return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(film.rate), "value": float(value)}

    return {
        "OTIO_SCHEMA": "TimeRange.1",
        "start_time": time(start),
        "duration": time(end - start),
    }
