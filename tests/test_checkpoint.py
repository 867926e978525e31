"""A training that was killed goes on to the same bytes; a checkpoint of another is ignored."""

import hashlib
from pathlib import Path

import pytest
import torch
from ranking_project import small_params, write_project

from video2gif.core.items import Context
from video2gif.core.layout import Layout
from video2gif.ranking.checkpoint import Checkpoint
from video2gif.ranking.loading import load_videos
from video2gif.ranking.training import Trained, train
from video2gif.ranking.videos import Video
from video2gif.stages import train as train_stage

PARAMS = small_params(epochs=4, ensemble=2, fusion=True, dropout=0.5).train


class Killed(Exception):
    """What stands for SIGKILL: nothing is cleaned up after it."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    return load_videos(write_project(tmp_path_factory.mktemp("planted"), n_videos=10))


def digest(trained: Trained, folder: Path) -> str:
    trained.model.ensemble.save(folder / "model")
    weights = hashlib.sha256((folder / "model").read_bytes()).hexdigest()
    return f"{weights} {trained.model.fusion} {trained.history} {trained.best}"


@pytest.mark.parametrize("epochs_done", [1, 3, 5, 9], ids=lambda n: f"after-{n}-epochs")
def test_E6_a_killed_training_goes_on_to_the_same_bytes(
    videos: list[Video], tmp_path: Path, epochs_done: int
) -> None:
    expected = digest(train(videos, PARAMS), tmp_path)
    calls: list[int] = []

    def kill(history: object, done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == epochs_done + 1:
            raise Killed

    path = tmp_path / "state"
    with pytest.raises(Killed):
        train(videos, PARAMS, kill, Checkpoint(path, "key", every_s=0))
    resumed: list[int] = []
    trained = train(
        videos, PARAMS, lambda *told: resumed.append(told[1]), Checkpoint(path, "key", every_s=0)
    )
    assert digest(trained, tmp_path) == expected
    assert resumed[0] == calls[-1]  # the epoch that was cut off, no earlier one
    assert not path.exists()


def test_the_state_of_another_training_is_ignored(videos: list[Video], tmp_path: Path) -> None:
    Checkpoint(tmp_path / "state", "other").save({"0.random": torch.zeros(3)}, {"0": {}})
    expected = digest(train(videos, PARAMS), tmp_path)
    found = train(videos, PARAMS, checkpoint=Checkpoint(tmp_path / "state", "this"))
    assert digest(found, tmp_path) == expected


@pytest.mark.parametrize("content", [b"", b"torn", bytes(100)], ids=["empty", "torn", "zeros"])
def test_a_damaged_state_is_no_state(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    assert Checkpoint(tmp_path / "state", "key").load() is None


def test_the_stage_leaves_no_state_behind_and_its_curve_grows(
    tmp_path: Path, context: Context
) -> None:
    layout = write_project(tmp_path, n_videos=6)
    seen: list[int] = []

    def look(stage: str, done: int, total: int) -> None:
        seen.append(len(layout.train_plot.read_text().splitlines()) - 1)

    watched = Context(context.store, context.mapper, look)
    train_stage.run(layout, small_params(epochs=3, ensemble=1, fusion=False), watched)
    assert seen == [1, 2, 3]
    assert not Layout(tmp_path).checkpoint("train").exists()
