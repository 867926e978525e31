"""Kills, full disks, bad clocks, two at once: a stage ends cleanly or goes on where it was."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from patience import PATIENCE_S
from ranking_project import write_project

from flows.__main__ import main
from video2gif import stages
from video2gif.core.config import Params
from video2gif.core.errors import EnvironmentProblem, Exit
from video2gif.core.items import Context, Counts, compute
from video2gif.core.layout import Layout, write_csv, write_json
from video2gif.core.mappers import ProcessMapper, SerialMapper
from video2gif.core.sandbox import Limits
from video2gif.core.store import ItemStore
from video2gif.core.work import Item, Work
from video2gif.media.encode import write_video

TESTS = Path(__file__).parent
REPO = TESTS.parent
ENV = os.environ | {"PYTHONPATH": f"{REPO}{os.pathsep}{TESTS}"}


@pytest.fixture(autouse=True)
def _children_find_the_work(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", ENV["PYTHONPATH"])


# --- signals ---

STAGE = """
import sys
from pathlib import Path
from flows import guard
from video2gif.core import work as works
from video2gif.core.items import Context, compute
from video2gif.core.mappers import ProcessMapper
from video2gif.core.work import Item, Work
from video2gif.core.store import ItemStore
works.code_version = lambda module: "test"
work = Work(function="work:slow_echo")
todo = [Item(id=str(n), inputs=(str(n),), args={"text": str(n)}) for n in range(40)]
context = Context(ItemStore(Path(sys.argv[1])), ProcessMapper(2), lambda *s: print(*s, flush=True))
outcomes = guard.guarded(lambda: compute("echo", work, todo, context))
print("computed", sum(outcome.status == "computed" for outcome in outcomes), flush=True)
"""


def start(store: ItemStore) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", STAGE, str(store.root)],
        env=ENV,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stored(store: ItemStore) -> dict[str, tuple[int, bytes]]:
    """Items by key: when each was made, and its bytes."""
    paths = [path for path in store.root.glob("??/*") if not path.name.startswith(".")]
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the forty items are when nobody interferes."""
    store = ItemStore(tmp_path_factory.mktemp("straight"))
    assert start(store).wait() == 0
    return {key: content for key, (_, content) in stored(store).items()}


SEEDS = [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 20))]


@pytest.mark.parametrize("seed", SEEDS)
def test_B1_a_stage_killed_anywhere_gives_the_same_bytes(
    store: ItemStore, straight: dict[str, bytes], seed: int
):
    stage = start(store)
    assert stage.stdout is not None
    for _ in range(random.Random(seed).randrange(1, 40)):
        stage.stdout.readline()
    time.sleep(random.Random(-seed).uniform(0, 0.05))
    os.killpg(stage.pid, signal.SIGKILL)
    stage.wait()
    before = stored(store)
    again = start(store)
    told = again.communicate()[0].splitlines()[-1]
    assert again.returncode == 0
    after = stored(store)
    assert {key: content for key, (_, content) in after.items()} == straight
    assert {key: after[key] for key in before} == before, "a finished item was made again"
    assert told == f"computed {40 - len(before)}"
    assert not list(store.root.rglob("*.tmp"))


def test_B4_ctrl_c_twice_ends_with_130_and_can_be_resumed(
    store: ItemStore, straight: dict[str, bytes]
):
    stage = start(store)
    assert stage.stdout is not None
    for _ in range(10):
        stage.stdout.readline()
    os.killpg(stage.pid, signal.SIGINT)
    os.killpg(stage.pid, signal.SIGINT)
    assert stage.wait(timeout=PATIENCE_S) == 130
    done = len(stored(store))
    assert done >= 9
    told = start(store).communicate()[0].splitlines()[-1]
    assert told == f"computed {40 - done}"
    assert {key: content for key, (_, content) in stored(store).items()} == straight


