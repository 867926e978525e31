"""Labels that outlive their video: exported as hashes, found again in a re-upload."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from video2gif.core.errors import UserError
from video2gif.core.layout import Layout
from video2gif.core.shards import ShardWriter
from video2gif.core.tables import FINGERPRINTS, SOURCES, SPANS
from video2gif.datasets import read_manifest
from video2gif.datasets.rows import SourceRow
from video2gif.fingerprint.cues import NAMES as CUES
from video2gif.fingerprint.phash import WINDOWS
from video2gif.fingerprint.read import Fingerprints
from video2gif.labels.exchange import Aligned, Sequence, align, export, read, write_manifest

FPS = 25.0


def moving_hashes(seed: int, n_frames: int = 600) -> np.ndarray:
    rng = np.random.default_rng(seed)
    bits = np.uint64(1) << rng.integers(0, 64, (3, n_frames, 1 + len(WINDOWS)), np.uint64)
    start = rng.integers(0, 2**64, 1 + len(WINDOWS), np.uint64)
    return start ^ np.bitwise_xor.accumulate(np.bitwise_or.reduce(bits), axis=0)


def store(layout: Layout, files: dict[tuple[str, str], np.ndarray]) -> None:
    """Fingerprints by (kind, id) from hashes (n, 1 + windows), at 25 frames/s."""
    shards, rows = ShardWriter(layout.fingerprints), []
    for (kind, item_id), hashes in sorted(files.items()):
        n_frames = len(hashes)
        columns = {
            "pts_s": np.arange(n_frames) / FPS,
            "phash": hashes[:, 0],
            "windows": hashes[:, 1:],
            "quality": np.ones(n_frames, np.float32),
            "content": np.zeros((n_frames, 3)),
            "cues": np.zeros((n_frames, len(CUES)), np.float32),
            "thumbs": np.zeros((n_frames, 16, 16), np.uint8),
        }
        shard, row = shards.add(item_id, columns)
        facts = {"kind": kind, "id": item_id, "status": "ok", "reason": "", "shard": shard}
        sizes = {"row": row, "n_frames": n_frames, "duration_s": n_frames / FPS}
        rows.append(
            {**facts, **sizes, "width": 64, "height": 36, "bad_packets": 0, "digest": item_id}
        )
    shards.close()
    FINGERPRINTS.write(layout.fingerprints / "index.parquet", rows)


def span(gif_id: str, video_id: str, frames: tuple[int, int] | None) -> dict[str, Any]:
    start, end = frames or (None, None)
    place = {"start_frame": start, "end_frame": end, "start_s": 0.0, "end_s": 1.0}
    status = "placed" if frames else "unplaced"
    known = {"origin": "match" if frames else "", "popularity": 0.5, "reason": ""}
    return {"gif_id": gif_id, "video_id": video_id, "status": status, **place, **known}


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The labels of a project with three GIFs: placed, only the GIF known, nothing known."""
    layout = Layout(tmp_path / "first")
    v = moving_hashes(1)
    # A GIF of frames 400 to 450 whose video was lost since.
    store(layout, {("video", "v"): v, ("gif", "lost"): moving_hashes(2)[400:450]})
    spans = [span("here", "v", (100, 175)), span("lost", "w", None), span("none", "w", None)]
    SPANS.write(layout.spans, spans)
    known = {"views": 1e5, "age_days": np.nan, "category": "Sports", "title": "=cmd(), 🎬"}
    sources = [
        {"gif_id": one["gif_id"], "video_id": one["video_id"], "tags": "", "split": "", **known}
        for one in spans
    ]
    SOURCES.write(layout.sources, sources)
    target = tmp_path / "labels.jsonl"
    written, left_out = export(layout, target)
    assert written == 2
    assert [gif_id for gif_id, _ in left_out] == ["none"]
    return target


def copies(root: Path) -> Layout:
    """A project of re-uploads: `v` without its first 50 frames, `other-w` under another id."""
    layout = Layout(root / "second")
    files = {("video", "v"): moving_hashes(1)[50:], ("video", "other-w"): moving_hashes(2)}
    store(layout, files)
    return layout


def by_gif(path: Path, layout: Layout, *, everywhere: bool) -> dict[str, Aligned]:
    found = align(read(path), Fingerprints.open(layout), everywhere=everywhere)
    return {one.gif_id: one for one in found}


def test_no_pixel_and_no_link_is_in_the_file(exported: Path) -> None:
    records = [json.loads(text) for text in exported.read_text().splitlines()[1:]]
    assert [record["of"] for record in records] == ["video", "gif"]
    allowed = {"gif_id", "video_id", "of", "pts_s", "end_s", "quality", "parts"}
    allowed |= {"views", "category", "title"}
    assert all(set(record) == allowed for record in records)
    assert records[0]["parts"]["whole"][0] == f"{int(moving_hashes(1)[100, 0]):016x}"


def test_labels_are_found_in_a_re_upload(tmp_path: Path, exported: Path) -> None:
    found = by_gif(exported, copies(tmp_path), everywhere=False)
    here = found["here"].found
    assert (here.start_s, here.end_s) == (pytest.approx(2.0, abs=0.03), pytest.approx(5, abs=0.03))
    assert found["lost"].found.reason.startswith("missing: no video w")


def test_everywhere_finds_a_re_upload_under_another_id(tmp_path: Path, exported: Path) -> None:
    found = by_gif(exported, copies(tmp_path), everywhere=True)
    assert [found[gif].video_id for gif in ("here", "lost")] == ["v", "other-w"]
    assert found["lost"].found.start_s == pytest.approx(16.0, abs=0.06)


def test_the_manifest_of_what_was_found_is_read_back(tmp_path: Path, exported: Path) -> None:
    found = by_gif(exported, copies(tmp_path), everywhere=True)
    videos = [SourceRow(line=n, video_id=v, video_url=f"{v}.mp4") for n, v in enumerate("vx")]
    write_manifest(tmp_path / "aligned.csv", found.values(), videos)
    manifest = read_manifest(tmp_path / "aligned.csv")
    assert manifest.bad == []
    assert [(row.video_id, row.gif_id) for row in manifest.rows] == [("v", "here"), ("x", "")]
    row = manifest.rows[0]
    assert (row.views, row.category, row.title) == (1e5, "Sports", "=cmd(), 🎬")
    assert row.start_s == pytest.approx(2.0, abs=0.03)


def test_a_broken_line_is_reported_and_costs_no_other(tmp_path: Path, exported: Path) -> None:
    lines = exported.read_text().splitlines()
    path = tmp_path / "broken.jsonl"
    path.write_text("\n".join([lines[0], "{", lines[1], "[1]", '{"gif_id": "../x"}', "", "1"]))
    found = list(read(path))
    assert [type(one) for one in found].count(Sequence) == 1
    assert [one.line for one in found if isinstance(one, Aligned)] == [2, 4, 5, 6, 7]


def test_another_file_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("video_id,video_url\n")
    with pytest.raises(UserError, match="first line"):
        list(read(path))
