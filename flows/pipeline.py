"""`python -m flows pipeline`: `dvc repro` under one Prefect server, then what came of it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows import guard, server
from video2gif.core.errors import EnvironmentProblem, Exit
from video2gif.core.layout import Layout
from video2gif.project import committed, fsck
from video2gif.project.summary import SHOWN, LeftOut, Quality, left_out, quality

_SHOWN = 20


def run_pipeline(
    root: Path, *, targets: Sequence[str] = (), quiet: bool = False, strict: bool = False
) -> Exit:
    """Bring the project up to date; print metrics, what was left out, what the lock says of it.

    With `strict`, fail where bytes differ from the committed lock's and no processor explains it.
    """
    if not (root / "dvc.yaml").is_file():
        raise EnvironmentProblem(f"{root}: no dvc.yaml; run inside a project, or give --root")
    fsck.require_locks(Layout(root))
    # One repro at a time: DVC's own lock is per command, and refuses instead of waiting.
    with guard.locked(Layout(root).lock("pipeline"), wait_s=0), server.api(root):
        code = reproduce(root, targets, quiet)
    if code != Exit.CLEAN or targets:
        return code
    code = tell(Layout(root))
    return code if beside_committed(root) or not strict else Exit.ENVIRONMENT


def reproduce(root: Path, targets: Sequence[str] = (), quiet: bool = False) -> Exit:
    """Run `dvc repro` with this environment's python; the code of a stage that failed survives."""
    guard.failure_file(root).unlink(missing_ok=True)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    }
    command = [sys.executable, "-m", "dvc", "repro", *(["--quiet"] if quiet else []), *targets]
    done = subprocess.run(command, cwd=root, env=environment, check=False)
    return Exit.CLEAN if done.returncode == 0 else guard.failure_code(root)


def tell(layout: Layout) -> Exit:
    """Print how the project stands; 3 when something was left out, else 0."""
    console = Console(highlight=False)
    result, missing = quality(layout), left_out(layout)
    console.print(_table(result))
    if result.random_weights:
        console.print(
            "C3D has seeded random weights: these figures check the pipeline, not the method."
            " Import real ones with `video2gif weights import FILE`, name them in extract.weights."
        )
    for line in _left_out_lines(missing):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"report: {layout.report / 'index.html'}", markup=False, soft_wrap=True)
    return Exit.QUARANTINED if missing else Exit.CLEAN


def beside_committed(root: Path) -> bool:
    """Print how many stages gave the committed lock's bytes; whether that is as it must be."""
    found = committed.compared(root)
    # Only where bytes differ, so that it makes no noise in git.
    if found is None or found.other or not committed.is_noted(root):
        committed.note_machine(root)
    print(found or "no dvc.lock is committed: commit it with machine.json, metrics/ and plots/")
    return found is None or found.is_explained


def _table(result: Quality) -> Table:
    table = Table(title=f"{result.n_videos} test videos, {result.n_gifs} GIFs")
    for heading in ("", "nMSD ↓", "mAP ↑", "recall@5 ↑"):
        table.add_column(heading)
    for name, figures in result.rows.items():
        table.add_row(name, *(str(figures[metric]) for metric in SHOWN))
    return table


def _left_out_lines(missing: Sequence[LeftOut]) -> list[str]:
    lines = [f"{one.stage}: {one.kind} {one.id}: {one.reason}" for one in missing[:_SHOWN]]
    if len(missing) > _SHOWN:
        lines.append(f"… and {len(missing) - _SHOWN} more, in the tables' status columns")
    return [f"{len(missing)} left out:", *lines] if missing else []
