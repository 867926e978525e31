"""The deployment `pipeline`: bring a clone up to date, check it, share it.

git pull → dvc pull → new rows → dvc repro → checks → dvc push → dvc.lock on a branch. Only one run
at a time touches DVC (a strict limit of the server, and a lock in the clone). Nothing here is
retried as a whole: a `dvc repro` that failed would fail again; items have their own retries. Until
the checks have passed, a failed run puts the last good outputs back.
"""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flows import server

server.quiet()

from prefect import flow, get_run_logger  # noqa: E402  (after the settings it reads)
from prefect.blocks.core import Block  # noqa: E402
from prefect.concurrency.sync import concurrency  # noqa: E402
from prefect.exceptions import FlowPauseTimeout  # noqa: E402
from prefect.flow_runs import pause_flow_run  # noqa: E402
from prefect.input import RunInput  # noqa: E402
from prefect.runtime import flow_run  # noqa: E402

from flows import runs  # noqa: E402
from video2gif.core.config import Params  # noqa: E402
from video2gif.core.errors import EnvironmentProblem, Exit, Video2GifError  # noqa: E402
from video2gif.core.layout import Layout  # noqa: E402
from video2gif.project import committed  # noqa: E402
from video2gif.project.summary import Quality, quality, worse  # noqa: E402

DVC_LIMIT = "video2gif-dvc"
"""The global concurrency limit around DVC; `flows.deploy` creates it; without it a run fails."""
_ASK_AGAIN_S = 2  # Between two looks whether a person has answered.


class PipelineFailed(Video2GifError):
    """A scheduled run did not bring the project up to date; its last good outputs are in place."""


@flow(name="pipeline", persist_result=False)
def pipeline(
    root: str = ".",
    *,
    pull: bool = False,
    push: bool = False,
    branch: str = "",
    inbox: str = "",
    targets: list[str] | None = None,
    timeout_s: float = 6 * 3600,
    ask_s: float = 0.0,
    notify: str = "",
) -> None:
    """One night's work on the clone at `root`.

    `pull`, `push`: git's and DVC's remotes; `branch`: where dvc.lock is committed; `inbox`: a
    folder of csv files whose new rows join the manifest; `timeout_s`: for `dvc repro` alone;
    `ask_s`: how long a model that would be refused waits for a person's word; `notify`: a
    notification block ("slack-webhook/team") that is told of a failure and of a question.
    """
    project = Path(root).resolve()
    with told(notify, project):
        _night(
            project,
            pull=pull,
            push=push,
            branch=branch,
            inbox=inbox,
            targets=targets or [],
            timeout_s=timeout_s,
            ask_s=ask_s,
            notify=notify,
        )


def _night(
    project: Path,
    *,
    pull: bool,
    push: bool,
    branch: str,
    inbox: str,
    targets: list[str],
    timeout_s: float,
    ask_s: float,
    notify: str,
) -> None:
    started = time.time()
    with concurrency(DVC_LIMIT, strict=True):
        before = _quality(project)
        if pull:
            command(project, "git", "pull", "--ff-only")
            # What nobody has pushed yet is computed here; what is damaged, fails.
            command(project, *DVC, "pull", "--allow-missing", "--run-cache")
        manifests = merge_inbox(project, Path(inbox)) if inbox else []
        with last_good(project):
            reproduce(project, targets, timeout_s)
            runs.show_items(project, since=started)
            verdict = check(project, before, lambda: ask(project, ask_s, notify))
        if push:
            command(project, *DVC, "push", "--run-cache")
        if branch:
            commit(project, branch, [*committed.in_git(project), *manifests], push=push)
        get_run_logger().info("%s; dvc.lock %s", verdict, runs.lock_digest(project))


DVC = (sys.executable, "-m", "dvc")


def command(root: Path, *words: str) -> str:
    """Run a program in the project; its output. Raises `PipelineFailed` with its last words."""
    name = " ".join(words[2:] if words[:3] == DVC else words)
    get_run_logger().info("%s", name)
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PipelineFailed(f"`{name}` failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def reproduce(root: Path, targets: list[str], timeout_s: float) -> None:
    """`python -m flows pipeline` in a process of its own, ended with all its children in time."""
    words = [sys.executable, "-m", "flows", "pipeline", "--quiet", "--root", str(root), *targets]
    process = subprocess.Popen(words, cwd=root)
    try:
        code = process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)  # flows.guard ends whatever it has started.
        process.wait()
        raise PipelineFailed(f"dvc repro ran past its limit of {timeout_s:g} s") from None
    get_run_logger().info("pipeline: exit code %d", code)
    if code not in (Exit.CLEAN, Exit.QUARANTINED):
        raise PipelineFailed(f"{root}: the pipeline ended with exit code {code}")


