"""The numbers of a data set, counted from tables whose content is known."""

import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from video2gif.cli.dataset import dataset_app
from video2gif.core.layout import Layout
from video2gif.core.tables import FINGERPRINTS, LABELS, MATCHES, PAIRS, SOURCES, SPANS
from video2gif.datasets.statistics import Histogram, corpus


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Two videos, one of them a copy; three GIFs, one matched, one declared, one unknown."""
    made = Layout(tmp_path)
    videos, gifs = ("a", "a", "b", "c"), ("g1", "g2", "g3", "")
    SOURCES.write(
        made.sources,
        [
            {"video_id": v, "gif_id": g, "category": "Sports" if v == "a" else "", "line": n}
            for n, (v, g) in enumerate(zip(videos, gifs, strict=True))
        ],
    )
    prints = [("video", "a", "ok"), ("video", "b", "ok"), ("video", "c", "quarantined")]
    prints += [("gif", "g1", "ok")]
    FINGERPRINTS.write(
        made.fingerprints / "index.parquet",
        [{"kind": k, "id": i, "status": s, "duration_s": 1800.0} for k, i, s in prints],
    )
    MATCHES.write(made.matches, [{"gif_id": "g1", "video_id": "a", "status": "matched"}])
    spans = [("g1", "match", 2.5), ("g2", "declared", 60.0), ("g3", "", math.nan)]
    SPANS.write(
        made.spans,
        [
            {
                "gif_id": gif,
                "video_id": "a",
                "start_s": 10.0,
                "end_s": 10.0 + length,
                "origin": origin,
                "status": "placed" if origin else "unplaced",
            }
            for gif, origin, length in spans
        ],
    )
    rows = [("a", 0, "positive", 1.0), ("a", 1, "ignored", 0.3), ("a", 2, "negative", 0.0)]
    rows += [("b", 0, "ignored", 0.0)]
    LABELS.write(
        made.labels,
        [
            {
                "video_id": video,
                "segment_id": segment,
                "split": "train",
                "label": label,
                "overlap": overlap,
                "duplicate_of": "a" if video == "b" else "",
            }
            for video, segment, label, overlap in rows
        ],
    )
    PAIRS.write(made.pairs, [{"split": "train", "video_id": "a", "gif_id": "g1"}])
    return made


def test_everything_is_counted_once(layout: Layout) -> None:
    found = corpus(layout)
    assert (found.videos, found.videos_usable, found.hours) == (3, 2, 1.0)
    assert (found.gifs, found.gifs_usable, found.near_duplicates) == (3, 1, 1)
    assert list(found.categories.items()) == [("none", 2), ("Sports", 1)]
    assert found.matches == {"matched": 1}
    assert found.placed_by == {"declared": 1, "match": 1, "unknown": 1}
    assert found.gif_length_s.bars["2–3"] == 1
    assert found.gif_length_s.bars["15–30"] == 1
    assert found.gif_length_median_s == 31.25
    assert sum(found.overlap.counts) == 2
    assert found.labels == {"ignored": 2, "negative": 1, "positive": 1}
    assert (found.video_splits, found.pair_splits) == ({"train": 2}, {"train": 1})
    assert found.not_made == ("downloads",)


def test_a_project_without_tables_has_zeros_and_says_so(tmp_path: Path) -> None:
    found = corpus(Layout(tmp_path))
    assert (found.videos, found.hours, found.labels) == (0, 0.0, {})
    assert math.isnan(found.gif_length_median_s)
    assert "sources" in found.not_made
    assert "labels" in found.not_made


def test_bins_are_half_open_and_the_last_takes_all_beyond() -> None:
    values = np.array([0.0, 0.99, 1.0, 2.0, 9.0, np.nan])
    assert Histogram.of(values, (0.0, 1.0, 2.0)).counts == (2, 3)


def test_stats_prints_the_numbers(layout: Layout) -> None:
    done = CliRunner().invoke(dataset_app, ["stats", "--root", str(layout.root)])
    assert done.exit_code == 0
    assert "near-duplicate videos" in done.output
    assert "Sports" in done.output
    assert "downloads" in done.output


def test_check_names_the_lines_of_a_broken_manifest(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("video_id,video_url,gif_id,gif_url\nv,v.mp4,g,g.gif\n../x,v.mp4,,\n")
    done = CliRunner().invoke(dataset_app, ["check", str(path)])
    assert done.exit_code == 3
    assert f"{path}:3: bad_id" in done.output
    assert "1 videos, 1 GIFs; 1 bad rows" in done.output


def test_check_of_a_good_manifest_is_clean(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("video_id,video_url,gif_id,gif_url\nv,v.mp4,g,g.gif\n")
    assert CliRunner().invoke(dataset_app, ["check", str(path)]).exit_code == 0
