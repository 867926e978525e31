"""params.yaml is read strictly: every mistake is an error that names the key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from video2gif.core.config import Params
from video2gif.core.errors import UserError

REPO = Path(__file__).parents[1]


def changed(tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """The project's params.yaml after a change."""
    content = yaml.safe_load((REPO / "params.yaml").read_text())
    change(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_projects_own_params_are_valid():
    assert Params.load(REPO / "params.yaml").train.batch_pairs > 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda c: c["train"].pop("loss"), "missing key 'loss'", id="missing"),
        pytest.param(lambda c: c.pop("match"), "missing key 'match'", id="missing-section"),
        pytest.param(lambda c: c["train"].update(lr=1), "unknown key 'lr'", id="unknown"),
        pytest.param(lambda c: c.update(trian={}), "unknown key 'trian'", id="unknown-section"),
        pytest.param(lambda c: c["train"].update(loss="l3"), "loss = 'l3' must be", id="choice"),
        pytest.param(
            lambda c: c["train"].update(epochs="9"),
            "epochs = '9' must be a valid",
            id="type",
        ),
        pytest.param(
            lambda c: c["train"].update(epochs=True), "train.epochs = True must", id="bool"
        ),
        pytest.param(
            lambda c: c["train"].update(epochs=0),
            "train.epochs = 0 must be greater",
            id="range",
        ),
        pytest.param(
            lambda c: c["train"].update(hidden=512),
            "hidden = 512 must be",
            id="list",
        ),
        pytest.param(
            lambda c: c["train"].update(hidden=["a"]), "train.hidden.0 = 'a' must", id="item"
        ),
        pytest.param(
            lambda c: c["train"].update(dropout=float("nan")),
            "dropout = nan must",
            id="nan",
        ),
        pytest.param(lambda c: c.update(train=None), "train = None must", id="empty-section"),
        pytest.param(
            lambda c: c["label"].update(test_fraction=0.9), "leaves nothing", id="no-training"
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: Callable[[dict], Any], says: str):
    with pytest.raises(UserError, match=r"params\.yaml") as caught:
        Params.load(changed(tmp_path, change))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"download: [", id="broken"),
        pytest.param(b"\xff\xfe\xff", id="no-text"),
        pytest.param(b"!!python/object/apply:os.system ['touch canary']", id="python-tag"),
    ],
)
def test_D20_a_file_that_is_no_params_file_is_refused(tmp_path: Path, content: bytes, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"params\.yaml"):
        Params.load(tmp_path / "params.yaml")
    assert not (tmp_path / "canary").exists()


def test_a_missing_file_tells_the_remedy(tmp_path: Path):
    with pytest.raises(UserError, match="--root"):
        Params.load(tmp_path / "params.yaml")


def test_whole_numbers_may_stand_for_real_ones(tmp_path: Path):
    path = changed(tmp_path, lambda content: content["segment"].update(max_len_s=3))
    value = Params.load(path).segment.max_len_s
    assert (value, type(value)) == (3.0, float)
