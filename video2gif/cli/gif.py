"""`video2gif gif` makes GIFs of any video; `verify` checks what such a GIF says about itself."""

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
    Videos,
    announce,
    compact,
    finish,
    one_of,
    out,
    plain,
    progress,
    skip_bad_item,
    table_of,
    whole,
)
from video2gif.core.errors import Exit, UserError
from video2gif.gifs.places import PLACES, made_for, place_of

if TYPE_CHECKING:
    from video2gif.make.page import Made


def gif(
    videos: Videos,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the GIFs.")] = Path(
        "gifs"
    ),
    top: Annotated[int, typer.Option(min=0, help="How many GIFs of each video.")] = 6,
    bottom: Annotated[int, typer.Option(min=0, help="Also make this many of the worst.")] = 0,
    height: Annotated[
        int | None,
        typer.Option(
            min=16, max=2160, help="Height in pixels, 240 if not given; with --max-bytes at most."
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            min=1, max=50, help="Frames a second, 10 if not given; with --max-bytes at most."
        ),
    ] = None,
    max_bytes: Annotated[str | None, typer.Option(help="Largest file, such as 500k or 2M.")] = None,
    format: Annotated[str, typer.Option(help="gif, webp, avif or mp4.")] = "gif",
    encoder: Annotated[str, typer.Option(help="libav, or gifski if you have it.")] = "libav",
    loop: Annotated[
        str,
        typer.Option(
            help="How the GIF repeats. auto: from the best last frame back to the first, with a"
            " fade or ping-pong if none is good; cut: the same without a fade; fade; pingpong:"
            " forwards, then backwards; none: the moment as it was ranked."
        ),
    ] = "auto",
    for_: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="Within the limits of a place, without black bars:"
            f" {', '.join(PLACES)}, or one of params.yaml.",
        ),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.1, max=16, help="How many times as fast as the film.")
    ] = 1.0,
    reverse: Annotated[bool, typer.Option("--reverse", help="Play it backwards.")] = False,
    loop_count: Annotated[
        int, typer.Option(min=0, max=1000, help="How often it is shown, 0 for ever (GIF, WebP).")
    ] = 0,
    caption: Annotated[str, typer.Option(help="Text at the bottom of each GIF.")] = "",
    subtitles: Annotated[
        str, typer.Option(help="Put subtitles on the GIFs: an .srt file, or `embedded`.")
    ] = "",
    say: Annotated[
        str,
        typer.Option(help="A line of the film: one GIF of the moment whose subtitle says it."),
    ] = "",
    from_: Annotated[
        str, typer.Option("--from", help="Use no moment before this time (90, 1:30).")
    ] = "0",
    to: Annotated[
        str | None, typer.Option("--to", help="Use no moment after this time (90, 1:30).")
    ] = None,
    min_len: Annotated[float | None, typer.Option(min=0.1, help="Shortest GIF, seconds.")] = None,
    max_len: Annotated[float | None, typer.Option(min=0.1, help="Longest GIF, seconds.")] = None,
    alike: Annotated[
        bool,
        typer.Option(
            "--alike/--diverse",
            help="Whether two GIFs may show the same picture: not so if nothing is said, a scene"
            " that comes back is taken once.",
        ),
    ] = False,
    one_file: Annotated[
        bool,
        typer.Option("--one-file", help="Also write share.html: the page with its GIFs inside."),
    ] = False,
    ranker: RankerName = None,
    about: AboutWord = None,
    marks: Marks = None,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Make GIFs of the best moments of each video, and a page that shows them."""
    from video2gif.gifs.render import GifOptions
    from video2gif.make.api import settings
    from video2gif.make.moments import Choice
    from video2gif.make.run import Run
    from video2gif.make.spoken import Said

    options = GifOptions(
        height=height,
        fps=fps,
        max_bytes=_parse_bytes(max_bytes),
        format=one_of("--format", format, ("gif", "webp", "avif", "mp4")),
        encoder=one_of("--encoder", encoder, ("libav", "gifski")),
        loop=one_of("--loop", loop, ("auto", "none", "cut", "fade", "pingpong")),
        loop_count=loop_count,
        speed=speed,
        reverse=reverse,
    )
    choice = Choice(
        top=top,
        bottom=bottom,
        from_s=_parse_time("--from", from_),
        to_s=math.inf if to is None else _parse_time("--to", to),
        min_len_s=min_len,
        max_len_s=max_len,
        alike=alike,
    )
    said = Said(caption=caption, subtitles=subtitles, line=say)
    with progress(quiet) as context:
        chosen = settings(root, ranker=ranker, about=about, marks=marks, context=context)
        if for_ is not None:
            options = made_for(options, place_of(for_, chosen.params.places))
        announce(chosen.ranker)
        run = Run(
            chosen.params,
            chosen.ranker,
            options,
            choice,
            output,
            context,
            said=said,
            one_file=one_file,
        )
        failed = run.all(videos, skip=skip_bad_item)
    for made in run.done:
        out.print(_gif_table(made))
        if len(made.gifs) < top and not alike and not say:
            out.print(
                f"{len(made.gifs)} of {top}: the other moments do not fit, or show a picture that"
                " is there already (--alike allows that).",
                soft_wrap=True,
            )
    if run.done:
        out.print(f"page: {plain(str(run.page.resolve()))}", soft_wrap=True, highlight=False)
    finish(failed=failed)


def verify(
    gif: Annotated[Path, typer.Argument(help="A GIF (WebP, AVIF, MP4) made by `video2gif gif`.")],
    video: Annotated[Path, typer.Argument(help="The video it says it comes from.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ranker: RankerName = None,
    marks: Marks = None,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Check what a GIF says about where it comes from, by computing all of it again.

    Exit code 0 if every statement is true, else 3.
    """
    from video2gif.make.api import settings
    from video2gif.make.verify import verify as verify_receipt

    with progress(quiet or as_json) as context:
        chosen = settings(root, ranker=ranker, marks=marks, context=context)
        checks = verify_receipt(gif, video, chosen.ranker, chosen.params, context)
    is_true = all(check.state == "true" for check in checks)
    if as_json:
        rows = [{"what": c.what, "state": c.state, "found": c.found} for c in checks]
        print(json.dumps({"gif": str(gif), "true": is_true, "checks": rows}, indent=2))
    else:
        table = table_of("", "what", "found", title=plain(gif.name))
        for check in checks:
            colour = {"true": "green", "false": "red", "unknown": "yellow"}[check.state]
            table.add_row(f"[{colour}]{check.state}[/]", check.what, plain(check.found))
        out.print(table)
    if not is_true:
        raise typer.Exit(Exit.QUARANTINED)


