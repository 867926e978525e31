"""`python benchmarks/orchestration.py PROJECT [--stage segment]`: what Prefect and DVC cost.

PROJECT is a clone that has run once; its own code runs. Side by side, each a whole process by the
wall clock, in turn: the stage as a plain call; as a flow with a Prefect server up; as a flow that
starts its own; and `dvc repro` with nothing to do. The differences are the cost of orchestration.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from flows import server

PLAIN = """
import sys
from pathlib import Path
from video2gif import stages
from video2gif.core.config import Params
from video2gif.core.items import Context
from video2gif.core.layout import Layout
layout = Layout(Path.cwd())
print(stages.load(sys.argv[1])(layout, Params.load(layout.params), Context.default()))
"""


def main() -> None:
    """Print seconds for each way, and what each costs above a plain call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--stage", default="segment")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    project = args.project.resolve()
    flow = [sys.executable, "-m", "flows", args.stage, "--quiet"]
    plain = [sys.executable, "-c", PLAIN, args.stage]
    ways: dict[str, Callable[[], float]] = {
        "plain call": lambda: seconds(plain, project),
        "flow, server up": lambda: with_server(flow, project),
        "flow alone": lambda: seconds(flow, project),
        "flow alone, new database": lambda: anew(flow, project),
        "dvc repro, nothing to do": lambda: repro(project),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, way in ways.items():
            taken[name].append(way())
    print(
        f"{args.stage}: best and median seconds of {args.rounds}; above a plain call, of the best"
    )
    for name, times in taken.items():
        above = min(times) - min(taken["plain call"])
        extra = f"{above:+8.2f}" if name.startswith("flow") else ""
        print(f"{name:26}{min(times):7.2f}{statistics.median(times):7.2f}{extra}")


def seconds(command: list[str], project: Path) -> float:
    """Wall seconds of a process that must end well."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=project)
    return time.perf_counter() - started


def with_server(command: list[str], project: Path) -> float:
    """The same with a server that answers already; it is ended afterwards."""
    with server.api(project):
        taken = seconds(command, project)
    note = json.loads((project / ".video2gif" / "prefect" / "server.json").read_text())
    os.kill(note["pid"], signal.SIGTERM)
    return taken


def anew(command: list[str], project: Path) -> float:
    """The same where no server has ever run: its database has to be made."""
    folder = project / ".video2gif" / "prefect"
    for path in folder.glob("prefect.db*"):
        path.unlink()
    return seconds(command, project)


def repro(project: Path) -> float:
    """`dvc repro`, up to date."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return seconds([sys.executable, "-m", "dvc", "repro"], project)


if __name__ == "__main__":
    main()