# --- disks ---


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(["mount", *options], check=False).returncode:
        pytest.skip("only root may mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("mapper", [SerialMapper(), ProcessMapper(2)], ids=["serial", "process"])
def test_B11_a_full_disk_stops_the_stage_and_the_next_run_goes_on(
    small_disk: Path, mapper: SerialMapper | ProcessMapper, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("video2gif.core.work.code_version", lambda module: "test")
    store = ItemStore(small_disk / "store")
    work = Work(function="work:megabyte", limits=Limits(wall_s=60))
    items = [Item(id=str(n), inputs=(str(n),), args={}) for n in range(12)]
    with pytest.raises(EnvironmentProblem, match="free some space") as caught:
        compute("megabyte", work, items, Context(store, mapper))
    assert caught.value.exit_code == Exit.ENVIRONMENT
    kept = stored(store)
    assert 0 < len(kept) <= 8
    assert all(store.check(key) == "item" for key in kept)
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    outcomes = compute("megabyte", work, items, Context(store, mapper))
    assert Counts.of(outcomes) == Counts(computed=12 - len(kept), reused=len(kept))
    assert not list(store.root.rglob("*.tmp"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A project with params.yaml, an item store beside it."""
    (tmp_path / "project").mkdir()
    monkeypatch.setenv("VIDEO2GIF_CACHE", str(tmp_path / "store"))
    (tmp_path / "project" / "params.yaml").write_text((REPO / "params.yaml").read_text())
    return Layout(tmp_path / "project")


def test_B12_an_output_that_cannot_be_written_ends_with_5_before_any_work(
    project: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (project.root / "data").write_text("a file, where a folder must be")
    monkeypatch.setattr("video2gif.stages.segment.run", lambda *_: pytest.fail("work was begun"))
    monkeypatch.setattr("flows.guard.guarded", lambda body: body())
    monkeypatch.setattr("flows.stages._observed", lambda _, body, *__: body(SerialMapper()))
    assert main(["segment", "--root", str(project.root)]) == Exit.ENVIRONMENT
    assert f"{project.root / 'data'}: outputs cannot be written" in capsys.readouterr().err


def test_B12_a_read_only_disk_is_named(small_disk: Path):
    layout = Layout(small_disk)
    layout.media.mkdir(parents=True)
    layout.check_outputs()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        layout.check_outputs()


@pytest.mark.parametrize("name", ["data", "models", "data/downloads.parquet", "report"])
def test_D7_an_output_that_leads_elsewhere_is_refused(project: Layout, tmp_path: Path, name: str):
    mine = tmp_path / "mine"
    mine.mkdir()
    (project.root / name).parent.mkdir(exist_ok=True)
    (project.root / name).symlink_to(mine)
    with pytest.raises(EnvironmentProblem, match="symbolic link"):
        project.check_outputs()
    assert not list(mine.iterdir())


def test_D7_links_into_dvcs_cache_are_dvcs_own(project: Layout, tmp_path: Path):
    cached = tmp_path / "shared/files/md5/ab/cdef"
    cached.parent.mkdir(parents=True)
    cached.touch()
    project.downloads.parent.mkdir()
    project.downloads.symlink_to(cached)
    project.check_outputs()


def test_D7_a_link_in_an_outputs_place_is_replaced_not_followed(project: Layout, tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for path in (project.eval_metrics, project.train_plot):
        path.parent.mkdir(parents=True)
        path.symlink_to(victim)
    write_json(project.eval_metrics, {"a": 1})
    write_csv(project.train_plot, pd.DataFrame({"a": [1]}))
    assert victim.read_text() == "mine"
    assert json.loads(project.eval_metrics.read_text()) == {"a": 1}


# --- clocks ---


@pytest.fixture
def filmed(project: Layout) -> Layout:
    """The project with a manifest of three films."""
    (project.root / "data").mkdir()
    for number in range(3):
        picture = [[[(number * 80 + y * x) % 256, x, y] for x in range(32)] for y in range(32)]
        frames = [_shifted(picture, n) for n in range(20)]
        write_video(project.root / "data" / f"v{number}.mp4", frames, fps=10)
    lines = ["video_id,video_url,gif_id,gif_url", *(f"v{n},v{n}.mp4,," for n in range(3))]
    (project.root / "data" / "sample.csv").write_text("\n".join(lines))
    return project


def run_stages(layout: Layout, store: ItemStore) -> Counts:
    context, params = Context(store, SerialMapper()), Params.load(layout.params)
    counts = Counts()
    for stage in ("download", "fingerprint", "match", "segment", "label"):
        counts += stages.load(stage)(layout, params, context)
    return counts


def outputs(layout: Layout) -> dict[str, bytes]:
    files = [path for path in (layout.root / "data").rglob("*") if path.is_file()]
    return {str(path.relative_to(layout.root)): path.read_bytes() for path in files}


def test_B17_neither_clock_nor_file_times_change_a_result(
    filmed: Layout, store: ItemStore, monkeypatch: pytest.MonkeyPatch
):
    first, made = run_stages(filmed, store), outputs(filmed)
    assert first.quarantined == 0
    rng, yesterday = random.Random(0), time.time() - 86_400
    for path in [*filmed.root.rglob("*"), *store.root.rglob("*")]:
        os.utime(path, (rng.uniform(0, 4e9), rng.uniform(0, 4e9)))
    monkeypatch.setattr(time, "time", lambda: yesterday)
    again = run_stages(filmed, store)
    assert outputs(filmed) == made
    # Three probes and three fingerprints are found; what has no items is done again.
    assert first.computed - again.computed == 6


RUN = """
import os, sys
from pathlib import Path
from test_faults import run_stages
from video2gif.core.layout import Layout
from video2gif.core.store import ItemStore
os.umask(int(sys.argv[3], 8))
run_stages(Layout(Path(sys.argv[1])), ItemStore(Path(sys.argv[2])))
"""


def test_E2_no_setting_of_the_environment_changes_a_result(filmed: Layout, tmp_path: Path):
    odd = {"PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "C", "LANG": "tr_TR.UTF-8"}
    found = []
    for name, changed, umask in (("a", {"PYTHONHASHSEED": "0"}, "022"), ("b", odd, "077")):
        command = [sys.executable, "-c", RUN, str(filmed.root), str(tmp_path / name), umask]
        subprocess.run(command, env=ENV | changed, check=True, cwd=tmp_path)
        stored_there = stored(ItemStore(tmp_path / name))
        found.append((outputs(filmed), {k: v for k, (_, v) in stored_there.items()}))
    assert found[0] == found[1]


def _shifted(picture: list, n: int):
    import numpy as np

    return np.roll(np.array(picture, np.uint8), n, axis=1)


# --- training ---


TRAIN = """
import sys
from pathlib import Path
from ranking_project import small_params
from video2gif.core.items import Context
from video2gif.core.mappers import SerialMapper
from video2gif.core.layout import Layout
from video2gif.stages import load
from video2gif.core.store import ItemStore
root = Path(sys.argv[1])
print("training", flush=True)
params = small_params(epochs=40, patience=40)
load("train")(Layout(root), params, Context(ItemStore(root / "store"), SerialMapper()))
"""


def test_E6_a_training_that_was_killed_and_begun_again_is_the_straight_one(tmp_path: Path):
    """Whatever it had reached, and whatever it kept of that."""

    def train(root: Path, *, kill_after_s: float | None = None) -> dict[str, bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(root)], env=ENV, stdout=subprocess.PIPE
        )
        if kill_after_s is not None:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(kill_after_s)
            process.kill()
        process.wait()
        made = ("models", "metrics", "plots")
        files = [path for name in made for path in (root / name).rglob("*") if path.is_file()]
        return {path.name: path.read_bytes() for path in files}

    straight = train(write_project(tmp_path / "straight").root)
    assert straight
    cut = write_project(tmp_path / "cut").root
    partial = train(cut, kill_after_s=0.3)
    assert partial.items() <= straight.items(), "something half is there"
    assert train(cut) == straight
