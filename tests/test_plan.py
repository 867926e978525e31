"""`video2gif plan`: missing items are counted, no output is touched; minutes come from runs."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from video2gif.cli.__main__ import app
from video2gif.core.config import Params
from video2gif.core.errors import EnvironmentProblem
from video2gif.core.items import Counts
from video2gif.core.layout import Layout
from video2gif.core.store import ItemStore
from video2gif.core.tables import DOWNLOADS, SEGMENTS, SOURCES
from video2gif.project import plan as planning
from video2gif.project import rates
from video2gif.project.plan import minutes, plan
from video2gif.project.rates import Rate, known, remember

REPO = Path(__file__).parents[1]


@pytest.fixture
def params() -> Params:
    return Params.load(REPO / "params.yaml")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Two videos with segments, and features of an earlier run."""
    layout = Layout(tmp_path / "project")
    layout.features.mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(REPO / name, layout.root)
    (layout.features / "old.npy").write_text("features")
    names = ["v0", "v1"]
    DOWNLOADS.write(
        layout.downloads,
        [
            {"kind": "video", "id": n, "path": f"{n}.mp4", "sha256": n, "status": "ok"}
            for n in names
        ],
    )
    SOURCES.write(layout.sources, [{"video_id": n, "gif_id": ""} for n in names])
    SEGMENTS.write(
        layout.segments,
        [{"video_id": n, "segment_id": 0, "start_frame": 0, "end_frame": 16} for n in names],
    )
    return layout


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What `dvc status` is made to say."""
    stages = {"extract"}
    monkeypatch.setattr(planning, "changed_stages", lambda _: stages)
    return stages


def test_missing_items_are_counted_and_no_output_is_touched(
    layout: Layout, params: Params, store: ItemStore, changed: set[str]
) -> None:
    found = {one.stage: one for one in plan(layout, params, store)}
    assert (found["extract"].todo, found["extract"].total) == (2, 2)
    assert found["extract"].state == "changed"
    assert (layout.features / "old.npy").read_text() == "features"
    assert found["segment"].state == "up to date"
    assert found["segment"].todo == 0
    for stage in ("train", "evaluate", "report"):
        assert found[stage].state == "behind a changed stage"
        assert found[stage].todo is None


def test_items_in_the_store_are_not_counted(
    layout: Layout, params: Params, store: ItemStore, changed: set[str]
) -> None:
    from video2gif.stages import extract

    (made,) = extract.extractions(params.extract, root=layout.root)
    segments = {"v0": SEGMENTS.read(layout.segments).query("video_id == 'v0'")}
    (film,) = extract._films(layout, segments)
    item = made.item("video:v0", sha256=film.sha256, path=film.path, spans=film.spans)
    with store.writing(made.work.key(item.inputs)) as out:
        out.write_text("done")
    found = {one.stage: one for one in plan(layout, params, store)}
    assert (found["extract"].todo, found["extract"].total) == (1, 2)


def test_a_warm_up_that_must_come_first_is_not_run(
    layout: Layout, params: Params, store: ItemStore, changed: set[str]
) -> None:
    auto = dataclasses.replace(params, extract=dataclasses.replace(params.extract, backend="auto"))
    found = {one.stage: one for one in plan(layout, auto, store)}
    assert found["extract"].todo is None
    assert not store.root.exists() or not list(store.root.rglob("*"))


def test_a_stage_without_its_inputs_is_not_known_yet(
    layout: Layout, params: Params, store: ItemStore, changed: set[str]
) -> None:
    changed |= {"fingerprint", "match"}
    shutil.rmtree(layout.root / "data")
    found = {one.stage: one for one in plan(layout, params, store)}
    assert found["match"].todo is None
    assert found["match"].by_item


def test_without_dvc_the_remedy_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="dvc status"):
        planning.changed_stages(Layout(tmp_path))


def test_the_command_prints_a_table(
    layout: Layout, changed: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEO2GIF_CACHE", str(tmp_path / "store"))
    remember(tmp_path / "store", "extract", Counts(computed=4), 480.0)
    done = CliRunner().invoke(app, ["plan", "--root", str(layout.root)])
    assert done.exit_code == 0, done.output
    assert "2 of 2" in done.output
    assert "About 4.0 minutes" in " ".join(done.output.split())
    assert "never measured here: train" in " ".join(done.output.split())


# --- rates ---


def test_minutes_are_items_times_their_rate_or_a_whole_run() -> None:
    rate = Rate(run_s=90.0, item_s=30.0)
    assert minutes(rate, 4) == 2.0
    assert minutes(rate, None) == 1.5
    assert minutes(Rate(90.0, None), 0) == 0.0
    assert minutes(Rate(90.0, None), 3) is None
    assert minutes(None, 3) is None


def test_rates_follow_the_last_runs_and_only_computed_items_count(tmp_path: Path) -> None:
    remember(tmp_path, "extract", Counts(computed=10, reused=90), 100.0)
    assert known(tmp_path) == {"extract": Rate(100.0, 10.0)}
    remember(tmp_path, "extract", Counts(computed=10), 200.0)
    assert known(tmp_path)["extract"] == Rate(150.0, 15.0)
    remember(tmp_path, "extract", Counts(reused=100), 1.0)
    assert known(tmp_path)["extract"].item_s == 15.0


@pytest.mark.parametrize("content", ["", "[]", '{"extract": 3}', '{"extract": {"run_s": "x"}}'])
def test_a_damaged_file_counts_as_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "rates.json").write_text(content)
    assert known(tmp_path) == {}
    remember(tmp_path, "match", Counts(computed=1), 2.0)
    assert json.loads((tmp_path / "rates.json").read_text())["match"]["item_s"] == 2.0


def test_rates_that_cannot_be_written_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rates.remember(tmp_path / "file", "match", Counts(computed=1), 2.0)
