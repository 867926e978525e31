"""The whole DAG, tiny, on plain calls: every stage meets the next in files, and only there."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from video2gif.core.config import Params
from video2gif.core.items import Context, Counts
from video2gif.core.layout import Layout
from video2gif.core.mappers import Mapper, ProcessMapper, SerialMapper
from video2gif.core.store import ItemStore
from video2gif.core.tables import DOWNLOADS, FEATURES, LABELS, SEGMENTS
from video2gif.sample import manifest_csv
from video2gif.stages import STAGES, load

REPO = Path(__file__).parents[1]
PER_ITEM = ("download", "fingerprint", "match", "extract", "report")


@pytest.fixture(scope="module")
def params() -> Params:
    """The project's parameters, cut down to seconds of work."""
    full = Params.load(REPO / "params.yaml")
    return dataclasses.replace(
        full,
        # One clip a segment, and videos enough in each split although there are only a few.
        extract=dataclasses.replace(full.extract, clip_stride=100),
        label=dataclasses.replace(full.label, validation_fraction=0.25, test_fraction=0.25),
        train=dataclasses.replace(full.train, epochs=3, ensemble=1),
        evaluate=dataclasses.replace(full.evaluate, split="all", bootstrap_samples=50),
        report=dataclasses.replace(full.report, max_videos=2, gifs_per_video=1),
    )


def _project(root: Path, *, videos: int) -> Layout:
    (root / "data").mkdir(parents=True)
    (root / "data" / "sample.csv").write_text(manifest_csv(limit=videos))
    return Layout(root)


def _run(layout: Layout, params: Params, store: ItemStore, mapper: Mapper) -> dict[str, Counts]:
    context = Context(store, mapper)
    return {stage: load(stage)(layout, params, context) for stage in STAGES}


def _digests(layout: Layout) -> dict[str, str]:
    return {
        str(path.relative_to(layout.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(layout.root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def four(params: Params, tmp_path_factory: pytest.TempPathFactory):
    """A project of four videos that has run once: (layout, store, counts)."""
    folder = tmp_path_factory.mktemp("four")
    layout, store = _project(folder / "project", videos=4), ItemStore(folder / "store")
    return layout, store, _run(layout, params, store, ProcessMapper(2))


def test_every_id_of_the_manifest_has_one_row(four):
    layout, _, _ = four
    downloads = DOWNLOADS.read(layout.downloads)
    manifest = pd.read_csv(layout.root / "data" / "sample.csv", dtype=str)
    wanted = {("video", v) for v in manifest["video_id"]} | {("gif", g) for g in manifest["gif_id"]}
    found = list(zip(downloads["kind"], downloads["id"], strict=True))
    assert len(found) == len(set(found))
    assert set(found) == wanted
    assert set(downloads["status"]) == {"ok"}


def test_every_segment_is_labelled_and_has_a_feature_row(four):
    layout, _, _ = four
    key = ["video_id", "segment_id"]
    segments = SEGMENTS.read(layout.segments)[key]
    pd.testing.assert_frame_equal(segments, LABELS.read(layout.labels)[key])
    pd.testing.assert_frame_equal(
        segments, FEATURES.read(layout.features_of("efficientnet-lite0") / "index.parquet")[key]
    )


def test_metrics_have_the_contracts_keys(four):
    layout, _, _ = four
    metrics = json.loads(layout.eval_metrics.read_text())
    for name in ("nmsd", "map", "recall_at_5", "n_videos", "n_gifs", "n_skipped"):
        assert metrics[name] is not None, name
    assert metrics["n_videos"] == 4
    assert 0 <= metrics["baselines"]["random"]["nmsd"] <= 1
    assert 0 <= metrics["baselines"]["random"]["map"] <= 1


def test_report_names_the_data_and_shows_gifs(four):
    layout, _, _ = four
    html = (layout.report / "index.html").read_text()
    assert "random" in html  # the baseline
    assert "extract.weights" not in html  # which are trained: nothing to warn of
    assert len(list((layout.report / "gifs").glob("*.gif"))) == 2
    assert len(html.encode()) < 200_000


def test_C4_a_second_run_computes_no_item_and_gives_the_same_bytes(four, params):
    layout, store, first = four
    before = _digests(layout)
    counts = _run(layout, params, store, ProcessMapper(2))
    assert all(counts[stage].computed == 0 for stage in PER_ITEM)
    assert all(counts[stage].total == first[stage].total for stage in PER_ITEM)
    assert _digests(layout) == before


def test_one_new_video_computes_its_own_items_only(four, params, tmp_path):
    _, store, _ = four
    layout = _project(tmp_path / "five", videos=5)
    context = Context(store, SerialMapper())
    counts = {
        stage: load(stage)(layout, params, context)
        for stage in ("download", "fingerprint", "match", "segment", "extract")
    }
    manifest = pd.read_csv(layout.root / "data" / "sample.csv", dtype=str)
    new_gifs = int((manifest["video_id"] == manifest["video_id"].unique()[4]).sum())
    assert counts["fingerprint"].computed == 1 + new_gifs
    assert counts["match"].computed == new_gifs
    assert counts["extract"].computed == 1


def test_E1_E3_other_folder_and_executor_give_the_same_bytes(four, params, tmp_path):
    layout, _, _ = four
    other = _project(tmp_path / "elsewhere", videos=4)
    _run(other, params, ItemStore(tmp_path / "store"), SerialMapper())
    assert _digests(other) == _digests(layout)
