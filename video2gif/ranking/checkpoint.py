"""Where a training stands, on disk: a killed one goes on as if nothing had happened, to the bit.

Tensors and a JSON text in one safetensors file, written beside and renamed; never a pickle.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import save_file
from torch import Tensor

from video2gif.core.store import atomic_path

TrainingState = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors and notes (plain JSON)."""


class Checkpoint:
    """One file for one training.

    `key` says what is trained from what (data, parameters, code): the file of another training is
    no state of this one and is ignored.
    """

    def __init__(self, path: Path, key: str, *, every_s: float = 10.0) -> None:
        self.path, self._key, self._every_s = path, key, every_s
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether `every_s` have passed. The clock decides what a kill costs, never a result."""
        return time.monotonic() - self._saved_at >= self._every_s

    def save(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        """Replace the state on disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"key": self._key, "notes": json.dumps(notes)}
        with atomic_path(self.path) as temporary:
            # safetensors refuses tensors that do not lie in one piece.
            save_file({name: t.contiguous() for name, t in tensors.items()}, temporary, metadata)
        self._saved_at = time.monotonic()

    def load(self) -> TrainingState | None:
        """The state on disk; None when there is none of this training that can be read."""
        try:
            with safetensors.safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("key") != self._key:
                    return None
                names = file.keys()
                return {name: file.get_tensor(name) for name in names}, json.loads(
                    metadata["notes"]
                )
        # Whatever is wrong with the file: to train anew costs time and nothing else.
        except (OSError, safetensors.SafetensorError, ValueError, KeyError):
            return None

    def remove(self) -> None:
        """Forget it: the training is done."""
        self.path.unlink(missing_ok=True)
