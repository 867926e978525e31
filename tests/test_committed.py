"""What git keeps of a run, and how the run says whether it gave the committed bytes."""

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import yaml

from flows.pipeline import beside_committed
from video2gif.core.layout import read_json, write_json
from video2gif.project import committed
from video2gif.stages import STAGES

REPO = Path(__file__).parents[1]
DVC = Path(sys.executable).with_name("dvc")
BARE = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/"), "DVC_NO_ANALYTICS": "1"}


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


def lock(root: Path, **md5s: str) -> None:
    """A dvc.lock in which every stage has one output."""
    stages = {
        name: {"cmd": name, "outs": [{"path": f"data/{name}", "md5": md5s.get(name, "0")}]}
        for name in STAGES
    }
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone with a committed lock, made on a processor with the instruction `avx1024`."""
    git(tmp_path, "init", "-q")
    lock(tmp_path)
    write_json(tmp_path / "machine.json", {"processor": [*committed.processor(), "avx1024"]})
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "lock")
    return tmp_path


def test_a_run_that_gave_the_committed_bytes_says_nine_of_nine(project, capsys):
    before = (project / "machine.json").read_bytes()
    assert beside_committed(project)
    assert capsys.readouterr().out == "9 of 9 stages byte-equal to the committed lock\n"
    assert (project / "machine.json").read_bytes() == before, "nothing to commit"


def test_other_bytes_name_their_stages_and_the_processor(project, capsys):
    lock(project, train="1", extract="1")
    assert beside_committed(project), "floats that another processor summed"
    assert capsys.readouterr().out == (
        "7 of 9 stages byte-equal to the committed lock;"
        " other: extract, train (processor: -avx1024)\n"
    )
    assert read_json(project / "machine.json")["processor"] == committed.processor()


def test_no_processor_explains_another_table(project):
    lock(project, match="1")
    assert not beside_committed(project)


def test_the_same_processor_explains_nothing(project):
    committed.note_machine(project)
    git(project, "commit", "-q", "-a", "-m", "from this machine")
    lock(project, train="1")
    found = committed.compared(project)
    assert str(found).endswith("other: train (the same processor)")
    assert not found.is_explained


def test_without_a_committed_lock_the_run_says_what_to_commit(tmp_path, capsys):
    git(tmp_path, "init", "-q")
    lock(tmp_path)
    assert beside_committed(tmp_path)
    assert "commit it with machine.json, metrics/ and plots/" in capsys.readouterr().out


def test_a_lock_without_its_machine_is_compared_all_the_same(project, capsys):
    git(project, "rm", "-q", "machine.json")
    git(project, "commit", "-q", "-m", "no machine")
    assert beside_committed(project)
    assert capsys.readouterr().out == "9 of 9 stages byte-equal to the committed lock\n"
    assert committed.is_noted(project)


def test_an_emulated_processor_is_told_from_the_real_one(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    assert "OPENBLAS_CORETYPE=Nehalem" in committed.processor()


def test_git_keeps_the_lock_metrics_and_plots_and_dvc_the_rest():
    kept = committed.in_git(REPO)
    ignored = subprocess.run(["git", "check-ignore", *kept], cwd=REPO, capture_output=True)
    assert ignored.stdout == b"", "git must not ignore what it keeps"
    assert {"dvc.lock", "machine.json", "metrics/eval.json", "plots/train.csv"} <= set(kept)
    assert not [path for path in kept if path.startswith(("data/", "models/"))]


def test_every_plot_reads_a_file_that_git_keeps():
    plots = yaml.safe_load((REPO / "dvc.yaml").read_text())["plots"]
    read = {path for plot in plots for entry in plot.values() for path in entry["y"]}
    assert read <= set(committed.in_git(REPO))


def test_a_committed_lock_has_every_stage():
    if not (REPO / "dvc.lock").is_file():
        pytest.skip("no dvc.lock in this checkout")
    assert set(yaml.safe_load((REPO / "dvc.lock").read_text())["stages"]) == set(STAGES)


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A DVC project whose stage needs this environment's packages, started as ours are."""
    if not Path(sysconfig.get_path("purelib"), "own_programs_first.pth").is_file():
        pytest.skip("this environment was not made by `make`")
    command = (
        'PATH="$PWD/.venv/bin:$PATH" exec python -c "import safetensors, sys; print(sys.prefix)"'
    )
    ranker = (REPO / "dvc.yaml").read_text().partition("artifacts:")[2]
    (tmp_path / "dvc.yaml").write_text(
        yaml.safe_dump(
            {
                "stages": {
                    "train": {
                        "cmd": "mkdir -p models && echo nmsd: 0.2 > eval.yaml &&"
                        f" {command} > models/ranker.safetensors",
                        "params": ["seed"],
                        "outs": ["models/ranker.safetensors"],
                        "metrics": [{"eval.yaml": {"cache": False}}],
                    }
                }
            }
        )
        + f"artifacts:{ranker}"
    )
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "user.name", "test")
    git(tmp_path, "config", "user.email", "test@example.org")
    dvc(tmp_path, "init", "-q")
    dvc(tmp_path, "repro", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "-a", "ranker@v1.0.0", "-m", "the first ranker")
    return tmp_path


