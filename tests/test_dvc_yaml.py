"""dvc.yaml says what the stages' code does: nothing read or written is missing from it."""

from pathlib import Path

import pytest
import yaml

from flows import dvcdeps
from video2gif.config import Params
from video2gif.layout import Layout
from video2gif.stages import STAGES

REPO = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def dvc() -> dict:
    return yaml.safe_load((REPO / "dvc.yaml").read_text())


def test_the_nine_stages_stand_in_the_order_the_data_flows(dvc):
    assert tuple(dvc["stages"]) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_deps_and_params_are_what_the_code_reads(dvc, stage):
    entry = dvc["stages"][stage]
    found = dvcdeps.reads(stage, dvcdeps.outs_of(entry))
    assert entry["deps"] == found.deps, "run `make dvc-deps`"
    assert entry["params"] == list(found.params), "run `make dvc-deps`"


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
        made |= dvcdeps.outs_of(entry)


def test_outputs_are_the_layouts_and_belong_to_one_stage_each(dvc):
    outs = [out for entry in dvc["stages"].values() for out in dvcdeps.outs_of(entry)]
    assert len(outs) == len(set(outs))
    root = Path("/project")
    properties = [name for name in vars(Layout) if isinstance(vars(Layout)[name], property)]
    known = {getattr(Layout(root), name).relative_to(root).as_posix() for name in properties}
    # .video2gif/ holds locks and indexes: git-ignored, rebuilt, no stage's output.
    runtime = {name for name in known if name.startswith(".video2gif/")}
    # ablation/ is in git: tables that `video2gif ablate` measured once, for the report to show.
    assert set(outs) == known - runtime - {"params.yaml", "plots", "ablation"}


@pytest.mark.parametrize("section", sorted(Params.__dataclass_fields__))
def test_every_section_of_params_is_read_by_its_stage(dvc, section):
    assert section in dvc["stages"][section]["params"]


def test_work_named_as_a_string_is_followed(tmp_path):
    assert "video2gif/media/probe.py" in dvcdeps.reads("download", frozenset()).code


def test_templates_beside_the_page_are_deps_of_the_report():
    assert "video2gif/page/report.html.j2" in dvcdeps.reads("report", frozenset()).code
