"""Training: what is learned, what is deterministic, what stops it; the model on disk."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from ranking_project import N_SEGMENTS, small_params, write_project
from safetensors.torch import load_file, save_file

from video2gif.core.errors import EnvironmentProblem, UserError
from video2gif.evaluation.videos import video_metrics
from video2gif.ranking.batches import gathered
from video2gif.ranking.loading import load_videos
from video2gif.ranking.model import Ensemble, RankNet, Standardise, segment_means
from video2gif.ranking.training import train
from video2gif.ranking.videos import Video


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    return load_videos(write_project(tmp_path_factory.mktemp("planted"), n_videos=20))


def score(ensemble: Ensemble, context: torch.Tensor, video: Video) -> np.ndarray:
    scores = ensemble.score_segments(
        torch.from_numpy(video.clips), context, torch.from_numpy(video.n_clips)
    )
    return scores.numpy()


def test_a_planted_direction_is_learned_and_holds_on_unseen_videos(videos: list[Video]) -> None:
    trained = train(videos, small_params(context=[]).train)
    unseen = [video for video in videos if video.split == "test"]
    for video in unseen:
        scores = score(trained.model.ensemble, torch.zeros(N_SEGMENTS, 0), video)
        found = video_metrics(gifs=video.gifs, spans=video.spans, scores=scores)
        assert found.average_precision == 1.0
        # The GIF's 30 frames share one score: 30 watched for half of them, 15 too many of 225.
        assert found.nmsd == pytest.approx(15 / 225)


@pytest.mark.parametrize("loss", ["l1", "l2", "huber", "adaptive_huber"])
def test_every_loss_falls(videos: list[Video], loss: str) -> None:
    history = train(videos, small_params(loss=loss, ensemble=1, epochs=4).train).history
    assert history[-1].loss < 0.5 * history[0].loss


def test_E5_training_again_gives_the_same_bytes(videos: list[Video], tmp_path: Path) -> None:
    params = small_params(epochs=3).train
    for run in range(5):
        # Random numbers drawn elsewhere in the process must not matter.
        torch.rand(run)
        train(videos, params).model.ensemble.save(tmp_path / f"{run}")
    assert len({(tmp_path / f"{run}").read_bytes() for run in range(5)}) == 1


def test_members_differ_by_their_seed(videos: list[Video]) -> None:
    first, second = train(videos, small_params(epochs=1).train).model.ensemble.members
    weights = [member.state_dict()["layers.0.weight"] for member in (first, second)]
    assert not torch.equal(*weights)


def test_training_leaves_the_random_numbers_of_others_alone(videos: list[Video]) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(videos, small_params(epochs=1, ensemble=1).train)
    assert torch.equal(torch.rand(3), expected)


def test_videos_outside_the_training_split_teach_nothing(
    videos: list[Video], tmp_path: Path
) -> None:
    params = small_params(epochs=2, ensemble=1).train
    train(videos, params).model.ensemble.save(tmp_path / "with")
    without = [video for video in videos if video.split != "test"]
    train(without, params).model.ensemble.save(tmp_path / "without")
    assert (tmp_path / "with").read_bytes() == (tmp_path / "without").read_bytes()


def test_the_chosen_epoch_has_the_lowest_validation_nmsd(videos: list[Video]) -> None:
    trained = train(videos, small_params().train)
    for member, best in enumerate(trained.best):
        epochs = [epoch for epoch in trained.history if epoch.member == member]
        assert best.validation_nmsd == min(epoch.validation_nmsd for epoch in epochs)


def test_patience_stops_a_member_that_no_longer_improves(videos: list[Video]) -> None:
    trained = train(videos, small_params(epochs=50, patience=2, ensemble=1).train)
    assert len(trained.history) == trained.best[0].epoch + 3 < 50


def test_without_validation_videos_the_training_loss_decides(videos: list[Video]) -> None:
    trained = train(
        [video for video in videos if video.split == "train"], small_params(ensemble=1).train
    )
    assert all(np.isnan(epoch.validation_nmsd) for epoch in trained.history)
    assert trained.best[0].loss == min(epoch.loss for epoch in trained.history)


@pytest.mark.parametrize("chosen", [["test"], []], ids=["no-training-video", "no-video"])
def test_without_pairs_the_error_says_what_is_missing(
    videos: list[Video], chosen: Sequence[str]
) -> None:
    with pytest.raises(UserError, match=r"nothing to learn from.*0 videos.*test_fraction"):
        train([video for video in videos if video.split in chosen], small_params().train)


def test_pairs_with_an_unscored_segment_are_left_out(tmp_path: Path) -> None:
    layout = write_project(tmp_path, n_videos=5, empty_segment=0)
    trained = train(load_videos(layout), small_params(epochs=1, ensemble=1).train)
    assert trained.n_pairs == 3 * (N_SEGMENTS - 2)


def test_a_video_without_features_is_no_obstacle(videos: list[Video]) -> None:
    bare = dataclasses.replace(
        videos[0],
        n_clips=np.zeros(N_SEGMENTS, np.int64),
        clips=np.zeros((0, videos[0].clips.shape[1]), np.float16),
    )
    train([bare, *videos[1:]], small_params(epochs=1, ensemble=1).train)


def test_a_step_takes_whole_videos_until_they_hold_enough_pairs() -> None:
    n_pairs = [30, 30, 30, 200, 5]
    taken = list(gathered(n_pairs, 50))
    assert sorted(place for batch in taken for place in batch) == [0, 1, 2, 3, 4]
    for batch in taken[:-1]:
        assert sum(n_pairs[place] for place in batch) >= 50
        assert sum(n_pairs[place] for place in batch[:-1]) < 50


# The model


def test_a_segments_score_is_the_mean_of_its_clips() -> None:
    means = segment_means(torch.tensor([1.0, 3.0, 5.0, -1.0]), torch.tensor([2, 0, 1, 1]))
    np.testing.assert_array_equal(means.numpy(), [2.0, np.nan, 5.0, -1.0])


def test_standardised_training_clips_have_mean_0_and_std_1() -> None:
    clips = torch.randn(500, 4) * torch.tensor([1.0, 10, 0, 3]) + 5
    scaled = Standardise.fit(clips)(clips)
    np.testing.assert_allclose(scaled.mean(dim=0), np.zeros(4), atol=1e-4)
    np.testing.assert_allclose(scaled.std(dim=0, correction=0), [1, 1, 0, 1], atol=1e-4)


def test_the_ranker_has_the_papers_layers() -> None:
    shapes = [tuple(p.shape) for p in RankNet(4096, [512, 128], 0.5).parameters()]
    assert shapes == [(512, 4096), (512,), (128, 512), (128,), (1, 128), (1,)]


def saved(path: Path) -> Ensemble:
    torch.manual_seed(0)
    ensemble = Ensemble(Standardise.none(6), (RankNet(8, [4], 0.5), RankNet(8, [4], 0.5)))
    ensemble.save(path)
    return ensemble


def load(path: Path, context_size: int = 2) -> Ensemble:
    return Ensemble.load(path, n_members=2, context_size=context_size, hidden=[4])


def test_a_saved_model_scores_as_before_and_averages_its_members(tmp_path: Path) -> None:
    ensemble = saved(tmp_path / "m")
    clips, context, n_clips = torch.randn(3, 6), torch.randn(2, 2), torch.tensor([1, 2])
    expected = ensemble.score_segments(clips, context, n_clips)
    assert torch.equal(load(tmp_path / "m").score_segments(clips, context, n_clips), expected)
    alone = [
        Ensemble(ensemble.standardise, (member,)).score_segments(clips, context, n_clips)
        for member in ensemble.members
    ]
    np.testing.assert_allclose(expected, (alone[0] + alone[1]) / 2, rtol=1e-5)


def test_D18_a_model_of_other_shapes_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "m")
    with pytest.raises(EnvironmentProblem, match=r"layers.0.weight is \(4, 8\).*\(4, 9\)"):
        load(tmp_path / "m", context_size=3)


def test_D18_a_model_with_nan_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "m")
    tensors = load_file(tmp_path / "m")
    tensors["member.1.layers.0.bias"][2] = float("nan")
    save_file(tensors, tmp_path / "m")
    with pytest.raises(EnvironmentProblem, match=r"member\.1\.layers\.0\.bias holds NaN"):
        load(tmp_path / "m")


@pytest.mark.parametrize(
    "content",
    [b"", b"not a model", (2**40).to_bytes(8, "little") + b"{}"],
    ids=["empty", "text", "lying-header"],
)
def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(EnvironmentProblem, match="not a readable safetensors"):
        load(tmp_path / "m")


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="missing"):
        load(tmp_path / "m")
