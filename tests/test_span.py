"""The first layer trained in the span of its inputs: the same weights, up to rounding."""

import dataclasses

import numpy as np
import pytest
import torch
from ranking_project import small_params, write_project

from video2gif.ranking import subspace as span_module
from video2gif.ranking.loading import load_videos
from video2gif.ranking.subspace import Decay, Subspace
from video2gif.ranking.training import Trained, train
from video2gif.ranking.videos import Video


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    """Of fewer inputs than there are, though more than clips: outside the span, time is D³."""
    found = load_videos(write_project(tmp_path_factory.mktemp("planted"), n_videos=10))
    return [dataclasses.replace(video, clips=video.clips[:, :512]) for video in found]


@pytest.mark.parametrize("rank", [None, 3], ids=["full-rank", "rank-3"])
def test_inputs_are_their_coordinates_and_nothing_beyond(rank: int | None) -> None:
    torch.manual_seed(0)
    x = torch.randn(20, 100)
    if rank:
        x = torch.randn(20, rank) @ torch.randn(rank, 100)
    span = Subspace.of(x)
    torch.testing.assert_close(span.full(span.within(x)), x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(span.beyond(x), torch.zeros_like(x), atol=1e-4, rtol=0)
    assert span.basis is not None
    torch.testing.assert_close(span.basis @ span.basis.T, torch.eye(20), atol=1e-5, rtol=0)


def test_many_inputs_are_left_as_they_are() -> None:
    x = torch.randn(60, 100)
    span = Subspace.of(x)
    assert span.within(x) is x
    assert not span.beyond(x).any()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_decay_is_what_sgd_does_to_a_weight_without_gradient(momentum: float) -> None:
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD(
        [weight], lr=0.1, momentum=momentum, weight_decay=0.05, nesterov=momentum > 0
    )
    decay = Decay(0.1, momentum, 0.05)
    for _ in range(20):
        weight.grad = torch.zeros_like(weight)
        sgd.step()
        decay.step()
    assert decay.factor == pytest.approx(weight.item(), rel=1e-12)


@pytest.mark.parametrize("features", ["own", "centred", "neighbours"])
@pytest.mark.parametrize("hidden", [[16], []], ids=["one-hidden", "linear"])
def test_training_in_the_span_gives_the_weights_of_training_outside(
    videos: list[Video], monkeypatch: pytest.MonkeyPatch, features: str, hidden: list[int]
) -> None:
    params = small_params(epochs=5, ensemble=1, features=features, hidden=hidden).train
    inside = train(videos, params)
    monkeypatch.setattr(span_module, "_WORTH_IT", 0.0)
    outside = train(videos, params)
    for one, other in zip(inside.history, outside.history, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-3)
    _assert_same_weights(inside, outside)
    for video in videos:
        np.testing.assert_allclose(
            inside.model.score_video(video), outside.model.score_video(video), atol=1e-3
        )


def _assert_same_weights(one: Trained, other: Trained) -> None:
    states = [trained.model.ensemble.members[0].state_dict() for trained in (one, other)]
    for name, expected in states[0].items():
        # Thousands of float32 sums in another order.
        torch.testing.assert_close(states[1][name], expected, rtol=1e-3, atol=1e-4)


def test_strong_decay_shrinks_what_training_never_sees(
    videos: list[Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = dataclasses.replace(
        small_params(epochs=5, ensemble=1).train, weight_decay=1.0, learning_rate=0.01
    )
    inside = train(videos, params)
    monkeypatch.setattr(span_module, "_WORTH_IT", 0.0)
    _assert_same_weights(inside, train(videos, params))
