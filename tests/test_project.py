"""The committed project in clones of its own, small, through DVC: damage, remotes, two at once."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kills import Clone, killed
from patience import until
from typer.testing import CliRunner

from video2gif.cli.__main__ import app
from video2gif.core.layout import Layout

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone whose pipeline has run, and how long that took."""
    clone = Clone.make(tmp_path_factory.mktemp("clones") / "done")
    log = clone.root.with_suffix(".log")
    assert clone.start().wait() == 0, log.read_text()[-2000:]
    yield clone
    clone.remove()


@pytest.fixture
def copy(done: Clone, tmp_path: Path) -> Clone:
    """A copy of the finished clone, to harm. Its store and DVC's cache are its own."""
    clone = Clone(tmp_path / "copy")
    shutil.copytree(done.root, clone.root, symlinks=True)
    shutil.copytree(done.store, clone.store)
    return clone


def dvc(clone: Clone, *arguments: str) -> "subprocess.CompletedProcess[str]":
    own = {
        "PYTHONPATH": str(clone.root),
        "VIDEO2GIF_CACHE": str(clone.store),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=clone.root,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )


def told(clone: Clone) -> str:
    return clone.root.with_suffix(".log").read_text()


@pytest.mark.parametrize("seed", range(100, 103))
def test_B1_make_repro_killed_anywhere_gives_the_same_bytes(done: Clone, tmp_path: Path, seed: int):
    assert killed(tmp_path, seed, done.digests(), took_s=30) == ""


def test_E1_E2_another_clone_in_another_environment_gives_the_same_bytes(
    done: Clone, tmp_path: Path
):
    other = Clone.make(tmp_path / "a folder with spaces" / "é")
    odd = {"PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "C", "VIDEO2GIF_WORKERS": "1"}
    umask = os.umask(0o077)
    try:
        assert other.start(**odd).wait() == 0, told(other)[-2000:]
    finally:
        os.umask(umask)
    assert other.digests() == done.digests()


def test_B5_pipeline_names_a_cut_lock_and_fsck_mends_it(
    copy: Clone, done: Clone, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("VIDEO2GIF_CACHE", str(copy.store))
    lock = copy.root / "dvc.lock"
    lock.write_bytes(lock.read_bytes()[:500])
    assert copy.start("pipeline").wait() == 5
    assert "git checkout dvc.lock" in told(copy)
    assert "Traceback" not in told(copy)
    mended = CliRunner().invoke(app, ["fsck", "--repair", "--root", str(copy.root)])
    assert mended.exit_code == 0
    assert copy.start().wait() == 0
    assert copy.digests() == done.digests()


def test_B6_pipeline_names_a_corrupt_rwlock(copy: Clone):
    (copy.root / ".dvc/tmp/rwlock").write_text("{")
    assert copy.start("pipeline").wait() == 5
    assert "no dvc process is running" in told(copy)
    assert "Traceback" not in told(copy)


def test_B7_fsck_finds_every_flipped_object_of_a_real_cache(
    copy: Clone, monkeypatch: pytest.MonkeyPatch, record_property
):
    monkeypatch.setenv("VIDEO2GIF_CACHE", str(copy.store))
    objects = sorted((copy.root / ".dvc/cache/files/md5").glob("??/*"))
    for path in objects:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(content)
    fsck = lambda *more: CliRunner().invoke(app, ["fsck", "--root", str(copy.root), *more])  # noqa: E731
    found = fsck()
    assert found.exit_code == 5
    named = [path for path in objects if str(path) in found.output.replace("\n", "")]
    assert named == objects
    record_property("figure", f"{len(named)} of {len(objects)} objects of a real cache")
    # The workspace still holds every output.
    assert fsck("--repair").exit_code == 0
    assert fsck().exit_code == 0
    assert "up to date" in dvc(copy, "repro").stdout


def test_B16_a_second_run_names_the_first(copy: Clone):
    first = copy.start()
    lock = Layout(copy.root).lock("pipeline")
    until(lambda: lock.exists() and lock.read_text() == str(first.pid))
    second = copy.start("pipeline")
    assert second.wait() == 5
    assert f"already running as process {first.pid}" in told(copy)
    assert first.wait() == 0


def test_C2_a_run_with_bad_items_ends_with_3_and_with_too_many_with_4(copy: Clone):
    manifest = copy.root / "data" / "sample.csv"
    (copy.root / "data" / "empty.mp4").touch()
    header = manifest.read_text().partition("\n")[0].split(",")
    row = {"video_id": "bad", "video_url": "empty.mp4"}
    with manifest.open("a") as file:
        file.write(",".join(row.get(name, "") for name in header) + "\n")
    assert copy.start("pipeline").wait() == 3
    assert "download: video bad: empty: the file has 0 bytes" in told(copy)
    with manifest.open("a") as file:
        for number in range(40):
            file.write(
                ",".join((row | {"video_id": f"b{number}"}).get(n, "") for n in header) + "\n"
            )
    assert copy.start("pipeline").wait() == 4
    assert "more than max_failed_fraction" in told(copy)


def test_E8_a_changed_lock_file_makes_every_stage_run_again(copy: Clone):
    with (copy.root / "constraints.txt").open("a") as file:
        file.write("# another\n")
    changed = json.loads(dvc(copy, "status", "--json").stdout)
    assert {"download", "fingerprint", "extract", "train"} <= set(changed)


@pytest.fixture
def remote(copy: Clone, tmp_path: Path) -> Path:
    """A remote with `verify true` that everything was pushed to; the cache is gone."""
    folder = tmp_path / "remote"
    assert dvc(copy, "remote", "add", "-d", "team", str(folder)).returncode == 0
    assert dvc(copy, "remote", "modify", "team", "verify", "true").returncode == 0
    pushed = dvc(copy, "push")
    assert pushed.returncode == 0, pushed.stderr
    shutil.rmtree(copy.root / ".dvc/cache")
    return folder


def test_E9_what_was_pulled_needs_no_stage(copy: Clone, done: Clone, remote: Path):
    for name in ("data/media", "data/fingerprints", "data/features", "report"):
        shutil.rmtree(copy.root / name)
    for path in (copy.root / "models").glob("ranker.*"):  # Beside them lies what git has.
        path.unlink()
    pulled = dvc(copy, "pull", "--force")
    assert pulled.returncode == 0, pulled.stderr
    ran = dvc(copy, "repro")
    assert "Running stage" not in ran.stdout
    assert "up to date" in ran.stdout
    assert copy.digests() == done.digests()


def test_B8_an_object_replaced_in_the_remote_fails_the_pull_and_is_named(copy: Clone, remote: Path):
    media = min((copy.root / "data/media/videos").iterdir())
    md5 = hashlib.md5(media.read_bytes()).hexdigest()
    victim = remote / "files/md5" / md5[:2] / md5[2:]
    victim.chmod(0o644)
    victim.write_bytes(b"another")
    shutil.rmtree(copy.root / "data/media")
    pulled = dvc(copy, "pull", "--force")
    assert pulled.returncode != 0
    assert md5 in pulled.stderr + pulled.stdout or "data/" in pulled.stderr
