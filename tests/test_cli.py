"""The command line as a person meets it: exit codes, files, messages."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from video2gif.cli.gif import _parse_bytes
from video2gif.core.errors import UserError
from video2gif.features.published import PUBLISHED
from video2gif.media.encode import write_gif, write_video

REPO = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video of two shots, the second one lively, and a GIF of it."""
    folder = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 255, (2, 24, 32, 3), np.uint8).repeat(5, axis=1).repeat(5, axis=2)
    calm = [np.roll(scenes[0], n // 4, axis=1) for n in range(40)]
    lively = [np.roll(scenes[1], 6 * n, axis=1) for n in range(40)]
    write_video(folder / "film.mp4", [*calm, *lively], fps=20)
    write_gif(folder / "moment.gif", lively[4:36:2], delays_cs=10)
    (folder / "empty.mp4").touch()
    return folder


def _run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A terminal's usual width, and that of a pipe: names were cut to a letter there.
    environment = {**os.environ, "VIDEO2GIF_CACHE": str(home / "cache"), "COLUMNS": "80"}
    return subprocess.run(
        [Path(sys.executable).with_name("video2gif"), *arguments],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_gif_writes_ranked_gifs_a_page_and_a_list(home):
    done = _run(home, "gif", "film.mp4", "-o", "out", "--top", "2", "--ranker", "baseline")
    assert done.returncode == 0, done.stderr
    assert "not learned: --ranker MODEL" in done.stderr
    listing = json.loads((home / "out" / "gifs.json").read_text())
    gifs = listing["videos"][0]["gifs"]
    assert [gif["rank"] for gif in gifs] == [1, 2]
    # The lively shot, not the calm one, and never across the cut between them.
    assert gifs[0]["segment"] == pytest.approx([2.0, 4.0])
    assert 2.0 <= gifs[0]["start_s"] < gifs[0]["end_s"] <= 4.0
    assert gifs[0]["file"] == "01_0m02s_1.00.gif"
    with av.open(str(home / "out" / gifs[0]["file"])) as container:
        assert container.streams.video[0].height == 240
    assert "01_0m02s_1.00.gif" in (home / "out" / "index.html").read_text()


def test_a_file_is_named_by_where_its_gif_begins(home):
    """The moment of 2 to 4 s, of which --from leaves the end."""
    asked = ["--from", "3.2", "--to", "4", "--top", "1", "--ranker", "baseline", "--loop", "none"]
    done = _run(home, "gif", "film.mp4", "-o", "late", *asked)
    assert done.returncode == 0, done.stderr
    (gif,) = json.loads((home / "late" / "gifs.json").read_text())["videos"][0]["gifs"]
    assert gif["segment"][0] < 3 < gif["start_s"]
    assert gif["file"].startswith("01_0m03s_")


def test_gif_fits_under_max_bytes(home):
    done = _run(home, "gif", "film.mp4", "-o", "small", "--top", "1", "--max-bytes", "60k")
    assert done.returncode == 0, done.stderr
    (gif,) = (home / "small").glob("*.gif")
    assert gif.stat().st_size <= 60_000


def test_one_gif_of_a_spoken_line_is_not_said_to_be_too_few(home):
    (home / "film.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello there\n")
    asked = ["--say", "hello there", "--subtitles", "film.srt", "--ranker", "baseline"]
    done = _run(home, "gif", "film.mp4", "-o", "said", *asked)
    assert done.returncode == 0, done.stderr
    assert len(list((home / "said").glob("*.gif"))) == 1
    assert "--alike" not in done.stdout


def test_a_bad_video_is_named_and_the_others_go_on(home):
    done = _run(home, "gif", "empty.mp4", "film.mp4", "-o", "both", "--top", "1")
    assert done.returncode == 3
    assert "empty.mp4" in done.stderr
    assert "empty:" in done.stderr
    assert len(list((home / "both").rglob("*.gif"))) == 1


def test_rank_prints_json_that_covers_the_video(home):
    done = _run(home, "rank", "film.mp4", "--json", "--ranker", "baseline")
    assert done.returncode == 0, done.stderr
    segments = sorted(json.loads(done.stdout)["segments"], key=lambda s: s["start_s"])
    assert segments[0]["start_s"] == 0
    assert segments[-1]["end_s"] == pytest.approx(4.0)
    for before, after in itertools.pairwise(segments):
        assert before["end_s"] == after["start_s"]


def test_match_says_where_a_gif_comes_from(home):
    done = _run(home, "match", "moment.gif", "film.mp4", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["matches"]
    assert found["status"] == "matched"
    assert found["start_s"] == pytest.approx(2.2, abs=0.1)
    assert found["end_s"] == pytest.approx(3.8, abs=0.1)
    assert found["speed"] == pytest.approx(1.0, abs=0.05)


def test_names_and_numbers_stand_whole_in_80_columns(home):
    """Each row's, also in a pipe: names were cut to one letter, and addresses in the middle."""
    film, gif = home / "the_film_as_it_was_shown.mp4", home / "a_moment_of_it.gif"
    film.write_bytes((home / "film.mp4").read_bytes())
    gif.write_bytes((home / "moment.gif").read_bytes())
    said = {
        "gif": _run(home, "gif", film.name, "-o", "tables", "--top", "1", "--ranker", "baseline"),
        "one": _run(home, "match", gif.name, film.name),
        "many": _run(home, "match", gif.name, "film.mp4", "--in", film.name),
        "weights": _run(home, "weights", "list"),
    }
    for name, done in said.items():
        assert done.returncode == 0, (name, done.stderr)
        assert "…" not in done.stdout.replace("sha256 dcc47ddc…", ""), name
    (row,) = (line for line in said["gif"].stdout.splitlines() if ".gif" in line)
    assert re.fullmatch(r" 01_0m02s_1\.00\.gif +[\d.]+ +[\d.]+ +1\.00 .*320×240 +10 +\d+ *", row)
    assert film.name in said["one"].stdout
    (found,) = (line for line in said["one"].stdout.splitlines() if "matched" in line)
    assert re.search(r"matched +2\.\d\d–3\.\d\d s +1\.\d\d× +1\.000", found)
    names = said["many"].stdout.replace("\n ", "").replace(" ", "")
    assert gif.name in names
    assert film.name in names
    assert all(one.url in said["weights"].stdout for one in PUBLISHED.values())


def test_D32_a_file_in_the_working_folder_cannot_pose_as_a_module(home):
    trap = home / "inspect.py"
    trap.write_text("raise SystemExit('hijacked')")
    try:
        done = _run(home, "rank", "film.mp4", "--csv", "--ranker", "baseline")
    finally:
        trap.unlink()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["gif"], "Missing argument", id="no video"),
        pytest.param(["gif", "film.mp4", "--format", "bmp"], "gif, webp, avif or mp4", id="format"),
        pytest.param(["gif", "film.mp4", "--max-bytes", "lots"], "not a size", id="bytes"),
        pytest.param(["rank", "film.mp4", "--ranker", "no.safetensors"], "no such", id="ranker"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_to_do(home, arguments, said):
    done = _run(home, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "value"), [("500k", 500_000), ("2M", 2_000_000), ("2MB", 2_000_000), ("1234", 1234)]
)
def test_sizes_are_decimal(text, value):
    assert _parse_bytes(text) == value


@pytest.mark.parametrize("text", ["", "k", "-1M", "2X", "nanM"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UserError):
        _parse_bytes(text)
