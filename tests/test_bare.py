"""The small installation: the wheel alone, in an environment of its own, in an empty folder."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from films import film_of_shots

from video2gif.core.errors import _EXTRAS

REPO = Path(__file__).parents[1]
# NumPy, PyAV and OpenCV alone are 326 MiB: docs/benchmarks/package.md.
MOST_BYTES = 440 << 20
EXTRAS = (*_EXTRAS, "dvc")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs of an environment that holds the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("bare")
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, REPO]
    subprocess.run(wheel, check=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    binaries = folder / "env" / "bin"
    (built,) = folder.glob("*.whl")
    install = [binaries / "python", "-m", "pip", "install", "-q", "-c", REPO / "constraints.txt"]
    subprocess.run([*install, built], check=True)
    return binaries


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VIDEO2GIF_CACHE", str(tmp_path / "cache"))
    return folder


def test_it_is_small_and_brings_no_extra(bare: Path):
    files = [path for path in bare.parent.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    code = f"from importlib.util import find_spec; print(*filter(find_spec, {EXTRAS!r}))"
    found = subprocess.run(
        [bare / "python", "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []


def test_gifs_are_made_matched_and_verified_in_an_empty_folder(bare: Path, empty: Path):
    film = film_of_shots(empty.parent / "film.mp4")
    run = lambda *words: subprocess.run(  # noqa: E731
        [bare / "video2gif", *words], capture_output=True, text=True, check=False
    )
    made = run("gif", str(film), "--top", "1", "--height", "120", "-q")
    assert made.returncode == 0, made.stderr
    (gif,) = (empty / "gifs").glob("*.gif")
    assert run("match", str(gif), str(film), "-q").returncode == 0
    verified = run("verify", str(gif), str(film), "-q")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_command_that_needs_an_extra_names_it(bare: Path, empty: Path):
    done = subprocess.run([bare / "video2gif", "plan"], capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "pip install 'video2gif[pipeline]'" in done.stderr.replace("\n", " ")


def test_words_on_a_gif_need_an_extra(bare: Path, empty: Path):
    film = film_of_shots(empty.parent / "film.mp4")
    command = [bare / "video2gif", "gif", film, "--caption", "hello", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "pip install 'video2gif[web]'" in done.stderr.replace("\n", " ")


@pytest.fixture
def address(bare: Path, empty: Path) -> Iterator[str]:
    command = [bare / "video2gif", "serve", "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        yield line.partition("review page: ")[2].split()[0]
        server.terminate()


def test_the_review_page_is_served(address: str):
    for _ in range(100):
        try:
            page = urllib.request.urlopen(address).read().decode()
            break
        except OSError:  # It says where it will listen just before it does.
            time.sleep(0.1)
    assert "<title>" in page
