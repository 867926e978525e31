"""The evaluate stage: predictions, metrics with intervals, baselines, and the empty split."""

import dataclasses
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ranking_project import N_SEGMENTS, NETWORK, NETWORK_JSON, small_params, write_project

from video2gif.core.config import Params
from video2gif.core.errors import UserError
from video2gif.core.items import Context, Counts
from video2gif.core.layout import Layout, read_json, write_json
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore
from video2gif.core.tables import PREDICTIONS, SPANS
from video2gif.ranking import training
from video2gif.ranking.loading import load_videos
from video2gif.stages import evaluate, train


def evaluate_params(**chosen: object) -> Params:
    params = small_params()
    section = dataclasses.replace(params.evaluate, bootstrap_samples=200, random_seeds=5, **chosen)  # type: ignore[arg-type]
    return dataclasses.replace(params, evaluate=section)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    context = Context(ItemStore(root / "store"), SerialMapper())
    train.run(write_project(root, n_videos=20), small_params(), context)
    return root


@pytest.fixture
def layout(trained: Path, tmp_path: Path) -> Layout:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return Layout(tmp_path)


def test_a_learned_direction_beats_random_and_motion(layout: Layout, context: Context) -> None:
    assert evaluate.run(layout, evaluate_params(), context) == Counts(computed=4)
    metrics = read_json(layout.eval_metrics)
    assert metrics["nmsd"] == pytest.approx(15 / 225)
    assert metrics["map"] == 1
    assert metrics["recall_at_5"] == 1
    assert (metrics["n_videos"], metrics["n_gifs"], metrics["n_skipped"]) == (4, 4, 0)
    assert metrics["random_weights"] is False
    for baseline in ("random", "motion"):
        assert metrics["baselines"][baseline]["nmsd"] > metrics["nmsd"]
        assert metrics["baselines"][baseline]["map"] < 1
    assert metrics["nmsd_ci"][1] < metrics["baselines"]["random"]["nmsd_ci"][0]


def test_categories_add_up_to_the_whole(layout: Layout, context: Context) -> None:
    evaluate.run(layout, evaluate_params(split="all"), context)
    metrics = read_json(layout.eval_metrics)
    parts = metrics["per_category"].values()
    assert sum(part["n_videos"] for part in parts) == metrics["n_videos"] == 20
    mean = sum(part["nmsd"] * part["n_videos"] for part in parts) / 20
    assert mean == pytest.approx(metrics["nmsd"])


def test_every_segment_of_every_split_is_predicted(layout: Layout, context: Context) -> None:
    evaluate.run(layout, evaluate_params(), context)
    rows = PREDICTIONS.read(layout.predictions)
    assert len(rows) == 20 * N_SEGMENTS
    assert rows["score"].notna().all()
    assert set(rows["split"]) == {"train", "validation", "test"}


def test_the_metrics_can_be_told_from_the_predictions(layout: Layout, context: Context) -> None:
    evaluate.run(layout, evaluate_params(), context)
    rows = PREDICTIONS.read(layout.predictions).query("split == 'test'")
    spans = SPANS.read(layout.spans).set_index("video_id")
    values = []
    for video_id, own in rows.groupby("video_id"):
        frames = own["score"].repeat(own["end_frame"] - own["start_frame"]).to_numpy()
        start, end = spans.loc[video_id, ["start_frame", "end_frame"]]
        watched = (frames >= np.median(frames[start:end])).sum()
        half = (end - start) / 2
        values.append((watched - half) / (len(frames) - half))
    assert read_json(layout.eval_metrics)["nmsd"] == pytest.approx(np.mean(values))


def test_plots_have_a_row_a_video_and_a_category(layout: Layout, context: Context) -> None:
    evaluate.run(layout, evaluate_params(), context)
    videos, categories = map(pd.read_csv, (layout.eval_videos_plot, layout.eval_categories_plot))
    assert videos["nmsd"].mean() == pytest.approx(read_json(layout.eval_metrics)["nmsd"])
    assert categories["n_videos"].sum() == len(videos) == 4
    assert pd.read_csv(layout.eval_histogram_plot)["ranker"].sum() == 4


