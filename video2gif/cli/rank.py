"""`video2gif rank` prints segments with scores; `match` finds where a GIF comes from."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from video2gif.cli.terminal import (
    AboutWord,
    Marks,
    Quiet,
    RankerName,
    Root,
    announce,
    finish,
    of_file,
    one_of,
    out,
    plain,
    progress,
)
from video2gif.core.config import params_at
from video2gif.core.errors import UserError
from video2gif.core.layout import Layout

if TYPE_CHECKING:
    from video2gif.make.match import Found


def rank(
    video: Annotated[Path, typer.Argument(help="A video file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    format: Annotated[
        str | None,
        typer.Option(
            help="Print the moments for an editor or player: edl, fcpxml, otio, chapters (ffmpeg's"
            " metadata), llc (LosslessCut) or csv."
        ),
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Only so many, the best.")] = None,
    ranker: RankerName = None,
    about: AboutWord = None,
    marks: Marks = None,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Print the segments of a video with their scores, best first."""
    from video2gif.make.api import ranked, settings
    from video2gif.make.editors import FORMATS, film_of, written

    form = one_of("--format", format or "csv", FORMATS) if format or as_csv else None
    with progress(quiet or as_json or form is not None) as context, of_file(video):
        chosen = settings(root, ranker=ranker, about=about, marks=marks, context=context)
        announce(chosen.ranker)
        analysis, moments = ranked(video, chosen, context)
        moments = moments[:top]
    if as_json:
        rows = [
            {
                "rank": m.rank,
                "start_s": m.start_s,
                "end_s": m.end_s,
                # JSON has no NaN.
                "score": None if math.isnan(m.score) else m.score,
                "why": list(m.why),
            }
            for m in moments
        ]
        print(
            json.dumps(
                {"video": str(video), "ranker": chosen.ranker.name, "segments": rows}, indent=2
            )
        )
    elif form is not None:
        print(written(form, film_of(analysis), moments), end="")
    else:
        table = Table("rank", "start", "end", "score", "why", title=plain(str(video)))
        table.caption = ", ".join(analysis.facts)
        for m in moments:
            numbers = (f"{m.start_s:.2f}", f"{m.end_s:.2f}", f"{m.score:.3f}")
            table.add_row(str(m.rank), *numbers, ", ".join(m.why))
        out.print(table)


def match(
    gif: Annotated[Path, typer.Argument(help="A GIF.")],
    videos: Annotated[
        list[str] | None, typer.Argument(help="Videos: files, folders, globs, URLs.")
    ] = None,
    corpus: Annotated[
        bool, typer.Option("--corpus", help="Search all videos of the project instead.")
    ] = False,
    preview: Annotated[
        Path | None,
        typer.Option(help="Write a PNG: frames of the GIF above those of the best match."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Find which of the videos a GIF was made from, and from where in it."""
    from video2gif.make.inputs import expand
    from video2gif.make.match import match_files
    from video2gif.make.preview import write_preview

    if bool(videos) == corpus:
        raise UserError("name the videos to search, or give --corpus for all of the project's")
    params = params_at(root)
    with progress(quiet or as_json) as context, of_file(gif):
        if corpus:
            from video2gif.make.match import match_corpus

            found = match_corpus(gif, Layout(root.resolve()), params, context)
        else:
            named = [Path(video) for video in expand(videos or [])]
            found = match_files(gif, named, params, context)
        if preview is not None:
            write_preview(preview, gif, found, params, context)
    if as_json:
        rows = [one.as_dict() for one in found]
        print(json.dumps({"gif": str(gif), "matches": rows}, indent=2))
    else:
        out.print(_match_table(gif, found))
    finish(failed=sum(one.match is None for one in found))


def _match_table(gif: Path, found: "list[Found]") -> Table:
    table = Table("video", "status", "span", "speed", "confidence", "note", title=plain(gif.name))
    for one in found:
        name = plain(one.video.name)
        if one.match is None:
            table.add_row(name, "quarantined", "", "", "", plain(one.failure))
            continue
        m, span = one.match, one.match.span
        where = f"{span.start_s:.2f}–{span.end_s:.2f} s" if span else ""
        speed = "" if math.isnan(m.speed) else f"{m.speed:.2f}×"
        note = ", ".join(filter(None, ("mirrored" if m.mirror and span else "", m.reason)))
        table.add_row(name, m.status, where, speed, f"{m.confidence:.3f}", plain(note))
    return table
