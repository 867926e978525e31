"""The head released with the paper as a model of ours: 4096 → 512 → 128 → 1 on raw fc6.

Source: docs/paper.md, Network and Weights: ReLU between, linear output, no context, nothing
standardised; trained on fc6 of separate 16-frame clips of C3D with its Sports-1M weights.
"""

from pathlib import Path
from typing import Any

import torch

from video2gif.core.config import ExtractParams
from video2gif.core.errors import UserError
from video2gif.core.layout import write_json
from video2gif.core.store import atomic_path
from video2gif.features import weights as c3d_weights
from video2gif.features.importers import HEAD_SHAPES, import_head
from video2gif.features.registry import feature_sources
from video2gif.ranking.model import Ensemble, RankNet, Standardise

_HIDDEN = (512, 128)
_LAYERS = {"h1": "layers.0", "h2": "layers.3", "score": "layers.6"}  # Dropout and ReLU between.


def write_head(
    file: Path,
    target: Path,
    *,
    extract: ExtractParams,
    root: Path,
    sha256: str = "",
    licence: str = "",
) -> dict[str, Any]:
    """Write the released npz as `target` (safetensors) with its card; returns the card.

    The card names the features of `extract`, on which alone the model may score: C3D's trained
    weights, never random ones. Raises `UserError`.
    """
    if c3d_weights.is_random(extract.weights):
        raise UserError(
            f"extract.weights = {extract.weights}: the released head was trained on C3D's Sports-1M"
            " weights; import those first (`video2gif weights import FILE`) and name them there"
        )
    if extract.mode != "clips":
        raise UserError(
            f"extract.mode = {extract.mode}: the released head was trained on clips that end in"
            " zero padding; dense convolutions see past the edges of a clip and give it other"
            " features. Set extract.mode to clips"
        )
    found = import_head(file, sha256=sha256)
    member = RankNet(HEAD_SHAPES["h1.weight"][1], _HIDDEN, dropout=0.0)
    member.load_state_dict(
        {
            f"{_LAYERS[name]}.{part}": torch.from_numpy(found.arrays[f"{name}.{part}"])
            for name in _LAYERS
            for part in ("weight", "bias")
        }
    )
    ensemble = Ensemble(Standardise.none(HEAD_SHAPES["h1.weight"][1]), (member,))
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        ensemble.save(temporary)
    card = {
        "n_members": 1,
        "params": {"hidden": list(_HIDDEN)},
        "context": {"parts": [], "categories": [], "tag_buckets": 0},
        "features": feature_sources(extract, ["c3d"], root=root),
        "random_weights": False,
        "rendered_sample": False,
        "source": found.source,
        "licence": licence or "not stated",
    }
    write_json(target.with_suffix(".json"), card)
    return card