def test_the_same_files_each_time(layout: Layout, context: Context) -> None:
    evaluate.run(layout, evaluate_params(), context)
    before = layout.eval_metrics.read_bytes(), layout.predictions.read_bytes()
    evaluate.run(layout, evaluate_params(), context)
    assert (layout.eval_metrics.read_bytes(), layout.predictions.read_bytes()) == before


def test_A37_unplaced_gifs_are_skipped_and_counted(layout: Layout, context: Context) -> None:
    spans = SPANS.read(layout.spans)
    spans.loc[spans["video_id"] == "v004", "status"] = "ambiguous"  # of the test split
    spans.loc[spans["video_id"] == "v000", "status"] = "unplaced"  # of another
    stray = {**spans.iloc[0], "video_id": "unreadable", "gif_id": "g", "status": "unplaced"}
    SPANS.write(layout.spans, pd.concat([spans, pd.DataFrame([stray])]))
    evaluate.run(layout, evaluate_params(), context)
    metrics = read_json(layout.eval_metrics)
    assert (metrics["n_videos"], metrics["n_gifs"], metrics["n_skipped"]) == (3, 3, 1)
    assert metrics["n_without_video"] == 1


def test_A22_segments_without_features_are_counted_and_rank_last(
    tmp_path: Path, context: Context
) -> None:
    layout = write_project(tmp_path, empty_segment=0)
    train.run(layout, small_params(), context)
    evaluate.run(layout, evaluate_params(), context)
    metrics = read_json(layout.eval_metrics)
    assert metrics["n_unscored_segments"] == metrics["n_videos"] == 3
    rows = PREDICTIONS.read(layout.predictions)
    assert rows["score"].isna().eq(rows["segment_id"] == 0).all()


def test_leave_one_out_scores_every_video_by_a_ranker_of_the_others(
    tmp_path: Path, context: Context
) -> None:
    layout = write_project(tmp_path, n_videos=5)
    train.run(layout, small_params(), context)
    evaluate.run(layout, evaluate_params(protocol="leave_one_out"), context)
    metrics = read_json(layout.eval_metrics)
    assert (metrics["protocol"], metrics["split"], metrics["n_videos"]) == (
        "leave_one_out",
        "all",
        5,
    )
    rows = PREDICTIONS.read(layout.predictions).query("video_id == 'v001'")
    videos = load_videos(layout)
    others = [
        dataclasses.replace(video, split="validation" if video.video_id == "v003" else "train")
        for video in videos
        if video.video_id != "v001"
    ]
    trained = training.train(others, small_params().train)
    expected = trained.model.score_video(videos[1])
    np.testing.assert_array_equal(rows["score"], expected)


def test_an_empty_split_gives_nulls_and_a_warning(
    tmp_path: Path, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    layout = write_project(tmp_path, n_videos=4, splits=("train", "train", "train", "validation"))
    train.run(layout, small_params(epochs=1), context)
    with caplog.at_level(logging.WARNING):
        assert evaluate.run(layout, evaluate_params(), context) == Counts()
    assert "no video of split test" in caplog.text
    metrics = read_json(layout.eval_metrics)
    assert metrics["n_videos"] == metrics["n_gifs"] == 0
    assert metrics["nmsd"] is None
    assert metrics["nmsd_ci"] is None
    assert metrics["baselines"]["random"]["map"] is None
    assert pd.read_csv(layout.eval_videos_plot).empty


def test_features_of_other_weights_are_refused(layout: Layout, context: Context) -> None:
    write_json(layout.network(NETWORK), {**NETWORK_JSON, "weights": "random:9"})
    with pytest.raises(UserError, match="random:9"):
        evaluate.run(layout, evaluate_params(), context)
