"""The nightly run's own steps: what is merged, promoted, put back, committed; DVC on a remote."""

import csv
import hashlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import nightly, watch
from video2gif.project.summary import Figure, Quality, worse

REPO = Path(__file__).parents[1]


def ranked(mean: float | None, low: float | None = None, high: float | None = None) -> Quality:
    return Quality({"ranker": {"nmsd": Figure(mean, low, high)}}, 3, 5, random_weights=False)


@pytest.mark.parametrize(
    ("after", "refused"),
    [
        pytest.param(0.20, False, id="better"),
        pytest.param(0.30, False, id="worse-inside-the-interval"),
        pytest.param(0.41, True, id="worse-than-the-interval"),
        pytest.param(None, False, id="nothing-evaluated"),
    ],
)
def test_a_model_is_refused_that_is_worse_by_more_than_the_interval(
    after: float | None, refused: bool
):
    assert worse(ranked(after), than=ranked(0.25, 0.15, 0.40)) is refused


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a run would log, without a server."""
    lines: list[str] = []

    class Log:
        def info(self, text: str, *args: object) -> None:
            lines.append(text % args)

    monkeypatch.setattr(nightly, "get_run_logger", Log)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    return lines


def run(root: Path, *words: str) -> str:
    environment = os.environ | {
        "DVC_NO_ANALYTICS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **{
            f"GIT_{who}_{what}": "test@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    done = subprocess.run(
        words, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


DVC = (sys.executable, "-m", "dvc")
STAGE = """
stages:
  double:
    cmd: mkdir -p data && cat numbers.txt numbers.txt > data/doubled.txt
    deps: [numbers.txt]
    outs: [data/doubled.txt]
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A git and DVC project of one stage, up to date and committed."""
    root = tmp_path / "clone"
    root.mkdir()
    run(root, "git", "init", "-q", "-b", "main")
    run(root, "git", "config", "user.email", "test@example.org")
    run(root, "git", "config", "user.name", "test")
    run(root, *DVC, "init", "-q")
    (root / ".gitignore").write_text("/.video2gif/\n")
    (root / "dvc.yaml").write_text(STAGE)
    (root / "numbers.txt").write_text("1\n")
    run(root, *DVC, "repro", "-q")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "-q", "-m", "first")
    return root


def test_a_run_that_fails_puts_the_last_good_outputs_back(clone: Path, said: list[str]):
    kept = (clone / "data" / "doubled.txt", clone / "dvc.lock")
    good = [path.read_bytes() for path in kept]

    def fail() -> None:
        with nightly.last_good(clone):
            (clone / "numbers.txt").write_text("2\n")
            run(clone, *DVC, "repro", "-q")
            assert kept[0].read_text() == "2\n2\n"
            raise nightly.PipelineFailed("not promoted")

    with pytest.raises(nightly.PipelineFailed, match="not promoted"):
        fail()
    assert [path.read_bytes() for path in kept] == good


def test_a_commit_leaves_the_checkout_alone(clone: Path, said: list[str]):
    (clone / "numbers.txt").write_text("2\n")
    run(clone, *DVC, "repro", "-q")
    (clone / "mine.txt").write_text("somebody works here")
    before = run(clone, "git", "status", "--short", "--branch")
    nightly.commit(clone, "nightly", ["dvc.lock", "numbers.txt"], push=False)
    assert run(clone, "git", "status", "--short", "--branch") == before
    changed = run(clone, "git", "diff", "--name-only", "main", "nightly").split()
    assert changed == ["dvc.lock", "numbers.txt"]


def test_new_rows_join_the_manifest_once(tmp_path: Path):
    (tmp_path / "params.yaml").write_text((REPO / "params.yaml").read_text())
    (tmp_path / "data").mkdir()
    manifest = tmp_path / "data" / "sample.csv"
    manifest.write_text("video_id,video_url,gif_id,gif_url\nv,a.mp4,g,a.gif\n")
    inbox = tmp_path / "data" / "inbox"
    inbox.mkdir()
    (inbox / "more.csv").write_text("gif_id,video_id,video_url\ng,v,other.mp4\ng2,v,a.mp4\n")
    assert nightly.merge_inbox(tmp_path, Path("data/inbox")) == ["data/sample.csv"]
    rows = list(csv.DictReader(manifest.open()))
    assert [(row["video_id"], row["gif_id"], row["gif_url"]) for row in rows] == [
        ("v", "g", "a.gif"),
        ("v", "g2", ""),
    ]
    assert [path.name for path in (inbox / "merged").iterdir()] == ["more.csv"]
    assert nightly.merge_inbox(tmp_path, Path("data/inbox")) == []


def test_a_content_is_new_until_its_note_is_written(tmp_path: Path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.mp4", "same as a.mp4"):
        (folder / name).write_bytes(b"video")
    (folder / "b.mp4").write_bytes(b"another")
    (folder / ".part.mp4").write_bytes(b"still arriving")
    watched = watch.Watched(str(folder), str(out))
    names = []
    for video in watched.new(settle_s=0):
        names.append(video.name)
        made = tmp_path / video.folder
        made.mkdir()
        (made / "01.gif").write_bytes(b"GIF89a")
        watched.publish(video, made, "done", "")
    assert names == ["a.mp4", "b.mp4"]
    sha256 = hashlib.sha256(b"video").hexdigest()[:16]
    assert (out / f"a-{sha256}" / "01.gif").is_file()
    assert list(watched.new(settle_s=0)) == []
    (out / f"a-{sha256}" / "done.json").unlink()  # As if the run had been killed before it.
    assert [video.name for video in watched.new(settle_s=0)] == ["a.mp4", "same as a.mp4"]
    (folder / "c.mp4").write_bytes(b"new")
    assert [v.name for v in watched.new(settle_s=60)] == []


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """An S3 server on loopback with a bucket; what its clients need in their environment."""
    pytest.importorskip("moto", reason="the extra `operations` is not installed")
    pytest.importorskip("dvc_s3", reason="the extra `s3` is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    moto = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                request = urllib.request.Request(f"{url}/team", method="PUT")
                urllib.request.urlopen(request, timeout=2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield {
            "url": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        moto.kill()
        moto.wait()


@pytest.fixture
def shared(clone: Path, bucket: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The clone, with a remote as docs/operations.md says, and pushed to it."""
    for name, value in bucket.items():
        if name != "url":
            monkeypatch.setenv(name, value)
    run(clone, *DVC, "remote", "add", "-d", "team", "s3://team/dvc")
    run(clone, *DVC, "remote", "modify", "team", "endpointurl", bucket["url"])
    run(clone, *DVC, "remote", "modify", "team", "verify", "true")
    run(clone, "git", "commit", "-q", "-a", "-m", "remote")
    run(clone, *DVC, "push", "-q")
    return clone


