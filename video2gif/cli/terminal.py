"""What the commands share: options, the progress bar, and how failed items are reported."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Column, Table

from video2gif.core.errors import Exit, ItemError, UserError
from video2gif.core.items import Context
from video2gif.core.names import shown

if TYPE_CHECKING:
    from video2gif.make.rankers import Ranker

out = Console()
err = Console(stderr=True)
_MANY = 100  # With this many parts, show per cent instead of a count.

Root = Annotated[Path, typer.Option(help="Project whose model and params.yaml are used.")]
RankerName = Annotated[
    str | None,
    typer.Option(
        "--ranker",
        help="`default`, `baseline` or a model file. Without it: the project's model if it has"
        " learned from real videos with trained features, else `default`.",
    ),
]
AboutWord = Annotated[
    str | None,
    typer.Option("--about", help="Moments that show this, such as rabbit, dog or vehicle."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
Videos = Annotated[list[str], typer.Argument(help="Videos: files, folders, globs, URLs.")]
Marks = Annotated[
    Path | None,
    typer.Option("--marks", help="Adapt the ranking to the marks in this file (see `serve`)."),
]


def announce(ranker: "Ranker") -> None:
    """Print which ranker is used, and its warnings."""
    err.print(f"Ranking by {plain(ranker.name)}.", soft_wrap=True, highlight=False)
    for text in ranker.warnings:
        err.print(f"[yellow]note:[/] {plain(text)}", soft_wrap=True, highlight=False)


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Context]:
    """The default runtime, with a progress bar in a terminal and log lines elsewhere."""
    # Without a terminal a bar would fill a log with its redraws.
    if quiet or not err.is_terminal:
        yield Context.default(_log_line)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]}"),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=None, done="")

        def show(stage: str, done: int, total: int) -> None:
            text = f"{done}/{total}" if total < _MANY else f"{done / total:.0%}"
            bar.update(task, description=stage, completed=done, total=total, done=text)

        yield Context.default(show)


def _log_line(stage: str, done: int, total: int) -> None:
    if done == total and total:
        count = f" {total}" if total < _MANY else ""
        err.print(f"{stage}{count}: done", highlight=False)


@contextlib.contextmanager
def skip_bad_item(name: str) -> Iterator[None]:
    """Report the `ItemError` of one video and go on with the next."""
    try:
        yield
    except ItemError as error:
        err.print(f"[red]{plain(name)}:[/] {plain(error.reason)}", soft_wrap=True)


def finish(*, failed: int) -> None:
    """Exit with 3 if some videos failed."""
    if failed:
        err.print(f"{failed} of the videos could not be used, see above.")
        raise typer.Exit(Exit.QUARANTINED)


def one_of(option: str, value: str, allowed: tuple[str, ...]) -> Any:
    """The value, one of those allowed. Raises `UserError` naming them."""
    if value not in allowed:
        raise UserError(f"{option} {value}: choose {', '.join(allowed[:-1])} or {allowed[-1]}")
    return value


def plain(text: str) -> str:
    """Text from outside, with markup and control characters made harmless."""
    return escape(shown(text))


def table_of(*columns: Column | str, title: str | None = None, **look: Any) -> Table:
    """A table that loses nothing: a word too long for its column goes on in the next line.

    `look` are further arguments of Rich's `Table`, which would cut such a word.
    """
    folded = [Column(one, overflow="fold") if isinstance(one, str) else one for one in columns]
    return Table(*folded, title=title, **look)


def compact(*columns: Column | str, title: str | None = None) -> Table:
    """The same with little between the columns: a name and six numbers in 80 characters."""
    return table_of(*columns, title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def whole(title: str) -> Column:
    """A column whose cells stay in one line."""
    return Column(title, no_wrap=True)


@contextlib.contextmanager
def of_file(path: Path) -> Iterator[None]:
    """Let an `ItemError` say which file it is about."""
    try:
        yield
    except ItemError as error:
        raise ItemError(error.cause, f"{shown(path.name)}: {error}") from error