def check(root: Path, before: Quality | None, wanted: Callable[[], bool] = lambda: False) -> str:
    """The metrics gate. Raises `PipelineFailed` for a model worse than the last by its interval,
    unless a person wants it all the same.
    """
    after = _quality(root)
    if after is None:
        return "nothing evaluated"
    refused = before is not None and worse(after, than=before)
    verdict = "not promoted: worse than the last by more than its interval"
    verdict = verdict if refused else "promoted"
    runs.show_quality(root, before, after, verdict=verdict)
    if not refused:
        return verdict
    if wanted():
        return "promoted by hand, though worse than the last by more than its interval"
    raise PipelineFailed(f"{root}: {verdict}")


class Decision(RunInput):
    """What a person answers to a run that waits: in Prefect's page, or `resume_flow_run`."""

    promote: bool = False
    """Whether the model takes the last one's place all the same."""


def ask(root: Path, ask_s: float, notify: str) -> bool:
    """Pause the run until a person decides; no after `ask_s` seconds, at once if that is 0."""
    if ask_s <= 0:
        return False
    tell(notify, f"{root.name}: a worse model waits for your word", _where())
    try:
        answer = pause_flow_run(
            wait_for_input=Decision, timeout=int(ask_s), poll_interval=_ASK_AGAIN_S
        )
    except FlowPauseTimeout:
        get_run_logger().info("nobody answered within %g s", ask_s)
        return False
    return answer.promote


@contextmanager
def told(notify: str, root: Path) -> Iterator[None]:
    """Tell a notification block of the failure that ends the block, if one does."""
    try:
        yield
    except Exception as error:
        tell(notify, f"{root.name}: the night failed", f"{error}\n{_where()}")
        raise


def tell(notify: str, subject: str, body: str) -> None:
    """Send a message through the block of this name ("" for none); what hinders it is logged."""
    if not notify:
        return
    try:
        Block.load(notify).notify(body, subject=subject)  # type: ignore[union-attr]
    except Exception as error:  # A message that got lost must not hide what it was about.
        get_run_logger().warning("%s could not be told: %s", notify, error)


def _where() -> str:
    return f"flow run {flow_run.name} {flow_run.ui_url or ''}".strip()


def _quality(root: Path) -> Quality | None:
    try:
        return quality(Layout(root))
    except EnvironmentProblem:
        return None  # It has never run.


@contextmanager
def last_good(root: Path) -> Iterator[None]:
    """Put dvc.lock, metrics and all outputs back as they were when the block fails."""
    names = committed.in_git(root)
    kept = {path: path.read_bytes() for name in names if (path := root / name).is_file()}
    try:
        yield
    except Exception:
        # Without a lock from before there is nothing to go back to.
        if root / "dvc.lock" in kept:
            for path, content in kept.items():
                path.write_bytes(content)
            command(root, *DVC, "checkout", "--force")
        raise


def merge_inbox(root: Path, inbox: Path) -> list[str]:
    """Append rows that are new to the manifest; the files move to inbox/merged. What changed."""
    layout = Layout(root)
    manifest = root / Params.load(layout.params).download.manifest
    arrived = sorted((root / inbox).glob("*.csv"))
    if not arrived:
        return []
    with manifest.open(newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    known = {_key(row) for row in rows}
    for path in arrived:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                if _key(row) not in known:
                    known.add(_key(row))
                    rows.append({name: row.get(name) or "" for name in columns})
    # A run that is killed here leaves the old manifest or the new one.
    temporary = manifest.with_suffix(".tmp")
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, manifest)
    (root / inbox / "merged").mkdir(exist_ok=True)
    for path in arrived:
        path.rename(path.parent / "merged" / path.name)
    return [manifest.relative_to(root).as_posix()]


def _key(row: dict[str, str]) -> tuple[str, str]:
    return row.get("video_id") or "", row.get("gif_id") or ""


def commit(root: Path, branch: str, paths: list[str], *, push: bool) -> None:
    """Commit files to a branch without touching the checkout, its index or its own branch."""
    index = root / ".video2gif" / "commit.index"
    environment = os.environ | {"GIT_INDEX_FILE": str(index)}

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise PipelineFailed(f"`git {words[0]}` failed: {done.stderr.strip()}")
        return done.stdout.strip()

    index.parent.mkdir(exist_ok=True)
    index.unlink(missing_ok=True)
    git("read-tree", "HEAD")
    git("add", "--force", *(path for path in paths if (root / path).is_file()))
    tree = git("write-tree")
    if tree != git("rev-parse", "HEAD^{tree}"):
        made = git("commit-tree", tree, "-p", "HEAD", "-m", f"Data of {runs.lock_digest(root)}")
        git("update-ref", f"refs/heads/{branch}", made)
        if push:
            # The branch is made anew on HEAD each time, so it is seldom a continuation of the last.
            git("push", "--force-with-lease", "origin", f"refs/heads/{branch}")
