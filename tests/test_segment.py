"""The segment stage: fingerprints in, segments.parquet out."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stored import store_fingerprints

from video2gif.core.config import Params
from video2gif.core.items import Context
from video2gif.core.layout import Layout
from video2gif.core.tables import FINGERPRINTS, SEGMENTS
from video2gif.stages.segment import run

PARAMS = Params.load(Path(__file__).parents[1] / "params.yaml")


def video(*, durations_s: np.ndarray, cuts: list[int]) -> tuple[np.ndarray, np.ndarray, float]:
    content = np.zeros((len(durations_s), 3))
    content[cuts] = 90.0
    ends = np.cumsum(durations_s)
    return content, np.append(0.0, ends[:-1]), float(ends[-1])


def test_segments_start_and_end_at_the_frames_own_times(tmp_path: Path, context: Context) -> None:
    # A10: frames of 33, 100 and 20 ms in turn.
    durations = np.tile([0.033, 0.1, 0.02], 60)
    layout = Layout(tmp_path)
    one = video(durations_s=durations, cuts=[50, 120])
    store_fingerprints(layout, {"vfr": one})
    run(layout, PARAMS, context)
    found = SEGMENTS.read(layout.segments)
    times = np.append(one[1], one[2])
    assert {50, 120} < set(found.start_frame)
    np.testing.assert_array_equal(found.start_s, times[found.start_frame])
    np.testing.assert_array_equal(found.end_s, times[found.end_frame])


def test_every_frame_of_every_video_is_in_one_segment(tmp_path: Path, context: Context) -> None:
    layout = Layout(tmp_path)
    lengths = {"short": 7, "one-frame": 1, "long": 5000, "-x": 16, "NA": 200}
    store_fingerprints(
        layout,
        {
            name: video(durations_s=np.full(n, 0.04), cuts=list(range(30, n, 47)))
            for name, n in lengths.items()
        },
    )
    counts = run(layout, PARAMS, context)
    found = SEGMENTS.read(layout.segments)
    assert counts.computed == len(lengths)
    for name, group in found.groupby("video_id"):
        frames = [
            f for a, b in zip(group.start_frame, group.end_frame, strict=True) for f in range(a, b)
        ]
        assert frames == list(range(lengths[name]))
        assert list(group.segment_id) == list(range(len(group)))
    assert set(found.video_id) == set(lengths)


def test_quarantined_files_and_gifs_get_no_segments(tmp_path: Path, context: Context) -> None:
    layout = Layout(tmp_path)
    store_fingerprints(layout, {"good": video(durations_s=np.full(40, 0.04), cuts=[])})
    path = layout.fingerprints / "index.parquet"
    index = FINGERPRINTS.read(path)
    bad = index.assign(id="bad", status="quarantined", reason="truncated: 3/90 frames")
    gif = index.assign(kind="gif")
    FINGERPRINTS.write(path, pd.concat([index, bad, gif]))
    run(layout, PARAMS, context)
    assert set(SEGMENTS.read(layout.segments).video_id) == {"good"}


def test_an_empty_corpus_gives_an_empty_table(tmp_path: Path, context: Context) -> None:
    layout = Layout(tmp_path)
    store_fingerprints(layout, {})
    assert run(layout, PARAMS, context).total == 0
    assert SEGMENTS.read(layout.segments).empty


@pytest.mark.parametrize(("detector", "threshold"), [("content", 27.0), ("adaptive", 3.0)])
def test_a_thousand_videos_are_cut_anew_from_their_fingerprints(
    tmp_path: Path, context: Context, detector: str, threshold: float, record_property
) -> None:
    layout = Layout(tmp_path)
    rng = np.random.default_rng(0)
    store_fingerprints(
        layout,
        {
            f"v{n:04d}": (rng.gamma(1.5, 8, (2000, 3)), np.arange(2000) / 25, 80.0)
            for n in range(1000)
        },
    )
    chosen = dataclasses.replace(PARAMS.segment, detector=detector, threshold=threshold)
    # CPU time: others may be using the machine.
    started = time.process_time()
    run(layout, dataclasses.replace(PARAMS, segment=chosen), context)
    # About 4 s; with real pictures as long (docs/benchmarks/segment.md).
    record_property("figure", f"{time.process_time() - started:.1f} s of CPU")
    assert SEGMENTS.read(layout.segments).video_id.nunique() == 1000
