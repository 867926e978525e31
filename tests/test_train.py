"""The train stage: its files, its card, its refusals; the scorer that reads them back."""

import dataclasses
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ranking_project import N_SEGMENTS, NETWORK, NETWORK_JSON, small_params, write_project

from video2gif.core.errors import EnvironmentProblem, UserError
from video2gif.core.items import Context, Counts
from video2gif.core.layout import Layout, read_json, write_json
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore
from video2gif.features.registry import feature_sources
from video2gif.ranking.fusion import FUSED
from video2gif.ranking.loading import load_videos
from video2gif.ranking.scorer import Scorer
from video2gif.stages import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    context = Context(ItemStore(root / "store"), SerialMapper())
    layout = write_project(root, n_videos=10)
    assert train.run(layout, small_params(), context) == Counts(computed=2)
    return root


@pytest.fixture
def layout(trained: Path, tmp_path: Path) -> Layout:
    shutil.copytree(trained, tmp_path / "project")
    return Layout(tmp_path / "project")


def test_the_card_says_what_the_model_was_made_from(layout: Layout) -> None:
    card = read_json(layout.model_card)
    assert card["random_weights"] is False
    (network,) = card["features"]
    assert network == "efficientnet-lite0"
    assert card["features"][network]["weights"].startswith("sha256:579344")
    assert card["sha256"] == hashlib.sha256(layout.model.read_bytes()).hexdigest()
    assert card["data"]["pairs"] == hashlib.sha256(layout.pairs.read_bytes()).hexdigest()
    assert card["params"]["loss"] == "adaptive_huber"
    assert card["metrics"]["n_pairs"] == 6 * (N_SEGMENTS - 1)
    assert card["context"]["categories"] == ["Animals", "Sports"]


def test_the_card_counts_its_data_and_says_how_good_the_model_looked(layout: Layout) -> None:
    card = read_json(layout.model_card)
    videos = load_videos(layout)
    for split, counted in card["counts"].items():
        own = [video for video in videos if video.split == split]
        assert (counted["videos"], counted["gifs"]) == (len(own), sum(len(v.gifs) for v in own))
        assert counted["pairs"] == sum(len(v.pairs) for v in own)
    assert {*card["data"]} >= {"pairs", "labels", "features/efficientnet-lite0", "fingerprints"}
    low, high = card["validation"]["nmsd_ci"]
    assert low <= card["validation"]["nmsd"] <= high
    assert card["validation"]["n_videos"] == 2
    assert "BSD" in card["licence"]
    assert card["features_origin"]["efficientnet-lite0"]["licence"] == "Apache-2.0"
    assert {*card["fusion"]} == {*FUSED}


def test_the_card_quotes_what_the_features_say_of_their_weights(
    tmp_path: Path, context: Context
) -> None:
    layout = write_project(tmp_path, n_videos=4)
    origin = {"source": "https://a", "licence": "CC-BY"}
    write_json(layout.network(NETWORK), {**NETWORK_JSON, **origin, "is_pretrained": False})
    train.run(layout, small_params(epochs=1, ensemble=1), context)
    card = read_json(layout.model_card)
    assert card["features_origin"] == {NETWORK: origin}
    assert card["random_weights"] is True


def test_the_card_says_whether_its_videos_are_the_rendered_ones(
    tmp_path: Path, context: Context
) -> None:
    layout = write_project(tmp_path, n_videos=4)
    params = small_params(epochs=1, ensemble=1)
    manifest = tmp_path / params.download.manifest
    for url, rendered in (("sample:video/a", True), ("videos/a.mp4", False)):
        manifest.parent.mkdir(exist_ok=True)
        manifest.write_text(f"video_id,video_url\nv000,{url}\n")
        train.run(layout, params, context)
        assert read_json(layout.model_card)["rendered_sample"] is rendered