def dvc(root: Path, *words: str) -> str:
    """Run this environment's dvc by its path, the environment not activated."""
    done = subprocess.run(
        [DVC, *words], cwd=root, env=BARE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"dvc {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def test_an_experiment_runs_in_a_folder_of_its_own_without_an_activated_environment(stranger):
    dvc(stranger, "exp", "run", "--temp", "--name", "aside", "-S", "seed=1")
    assert (stranger / "params.yaml").read_text() == "seed: 0\n"
    assert "aside" in dvc(stranger, "exp", "list")


def test_the_ranker_is_got_by_its_name(stranger, tmp_path):
    dvc(stranger, "artifacts", "get", str(stranger), "ranker", "-o", "got.safetensors")
    assert (stranger / "got.safetensors").read_text().strip() == sys.prefix


@pytest.mark.slow
def test_what_the_docs_tell_a_team_to_type(stranger, tmp_path_factory):
    """The commands of docs/ that no other test runs, in their order: propose, compare, share."""
    shared = tmp_path_factory.mktemp("shared")
    git(shared, "init", "-q", "--bare")
    git(stranger, "remote", "add", "origin", str(shared))
    dvc(stranger, "remote", "add", "-d", "team", str(tmp_path_factory.mktemp("remote")))
    git(stranger, "commit", "-q", "-am", "Remote")
    assert "up to date" in dvc(stranger, "status")
    dvc(stranger, "exp", "run", "--name", "better", "-S", "seed=3")
    assert "better" in dvc(stranger, "exp", "show", "--no-pager")
    dvc(stranger, "exp", "push", "origin", "better")
    assert "better" in dvc(stranger, "exp", "list", "origin")
    dvc(stranger, "exp", "apply", "better")
    git(stranger, "commit", "-q", "-am", "Better")
    git(stranger, "tag", "data-2026-11")
    dvc(stranger, "push")
    dvc(stranger, "metrics", "diff", "HEAD~1")
    dvc(stranger, "plots", "diff", "HEAD~1", "-o", "dvc_plots")
    dvc(stranger, "repro", "-f", "train")
    user = tmp_path_factory.mktemp("user")
    git(user, "init", "-q")
    dvc(user, "init", "-q")
    ranker = "models/ranker.safetensors"
    dvc(user, "get", str(stranger), ranker, "-o", "got.safetensors")
    dvc(user, "import", "--rev", "data-2026-11", str(stranger), ranker)
    dvc(user, "update", "--rev", "HEAD", "ranker.safetensors.dvc")
    for name in ("got.safetensors", "ranker.safetensors"):
        assert (user / name).read_text().strip() == sys.prefix
    dvc(stranger, "pull", "--allow-missing")


@pytest.mark.slow
def test_queued_experiments_run_without_an_activated_environment(stranger):
    dvc(stranger, "exp", "run", "--queue", "--name", "later", "-S", "seed=2")
    dvc(stranger, "queue", "start")
    try:
        dvc(stranger, "queue", "logs", "--follow", "later")
        while "Running" in (status := dvc(stranger, "queue", "status")):
            time.sleep(0.5)
        assert "Success" in status
    finally:
        dvc(stranger, "queue", "stop", "--kill")
