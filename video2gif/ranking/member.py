"""One network of the ensemble while it is trained."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from video2gif.core.config import TrainParams
from video2gif.evaluation.videos import usable_gifs, video_metrics
from video2gif.ranking.batches import Block, across_videos, by_video
from video2gif.ranking.checkpoint import TrainingState
from video2gif.ranking.losses import ranking_loss
from video2gif.ranking.model import RankNet, segment_means
from video2gif.ranking.subspace import Decay, Subspace
from video2gif.ranking.videos import Video


@dataclass(frozen=True)
class Epoch:
    """One row of plots/train.csv."""

    member: int
    epoch: int
    loss: float
    """Mean over the training pairs, with dropout, as optimised."""
    validation_nmsd: float
    """Of the network, before any fusion; NaN without validation videos."""


@dataclass(frozen=True)
class Seen:
    """A video with its tensors."""

    video: Video
    block: Block
    """Its inputs as they are, (clips, D)."""
    small: Block
    """The same in coordinates of the training span, (clips, r)."""


class Member:
    """One network while it is trained: all that decides how it goes on."""

    def __init__(
        self,
        number: int,
        span: Subspace,
        held_out: Sequence[Seen],
        n_inputs: int,
        params: TrainParams,
    ) -> None:
        self.number, self._params, self._span = number, params, span
        torch.manual_seed(params.seed + number)  # initial weights, dropout and order of videos
        full = RankNet(n_inputs, params.hidden, params.dropout)
        # W = A·B + W⊥ (ranking/subspace.py): A is trained, W⊥ only decays. Held-out videos lie
        # outside the span, so they need W⊥; its share of their sums is computed once.
        first = full.first.weight.detach()
        self._beyond = span.beyond(first)
        self._decay = Decay(params.learning_rate, params.momentum, params.weight_decay)
        self.ranker = full.with_first(span.within(first))
        self._held_out = [(one, one.block.x @ self._beyond.T) for one in held_out]
        self._optimiser = torch.optim.SGD(
            self.ranker.parameters(),
            lr=params.learning_rate,
            momentum=params.momentum,
            weight_decay=params.weight_decay,
            nesterov=params.momentum > 0,
            fused=True,  # one pass over the weights: the step costs a seventh
        )
        self.history: list[Epoch] = []
        self.best: Epoch | None = None
        self._best_state: dict[str, Tensor] = {}
        self._best_factor = 1.0

    def goes_on(self) -> bool:
        """Whether another epoch is due."""
        done = len(self.history)
        waited = done - 1 - self.best.epoch if self.best else 0
        return done < self._params.epochs and waited < self._params.patience

    def epoch(self, blocks: Sequence[Block]) -> None:
        """One pass over all pairs."""
        loss = self._pass(blocks)
        nmsd = self._validation_nmsd()
        epoch = Epoch(self.number, len(self.history), loss, nmsd)
        self.history.append(epoch)
        # Strictly lower: of equal epochs the first is kept, in `restore` as well.
        if self.best is None or _criterion(epoch) < _criterion(self.best):
            self.best = epoch
            state = self.ranker.state_dict()
            # `state_dict` hands out the weights themselves, and the next step changes them.
            self._best_state = {name: value.clone() for name, value in state.items()}
            self._best_factor = self._decay.factor

    def chosen(self) -> RankNet:
        """The network as it was after its best epoch, on inputs as they are."""
        self.ranker.load_state_dict(self._best_state)
        within = self._span.full(self.ranker.first.weight.detach())
        # Put together again, with the decay of that epoch: the network now takes inputs as they
        # are.
        return self.ranker.with_first(within + self._best_factor * self._beyond).eval()

    def _pass(self, blocks: Sequence[Block]) -> float:
        """All pairs once; returns the mean loss of a pair."""
        self.ranker.train()
        total, n_pairs = 0.0, 0
        batches = by_video if self._params.pairs == "video" else across_videos
        for batch in batches(blocks, self._params.batch_pairs):
            losses = _losses(self.ranker, batch, self._params)
            self._optimiser.zero_grad()
            losses.mean().backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            self._decay.step()
            total, n_pairs = total + float(losses.detach().sum()), n_pairs + len(losses)
        return total / n_pairs

    @torch.no_grad()
    def _validation_nmsd(self) -> float:
        if not self._held_out:
            return float("nan")
        self.ranker.eval()
        values = []
        for one, beyond in self._held_out:
            clips = self.ranker(one.small.x, beyond=self._decay.factor * beyond)
            values.append(_nmsd(one, segment_means(clips, one.block.n_clips)))
        return float(np.mean(values))

    def state(self) -> TrainingState:
        """Weights, momenta, random numbers and history, for a checkpoint."""
        momenta = {
            str(number): state["momentum_buffer"]
            for number, state in self._optimiser.state_dict()["state"].items()
            if state.get("momentum_buffer") is not None
        }
        tensors = {
            **named("weights", self.ranker.state_dict()),
            **named("best", self._best_state),
            **named("momenta", momenta),
            "random": torch.get_rng_state(),
        }
        notes = {
            "history": [asdict(epoch) for epoch in self.history],
            "decay": self._decay.state(),
            "best_factor": self._best_factor,
        }
        return tensors, notes

    def restore(self, state: TrainingState) -> None:
        """Go on from a checkpoint's state."""
        tensors, notes = state
        self.ranker.load_state_dict(below("weights", tensors))
        self._best_state = below("best", tensors)
        optimiser = self._optimiser.state_dict()
        optimiser["state"] = {
            int(number): {"momentum_buffer": momentum}
            for number, momentum in below("momenta", tensors).items()
        }
        self._optimiser.load_state_dict(optimiser)
        self.history = [Epoch(**row) for row in notes["history"]]
        self._decay = replace(self._decay, **notes["decay"])
        self._best_factor = notes["best_factor"]
        self.best = min(self.history, key=_criterion)  # The earliest of equals, as in `epoch`.
        torch.set_rng_state(tensors["random"])


def named(prefix: str, tensors: dict[str, Any]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def _criterion(epoch: Epoch) -> float:
    # Without validation videos the training loss has to do.
    return epoch.loss if np.isnan(epoch.validation_nmsd) else epoch.validation_nmsd


def _losses(ranker: RankNet, batch: Block, params: TrainParams) -> Tensor:
    """The loss of each pair: every segment scored once."""
    scores = segment_means(ranker(batch.x), batch.n_clips)
    positive, negative = scores[batch.pairs].unbind(dim=1)
    return ranking_loss(
        params.loss,
        positive=positive,
        negative=negative,
        # Pairs of one positive are one group of the listwise loss.
        group=batch.pairs[:, 0],
        delta=params.huber_delta,
        popularity=batch.popularity,
    )


def _nmsd(one: Seen, scores: Tensor) -> float:
    video = one.video
    gifs = usable_gifs(video.gifs, video.n_frames)
    as_numpy = scores.numpy().astype(np.float64)
    return video_metrics(gifs=gifs, spans=video.spans, scores=as_numpy).nmsd
