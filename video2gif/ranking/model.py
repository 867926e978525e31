"""The ranker: features and context of a clip → one score, and how its members become one model.

Source: docs/paper.md, Network (4096 → 512 → 128 → 1, ReLU between, linear output).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from video2gif.core.errors import EnvironmentProblem
from video2gif.ranking.neighbourhood import Neighbourhood

FeaturesName = Literal["own", "centred", "neighbours"]


class RankNet(nn.Module):
    """n_inputs → hidden… → 1, dropout after every hidden layer while training."""

    def __init__(self, n_inputs: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        self._hidden, self._dropout = tuple(hidden), dropout
        layers: list[nn.Module] = []
        for width_in, width_out in zip([n_inputs, *hidden], hidden, strict=False):
            layers += [nn.Linear(width_in, width_out), nn.ReLU(), nn.Dropout(dropout)]
        last = hidden[-1] if hidden else n_inputs
        self.layers = nn.Sequential(*layers, nn.Linear(last, 1))

    @property
    def first(self) -> nn.Linear:
        """The layer that sees the inputs."""
        layer = self.layers[0]
        assert isinstance(layer, nn.Linear)
        return layer

    def with_first(self, weight: Tensor) -> "RankNet":
        """A copy whose first layer has another weight matrix, (width, any number of inputs)."""
        state = {name: value.clone() for name, value in self.state_dict().items()}
        # Its own initial weights are overwritten: they must not move the random numbers on.
        with torch.random.fork_rng(devices=[]):
            other = RankNet(weight.shape[1], self._hidden, self._dropout)
        other.load_state_dict({**state, "layers.0.weight": weight})
        return other

    def forward(self, x: Tensor, beyond: Tensor | None = None) -> Tensor:
        """(n, n_inputs) float32 → scores (n,).

        `beyond` (n, width of the first layer) is added to the first layer's sums. It is the share
        of the full features that the reduced inputs `x` leave out (`ranking/subspace.py`).
        """
        seen = self.first(x)
        scores: Tensor = self.layers[1:](seen if beyond is None else seen + beyond)
        return scores.squeeze(1)


@dataclass(frozen=True)
class Standardise:
    """(features − mean) / std, over the clips of the training split.

    With random C3D weights the scale of features is arbitrary, and weight decay and learning rate
    would mean something else for every seed. The head released with the paper was trained on raw
    fc6: for it, `none`.
    """

    mean: Tensor
    """(width,) float32."""
    std: Tensor
    """(width,) float32, positive."""

    @classmethod
    def fit(cls, clips: Tensor) -> "Standardise":
        """From clips (n, width). A feature that never changes keeps its scale."""
        mean, std = clips.mean(dim=0), clips.std(dim=0, correction=0)
        return cls(mean, torch.where(std > 1e-6, std, torch.ones_like(std)))

    @classmethod
    def none(cls, n_features: int) -> "Standardise":
        """Leaves features as they are."""
        return cls(torch.zeros(n_features), torch.ones(n_features))

    def __call__(self, clips: Tensor) -> Tensor:
        return (clips.float() - self.mean) / self.std


def clip_inputs(
    clips: Tensor,
    context: Tensor,
    n_clips: Tensor,
    *,
    standardise: Standardise,
    features: FeaturesName,
) -> Tensor:
    """What the network sees of each clip of one video, (clips, width + context) float32.

    `own`: its standardised features. `centred`: these less the video's mean (see `centred`),
    standardised. `neighbours`: its own, and beside it how it differs from the mean of the segments
    next to its own. `clips` (sum of n_clips, width) raw, `context` (n, k), `n_clips` (n,).
    """
    x = standardise(centred(clips) if features == "centred" else clips)
    if features == "neighbours":
        x = torch.cat([x, x - _beside(x, n_clips)], dim=1)
    return torch.cat([x, context.repeat_interleave(n_clips, dim=0)], dim=1)


def centred(clips: Tensor) -> Tensor:
    """Features less their mean over the video's clips: what sets a moment apart from its film."""
    clips = clips.float()
    return clips - clips.mean(dim=0) if len(clips) else clips


def _beside(x: Tensor, n_clips: Tensor) -> Tensor:
    """For each clip the mean of the scored segments before and after its own, (clips, width)."""
    counts = n_clips[n_clips > 0]
    means = segment_means(x, counts)
    if len(counts) > 1:
        # At the ends of a video the only neighbour counts twice.
        means = (torch.cat([means[1:2], means[:-1]]) + torch.cat([means[1:], means[-2:-1]])) / 2
    return means.repeat_interleave(counts, dim=0)


