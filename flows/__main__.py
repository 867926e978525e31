"""`python -m flows STAGE | pipeline | serve`: one stage, the whole DAG, a scheduled deployment."""

import argparse
import os
import sys
from pathlib import Path

from flows import guard
from video2gif.core.errors import Exit, Video2GifError
from video2gif.stages import STAGES


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code (see `video2gif.core.errors.Exit`)."""
    args = _parser().parse_args(argv)
    root = args.root.resolve()
    try:
        if args.command == "serve":  # Prefect's runner handles signals itself.
            from flows.deploy import serve

            watch = (args.watch, args.gifs) if args.watch else None
            return serve(root, cron=args.cron, interval_s=args.interval, watch=watch)
        if args.command == "prepare":
            from flows.deploy import prepare

            prepare()
            return Exit.CLEAN
        return int(guard.guarded(lambda: _dispatch(args, root)))
    except (Video2GifError, OSError) as error:
        print(f"{args.command}: {error}", file=sys.stderr)
        # A full disk or an unwritable folder: the machine's problem, like those we name ourselves.
        code = error.exit_code if isinstance(error, Video2GifError) else Exit.ENVIRONMENT
        guard.note_failure(root, args.command, code)
        return int(code)


def _dispatch(args: argparse.Namespace, root: Path) -> int:
    # Prefect takes a second to import: each command brings only what it needs.
    if args.command == "pipeline":
        from flows.pipeline import run_pipeline

        return run_pipeline(root, targets=args.targets, quiet=args.quiet, strict=args.strict)
    from flows.stages import run_stage

    # Children import the code that runs here: an experiment has a copy of its own.
    here = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    run_stage(args.command, root, quiet=args.quiet)
    return Exit.CLEAN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flows", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for stage in STAGES:
        _command(commands, stage, f"run the {stage} stage (what dvc.yaml calls)")
    pipeline = _command(commands, "pipeline", "dvc repro, then the metrics and the report's path")
    pipeline.add_argument("targets", nargs="*", help="stages to bring up to date (default: all)")
    pipeline.add_argument(
        "--strict", action="store_true", help="fail where bytes differ from the committed lock's"
    )
    serve = _command(commands, "serve", "run the pipeline on a schedule until stopped")
    serve.add_argument("--cron", default="0 3 * * *", help="when to run (default: %(default)s)")
    serve.add_argument("--interval", type=float, help="seconds between runs, instead of --cron")
    serve.add_argument("--watch", metavar="FOLDER", help="also make GIFs of new videos here")
    serve.add_argument("--gifs", default="gifs", help="where those go (default: %(default)s)")
    _command(commands, "prepare", "what deployments of a server of your own rely on: limit, alarm")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--root", type=Path, default=Path(), help="the project (default: here)")
    command.add_argument("--quiet", action="store_true", help="no progress, only results")
    return command


if __name__ == "__main__":
    sys.exit(main())
