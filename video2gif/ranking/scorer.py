"""Score segments with a trained ranker. Reads models/ranker.safetensors and models/ranker.json.

Used by the evaluate stage and by `video2gif gif` and `rank`: context and averaging over clips are
those of training because they are the same code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from video2gif.core.errors import EnvironmentProblem, UserError
from video2gif.core.layout import read_json
from video2gif.ranking.context import ContextEncoder
from video2gif.ranking.fusion import FUSED, Fusion
from video2gif.ranking.model import Ensemble
from video2gif.ranking.videos import Video


@dataclass(frozen=True)
class Model:
    """Everything that turns what is known of a video into scores."""

    ensemble: Ensemble
    context: ContextEncoder
    fusion: Fusion | None = None
    """None: the network's scores as they are."""

    def score(
        self,
        features: Sequence[np.ndarray],
        *,
        category: str,
        tags: Sequence[str],
        spans_s: np.ndarray,
        duration_s: float,
        cues: np.ndarray,
    ) -> np.ndarray:
        """Score of each segment of a video, float64 (n,); NaN for one without clips.

        `features`: (n_clips, width) of each segment; `spans_s` (n, 2) seconds; `cues` (n, 8) as
        `baselines.segment_cues` gives them. Unknown category: "".
        """
        columns = self.context.encode(
            category=category, tags=tags, spans_s=spans_s, duration_s=duration_s
        )
        # A video without any clip: this keeps the width.
        empty = np.zeros((0, len(self.ensemble.standardise.mean)), np.float32)
        seen = (
            torch.from_numpy(np.concatenate([empty, *features])),
            torch.from_numpy(columns),
            torch.tensor([len(part) for part in features], dtype=torch.int64),
        )
        if self.ensemble.neighbourhood is not None:
            found = self.ensemble.score_neighbourhood(seen[0], seen[2], category)
            return found.numpy().astype(np.float64)
        network = self.ensemble.score_segments(*seen).numpy().astype(np.float64)
        if self.fusion is None:
            return network
        linear = self.ensemble.score_linear(*seen).numpy().astype(np.float64)
        return self.fusion.score(network, linear, cues)

    def score_video(self, video: Video) -> np.ndarray:
        """The same for a video of the tables."""
        return self.score(
            video.features,
            category=video.category,
            tags=video.tags,
            spans_s=video.spans_s,
            duration_s=video.duration_s,
            cues=video.cues,
        )


@dataclass(frozen=True)
class Scorer:
    """A trained ranker read from disk, ready to score."""

    model: Model
    card: Mapping[str, Any]
    """The model card as read."""
    path: Path

    @classmethod
    def load(cls, model: Path, card: Path) -> "Scorer":
        """Read and check a model and its card.

        Raises `EnvironmentProblem` for a missing or damaged file, or a pair that does not belong
        together (names, shapes, NaN).
        """
        content = read_json(card)
        try:
            context = ContextEncoder.from_card(content["context"])
            n_members, hidden = int(content["n_members"]), list(content["params"]["hidden"])
            features = content["params"].get("features", "own")  # The released head has its own.
            fusion = _fusion(content.get("fusion"))
            categories = content.get("neighbourhood")  # None: the card of a network.
        except (KeyError, TypeError, ValueError) as error:
            raise EnvironmentProblem(
                f"{card}: not a model card of this version ({error!r}); run `dvc repro train`"
            ) from None
        ensemble = Ensemble.load(
            model,
            n_members=n_members,
            context_size=context.size,
            hidden=hidden,
            features=features,
            has_linear=fusion is not None,
            categories=categories,
        )
        return cls(Model(ensemble, context, fusion), content, model)

    def check_features(self, sources: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse features of other networks or weights than the model was trained on.

        `sources`: of `features.registry.feature_sources`. Other weights give other numbers in the
        same places: the scores would be noise. How densely a segment is sampled, and mirroring,
        only change how well it is seen and may differ.
        """
        trained = self.card["features"]
        # The order counts too: features of several networks stand side by side.
        if list(trained) != list(sources):
            raise UserError(
                f"{self.path}: trained on features of {', '.join(trained)}, given"
                f" {', '.join(sources)}; set train.inputs in params.yaml to the same, or train"
                " again"
            )
        for network, own in trained.items():
            self._check_network(network, own, sources[network])

    def _check_network(
        self, network: str, trained: Mapping[str, Any], given: Mapping[str, Any]
    ) -> None:
        if trained.get("mode") != given.get("mode"):
            raise UserError(
                f"{self.path}: trained on features of extract.mode {trained.get('mode')}, given"
                f" {given.get('mode')}: dense convolutions see past the edges of a clip, so the"
                " same clip has other features; use the same mode in params.yaml, or train again"
            )
        for key in ("weights", "mean"):
            if trained.get(key) != given.get(key):
                raise UserError(
                    f"{self.path}: trained on features of {network} with {key} {trained.get(key)},"
                    f" given {given.get(key)}; use the same extract.{key} in params.yaml, or train"
                    " again"
                )


def _fusion(weights: Mapping[str, float] | None) -> Fusion | None:
    return None if weights is None else Fusion(tuple(float(weights[name]) for name in FUSED))
