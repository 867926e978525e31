"""The published lists: Video2GIF's metadata.txt and PHD2's csv, whole and broken."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from memory import PEAK_BYTES
from published import BROKEN, RELEASE_COLUMNS, SEPARATOR, TOLERATED, line, row, write

from video2gif.core.errors import Exit, UserError
from video2gif.datasets import published_test_ids, read_manifest
from video2gif.datasets.release import read_tags
from video2gif.datasets.rows import Manifest


def metadata(folder: Path, *lines: bytes, columns: tuple[str, ...] = RELEASE_COLUMNS) -> Manifest:
    path = folder / "metadata.txt"
    path.write_bytes(b"\n".join([SEPARATOR.join(columns).encode(), *lines]) + b"\n")
    return read_manifest(path)


def test_a_row_of_the_release_is_understood(tmp_path: Path) -> None:
    (found,) = metadata(tmp_path, line(row("dQw4w9WgXcQ", "g1"))).rows
    assert (found.line, found.video_id, found.gif_id) == (2, "dQw4w9WgXcQ", "g1")
    assert found.video_url == "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    assert found.gif_url == "https://example.org/g1.gif"
    assert (found.start_s, found.end_s) == (10.0, 13.0)
    assert (found.views, found.age_days, found.category) == (1234, 300, "Entertainment")
    assert found.title.startswith('A "fine" title; with')


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_A34_a_broken_line_is_reported_and_costs_no_other(
    tmp_path: Path, broken: Callable[[dict[str, str]], bytes]
) -> None:
    before, after = line(row("v0", "g0")), line(row("v2", "g2"))
    found = metadata(tmp_path, before, broken(row("v1", "g1")), after)
    assert [bad.line for bad in found.bad] == [3]
    assert [gif.gif_id for gif in found.rows if gif.gif_id] == ["g0", "g2"]
    assert len(found.bad[0].reason) < 200
    assert found.bad[0].reason.isprintable()


@pytest.mark.parametrize("kept", TOLERATED.values(), ids=TOLERATED.keys())
def test_an_awkward_line_is_read(tmp_path: Path, kept: Callable[[dict[str, str]], bytes]) -> None:
    found = metadata(tmp_path, kept(row("v1", "g1")))
    assert found.bad == []
    assert [gif.gif_id for gif in found.rows] == ["g1"]


def test_A14_a_wrong_span_leaves_its_video(tmp_path: Path) -> None:
    found = metadata(tmp_path, line(row("v1", "g1", gif_start_frame="264")))
    assert [(one.video_id, one.gif_id) for one in found.rows] == [("v1", "")]
    assert found.bad[0].key == ("gif", "g1")
    assert found.bad[0].reason == "label: frame 264 is at 10.56 s, the row says 10 s"


def test_C5_a_line_of_ten_megabytes_is_reported(tmp_path: Path) -> None:
    long = line(row("v1", "g1", video_description="x" * 10_000_000))
    found = metadata(tmp_path, long, line(row("v2", "g2")))
    assert [bad.line for bad in found.bad] == [2]
    assert [one.line for one in found.rows] == [3]


@pytest.mark.parametrize("name", ["gif_start_sec", "video_category"])
@pytest.mark.parametrize("renamed", ["", "something"])
def test_A36_a_missing_or_renamed_column_is_a_usage_error(
    tmp_path: Path, name: str, renamed: str
) -> None:
    columns = tuple(renamed if one == name else one for one in RELEASE_COLUMNS)
    columns = tuple(filter(None, columns))
    with pytest.raises(UserError, match=name) as caught:
        metadata(tmp_path, columns=columns)
    assert caught.value.exit_code == Exit.USAGE


def test_tags_and_test_ids_beside_it_are_taken(tmp_path: Path) -> None:
    tags = "youtube_id;\ttags\nv1;\tone; two | three; four\nfive; six\nv2;\tseven\n"
    (tmp_path / "video_tags.txt").write_text(tags)
    (tmp_path / "testset.txt").write_text("v2\n")
    lines = [line(row(video, f"{video}g")) for video in ("v1", "v2", "v3")]
    found = {one.video_id: one for one in metadata(tmp_path, *lines).rows}
    assert found["v1"].tags == "one|two / three|four|five|six"
    assert (found["v2"].tags, found["v3"].tags) == ("seven", "")
    assert [found[video].split for video in ("v1", "v2", "v3")] == ["", "test", ""]
    assert found["v2"].video_url == "https://data.vision.ee.ethz.ch/cvl/video2gif/v2.mp4"


def test_a_file_beside_the_list_stands_in_for_the_link(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "v1.webm").touch()
    (found,) = metadata(tmp_path, line(row("v1", "g1"))).rows
    assert found.video_url == "videos/v1.webm"


PARSE = f"""
import json, sys
from pathlib import Path
from video2gif.datasets import read_manifest
found = read_manifest(Path(sys.argv[1]))
print(json.dumps({{
    "bad": [bad.line for bad in found.bad],
    "merged": found.merged,
    "noted": [row.line for row in found.rows if row.notes],
    "gifs": [row.line for row in found.rows if row.gif_id],
    "peak_bytes": {PEAK_BYTES},
}}))
"""


@pytest.mark.parametrize("n_rows", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_C5_exactly_the_broken_rows_are_reported_and_memory_is_bounded(
    tmp_path: Path, n_rows: int
) -> None:
    path = tmp_path / "metadata.txt"
    expected = write(path, n_rows=n_rows)
    command = [sys.executable, "-c", PARSE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    print(n_rows, "rows:", path.stat().st_size, "bytes,", found["peak_bytes"], "bytes at most")
    assert set(found["bad"]) == expected.bad_lines
    # A line whose GIF is in conflict may still name its video.
    assert set(found["merged"]) <= expected.merged_lines
    # An empty cell is unknown as well, and nothing to note.
    assert set(found["noted"]) <= expected.unknown_views
    every = set(range(2, n_rows + 2))
    assert set(found["gifs"]) == every - expected.bad_lines - expected.merged_lines
    assert found["peak_bytes"] <= 1e9


def phd2(folder: Path, *lines: str) -> Manifest:
    path = folder / "anything.csv"
    header = "youtubeId,start,duration,user_id,video_duration,is_last"
    path.write_text("\n".join([header, *lines]) + "\n")
    return read_manifest(path)


def test_a_row_of_phd2_is_a_span_without_a_file(tmp_path: Path) -> None:
    (found,) = phd2(tmp_path, "dhuI9TO1rY8,204.39,7.08,12999,314.0,True").rows
    assert (found.video_id, found.start_s, found.end_s) == ("dhuI9TO1rY8", 204.39, 211.47)
    assert (found.gif_url, found.gif_id) == ("", "dhuI9TO1rY8_12999_204.39_7.08")


@pytest.mark.parametrize(
    "text",
    [
        "v,1,2,3,4",
        "v,1,2,3,4,True,more",
        "../v,1,2,3,4,True",
        "v,-1,2,3,4,True",
        "v,1,0,3,4,True",
        "v,x,2,3,4,True",
        "v,1,2,../../x,4,True",
        "v,1,4.1,3,4,True",
        "v,1,2,3,-1,True",
    ],
)
def test_a_broken_row_of_phd2_is_reported(tmp_path: Path, text: str) -> None:
    found = phd2(tmp_path, "w,1,2,3,4,True", text)
    assert [bad.line for bad in found.bad] == [3]


def test_a_column_missing_from_phd2_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "phd2.csv"
    path.write_text("youtubeId,start,duration,user,video_duration,is_last\n")
    with pytest.raises(UserError, match="user_id"):
        read_manifest(path)


@pytest.mark.realdata
def test_every_row_of_phd2s_test_set_is_accounted_for(realdata: Path) -> None:
    found = read_manifest(realdata / "metadata" / "phd2_testing.csv")
    gifs = [one.line for one in found.rows if one.gif_id]
    lines = [*gifs, *(bad.line for bad in found.bad), *found.merged]
    assert sorted(lines) == list(range(2, 20_490))
    assert (len(gifs), len(found.bad), len(found.merged)) == (20_278, 210, 0)
    unknown = [bad for bad in found.bad if "did not know" in bad.reason]
    assert len(unknown) == 209


@pytest.mark.realdata
def test_the_published_tags_and_ids_are_read_whole(realdata: Path) -> None:
    tags = read_tags(realdata / "metadata" / "video_tags.txt")
    test_ids = (realdata / "metadata" / "testset.txt").read_text().split()
    assert len(tags) == 7_268
    assert sum(video_id in tags for video_id in test_ids) == 35
    assert set(test_ids) == published_test_ids()
