"""The command line: `video2gif …`. Typer for arguments, Rich for what a person sees.

Exit codes: 0 clean; 2 usage; 3 done, some items failed; 4 too many failed; 5 environment;
130 and 143 after SIGINT and SIGTERM. Heavy imports stand inside the commands that need them.
"""

import json
import math
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.table import Table

from video2gif.cli_dataset import dataset_app
from video2gif.cli_fsck import fsck
from video2gif.cli_make import gif, verify
from video2gif.cli_plan import plan
from video2gif.cli_rank import ablate, evaluate, labels
from video2gif.cli_review import personalise, serve
from video2gif.cli_shared import (
    Marks,
    Quiet,
    RankerName,
    Root,
    announce,
    bent,
    err,
    finish,
    out,
    params_and_ranker,
    plain,
    progress,
)
from video2gif.cli_weights import weights_app
from video2gif.config import Params, find_params
from video2gif.errors import Exit, UserError, Video2GifError
from video2gif.layout import Layout

if TYPE_CHECKING:
    from video2gif.make.match import Found

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.add_typer(dataset_app, name="dataset")
app.add_typer(weights_app, name="weights")
for command in (gif, verify, personalise, serve, evaluate, labels, ablate, plan, fsck):
    app.command()(command)


@app.callback()
def _root() -> None:
    """Learn from the GIFs people made which moments of a video deserve one, and make them."""


@app.command()
def rank(
    video: Annotated[Path, typer.Argument(help="A video file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    ranker: RankerName = None,
    marks: Marks = None,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Print the segments of a video with their scores, best first."""
    from video2gif.make.analysis import analyse
    from video2gif.make.analysis import rank as rank_segments
    from video2gif.make.watch import watched

    params, chosen = params_and_ranker(root, ranker)
    with (
        progress(quiet or as_json or as_csv) as plain_context,
        watched(video, plain_context) as context,
    ):
        chosen = bent(chosen, marks, params, context)
        announce(chosen)
        analysis = analyse(video, params, context)
        moments = rank_segments(analysis, chosen, context)
    if as_json:
        rows = [
            {
                "rank": m.rank,
                "start_s": m.start_s,
                "end_s": m.end_s,
                "score": None if math.isnan(m.score) else m.score,
            }
            for m in moments
        ]
        print(json.dumps({"video": str(video), "ranker": chosen.name, "segments": rows}, indent=2))
    elif as_csv:
        print("rank,start_s,end_s,score")
        for m in moments:
            score = "" if math.isnan(m.score) else f"{m.score:.6g}"
            print(f"{m.rank},{m.start_s:.3f},{m.end_s:.3f},{score}")
    else:
        table = Table("rank", "start", "end", "score", title=str(video))
        for m in moments:
            table.add_row(str(m.rank), f"{m.start_s:.2f}", f"{m.end_s:.2f}", f"{m.score:.3f}")
        out.print(table)


@app.command()
def match(
    gif: Annotated[Path, typer.Argument(help="A GIF.")],
    videos: Annotated[
        list[str] | None, typer.Argument(help="Videos: files, folders, globs, URLs.")
    ] = None,
    corpus: Annotated[
        bool, typer.Option("--corpus", help="Search all of the project's videos instead.")
    ] = False,
    preview: Annotated[
        Path | None,
        typer.Option(help="Write the GIF's frames above those of the best span: a PNG."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Find where in which of the videos a GIF comes from."""
    from video2gif.make.match import match_files
    from video2gif.make.preview import write_preview
    from video2gif.make.sources import expand

    if bool(videos) == corpus:
        raise UserError("name the videos to search, or give --corpus for all of the project's")
    params = Params.load(find_params(root))
    with progress(quiet or as_json) as context:
        if corpus:
            from video2gif.make.corpus import match_corpus  # Compiles its scan: a second or two.

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


@app.command()
def doctor(root: Root = Path(".")) -> None:
    """Check the environment; every problem is named with its remedy."""
    from video2gif.doctor import check_all

    checks = check_all(Layout(root.resolve()))
    table = Table("", "what", "found", "remedy")
    for check in checks:
        mark = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[red]bad[/]"}[check.state]
        table.add_row(mark, check.what, check.found, check.remedy)
    out.print(table)
    if any(check.state == "bad" for check in checks):
        raise typer.Exit(Exit.ENVIRONMENT)


def main() -> NoReturn:
    """Run the command line; every error of ours is one line and its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except Video2GifError as error:
        err.print(f"[red]error:[/] {plain(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)


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


if __name__ == "__main__":
    main()
