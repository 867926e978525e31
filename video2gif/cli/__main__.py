"""The command line: `video2gif …`. Typer for arguments, Rich for what a person sees.

Exit codes: 0 clean; 2 usage; 3 done, some items failed; 4 too many failed; 5 environment;
130 and 143 after SIGINT and SIGTERM. Heavy imports stand inside the commands that need them.
"""

import signal
import sys
from pathlib import Path
from typing import NoReturn

import typer

from video2gif.cli.dataset import dataset_app
from video2gif.cli.fsck import fsck
from video2gif.cli.gif import gif, verify
from video2gif.cli.match import MatchCommand, match
from video2gif.cli.measure import ablate, evaluate, labels
from video2gif.cli.plan import plan
from video2gif.cli.rank import rank
from video2gif.cli.review import personalise, serve
from video2gif.cli.terminal import Root, err, out, plain, table_of
from video2gif.cli.weights import weights_app
from video2gif.core.errors import Exit, ItemError, Video2GifError, missing_package
from video2gif.core.layout import Layout

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(dataset_app, name="dataset")
app.add_typer(weights_app, name="weights")
app.command()(gif)
app.command()(rank)
app.command(cls=MatchCommand)(match)
for command in (verify, personalise, serve, evaluate, labels, ablate, plan, fsck):
    app.command()(command)


@app.callback()
def _root() -> None:
    """Find the moments of a video that make good GIFs, as learned from GIFs people made."""


@app.command()
def doctor(root: Root = Path(".")) -> None:
    """Check that this machine is ready; name each problem with its remedy."""
    from video2gif.project.doctor import check_all

    checks = check_all(Layout(root.resolve()))
    table = table_of("", "what", "found", "remedy")
    for check in checks:
        mark = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[red]bad[/]"}[check.state]
        table.add_row(mark, plain(check.what), plain(check.found), plain(check.remedy))
    out.print(table)
    if any(check.state == "bad" for check in checks):
        raise typer.Exit(Exit.ENVIRONMENT)


def main() -> NoReturn:
    """Run the command line. An error of ours is printed as one line and sets the exit code."""
    # Ends by an exception, so that every `with` on the way closes its children and temporary files.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except Video2GifError as error:
        said = error.reason if isinstance(error, ItemError) else str(error)
        err.print(f"[red]error:[/] {plain(said)}", soft_wrap=True, highlight=False)
        sys.exit(error.exit_code)
    except ImportError as error:
        problem = missing_package(error)
        if problem is None:
            raise
        err.print(f"[red]error:[/] {plain(str(problem))}", soft_wrap=True, highlight=False)
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)


if __name__ == "__main__":
    main()
