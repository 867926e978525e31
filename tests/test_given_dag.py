"""Features and labels in place of pixels go through all nine stages, and are learned from."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context
from video2gif.core.layout import Layout, read_json
from video2gif.core.mappers import SerialMapper
from video2gif.core.shards import ShardReader
from video2gif.core.store import ItemStore
from video2gif.core.tables import DOWNLOADS, FEATURES, LABELS, PAIRS, SEGMENTS, SPANS
from video2gif.datasets.given import GivenVideo, manifest_table
from video2gif.media.given import GivenClips
from video2gif.stages import STAGES, load

REPO = Path(__file__).parents[1]
N_CLIPS, WIDTH = 12, 8


def given_video(number: int) -> GivenVideo:
    """Clips of unequal length; the first feature says which were liked."""
    rng = np.random.default_rng(number)
    liked = np.repeat(rng.permutation([0, 1, 0]), 4)
    features = rng.normal(size=(N_CLIPS, WIDTH))
    features[:, 0] += 4 * liked
    return GivenVideo(
        video_id=f"v{number}",
        domain="dog",
        part="test" if number >= 4 else "train",
        times_s=np.concatenate([[0], np.cumsum(rng.uniform(1, 2, N_CLIPS))]),
        features=features.astype(np.float16),
        grades=(2.0 * liked - 1)[:, None],
    )


VIDEOS = [given_video(number) for number in range(6)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    root = tmp_path_factory.mktemp("given")
    (root / "clips").mkdir()
    for video in VIDEOS:
        GivenClips(video.times_s, video.features).write(root / "clips" / f"{video.video_id}.npz")
    (root / "clips" / "broken.npz").write_bytes((root / "clips" / "v0.npz").read_bytes()[:400])
    table = manifest_table(VIDEOS)
    broken = pd.DataFrame([{"video_id": "broken", "video_url": "clips/broken.npz"}])
    pd.concat([table, broken]).to_csv(root / "manifest.csv", index=False)
    full = Params.load(REPO / "params.yaml")
    params = dataclasses.replace(
        full,
        download=dataclasses.replace(full.download, manifest="manifest.csv"),
        extract=dataclasses.replace(full.extract, networks=["given"]),
        train=dataclasses.replace(full.train, ranker="neighbourhood", inputs=["given"]),
        evaluate=dataclasses.replace(full.evaluate, bootstrap_samples=50),
    )
    layout = Layout(root)
    context = Context(ItemStore(root / "store"), SerialMapper())
    for stage in STAGES:
        load(stage)(layout, params, context)
    return layout


def test_a_clip_is_a_segment_and_keeps_its_own_times(project):
    segments = SEGMENTS.read(project.segments)
    own = segments[segments["video_id"] == "v0"]
    assert own["start_frame"].tolist() == list(range(N_CLIPS))
    assert own["start_s"].tolist() == VIDEOS[0].times_s[:-1].tolist()
    assert own["end_s"].tolist() == VIDEOS[0].times_s[1:].tolist()


def test_its_features_are_those_given(project):
    index = FEATURES.read(project.features_of("given") / "index.parquet").query("video_id == 'v3'")
    shards = ShardReader(project.features_of("given"))
    found = [shards.rows(row.shard, "features", row.row, row.n_clips) for row in index.itertuples()]
    assert np.array_equal(np.concatenate(found), VIDEOS[3].features)


def test_its_labels_are_those_given(project):
    assert set(SPANS.read(project.spans)["status"]) == {"placed"}
    labels = LABELS.read(project.labels)
    for video in VIDEOS:
        own = labels[labels["video_id"] == video.video_id]
        assert (own["label"] == "positive").tolist() == video.truth.tolist()
        assert set(own["split"]) == {video.part}
    assert (PAIRS.read(project.pairs)["popularity"] == 1).all()


def test_what_was_planted_is_ranked_first_in_videos_that_were_not_trained_on(project):
    metrics = read_json(project.eval_metrics)
    assert metrics["n_videos"] == 2
    assert metrics["nmsd"] < 0.1


def test_a_broken_file_is_one_quarantined_row(project):
    row = DOWNLOADS.read(project.downloads).query("id == 'broken'").iloc[0]
    assert row["status"] == "quarantined"
    assert row["reason"].startswith("given:")


def test_the_report_is_there_without_pictures(project):
    assert "v5" in (project.report / "index.html").read_text()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"times_s": np.arange(3.0)}, "needs one more", id="times"),
        pytest.param({"times_s": np.array([0, 1, 1, 2.0])}, "rise strictly", id="order"),
        pytest.param({"features": np.ones((3, 2))}, "features are float64", id="dtype"),
        pytest.param({"features": np.full((3, 2), np.nan, "f2")}, "NaN", id="nan"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, change, told):
    good = {"times_s": np.arange(4.0), "features": np.ones((3, 2), np.float16)}
    GivenClips(**{**good, **change}).write(tmp_path / "clips.npz")
    with pytest.raises(ItemError, match=told):
        GivenClips.read(tmp_path / "clips.npz")


def test_equal_clips_are_equal_bytes(tmp_path):
    for name in ("one", "other"):
        GivenClips(VIDEOS[0].times_s, VIDEOS[0].features).write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