@dataclass(frozen=True)
class Ensemble:
    """Members trained from different seeds; a clip's score is the mean of theirs."""

    standardise: Standardise
    members: tuple[RankNet, ...]
    features: FeaturesName = "own"
    linear: Tensor | None = None
    """(inputs,): the weights of `ranking/linear.py`, for the fusion."""
    neighbourhood: Neighbourhood | None = None
    """In place of members, with `train.ranker: neighbourhood`."""

    @torch.no_grad()
    def score_segments(self, clips: Tensor, context: Tensor, n_clips: Tensor) -> Tensor:
        """Scores (n,) of segments; NaN for one without clips.

        `clips` (sum of n_clips, width) raw features, `context` (n, k), `n_clips` (n,).
        """
        x = self._inputs(clips, context, n_clips)
        scores = torch.stack([member.eval()(x) for member in self.members]).mean(dim=0)
        return segment_means(scores, n_clips)

    @torch.no_grad()
    def score_linear(self, clips: Tensor, context: Tensor, n_clips: Tensor) -> Tensor:
        """The same by `linear`, which must be there."""
        assert self.linear is not None
        return segment_means(self._inputs(clips, context, n_clips) @ self.linear, n_clips)

    @torch.no_grad()
    def score_neighbourhood(self, clips: Tensor, n_clips: Tensor, category: str) -> Tensor:
        """The same by `neighbourhood`, which must be there."""
        assert self.neighbourhood is not None
        scores = torch.full((len(n_clips),), torch.nan)
        means = segment_means(self.standardise(clips), n_clips)[n_clips > 0]
        scores[n_clips > 0] = self.neighbourhood.score(means, category)
        return scores

    def _inputs(self, clips: Tensor, context: Tensor, n_clips: Tensor) -> Tensor:
        return clip_inputs(
            clips, context, n_clips, standardise=self.standardise, features=self.features
        )

    def save(self, path: Path) -> None:
        """Write all members and the standardisation as safetensors: equal models, equal bytes."""
        tensors = {"input.mean": self.standardise.mean, "input.std": self.standardise.std}
        for number, member in enumerate(self.members):
            for name, tensor in member.state_dict().items():
                tensors[f"member.{number}.{name}"] = tensor.contiguous()
        if self.linear is not None:
            tensors["linear.weight"] = self.linear.contiguous()
        if self.neighbourhood is not None:
            tensors |= self.neighbourhood.tensors()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(save(tensors))

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        n_members: int,
        context_size: int,
        hidden: Sequence[int],
        features: FeaturesName = "own",
        has_linear: bool = False,
        categories: Sequence[str] | None = None,
    ) -> "Ensemble":
        """Read and check a model: every tensor there, of the right shape, finite.

        `categories`: those of its neighbourhood, None without one.

        Raises `EnvironmentProblem` naming the file and what is wrong.
        """
        tensors = _read(path)
        mean = _take(tensors, "input.mean", path)
        rankers = []
        width = len(mean) * (2 if features == "neighbours" else 1)
        for number in range(n_members):
            # Dropout is for training: it has no weights, and scoring has none of it.
            ranker = RankNet(width + context_size, hidden, dropout=0.0)
            state = {
                name: _take(tensors, f"member.{number}.{name}", path, shape=expected.shape)
                for name, expected in ranker.state_dict().items()
            }
            ranker.load_state_dict(state)
            rankers.append(ranker)
        std = _take(tensors, "input.std", path, shape=mean.shape)
        shape = torch.Size([width + context_size])
        linear = _take(tensors, "linear.weight", path, shape=shape) if has_linear else None
        surroundings = None
        if categories is not None:
            surroundings = Neighbourhood.of(
                lambda name: _take(tensors, name, path), categories, n_inputs=len(mean)
            )
        return cls(Standardise(mean, std), tuple(rankers), features, linear, surroundings)


def segment_means(clips: Tensor, n_clips: Tensor) -> Tensor:
    """The mean of each segment's clips, (n, …); NaN (0 / 0) for a segment without any.

    `clips` (sum of n_clips, …): scores or inputs, the clips of segment 0 first.
    """
    owner = torch.repeat_interleave(torch.arange(len(n_clips)), n_clips)
    sums = clips.new_zeros(len(n_clips), *clips.shape[1:]).index_add(0, owner, clips)
    return sums / n_clips.reshape(-1, *[1] * (clips.ndim - 1))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            # `safe_open` has keys but cannot be iterated over.
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise EnvironmentProblem(f"{path}: missing; `dvc repro train` makes it") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise EnvironmentProblem(f"{path}: not a readable safetensors file: {error}") from None


def _take(
    tensors: Mapping[str, Tensor], name: str, path: Path, shape: torch.Size | None = None
) -> Tensor:
    if name not in tensors:
        raise EnvironmentProblem(f"{path}: no tensor {name}; it is not this model card's model")
    tensor = tensors[name]
    if shape is not None and tensor.shape != shape:
        raise EnvironmentProblem(
            f"{path}: {name} is {tuple(tensor.shape)}, the model card says {tuple(shape)}"
        )
    # One NaN would make every score NaN, which elsewhere means "not scored".
    if not torch.isfinite(tensor).all():
        raise EnvironmentProblem(f"{path}: {name} holds NaN or infinity; train again")
    return tensor
