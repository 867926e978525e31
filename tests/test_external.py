"""`video2gif evaluate`: anyone's predictions, without torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from video2gif.cli.__main__ import app
from video2gif.core.errors import UserError
from video2gif.evaluation import figures
from video2gif.evaluation.figures import Scored
from video2gif.evaluation.tables import read
from video2gif.evaluation.videos import video_metrics

REPO = Path(__file__).parents[1]
PREDICTIONS = """video_id,start_frame,end_frame,score
a,0,10,0.1
a,10,20,0.9
a,20,30,
b,0,10,1
b,20,30,2
"""
LABELS = """video_id,start_frame,end_frame,category,n_frames
a,10,20,Sports,
b,22,28,Animals,40
b,0,5,Animals,40
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path, PREDICTIONS, LABELS)


def write(folder: Path, predictions: str, labels: str) -> tuple[Path, Path]:
    paths = folder / "predictions.csv", folder / "labels.csv"
    for path, content in zip(paths, (predictions, labels), strict=True):
        path.write_text(content)
    return paths


def test_gaps_and_the_uncovered_end_are_unscored_segments(files: tuple[Path, Path]) -> None:
    a, b = read(*files).videos
    assert a.spans.tolist() == [[0, 10], [10, 20], [20, 30]]
    assert np.isnan(a.scores).tolist() == [False, False, True]
    assert b.spans.tolist() == [[0, 10], [10, 20], [20, 30], [30, 40]]
    assert np.isnan(b.scores).tolist() == [False, True, False, True]


def test_the_metrics_are_those_of_the_segments(files: tuple[Path, Path]) -> None:
    a, b = read(*files).videos
    # Half of the GIF's ten frames are watched with all ten: (10 − 5) / (30 − 5).
    assert a.metrics.nmsd == pytest.approx(0.2)
    # Frames 20 to 30 hold the first GIF: (10 − 3) / (40 − 3). For the second all but it are
    # watched too, unscored frames tied with the worst: (40 − 2.5) / (40 − 2.5) = 1.
    assert b.metrics.nmsd == pytest.approx((7 / 37 + 1) / 2)
    assert b.metrics.nmsd_best == pytest.approx(7 / 37)
    expected = video_metrics(gifs=list(b.gifs), spans=b.spans, scores=b.scores)
    assert b.metrics == expected


def test_seconds_give_what_frames_give(tmp_path: Path, files: tuple[Path, Path]) -> None:
    tables = [pd.read_csv(path) for path in files]
    for table, path in zip(tables, files, strict=True):
        table["start_s"], table["end_s"] = (
            table.pop("start_frame") / 20,
            table.pop("end_frame") / 20,
        )
        if "n_frames" in table:
            table["duration_s"] = table.pop("n_frames") / 20
        table.to_csv(path, index=False)
    in_seconds = read(*files).videos
    in_frames = read(*write(tmp_path, PREDICTIONS, LABELS)).videos
    for one, other in zip(in_seconds, in_frames, strict=True):
        assert one.metrics.nmsd == pytest.approx(other.metrics.nmsd)
        assert one.metrics.recall_at_5 == other.metrics.recall_at_5


def test_videos_that_cannot_be_compared_are_named(tmp_path: Path) -> None:
    predictions = PREDICTIONS + "only-predicted,0,9,1\nwhole,0,9,1\nnever-scored,0,9,\n"
    labels = LABELS + "only-labelled,0,9,,\nwhole,0,9,,\nnever-scored,2,5,,\n"
    found = read(*write(tmp_path, predictions, labels))
    assert [video.video_id for video in found.videos] == ["a", "b"]
    assert found.without_predictions == ["never-scored", "only-labelled"]
    assert found.without_labels == ["whole", "only-predicted"]


