"""The command line: `video2gif …`. Typer for arguments, Rich for what a person sees.

Exit codes: 0 clean; 2 usage; 3 done, some items failed; 4 too many failed; 5 environment;
130 and 143 after SIGINT and SIGTERM. Heavy imports stand inside the commands that need them.
"""

import contextlib
import json
import math
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from video2gif.cli_dataset import dataset_app
from video2gif.cli_fsck import fsck
from video2gif.cli_plan import plan
from video2gif.cli_weights import weights_app
from video2gif.config import Params, find_params
from video2gif.errors import Exit, ItemError, UserError, Video2GifError
from video2gif.items import Context
from video2gif.layout import Layout

if TYPE_CHECKING:
    from video2gif.make.analysis import Ranker
    from video2gif.make.match import Found
    from video2gif.make.page import Made

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.add_typer(dataset_app, name="dataset")
app.add_typer(weights_app, name="weights")
app.command()(plan)
app.command()(fsck)
_out = Console()
_err = Console(stderr=True)

Root = Annotated[Path, typer.Option(help="Project whose model and params.yaml are used.")]
RankerName = Annotated[
    str | None,
    typer.Option(
        "--ranker", help="`baseline`, or a model file; default: the project's model, if any."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
Videos = Annotated[list[str], typer.Argument(help="Videos: files, folders, globs, URLs.")]


@app.callback()
def _root() -> None:
    """Learn from the GIFs people made which moments of a video deserve one, and make them."""


@app.command()
def gif(
    videos: Videos,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the GIFs.")] = Path(
        "gifs"
    ),
    top: Annotated[int, typer.Option(min=0, help="GIFs a video.")] = 6,
    bottom: Annotated[int, typer.Option(min=0, help="Also this many of the worst.")] = 0,
    height: Annotated[
        int | None,
        typer.Option(min=16, max=2160, help="Pixels; with --max-bytes at most. Default 240."),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(min=1, max=50, help="Frames a second; with --max-bytes at most. Default 10."),
    ] = None,
    max_bytes: Annotated[str | None, typer.Option(help="Largest file, such as 500k or 2M.")] = None,
    format: Annotated[str, typer.Option(help="gif, webp, avif or mp4.")] = "gif",
    encoder: Annotated[str, typer.Option(help="libav, or gifski if you have it.")] = "libav",
    loop: Annotated[
        str,
        typer.Option(
            help="auto: the best seam, mended if none is good; none: as ranked; or cut, fade,"
            " pingpong."
        ),
    ] = "auto",
    from_: Annotated[str, typer.Option("--from", help="Not before, as 90 or 1:30.")] = "0",
    to: Annotated[str | None, typer.Option("--to", help="Not after, as 90 or 1:30.")] = None,
    min_len: Annotated[float | None, typer.Option(min=0.1, help="Seconds a GIF at least.")] = None,
    max_len: Annotated[float | None, typer.Option(min=0.1, help="Seconds a GIF at most.")] = None,
    diverse: Annotated[bool, typer.Option("--diverse", help="No two that look alike.")] = False,
    ranker: RankerName = None,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Write the best moments of each video as GIFs, with a page that shows them."""
    from video2gif.make.gifs import GifOptions
    from video2gif.make.moments import Choice
    from video2gif.make.run import Run

    options = GifOptions(
        height=height,
        fps=fps,
        max_bytes=_parse_bytes(max_bytes),
        format=_one_of("--format", format, ("gif", "webp", "avif", "mp4")),
        encoder=_one_of("--encoder", encoder, ("libav", "gifski")),
        loop=_one_of("--loop", loop, ("auto", "none", "cut", "fade", "pingpong")),
    )
    choice = Choice(
        top=top,
        bottom=bottom,
        from_s=_parse_time("--from", from_),
        to_s=math.inf if to is None else _parse_time("--to", to),
        min_len_s=min_len,
        max_len_s=max_len,
        diverse=diverse,
    )
    params, chosen = _params_and_ranker(root, ranker)
    _announce(chosen)
    with _progress(quiet) as context:
        run = Run(params, chosen, options, choice, output, context)
        failed = run.all(videos, skip=_skip_bad_item)
    for made in run.done:
        _out.print(_gif_table(made))
    if run.done:
        _out.print(f"page: {run.page.resolve()}", soft_wrap=True, highlight=False)
    _finish(failed=failed)


@app.command()
def verify(
    gif: Annotated[Path, typer.Argument(help="A GIF (WebP, AVIF, MP4) made by `video2gif gif`.")],
    video: Annotated[Path, typer.Argument(help="The video it says it comes from.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ranker: RankerName = None,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Say whether a GIF's receipt is true: everything it says is computed again.

    Exit code 0 when every statement holds, else 3.
    """
    from video2gif.make.verify import verify as verify_receipt

    params, chosen = _params_and_ranker(root, ranker)
    with _progress(quiet or as_json) as context:
        checks = verify_receipt(gif, video, chosen, params, context)
    is_true = all(check.state == "true" for check in checks)
    if as_json:
        rows = [{"what": c.what, "state": c.state, "found": c.found} for c in checks]
        print(json.dumps({"gif": str(gif), "true": is_true, "checks": rows}, indent=2))
    else:
        table = Table("", "what", "found", title=_plain(gif.name))
        for check in checks:
            colour = {"true": "green", "false": "red", "unknown": "yellow"}[check.state]
            table.add_row(f"[{colour}]{check.state}[/]", check.what, _plain(check.found))
        _out.print(table)
    if not is_true:
        raise typer.Exit(Exit.QUARANTINED)


@app.command()
def rank(
    video: Annotated[Path, typer.Argument(help="A video file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    ranker: RankerName = None,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Print the segments of a video with their scores, best first."""
    from video2gif.make.analysis import analyse
    from video2gif.make.analysis import rank as rank_segments

    params, chosen = _params_and_ranker(root, ranker)
    _announce(chosen)
    with _progress(quiet or as_json or as_csv) as context:
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
        _out.print(table)


@app.command()
def match(
    gif: Annotated[Path, typer.Argument(help="A GIF.")],
    videos: Annotated[
        list[str] | None, typer.Argument(help="Videos: files, folders, globs, URLs.")
    ] = None,
    corpus: Annotated[
        bool, typer.Option("--corpus", help="Search all of the project's videos instead.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Find where in which of the videos a GIF comes from."""
    from video2gif.make.match import match_files
    from video2gif.make.sources import expand

    if bool(videos) == corpus:
        raise UserError("name the videos to search, or give --corpus for all of the project's")
    params = Params.load(find_params(root))
    with _progress(quiet or as_json) as context:
        if corpus:
            from video2gif.make.corpus import match_corpus  # Compiles its scan: a second or two.

            found = match_corpus(gif, Layout(root.resolve()), params, context)
        else:
            named = [Path(video) for video in expand(videos or [])]
            found = match_files(gif, named, params, context)
    if as_json:
        rows = [one.as_dict() for one in found]
        print(json.dumps({"gif": str(gif), "matches": rows}, indent=2))
    else:
        _out.print(_match_table(gif, found))
    _finish(failed=sum(one.match is None for one in found))


@app.command()
def doctor(root: Root = Path(".")) -> None:
    """Check the environment; every problem is named with its remedy."""
    from video2gif.doctor import check_all

    checks = check_all(Layout(root.resolve()))
    table = Table("", "what", "found", "remedy")
    for check in checks:
        mark = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[red]bad[/]"}[check.state]
        table.add_row(mark, check.what, check.found, check.remedy)
    _out.print(table)
    if any(check.state == "bad" for check in checks):
        raise typer.Exit(Exit.ENVIRONMENT)


def main() -> NoReturn:
    """Run the command line; every error of ours is one line and its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except Video2GifError as error:
        _err.print(f"[red]error:[/] {_plain(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)


def _params_and_ranker(root: Path, name: str | None) -> "tuple[Params, Ranker]":
    from video2gif.make.analysis import choose_ranker

    params = Params.load(find_params(root))
    return params, choose_ranker(name, params, layout=Layout(root))


def _announce(ranker: "Ranker") -> None:
    _err.print(f"Ranking by {ranker.name}.", soft_wrap=True, highlight=False)
    for text in ranker.warnings:
        _err.print(f"[yellow]note:[/] {_plain(text)}", soft_wrap=True, highlight=False)


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Context]:
    """The default runtime, with a progress bar where a person is watching."""
    if quiet or not _err.is_terminal:
        yield Context.default()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=_err, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield Context.default(show)


@contextlib.contextmanager
def _skip_bad_item(name: str) -> Iterator[None]:
    """One bad video is reported and the next one is taken up."""
    try:
        yield
    except ItemError as error:
        _err.print(f"[red]{_plain(name)}:[/] {_plain(error.reason)}", soft_wrap=True)


def _finish(*, failed: int) -> None:
    if failed:
        _err.print(f"{failed} of the videos could not be used, see above.")
        raise typer.Exit(Exit.QUARANTINED)


def _gif_table(made: "Made") -> Table:
    table = Table("GIF", "from", "to", "score", "loop", "size", "fps", "kB")
    table.title = _plain(made.analysis.path.name)
    for gif in made.gifs:
        recipe = gif.recipe
        table.add_row(
            _plain(str(gif.path)),
            f"{recipe.start_s:.1f}",
            f"{recipe.end_s:.1f}",
            f"{gif.moment.score:.2f}",
            f"{gif.seam.score:.2f} {recipe.loop}",
            f"{gif.width}×{recipe.height}",
            f"{recipe.rate:g}"[:4],
            f"{gif.bytes / 1000:.0f}",
        )
    return table


def _match_table(gif: Path, found: "list[Found]") -> Table:
    table = Table("video", "status", "span", "speed", "confidence", "note", title=_plain(gif.name))
    for one in found:
        name = _plain(one.video.name)
        if one.match is None:
            table.add_row(name, "quarantined", "", "", "", _plain(one.failure))
            continue
        m, span = one.match, one.match.span
        where = f"{span.start_s:.2f}–{span.end_s:.2f} s" if span else ""
        speed = "" if math.isnan(m.speed) else f"{m.speed:.2f}×"
        note = ", ".join(filter(None, ("mirrored" if m.mirror and span else "", m.reason)))
        table.add_row(name, m.status, where, speed, f"{m.confidence:.3f}", _plain(note))
    return table


def _plain(text: str) -> str:
    """Text from outside, with markup and control characters made harmless."""
    from rich.markup import escape

    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise UserError(f"{option} {value}: choose {', '.join(allowed[:-1])} or {allowed[-1]}")
    return value


def _parse_time(option: str, text: str) -> float:
    """Seconds from 90, 90.5, 1:30 or 1:01:30.5."""
    try:
        parts = [float(part) for part in text.split(":")]
        seconds = sum(part * 60**power for power, part in enumerate(reversed(parts)))
    except (ValueError, OverflowError):
        parts, seconds = [], math.nan
    if not 0 <= seconds < math.inf or len(parts) > 3:
        raise UserError(f"{option} {text}: not a time; write 90, 1:30 or 1:01:30")
    return seconds


def _parse_bytes(text: str | None) -> int | None:
    """500k → 500_000, 2M → 2_000_000 (decimal, as file sizes are limited by web sites)."""
    if text is None:
        return None
    units = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
    number = text.rstrip("kKmMgGB")
    unit = text[len(number) :].rstrip("B").replace("K", "k").replace("m", "M").replace("g", "G")
    try:
        value = int(float(number) * units[unit])
    except (ValueError, KeyError):
        raise UserError(f"--max-bytes {text}: not a size; write 500k, 2M or a number") from None
    if value < 1000:
        raise UserError(f"--max-bytes {text}: below 1k no GIF fits")
    return value


if __name__ == "__main__":
    main()