@pytest.mark.slow
def test_E9_a_fresh_clone_pulls_and_runs_nothing(shared: Path, tmp_path: Path):
    fresh = tmp_path / "fresh"
    run(tmp_path, "git", "clone", "-q", str(shared), str(fresh))
    run(fresh, *DVC, "pull", "-q")
    assert "Running stage" not in run(fresh, *DVC, "repro")
    assert (fresh / "data/doubled.txt").read_bytes() == (shared / "data/doubled.txt").read_bytes()
    assert (fresh / "dvc.lock").read_bytes() == (shared / "dvc.lock").read_bytes()

    # Two people change different things; dvc.lock conflicts; either side, then repro, mends it.
    run(shared, "git", "checkout", "-q", "-b", "ours")
    (shared / "numbers.txt").write_text("1\n2\n")
    run(shared, *DVC, "repro", "-q")
    run(shared, "git", "commit", "-q", "-a", "-m", "ours")
    run(fresh, "git", "config", "user.email", "other@example.org")
    run(fresh, "git", "config", "user.name", "other")
    (fresh / "dvc.yaml").write_text(STAGE.replace("cat numbers.txt numbers.txt", "rev numbers.txt"))
    run(fresh, *DVC, "repro", "-q")
    run(fresh, "git", "commit", "-q", "-a", "-m", "theirs")
    run(fresh, "git", "fetch", "-q", str(shared), "ours")
    merged = subprocess.run(
        ["git", "merge", "FETCH_HEAD"], cwd=fresh, capture_output=True, text=True, check=False
    )
    assert "dvc.lock" in merged.stdout
    run(fresh, "git", "checkout", "-q", "--ours", "dvc.lock")
    assert "Running stage" in run(fresh, *DVC, "repro")
    run(fresh, "git", "add", "dvc.lock")
    run(fresh, "git", "commit", "-q", "-m", "merged")
    assert (fresh / "data/doubled.txt").read_text() == "1\n2\n"
    assert "up to date" in run(fresh, *DVC, "status")


@pytest.mark.slow
def test_B8_a_replaced_object_of_the_remote_fails_the_pull(
    shared: Path, tmp_path: Path, bucket: dict[str, str]
):
    digest = hashlib.md5((shared / "data/doubled.txt").read_bytes()).hexdigest()
    boto3 = pytest.importorskip("boto3")
    boto3.client("s3", endpoint_url=bucket["url"]).put_object(
        Bucket="team", Key=f"dvc/files/md5/{digest[:2]}/{digest[2:]}", Body=b"9\n9\n"
    )
    fresh = tmp_path / "fresh"
    run(tmp_path, "git", "clone", "-q", str(shared), str(fresh))
    done = subprocess.run([*DVC, "pull"], cwd=fresh, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert not (fresh / "data/doubled.txt").exists()