def _gif_table(made: "Made") -> Table:
    """A row for each GIF, the reasons below its name: 80 columns are enough."""
    numbers = ("from", "to", "score", "loop", "size", "fps", "kB")
    table = compact("GIF", *map(whole, numbers), title=plain(made.analysis.path.name))
    table.caption = ", ".join(made.analysis.facts)
    for gif in made.gifs:
        recipe = gif.recipe
        # Its folder is that of the page, which is named below.
        lines = [f"[bold]{plain(gif.path.name)}[/]"]
        if gif.moment.why:
            lines.append(plain(", ".join(gif.moment.why)))
        table.add_row(
            "\n".join(lines),
            f"{recipe.start_s:.1f}",
            f"{recipe.end_s:.1f}",
            f"{gif.moment.score:.2f}",
            f"{gif.seam.score:.2f} {recipe.loop}",
            f"{gif.width}×{recipe.height}",
            f"{recipe.rate:g}"[:4],
            f"{gif.bytes / 1000:.0f}",
        )
    return table


def _parse_time(option: str, text: str) -> float:
    """Seconds from 90, 90.5, 1:30 or 1:01:30.5."""
    try:
        parts = [float(part) for part in text.split(":")]
        # Hours, minutes, seconds: from the right, each stands for 60 times as much.
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
