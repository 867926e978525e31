"""`video2gif rank` prints segments with scores."""

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from video2gif.cli.terminal import (
    AboutWord,
    Marks,
    Quiet,
    RankerName,
    Root,
    announce,
    of_file,
    one_of,
    out,
    plain,
    progress,
    table_of,
)


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
        table = table_of("rank", "start", "end", "score", "why", title=plain(str(video)))
        table.caption = ", ".join(analysis.facts)
        for m in moments:
            numbers = (f"{m.start_s:.2f}", f"{m.end_s:.2f}", f"{m.score:.3f}")
            table.add_row(str(m.rank), *numbers, ", ".join(m.why))
        out.print(table)
