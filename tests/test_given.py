"""Data sets that come as features and labels: read as they are packed."""

import json
from pathlib import Path

import numpy as np
import pytest

from video2gif.core.errors import UserError
from video2gif.datasets.given import (
    UNCHECKED_TRUST,
    clip_features,
    liked,
    manifest_table,
    read_tvsum,
    read_youtube,
)
from video2gif.labels.overlap import popularity

CLIPS = [[0.0, 100.0], [50.0, 150.0], [100.0, 200.0]]


def packed(folder: Path, annotation: dict, n_clips: int = 3) -> Path:
    """One video `a` in train, and in val `b`, which has no features."""
    (folder / "annotations.json").write_text(json.dumps({"a": annotation, "b": annotation}))
    (folder / "splits.json").write_text(json.dumps({"dog": {"train": ["a", "x"], "val": ["b"]}}))
    np.savez(folder / "features.npz", a=np.arange(2.0 * n_clips).reshape(n_clips, 2))
    return folder


def test_youtube_has_a_time_for_each_clip_and_one_for_the_end(tmp_path):
    annotation = {"fps": 50.0, "clip": CLIPS, "match": [1, 0, -1]}
    (video,) = read_youtube(packed(tmp_path, annotation))
    assert (video.video_id, video.domain, video.part) == ("a", "dog", "train")
    assert video.times_s.tolist() == [0, 1, 2, 4]
    assert video.truth.tolist() == [True, False, False]
    assert video.features.dtype == np.float16
    assert video.features.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_tvsum_keeps_every_annotators_grades(tmp_path):
    (video,) = read_tvsum(packed(tmp_path, {"anno": [[1, 5], [2, 4], [3, 3]]}))
    assert video.grades.tolist() == [[1, 5], [2, 4], [3, 3]]
    assert video.times_s.tolist() == [0, 2, 4, 6]


def test_labels_of_other_clips_than_the_features_are_refused(tmp_path):
    folder = packed(tmp_path, {"anno": [[1, 5]] * 3}, n_clips=2)
    with pytest.raises(UserError, match="a has 2 clips of features and 3 of labels"):
        read_tvsum(folder)


def test_a_field_that_is_missing_is_named_with_its_video(tmp_path):
    with pytest.raises(UserError, match="a: KeyError\\('clip'\\)"):
        read_youtube(packed(tmp_path, {"fps": 25}))


def test_streams_in_files_of_their_own_are_set_side_by_side(tmp_path):
    for folder, suffix, width in (("audio", ".npy", 1), ("rgb", ".npy", 2)):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / f"a{suffix}", np.full((4 if width == 1 else 3, width), width))
        np.save(tmp_path / folder / f"a_b{suffix}", np.full((3, width), 9.0))
    for path in tmp_path.rglob("a.npy"):
        np.save(path, np.load(path).astype(np.float32))
    np.savez(tmp_path / "rgb" / "c.npz", features=np.ones((2, 5), np.float32))
    features = clip_features(tmp_path)
    assert features("c").shape == (2, 5)
    assert features("none") is None
    # `a_b` may be a stream of `a` (UMT's names): one order for both, that of the paths.
    assert features("a").shape == (3, 6)
    assert features("a_b").tolist() == [[9, 9, 9]] * 3


def test_streams_of_another_length_are_another_videos(tmp_path):
    np.save(tmp_path / "a_rgb.npy", np.ones((9, 2)))
    np.save(tmp_path / "a_flow.npy", np.ones((3, 2)))
    with pytest.raises(UserError, match=r"streams of \[3, 9\] clips"):
        clip_features(tmp_path)("a")


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.ones(3), id="one-axis"),
        pytest.param(np.ones((3, 2), np.int64), id="whole-numbers"),
        pytest.param(np.full((3, 2), 1e9), id="beyond-float16"),
    ],
)
def test_what_is_no_array_of_clips_is_named(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UserError, match=r"a\.npy"):
        clip_features(tmp_path)("a")


def test_the_manifest_declares_runs_of_liked_clips_and_how_far_they_are_trusted(tmp_path):
    annotation = {"fps": 50.0, "clip": CLIPS, "match": [1, 1, -1]}
    table = manifest_table(read_youtube(packed(tmp_path, annotation)), saturation_views=99)
    (row,) = table.to_dict("records")
    assert (row["video_url"], row["category"], row["split"]) == ("clips/a.npz", "dog", "train")
    assert (row["start_s"], row["end_s"]) == (0, 2)
    # Nobody was asked about it: popularity, the trust of its label, comes out as it went in.
    trust = popularity(row["views"], float("nan"), saturation_views=99)
    assert trust == pytest.approx(UNCHECKED_TRUST)


def test_the_best_of_tvsum_are_the_clips_above_the_share_asked_for(tmp_path):
    (video,) = read_tvsum(packed(tmp_path, {"anno": [[1, 1], [5, 5], [2, 3]]}))
    assert liked(video, best_share=0.4).tolist() == [False, True, False]
