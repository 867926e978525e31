"""Highlights of PHD2, TVSum and YouTube Highlights as labels and as manifests of ours."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from video2gif.cli.__main__ import app
from video2gif.core.errors import UserError
from video2gif.datasets import highlights as otherdata
from video2gif.datasets import read_manifest
from video2gif.evaluation import tables as external

PHD2 = (
    "youtubeId,start,duration,user_id,video_duration,is_last\n"
    "abcdefghijk,10,4,u1,100,False\nabcdefghijk,50,3,u2,100,True\n"
)


def tvsum_file(folder: Path, grades: dict[str, list[list[int]]]) -> Path:
    path = folder / "ydata-tvsum50-anno.tsv"
    lines = [
        f"{video}\tVT\t{','.join(map(str, row))}" for video, rows in grades.items() for row in rows
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def youtube_folder(root: Path, clips: list[list[int]], marks: list[int]) -> Path:
    folder = root / "skating" / "abcdefghijk"
    folder.mkdir(parents=True)
    (folder / "match_label.json").write_text(json.dumps([clips, marks]))
    return root


def test_phd2_gives_seconds(tmp_path: Path) -> None:
    (tmp_path / "phd2.csv").write_text(PHD2)
    unit, found = otherdata.read("phd2", tmp_path / "phd2.csv")
    assert unit == "seconds"
    assert sorted((one.start, one.end) for one in found) == [(10, 14), (50, 53)]


def test_tvsum_takes_the_best_graded_frames_of_all_annotators(tmp_path: Path) -> None:
    one, other = [1] * 20, [1] * 20
    one[4:7], other[5:7] = [5, 5, 5], [4, 4]
    other[15] = 2
    path = tvsum_file(tmp_path, {"v": [one, other]})
    # Means: frame 4 has 3, frames 5 and 6 have 4.5, frame 15 has 1.5, the rest 1.
    (found,) = otherdata.tvsum(path, best_share=0.15)
    assert (found.start, found.end, found.category, found.length) == (4, 7, "VT", 20)


def test_tvsum_of_equal_grades_is_all_highlight_and_so_is_not_measured(tmp_path: Path) -> None:
    (found,) = otherdata.tvsum(tvsum_file(tmp_path, {"v": [[3] * 9]}), best_share=0.15)
    assert (found.start, found.end) == (0, 9)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param("v\tVT\n", ":1: not a line of TVSum", id="no-grades"),
        pytest.param("v\tVT\t1,x\n", ":1: not a line of TVSum", id="text"),
        pytest.param("v\tVT\t1,2\nv\tVT\t1\n", ":2: 1 grades of v, 2 before", id="lengths"),
    ],
)
def test_a_broken_tvsum_line_is_named(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "anno.tsv"
    path.write_text(content)
    with pytest.raises(UserError, match=told):
        list(otherdata.tvsum(path, best_share=0.15))


def test_overlapping_matched_clips_are_one_highlight(tmp_path: Path) -> None:
    clips = [[0, 100], [50, 150], [100, 200], [150, 250], [300, 400]]
    root = youtube_folder(tmp_path, clips, [1, 1, 0, -1, 1])
    found = list(otherdata.youtube_highlights(root))
    assert [(one.start, one.end) for one in found] == [(0, 150), (300, 400)]
    assert {(one.video_id, one.category, one.length) for one in found} == {
        ("abcdefghijk", "skating", 400)
    }


def test_broken_youtube_labels_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no CATEGORY/VIDEO"):
        list(otherdata.youtube_highlights(tmp_path))
    root = youtube_folder(tmp_path, [[0, 10]], [1, 1])
    with pytest.raises(UserError, match=r"match_label\.json: not clips"):
        list(otherdata.youtube_highlights(root))


def test_labels_of_another_data_set_measure_predictions(tmp_path: Path) -> None:
    root = youtube_folder(tmp_path / "yth", [[0, 50], [25, 75], [75, 100]], [-1, 1, -1])
    output = tmp_path / "labels.csv"
    done = CliRunner().invoke(app, ["labels", "youtube-highlights", str(root), "-o", str(output)])
    assert done.exit_code == 0, done.output
    starts = np.arange(0, 100, 25)
    pd.DataFrame(
        {
            "video_id": "abcdefghijk",
            "start_frame": starts,
            "end_frame": starts + 25,
            "score": [0, 2, 1, 0],
        }
    ).to_csv(tmp_path / "predictions.csv", index=False)
    (video,) = external.read(tmp_path / "predictions.csv", output).videos
    assert video.gifs == ((25, 75),)
    assert video.metrics.average_precision == 1


def test_two_data_sets_become_one_manifest_that_trains_on_one_and_tests_on_the_other(
    tmp_path: Path,
) -> None:
    (tmp_path / "phd2.csv").write_text(PHD2)
    tvsum = tvsum_file(tmp_path, {"ABCDEFGHIJK": [[1, 1, 5, 5, 1, 1, 1, 1, 1, 1]]})
    paths = {"train": tmp_path / "train.csv", "test": tmp_path / "test.csv"}
    runs = {
        "train": ["labels", "phd2", str(tmp_path / "phd2.csv")],
        "test": ["labels", "tvsum", str(tvsum), "--fps", "2", "--best-share", "0.2"],
    }
    for split, arguments in runs.items():
        arguments += ["-o", str(paths[split]), "--split", split]
        assert CliRunner().invoke(app, arguments).exit_code == 0
    joined = tmp_path / "joined.csv"
    pd.concat(map(pd.read_csv, paths.values())).to_csv(joined, index=False)
    manifest = read_manifest(joined)
    assert not manifest.bad
    spans = {(row.video_id, row.split, row.start_s, row.end_s) for row in manifest.rows}
    assert spans == {
        ("abcdefghijk", "train", 10, 14),
        ("abcdefghijk", "train", 50, 53),
        ("ABCDEFGHIJK", "test", 1, 2),
    }


def test_frames_without_a_rate_make_no_manifest(tmp_path: Path) -> None:
    path = tvsum_file(tmp_path, {"v": [[1, 5, 1]]})
    unit, found = otherdata.read("tvsum", path)
    with pytest.raises(UserError, match="--fps"):
        otherdata.manifest_table(unit, found, split="test", fps=None)
