"""dvc.yaml says what the stages' code does: nothing read or written is missing from it."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from video2gif.core.codeversion import closure, module_path
from video2gif.core.config import Params
from video2gif.core.layout import Layout
from video2gif.stages import STAGES

REPO = Path(__file__).parents[1]
MOST_CODE_DEPS = 70
# They hold a version and the names of the stages: nothing that a stage computes with.
NO_DEP = {"video2gif/__init__.py", "video2gif/stages/__init__.py"}


@pytest.fixture(scope="module")
def dvc() -> dict:
    return yaml.safe_load((REPO / "dvc.yaml").read_text())


def outs_of(entry: dict[str, Any]) -> set[str]:
    """Paths of a stage's outs, metrics and plots."""
    listed = [out for kind in ("outs", "metrics", "plots") for out in entry.get(kind, ())]
    return {out if isinstance(out, str) else next(iter(out)) for out in listed}


def code_of(stage: str) -> set[str]:
    """Files that a stage imports, and those whose functions it names as work ("video2gif.x:f")."""
    found: set[str] = set()
    waiting = [f"video2gif.stages.{stage}"]
    while waiting:
        for module in closure(waiting.pop()) - found:
            found.add(module)
            waiting += re.findall(r'"(video2gif\.[\w.]+):\w+"', module_path(module).read_text())
    return {module_path(module).relative_to(REPO).as_posix() for module in found}


def test_the_nine_stages_stand_in_the_order_the_data_flows(dvc):
    assert tuple(dvc["stages"]) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_imports_lies_in_its_deps(dvc, stage):
    deps = [dep for dep in dvc["stages"][stage]["deps"] if dep.startswith("video2gif")]
    for path in code_of(stage) - NO_DEP:
        inside = [dep for dep in deps if path == dep or path.startswith(f"{dep}/")]
        assert inside, f"{stage} imports {path}: add its folder to the stage's deps in dvc.yaml"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_no_room_it_does_not_enter(dvc, stage):
    for dep in dvc["stages"][stage]["deps"]:
        if dep.startswith("video2gif/"):
            assert [p for p in code_of(stage) if p.startswith(dep)], f"{stage} never enters {dep}"


def test_there_are_few_code_deps(dvc):
    deps = [dep for entry in dvc["stages"].values() for dep in entry["deps"]]
    assert sum(dep.startswith("video2gif") for dep in deps) <= MOST_CODE_DEPS


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_sections_that_the_stage_reads(dvc, stage):
    text = (REPO / "video2gif" / "stages" / f"{stage}.py").read_text()
    sections = {field.name for field in dataclasses.fields(Params)}
    read = set(re.findall(r"params\.(\w+)", text)) & sections
    assert read <= {name.partition(".")[0] for name in dvc["stages"][stage]["params"]}


def opened(stage: str) -> Iterator[str]:
    """Paths of the layout that the code of a stage names."""
    layout = Layout(Path("/project"))
    for path in code_of(stage):
        if path.startswith("video2gif/core/"):
            continue  # The layout itself names all of them.
        for name in re.findall(r"layout\.(\w+)", (REPO / path).read_text()):
            value = getattr(layout, {"media_file": "media"}.get(name, name), None)
            if isinstance(value, Path) and name not in {"root", "params"}:
                yield value.relative_to(layout.root).as_posix()


@pytest.mark.parametrize("stage", STAGES)
def test_every_file_that_a_stage_opens_is_a_dep_or_an_output(dvc, stage):
    entry = dvc["stages"][stage]
    known = {*entry["deps"], *outs_of(entry), ".video2gif"}
    for path in opened(stage):
        inside = [one for one in known if path == one or path.startswith(f"{one}/")]
        assert inside, f"{stage} opens {path}: add it to the stage's deps in dvc.yaml"


@pytest.mark.parametrize("stage", STAGES)
def test_E8_a_changed_lock_file_makes_every_stage_run_again(dvc, stage):
    assert "constraints.txt" in dvc["stages"][stage]["deps"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_itself_as_dvcs_own_child(dvc, stage):
    assert dvc["stages"][stage]["cmd"].endswith(f" exec python -m flows {stage}")


def test_no_output_is_kept_from_run_to_run(dvc):
    # `persist` would disable DVC's run-cache, and let stale files survive.
    assert "persist" not in (REPO / "dvc.yaml").read_text()


def test_flows_are_no_dep_of_data(dvc):
    deps = [dep for entry in dvc["stages"].values() for dep in entry["deps"]]
    assert not [dep for dep in deps if dep.startswith("flows")]


def test_every_data_dep_is_the_output_of_an_earlier_stage(dvc):
    made: set[str] = set()
    for stage in STAGES:
        entry = dvc["stages"][stage]
        for dep in entry["deps"]:
            if dep.startswith(("data/", "models/", "metrics/", "plots/")):
                assert dep in made, f"{stage} reads {dep}, which no earlier stage makes"
        made |= outs_of(entry)


def test_outputs_are_the_layouts_and_belong_to_one_stage_each(dvc):
    outs = [out for entry in dvc["stages"].values() for out in outs_of(entry)]
    assert len(outs) == len(set(outs))
    layout = Layout(Path("/project"))
    paths = [getattr(layout, name) for name in vars(Layout) if not name.startswith("_")]
    known = {p.relative_to(layout.root).as_posix() for p in paths if isinstance(p, Path)}
    # .video2gif/ holds locks and indexes: git-ignored, rebuilt, no stage's output.
    runtime = {name for name in known if name.startswith(".video2gif/")}
    # ablation/ is in git: tables that `video2gif ablate` measured once, for the report to show.
    # machine.json says whose dvc.lock it is; the tags stand in the folder of features.
    others = {"params.yaml", "plots", "ablation", "machine.json", "data/features/tags.parquet"}
    assert set(outs) == known - runtime - others


# No stage makes GIFs for a place: `places` is for `video2gif gif --for`.
@pytest.mark.parametrize(
    "section", [one.name for one in dataclasses.fields(Params) if one.name != "places"]
)
def test_every_section_of_params_is_read_by_its_stage(dvc, section):
    assert section in dvc["stages"][section]["params"]


def test_work_named_as_a_string_is_followed():
    assert "video2gif/media/probe.py" in code_of("download")
