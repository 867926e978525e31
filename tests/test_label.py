"""The label stage: every segment and every GIF exactly once, splits that never move."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored import store_fingerprints

from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context
from video2gif.core.layout import Layout
from video2gif.core.tables import FINGERPRINTS, LABELS, MATCHES, PAIRS, SEGMENTS, SOURCES, SPANS
from video2gif.datasets import published_test_ids
from video2gif.labels.place import declared_frames
from video2gif.stages.label import run

PARAMS = Params.load(Path(__file__).parents[1] / "params.yaml")
FPS = 25.0
N_SEGMENTS, SEGMENT_FRAMES = 10, 50
N_FRAMES = N_SEGMENTS * SEGMENT_FRAMES


def source(video_id: str, gif_id: str = "", **fields: Any) -> dict[str, Any]:
    unknown = dict.fromkeys(("start_s", "end_s", "views", "age_days", "line"), math.nan)
    texts = dict.fromkeys(("category", "title", "tags", "split"), "")
    return {"video_id": video_id, "gif_id": gif_id, **unknown, **texts, **fields}


def match(
    video_id: str,
    gif_id: str,
    span: tuple[int, int] | None,
    status: str = "matched",
    alternatives: tuple[tuple[int, int], ...] = (),
) -> dict[str, Any]:
    start, end = span or (None, None)
    return {
        "video_id": video_id,
        "gif_id": gif_id,
        "start_frame": start,
        "end_frame": end,
        "start_s": math.nan if start is None else start / FPS,
        "end_s": math.nan if end is None else end / FPS,
        "distance": 1.0,
        "speed": 1.0,
        "confidence": 0.99,
        "status": status,
        "reason": "" if status == "matched" else f"{status}: said the matcher",
        "alternatives": [list(one) for one in alternatives],
    }


def project(
    root: Path,
    sources: list[dict[str, Any]],
    matches: list[dict[str, Any]],
    *,
    without_segments: tuple[str, ...] = (),
) -> Layout:
    """A project whose videos have ten segments of 50 frames at 25 frames/s."""
    layout = Layout(root)
    videos = sorted({row["video_id"] for row in sources} - set(without_segments))
    times = np.arange(N_FRAMES) / FPS
    stored = {video: (np.zeros((N_FRAMES, 3)), times, N_FRAMES / FPS) for video in videos}
    store_fingerprints(layout, stored)
    SOURCES.write(layout.sources, sources)
    MATCHES.write(layout.matches, matches)
    rows = [
        {
            "video_id": video,
            "segment_id": number,
            "start_frame": number * SEGMENT_FRAMES,
            "end_frame": (number + 1) * SEGMENT_FRAMES,
            "start_s": number * SEGMENT_FRAMES / FPS,
            "end_s": (number + 1) * SEGMENT_FRAMES / FPS,
        }
        for video in videos
        for number in range(N_SEGMENTS)
    ]
    SEGMENTS.write(layout.segments, rows)
    return layout


def span_of(layout: Layout, gif_id: str) -> Any:
    found = SPANS.read(layout.spans)
    (row,) = found[found.gif_id == gif_id].itertuples(index=False)
    return row


def labels_of(layout: Layout, video_id: str = "v") -> list[str]:
    found = LABELS.read(layout.labels)
    return list(found[found.video_id == video_id].label)


def test_a_matched_gif_labels_its_segments_and_makes_pairs(
    tmp_path: Path, context: Context
) -> None:
    layout = project(tmp_path, [source("v", "g", views=1e5)], [match("v", "g", (90, 150))])
    counts = run(layout, PARAMS, context)
    # Segment 1 (50–100) shares 10 frames, segment 2 (100–150) is covered.
    expected = ["negative"] * 10
    expected[1:3] = ["ignored", "positive"]
    assert labels_of(layout) == expected
    pairs = PAIRS.read(layout.pairs)
    assert list(zip(pairs.positive, pairs.negative, strict=True)) == [
        (2, negative) for negative in (0, 3, 4, 5, 6, 7, 8, 9)
    ]
    assert set(pairs.popularity) == {1.0}
    assert (counts.computed, counts.quarantined) == (1, 0)


def test_every_segment_and_every_gif_appears_exactly_once(tmp_path: Path, context: Context) -> None:
    sources = [
        source("v", "matched"),
        source("v", "ambiguous"),
        source("v", "unmatched"),
        source("v", "unseen"),
        source("v", "wrong", start_s=5.0, end_s=2.0),
        source("w", "declared", start_s=2.0, end_s=4.0),
        source("x"),
        source("gone", "orphan"),
        source("gone", "orphan-declared", start_s=0.0, end_s=1.0),
    ]
    matches = [
        match("v", "matched", (0, 50)),
        match("v", "ambiguous", (50, 100), "ambiguous"),
        match("v", "unmatched", None, "unmatched"),
    ]
    layout = project(tmp_path, sources, matches, without_segments=("gone",))
    counts = run(layout, PARAMS, context)
    segments, labels = SEGMENTS.read(layout.segments), LABELS.read(layout.labels)
    key = ["video_id", "segment_id"]
    assert labels[key].equals(segments[key])
    spans = SPANS.read(layout.spans)
    assert dict(zip(spans.gif_id, spans.status, strict=True)) == {
        "ambiguous": "ambiguous",
        "declared": "placed",
        "matched": "placed",
        "orphan": "unplaced",
        "orphan-declared": "unplaced",
        "unmatched": "unplaced",
        "unseen": "unplaced",
        "wrong": "quarantined",
    }
    assert len(spans) == 8
    assert span_of(layout, "unmatched").reason == "unmatched: said the matcher"
    assert span_of(layout, "orphan").reason == "missing: its video has no segments"
    assert counts.quarantined == 1
    assert labels_of(layout)[:2] == ["positive", "ignored"]
    assert set(labels_of(layout, "x")) == {"ignored"}


def test_no_candidate_of_an_ambiguous_match_makes_negatives(
    tmp_path: Path, context: Context
) -> None:
    matches = [
        match("v", "sure", (0, 50)),
        match("v", "doubtful", (100, 150), "ambiguous", ((210, 240), (490, 500))),
    ]
    sources = [source("v", "sure"), source("v", "doubtful")]
    layout = project(tmp_path, sources, matches)
    run(layout, PARAMS, context)
    expected = ["negative"] * 10
    expected[0] = "positive"
    for number in (2, 4, 9):
        expected[number] = "ignored"
    assert labels_of(layout) == expected


def test_a_declared_span_serves_where_the_gif_is_missing_or_unmatched(
    tmp_path: Path, context: Context
) -> None:
    sources = [
        source("v", "no-file", start_s=2.0, end_s=4.0),
        source("v", "unmatched", start_s=10.0, end_s=12.0),
        source("v", "ambiguous", start_s=14.0, end_s=16.0),
    ]
    matches = [
        match("v", "unmatched", None, "unmatched"),
        match("v", "ambiguous", (0, 50), "ambiguous"),
    ]
    layout = project(tmp_path, sources, matches)
    run(layout, PARAMS, context)
    expected = ["negative"] * 10
    # The candidate of the ambiguous match, which its declared span does not confirm.
    expected[0] = "ignored"
    for number in (1, 5, 7):
        expected[number] = "positive"
    assert labels_of(layout) == expected
    row = span_of(layout, "no-file")
    assert (row.start_frame, row.end_frame, row.origin) == (50, 100, "declared")


def test_a_measured_span_wins_over_a_declared_one_and_says_so(
    tmp_path: Path, context: Context
) -> None:
    sources = [
        source("v", "near", start_s=2.4, end_s=4.1),
        source("v", "far", start_s=9.0, end_s=11.0),
    ]
    matches = [match("v", "near", (50, 100)), match("v", "far", (200, 250))]
    layout = project(tmp_path, sources, matches)
    run(layout, PARAMS, context)
    near, far = span_of(layout, "near"), span_of(layout, "far")
    assert (near.start_frame, near.reason) == (50, "")
    assert (far.start_frame, far.status) == (200, "placed")
    assert far.reason == "label: declared 9–11 s, measured 8–10 s; the measured span is used"


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        pytest.param((2.0, 4.0), (50, 100), id="on-frames"),
        pytest.param((2.017, 3.983), (50, 100), id="rounded-seconds"),
        pytest.param((18.0, 20.4), (450, 500), id="clipped-at-the-end"),
        pytest.param((2.0, 2.001), (50, 51), id="at-least-one-frame"),
        pytest.param((19.99, 20.3), (499, 500), id="last-frame"),
    ],
)
def test_declared_seconds_become_the_nearest_frames(
    declared: tuple[float, float], expected: tuple[int, int]
) -> None:
    assert declared_frames(declared, np.arange(501) / FPS) == expected


def test_A10_declared_seconds_follow_the_frames_own_times() -> None:
    # A10: 33, 100, 20 ms; the middle of the video is not the middle of the frames.
    times = np.concatenate([[0.0], np.cumsum(np.tile([0.033, 0.1, 0.02], 100))])
    for start, end in [(0, 10), (7, 100), (151, 299)]:
        assert declared_frames((times[start], times[end]), times) == (start, end)


@pytest.mark.parametrize(
    "declared",
    [(3.0, 3.0), (3.0, 2.0), (-1.0, 2.0), (1.0, 20.6), (20.0, 20.2), (1.0, math.nan)],
    ids=lambda span: "{}-{}".format(*span),
)
def test_A15_an_impossible_declared_span_is_a_label_fault(declared: tuple[float, float]) -> None:
    with pytest.raises(ItemError) as caught:
        declared_frames(declared, np.arange(501) / FPS)
    assert caught.value.cause == "label"


def test_adding_ten_videos_to_a_hundred_moves_no_video_and_no_pair(
    tmp_path: Path, context: Context
) -> None:
    names = [f"video {n}" for n in range(110)]
    capped = dataclasses.replace(PARAMS.label, max_pairs_per_video=5)
    params = dataclasses.replace(PARAMS, label=capped)
    tables = []
    for count in (100, 110):
        chosen = names[:count]
        layout = project(
            tmp_path / str(count),
            [source(name, f"{name} g") for name in chosen],
            [match(name, f"{name} g", (100, 150)) for name in chosen],
        )
        run(layout, params, context)
        tables.append((LABELS.read(layout.labels), PAIRS.read(layout.pairs)))
    for before, after in zip(*tables, strict=True):
        kept = after[after.video_id.isin(names[:100])].reset_index(drop=True)
        assert before.equals(kept)


def test_the_manifest_fixes_a_split_and_the_most_held_out_word_wins(
    tmp_path: Path, context: Context
) -> None:
    sources = [
        source(f"v{n}", f"v{n}-g{gif}", split=split)
        for n in range(20)
        for gif, split in enumerate(["train", "test", ""])
    ]
    sources += [source(f"w{n}", split="validation") for n in range(20)]
    layout = project(tmp_path, sources, [])
    run(layout, PARAMS, context)
    labels = LABELS.read(layout.labels)
    assert set(labels[labels.video_id.str.startswith("v")].split) == {"test"}
    assert set(labels[labels.video_id.str.startswith("w")].split) == {"validation"}


def test_pairs_never_leave_their_video_and_respect_the_cap(
    tmp_path: Path, context: Context
) -> None:
    sources = [source(video, f"{video}{gif}") for video in "vw" for gif in "ab"]
    matches = [match(video, f"{video}{gif}", (0, 200)) for video in "vw" for gif in "ab"]
    layout = project(tmp_path, sources, matches)
    few = dataclasses.replace(PARAMS.label, max_pairs_per_video=7)
    run(layout, dataclasses.replace(PARAMS, label=few), context)
    pairs = PAIRS.read(layout.pairs)
    assert pairs.groupby("video_id").size().to_dict() == {"v": 7, "w": 7}
    assert all(
        gif.startswith(video) for video, gif in zip(pairs.video_id, pairs.gif_id, strict=True)
    )
    assert pairs.positive.isin(range(4)).all()
    assert pairs.negative.isin(range(4, 10)).all()


def test_no_videos_give_empty_tables(tmp_path: Path, context: Context) -> None:
    layout = project(tmp_path, [], [])
    assert run(layout, PARAMS, context).total == 0
    assert LABELS.read(layout.labels).empty
    assert PAIRS.read(layout.pairs).empty
    assert SPANS.read(layout.spans).empty


def test_tables_are_the_same_bytes_in_another_place(tmp_path: Path, context: Context) -> None:
    written = []
    for name in ("a", "b"):
        layout = project(
            tmp_path / name,
            [source("v", "g", views=12.0), source("w")],
            [match("v", "g", (0, 50))],
        )
        run(layout, PARAMS, context)
        files = (layout.labels, layout.pairs, layout.spans)
        written.append([path.read_bytes() for path in files])
    assert written[0] == written[1]


def with_hashes(layout: Layout, hashes: dict[str, np.ndarray]) -> None:
    """Put other frame hashes into a stored project."""
    index = FINGERPRINTS.read(layout.fingerprints / "index.parquet").set_index("id")
    for video_id, values in hashes.items():
        row = index.loc[video_id]
        path = layout.fingerprints / f"{row.shard}.phash.npy"
        column = np.load(path)
        column[row.row : row.row + row.n_frames] = values
        np.save(path, column)


def splits_in(layout: Layout) -> dict[str, str]:
    labels = LABELS.read(layout.labels)
    return dict(zip(labels.video_id, labels.split, strict=True))


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, N_FRAMES, np.uint64)


def test_copies_added_later_take_the_split_of_the_video_that_was_there(
    tmp_path: Path, context: Context
) -> None:
    # The copies' ids sort before and after the old ones'; only their lines are later.
    old = [source(f"m{n}", line=2 + n) for n in range(40)]
    copies = [source(f"{'az'[n % 2]}{n}", line=100 + n) for n in range(40)]
    hashes = {row["video_id"]: noise(n) for n, row in enumerate(old)}
    layout = project(tmp_path / "before", old, [])
    with_hashes(layout, hashes)
    run(layout, PARAMS, context)
    before = splits_in(layout)
    hashes |= {row["video_id"]: noise(n) ^ np.uint64(1) for n, row in enumerate(copies)}
    for n, row in enumerate(copies):
        # Half of the frames agree exactly, as after a new encoding.
        hashes[row["video_id"]][::2] ^= np.uint64(1)
        assert (hashes[row["video_id"]] != hashes[f"m{n}"]).any()
    layout = project(tmp_path / "after", old + copies, [])
    with_hashes(layout, hashes)
    run(layout, PARAMS, context)
    after = splits_in(layout)
    assert set(before.values()) == {"train", "validation", "test"}
    assert {name: after[name] for name in before} == before
    for n, row in enumerate(copies):
        assert after[row["video_id"]] == before[f"m{n}"]
    labels = LABELS.read(layout.labels).drop_duplicates("video_id").set_index("video_id")
    copied = {row["video_id"]: f"m{n}" for n, row in enumerate(copies)}
    assert labels.duplicate_of.to_dict() == dict.fromkeys(before, "") | copied


def test_a_copy_of_a_published_test_video_is_never_trained_on(
    tmp_path: Path, context: Context
) -> None:
    published = sorted(published_test_ids())[:2]
    sources = [source(f"v{n}", split="train", line=2 + n) for n in range(2)]
    sources += [source(name, split="train", line=9) for name in published]
    layout = project(tmp_path, sources, [])
    with_hashes(layout, {"v0": noise(0), published[0]: noise(0)})
    run(layout, PARAMS, context)
    found = splits_in(layout)
    assert found == {"v0": "test", "v1": "train", published[0]: "test", published[1]: "test"}


def test_357_test_ids_are_published() -> None:
    assert len(published_test_ids()) == 357