def test_metrics_and_plots_hold_every_member_and_epoch(layout: Layout) -> None:
    metrics, plot = read_json(layout.train_metrics), pd.read_csv(layout.train_plot)
    assert metrics["n_videos"] == 6
    assert metrics["n_validation_videos"] == 2
    assert metrics["stopped_by"] == "validation nMSD"
    assert metrics["epochs"] == len(plot)
    assert plot.columns.tolist() == ["member", "epoch", "loss", "validation_nmsd"]
    assert sorted(plot["member"].unique()) == [0, 1]
    assert "adaptive_huber_p1" in pd.read_csv(layout.loss_plot)


def test_E5_training_again_writes_the_same_files(layout: Layout, context: Context) -> None:
    def contents() -> dict[str, bytes]:
        folders = ("models", "metrics", "plots")
        files = [path for folder in folders for path in (layout.root / folder).iterdir()]
        return {path.name: path.read_bytes() for path in files}

    before = contents()
    train.run(layout, small_params(), context)
    assert contents() == before


def test_without_a_validation_split_it_is_said(tmp_path: Path, context: Context) -> None:
    layout = write_project(tmp_path, n_videos=4, splits=("train",))
    train.run(layout, small_params(epochs=2), context)
    metrics = read_json(layout.train_metrics)
    assert metrics["validation_nmsd"] is None
    assert "no validation videos" in metrics["stopped_by"]


def test_without_pairs_no_model_is_written(tmp_path: Path, context: Context) -> None:
    layout = write_project(tmp_path, n_videos=4, n_pairs_per_positive=0)
    with pytest.raises(UserError, match="0 pairs"):
        train.run(layout, small_params(), context)
    assert not layout.model.exists()


# The scorer


def test_the_scorer_ranks_the_planted_segment_first(layout: Layout) -> None:
    scorer = Scorer.load(layout.model, layout.model_card)
    held_out = [video for video in load_videos(layout) if video.split == "test"]
    for video in held_out:
        best = video.spans[np.argmax(scorer.model.score_video(video))]
        assert (tuple(best),) == video.gifs


def test_A22_a_segment_without_clips_has_no_score(layout: Layout) -> None:
    scores = Scorer.load(layout.model, layout.model_card).model.score(
        [np.zeros((2, 4096), np.float16), np.zeros((0, 4096), np.float16)],
        category="Never seen",
        tags=(),
        spans_s=np.array([[0.0, 1.0], [1.0, 1.2]]),
        duration_s=1.2,
        cues=np.zeros((2, 8)),
    )
    assert np.isfinite(scores[0])
    assert np.isnan(scores[1])


def test_A22_a_video_without_any_clips_has_no_scores(layout: Layout) -> None:
    scorer = Scorer.load(layout.model, layout.model_card)
    spans_s = np.array([[0.0, 1.0]])
    empty = [np.zeros((0, 4096), np.float16)]
    scores = scorer.model.score(
        empty, category="", tags=(), spans_s=spans_s, duration_s=1.0, cues=np.zeros((1, 8))
    )
    assert np.isnan(scores).all()


def test_features_of_other_weights_are_refused(layout: Layout) -> None:
    scorer = Scorer.load(layout.model, layout.model_card)
    given = {NETWORK: NETWORK_JSON}
    scorer.check_features(given)
    other = {name: {**own, "weights": "sha256:0"} for name, own in given.items()}
    with pytest.raises(UserError, match=r"sha256:579344.*sha256:0"):
        scorer.check_features(other)
    with pytest.raises(UserError, match=r"efficientnet-lite0, given c3d"):
        scorer.check_features({"c3d": NETWORK_JSON})


def test_weights_are_known_by_content_not_by_path(tmp_path: Path) -> None:
    extract = small_params().extract
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"weights")
    one, two = (
        feature_sources(dataclasses.replace(extract, weights=name), ["c3d"], root=tmp_path)
        for name in "ab"
    )
    assert one == two
    with pytest.raises(EnvironmentProblem, match="No such file"):
        feature_sources(dataclasses.replace(extract, weights="c"), ["c3d"], root=tmp_path)


def test_a_card_without_its_keys_is_refused(layout: Layout) -> None:
    write_json(layout.model_card, {"context": {}})
    with pytest.raises(EnvironmentProblem, match="not a model card"):
        Scorer.load(layout.model, layout.model_card)
