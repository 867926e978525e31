"""`video2gif serve` is the review page; `personalise` shows what its marks change."""

import math
from pathlib import Path
from typing import Annotated

import typer

from video2gif.cli.terminal import (
    Quiet,
    RankerName,
    Root,
    announce,
    of_file,
    out,
    plain,
    progress,
    table_of,
)
from video2gif.core.errors import UserError


def serve(
    folder: Annotated[Path, typer.Argument(help="Folder with the videos and their marks.")] = Path(
        "review"
    ),
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 8642,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Allow a --host that other machines can reach.")
    ] = False,
    max_upload: Annotated[int, typer.Option(min=1, help="Largest upload, MB.")] = 4000,
    ranker: RankerName = None,
    root: Root = Path("."),
) -> None:
    """Review a folder of videos in the browser: rank, trim, export, mark good and bad."""
    from video2gif.make.api import settings
    from video2gif.web.app import run
    from video2gif.web.review import Review

    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: not a folder; name the folder that holds the videos")
    chosen = settings(root, ranker=ranker)
    announce(chosen.ranker)
    folder.mkdir(parents=True, exist_ok=True)
    run(
        Review(folder.resolve(), chosen.params, chosen.ranker),
        host=host,
        port=port,
        max_upload_bytes=max_upload * 1_000_000,
        allow_remote=allow_remote,
        tell=lambda url: out.print(
            f"review page: {url}   (Ctrl-C stops it)", soft_wrap=True, highlight=False
        ),
    )


def personalise(
    video: Annotated[Path, typer.Argument(help="A video file.")],
    marks: Annotated[Path, typer.Option(help="File of marks, as `serve` writes it.")] = Path(
        "review/marks.csv"
    ),
    top: Annotated[int, typer.Option(min=1, help="How many to show.")] = 12,
    ranker: RankerName = None,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Show how your marks change the ranking of a video.

    `video2gif gif --marks FILE` makes GIFs in the new order.
    """
    from video2gif.make.analysis import analyse
    from video2gif.make.api import settings
    from video2gif.make.personal import personal_of_file
    from video2gif.make.rankers import rank

    plain_ = settings(root, ranker=ranker)
    params, base = plain_.params, plain_.ranker
    with progress(quiet) as context, of_file(video):
        chosen = personal_of_file(base, marks, params, context)
        announce(chosen)
        analysis = analyse(video, params, context)
        # Both rankings are of the same segments, so a start names one.
        before = {moment.start_s: moment.rank for moment in rank(analysis, base, context)}
        moments = rank(analysis, chosen, context)
    table = table_of("rank", "before", "start", "end", "score", title=plain(video.name))
    for moment in moments[:top]:
        score = "" if math.isnan(moment.score) else f"{moment.score:.2f}"
        table.add_row(
            str(moment.rank),
            str(before[moment.start_s]),
            f"{moment.start_s:.2f}",
            f"{moment.end_s:.2f}",
            score,
        )
    out.print(table)