@pytest.mark.parametrize(
    ("predictions", "labels", "told"),
    [
        pytest.param("video_id,score\n", LABELS, "needs video_id, score and start", id="column"),
        pytest.param(PREDICTIONS + "a,5,12,1\n", LABELS, r"segments of a overlap", id="overlap"),
        pytest.param(PREDICTIONS + "a,40,40,1\n", LABELS, r":7: .*start < end", id="empty-segment"),
        pytest.param(PREDICTIONS + "a,40,50,x\n", LABELS, r":7: score = x", id="text-score"),
        pytest.param(PREDICTIONS + "a,40,50,inf\n", LABELS, r":7: score = ", id="infinite"),
        pytest.param(
            PREDICTIONS, LABELS + "a,,9,,\n", r":5: start_frame = \(nothing\)", id="no-start"
        ),
        pytest.param(
            PREDICTIONS, "video_id,start_s,end_s\n", r"in frames.* in seconds", id="units"
        ),
        pytest.param("", LABELS, "no header of a csv", id="empty-file"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, predictions: str, labels: str, told: str
) -> None:
    with pytest.raises(UserError, match=told):
        read(*write(tmp_path, predictions, labels))


def test_the_command_prints_every_figure_and_compares_two_runs(files: tuple[Path, Path]) -> None:
    arguments = ["evaluate", *map(str, files), "--against", str(files[0]), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert content["n_videos"] == 2
    assert content["nmsd_ci"][0] <= content["nmsd"] <= content["nmsd_ci"][1]
    assert content["less_against"]["nmsd"] == 0
    assert content["less_against"]["nmsd_ci"] == [0, 0]
    assert content["per_category"]["Sports"]["nmsd"] == pytest.approx(0.2)
    assert content["n_unscored_segments"] == 3
    assert CliRunner().invoke(app, arguments[:3]).exit_code == 0


def test_a_missing_video_ends_with_3(tmp_path: Path) -> None:
    paths = write(tmp_path, PREDICTIONS, LABELS + "c,0,3,,\n")
    done = CliRunner().invoke(app, ["evaluate", *map(str, paths)])
    assert done.exit_code == 3


def test_evaluating_imports_no_torch(files: tuple[Path, Path]) -> None:
    code = (
        "import sys; from video2gif.cli.measure import evaluate; from pathlib import Path;"
        f"evaluate(Path({str(files[0])!r}), Path({str(files[1])!r}), None, True, 10, 0);"
        "print('torch' in sys.modules, 'sklearn' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=True
    )
    assert done.stderr.split()[-2:] == ["False", "False"]


# The figures over videos


def scored(video_id: str, scores: list[float], gif: tuple[int, int], **more: object) -> Scored:
    spans = np.stack([np.arange(len(scores)) * 10, np.arange(1, len(scores) + 1) * 10], axis=1)
    values = np.array(scores)
    return Scored(
        video_id=video_id,
        category=str(more.get("category", "")),
        duration_s=float(more.get("duration_s", 1)),  # type: ignore[arg-type]
        gifs=(gif,),
        spans=spans,
        scores=values,
        metrics=video_metrics(gifs=[gif], spans=spans, scores=values),
    )


def test_length_deciles_hold_every_video_once_shortest_first() -> None:
    videos = [scored(f"v{n}", [1, 2], (0, 10), duration_s=n * 7 % 23) for n in range(23)]
    groups = figures.by_length(videos, samples=10, seed=0)
    assert len(groups) == 10
    assert sum(group["n_videos"] for group in groups) == 23
    edges = [edge for group in groups for edge in (group["from_s"], group["to_s"])]
    assert edges == sorted(edges)
    assert len(figures.by_length(videos[:3], samples=10, seed=0)) == 3
    assert figures.by_length([], samples=10, seed=0) == []


def test_coverage_counts_what_is_unscored_and_what_is_tied() -> None:
    nan = float("nan")
    videos = [scored("a", [1, 1, nan, 2], (20, 30)), scored("b", [1, 2, 3, nan], (0, 10))]
    found = figures.coverage(videos)
    assert found["n_segments"] == 8
    assert found["n_unscored_segments"] == 2
    assert found["unscored_frames_share"] == pytest.approx(0.25)
    assert found["n_gifs_mostly_unscored"] == 1
    assert found["n_tied_segments"] == 2


def test_a_perfect_ranking_is_calibrated_to_the_top() -> None:
    videos = [scored(f"v{n}", list(range(10)), (90, 100)) for n in range(3)]
    bins = figures.calibration(videos)
    assert [one["gif_share"] for one in bins] == [1] + [0] * 9
    assert [one["n_frames"] for one in bins] == [30] * 10


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(0, 11))
def test_calibration_loses_no_frame_of_a_scored_segment(scores: list[int], at: int) -> None:
    if len(scores) < 2:
        return
    start = at % len(scores) * 10
    bins = figures.calibration([scored("v", [float(s) for s in scores], (start, start + 10))])
    assert sum(one["n_frames"] for one in bins) == 10 * len(scores)
    assert sum(one["n_frames"] * one["gif_share"] for one in bins) == pytest.approx(10)


def test_differences_are_paired() -> None:
    ours = [scored(f"v{n}", [1, 2, n % 3], (10, 20)).metrics for n in range(8)]
    found = figures.difference(ours, ours, samples=100, seed=0)
    assert (found["nmsd"], found["nmsd_ci"]) == (0, [0, 0])
    assert figures.difference([], [], samples=100, seed=0)["nmsd"] is None
