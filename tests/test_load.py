"""Ten thousand items, five hundred of them bad; a hundred thousand rows."""

import dataclasses
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from memory import PEAK_BYTES

from video2gif import stages
from video2gif.core.config import Params
from video2gif.core.errors import TooManyFailed
from video2gif.core.items import Context, Counts
from video2gif.core.layout import Layout
from video2gif.core.mappers import ProcessMapper
from video2gif.core.store import ItemStore
from video2gif.core.tables import DOWNLOADS, FEATURE_STATUS, FINGERPRINTS, SPANS
from video2gif.core.work import LASTING
from video2gif.media.encode import write_gif, write_video

REPO = Path(__file__).parents[1]
HEADER = "video_id,video_url,gif_id,gif_url"
BAD = {  # What of a good video's bytes is left, in turn.
    "empty": lambda content: b"",
    "page": lambda content: b"<!doctype html><p>gone",
    "cut": lambda content: content[: len(content) * 7 // 10],
    "header": lambda content: content[:40],
    "noise": lambda content: content[:8] + np.random.default_rng(0).bytes(900),
}


def corpus(folder: Path, *, items: int, bad: int) -> set[str]:
    """`items` files, half of them videos, each with other bytes; the ids of the `bad` ones."""
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    frames = [np.roll(picture, n, axis=1) for n in range(6)]
    write_video(folder / "seed.mp4", frames, fps=10)
    write_gif(folder / "seed.gif", frames, delays_cs=10)
    film, gif = (folder / "seed.mp4").read_bytes(), (folder / "seed.gif").read_bytes()
    kinds = list(BAD.values())
    lines, spoilt = [HEADER], set()
    for number in range(items // 2):
        mark = number.to_bytes(8)
        # A box and a comment that no decoder looks at: other bytes, the same pictures.
        video = film + (16).to_bytes(4) + b"free" + mark
        (folder / f"g{number}.gif").write_bytes(gif[:-1] + b"\x21\xfe\x08" + mark + b"\0\x3b")
        if number < bad:
            video = kinds[number % len(kinds)](video)
            video += mark if video else b""
            spoilt.add(f"v{number}")
        (folder / f"v{number}.mp4").write_bytes(video)
        lines.append(f"v{number},v{number}.mp4,g{number},g{number}.gif")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return spoilt


class Project:
    """A project on a corpus, through the two stages that look at every file."""

    def __init__(self, root: Path, *, limit: float) -> None:
        self.layout, self.store = Layout(root / "project"), ItemStore(root / "store")
        (self.layout.root / "data").mkdir(parents=True)
        full = Params.load(REPO / "params.yaml")
        download = dataclasses.replace(
            full.download, manifest="../corpus/manifest.csv", max_failed_fraction=limit
        )
        self.params = dataclasses.replace(full, download=download)

    def run(self) -> dict[str, Counts]:
        context = Context(self.store, ProcessMapper(2))
        return {
            stage: stages.load(stage)(self.layout, self.params, context)
            for stage in ("download", "fingerprint")
        }


SIZES = [
    pytest.param((200, 10), id="200"),
    pytest.param((10_000, 500), id="10000", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("size", SIZES)
def test_C2_C4_exactly_the_bad_items_are_quarantined_and_no_item_is_tried_twice(
    tmp_path: Path, size: tuple[int, int], record_property
):
    items, bad = size
    (tmp_path / "corpus").mkdir()
    spoilt = corpus(tmp_path / "corpus", items=items, bad=bad)
    assert len(spoilt) == bad
    project = Project(tmp_path, limit=0.5)
    started = time.monotonic()
    first = project.run()
    first_s = time.monotonic() - started
    assert first["download"] == Counts(computed=items - bad, quarantined=bad)
    assert first["fingerprint"] == Counts(computed=items - bad)
    table = DOWNLOADS.read(project.layout.downloads)
    assert len(table) == items
    assert not table.duplicated(["kind", "id"]).any()
    failed = table[table["status"] != "ok"]
    assert set(failed["id"]) == spoilt
    assert set(failed["kind"]) == {"video"}
    assert {reason.partition(":")[0] for reason in failed["reason"]} <= LASTING
    before = table, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    started = time.monotonic()
    again = project.run()
    again_s = time.monotonic() - started
    assert again["download"] == Counts(reused=items - bad, quarantined=bad)
    assert again["fingerprint"] == Counts(reused=items - bad)
    pd.testing.assert_frame_equal(DOWNLOADS.read(project.layout.downloads), before[0])
    record_property(
        "figure",
        f"{items} items, {bad} bad: {len(failed)} quarantined in {first_s:.0f} s; again: 0 computed"
        f" in {again_s:.0f} s",
    )


def test_C3_above_the_limit_the_stage_fails_and_loses_nothing(tmp_path: Path):
    (tmp_path / "corpus").mkdir()
    spoilt = corpus(tmp_path / "corpus", items=100, bad=20)
    project = Project(tmp_path, limit=0.1)
    with pytest.raises(TooManyFailed, match="20 of 100 items failed") as caught:
        project.run()
    assert caught.value.exit_code == 4
    table = DOWNLOADS.read(project.layout.downloads)
    assert len(table) == 100
    assert set(table[table["status"] != "ok"]["id"]) == spoilt
    project.params = dataclasses.replace(
        project.params, download=dataclasses.replace(project.params.download, max_failed_fraction=1)
    )
    assert project.run()["download"] == Counts(reused=80, quarantined=20)


STATUS = f"""
import sys, time
from pathlib import Path
from video2gif.core.layout import Layout
from video2gif.project.summary import left_out
from video2gif.datasets.statistics import corpus
started = time.monotonic()
layout = Layout(Path(sys.argv[1]))
print(len(left_out(layout)), time.monotonic() - started, {PEAK_BYTES})
"""


def test_C9_status_of_a_hundred_thousand_rows_completes(tmp_path: Path, record_property):
    layout, n = Layout(tmp_path), 100_000
    ids = [f"v{number:06}" for number in range(n)]
    status = np.where(np.arange(n) % 20 == 0, "quarantined", "ok")
    reason = np.where(status == "ok", "", "truncated: 54 of 90 frames")
    base = {"kind": "video", "id": ids, "status": status, "reason": reason}
    for table, path, columns in (
        (DOWNLOADS, layout.downloads, base),
        (FINGERPRINTS, layout.fingerprints / "index.parquet", base),
        (SPANS, layout.spans, {"gif_id": ids, "video_id": ids, "status": "matched"}),
        (FEATURE_STATUS, layout.features_of("c3d") / "status.parquet", base | {"video_id": ids}),
    ):
        frame = pd.DataFrame(columns).reindex(columns=table.schema.names)
        for field in table.schema:
            if frame[field.name].isna().all():
                frame[field.name] = 0 if str(field.type).startswith(("int", "double")) else ""
        table.write(path, frame)
    done = subprocess.run(
        [sys.executable, "-c", STATUS, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    found, seconds, peak_bytes = done.stdout.split()
    assert int(found) == 3 * n // 20
    assert int(peak_bytes) < 1e9
    assert float(seconds) < 30
    record_property("figure", f"{float(seconds):.1f} s, {int(peak_bytes) >> 20} MB")
