"""The `video2gif` commands of README and docs do what they say: each is run, on small files."""

import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from test_commands import ALL, REPO

from video2gif.datasets.marks import Mark, write_marks
from video2gif.media.encode import write_video

pytestmark = pytest.mark.slow

# What stands in the texts, and what is there in the folder of this test.
_NAMES = {
    "VIDEO": "film.mp4",
    "FILE": "review/marks.csv",
    "GIF": "found.gif",
    "DIR": "clips",
    "PREDICTIONS.csv": "predictions.csv",
    "LABELS.csv": "labels.csv",
    "OTHER.csv": "predictions.csv",
    "/videos/in": "films",
    "CLIPS": "found.gif",
    "FILMS": "films",
    "trailer.mp4": "film.mp4",
    "more/*.mkv": "film.mp4",
    "/videos/gifs": "gifs_of_films",
    "gifs/01_0m42s_0.87.gif": "found.gif",
}
# Commands that need what is not here, or that other tests run as a whole.
ELSEWHERE = {
    "dataset stats": "test_corpus",
    "ablate": "test_ablation",
    "dataset check": "test_datasets, test_published",
    "dataset export-hashes": "test_hashlabels",
    "dataset import-hashes": "test_hashlabels",
    "fsck": "test_fsck",
    "labels": "test_otherdata",
    "plan": "test_plan",
    "weights compare": "test_importers",
    "weights fetch": "test_published: it needs the network",
    "weights import": "test_importers",
}


def _written() -> list[tuple[str, ...]]:
    found = {line.words[1:] for line in ALL if line.words[0] == "video2gif" and line.words[1:]}
    return sorted(found)


def _command(words: tuple[str, ...]) -> str:
    return " ".join(words[:2] if words[0] in ("dataset", "weights") else words[:1])


def _is_run(words: tuple[str, ...]) -> bool:
    is_whole = len(words) > 1 or words[0] == "doctor"  # `video2gif gif` alone is the name of it.
    return is_whole and words[0] != "--install-completion" and _command(words) not in ELSEWHERE


RUN = [words for words in _written() if _is_run(words)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's parameters, two minutes of film under the names of the texts, and its GIF."""
    folder = tmp_path_factory.mktemp("documented")
    shutil.copy(REPO / "params.yaml", folder)
    shutil.copytree(REPO / "data", folder / "data", ignore=shutil.ignore_patterns("*.dvc"))
    rng = np.random.default_rng(5)
    scenes = rng.integers(0, 255, (60, 12, 16, 3), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    moved = [np.roll(s, (n % 7) * k, axis=1) for n, s in enumerate(scenes) for k in range(20)]
    write_video(folder / "film.mp4", moved, fps=10)
    (folder / "films").mkdir()
    shutil.copy(folder / "film.mp4", folder / "my_holiday.mp4")
    shutil.copy(folder / "film.mp4", folder / "films")
    (folder / "labels.csv").write_text("video_id,start_s,end_s\na,1,3\n")
    (folder / "predictions.csv").write_text("video_id,start_s,end_s,score\na,0,2,1\na,2,4,2\n")
    done = _run(folder, "gif", "film.mp4", "--top", "1", "-o", "first", "-q")
    assert done.returncode == 0, done.stderr
    (gif,) = (folder / "first").glob("*.gif")
    shutil.copy(gif, folder / "found.gif")
    for name in ("review", "clips"):
        (folder / name).mkdir()
        shutil.copy(folder / "film.mp4", folder / name)
        shutil.copy(gif, folder / name)
        marks = [Mark("film.mp4", 4.0, 6.0, "good"), Mark("film.mp4", 10.0, 12.0, "bad")]
        write_marks(folder / name / "marks.csv", marks)
    return folder


def _run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "video2gif", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _as_typed(words: tuple[str, ...]) -> list[str]:
    """Of `[-o DIR]` and `gif|webp` what a person would type: the first of each."""
    line = re.sub(r"\[([^\]]*)\]", r"\1", shlex.join(words).replace("'", ""))
    chosen = [word.split("|")[0] for word in line.split()]
    return [_NAMES.get(word, word) for word in chosen if word]


@pytest.mark.parametrize("words", [one for one in RUN if one[0] != "serve"], ids=" ".join)
def test_a_documented_command_does_its_work(folder: Path, words: tuple[str, ...]):
    done = _run(folder, *_as_typed(words))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout or "--quiet" in words


@pytest.mark.parametrize("words", [one for one in RUN if one[0] == "serve"], ids=" ".join)
def test_the_review_page_is_served(folder: Path, words: tuple[str, ...]):
    command = [sys.executable, "-m", "video2gif", *_as_typed(words), "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout is not None
        try:
            said = iter(server.stdout.readline, "")
            address = next(m[0] for line in said if (m := re.search(r"http://\S+", line)))
            assert b"<title>" in urllib.request.urlopen(address).read()
        finally:
            server.terminate()


def test_what_runs_elsewhere_is_there():
    named = {name for text in ELSEWHERE.values() for name in re.findall(r"test_\w+", text)}
    assert named
    assert [name for name in sorted(named) if not (REPO / "tests" / f"{name}.py").is_file()] == []


def test_every_documented_command_is_run_here_or_named():
    assert len(RUN) > 20
    for words in _written():
        assert (
            _is_run(words)
            or len(words) == 1
            or words[0].startswith("--")
            or (_command(words) in ELSEWHERE)
        ), words
