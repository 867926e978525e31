"""Train the first layer in the span of its inputs: the same weights for a fraction of the work.

The gradient of the first layer is a sum of outer products with training inputs x, so it never
leaves their span. With B (r, D) an orthonormal basis of it, W = A·B + W⊥: of A (H, r) every step
is an ordinary one, on inputs z = B·x; W⊥ sees weight decay alone, which multiplies it by a number.
With a few hundred training clips r is a tenth of D, and so is the work. In exact arithmetic
nothing changes; in floats the last bits do.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_WORTH_IT = 0.5  # Of D. Nearer to it, finding the basis costs more than it saves.


@dataclass(frozen=True)
class Subspace:
    """The span of training inputs; `basis` None: all of R^D."""

    basis: Tensor | None

    @classmethod
    def of(cls, x: Tensor) -> "Subspace":
        """Of inputs (n, D); all of R^D when they are too many for it to pay."""
        if len(x) > _WORTH_IT * x.shape[1]:
            return cls(None)
        # Orthonormal: only so is the weight decay of A that of A·B.
        return cls(torch.linalg.qr(x.T).Q.T.contiguous())

    def within(self, rows: Tensor) -> Tensor:
        """Coordinates of inputs, or of a layer's weights: (n, D) → (n, r)."""
        return rows if self.basis is None else rows @ self.basis.T

    def beyond(self, rows: Tensor) -> Tensor:
        """What of (n, D) is orthogonal to the span, (n, D)."""
        return torch.zeros_like(rows) if self.basis is None else rows - self.full(self.within(rows))

    def full(self, coordinates: Tensor) -> Tensor:
        """Back to R^D: (n, r) → (n, D)."""
        return coordinates if self.basis is None else coordinates @ self.basis


@dataclass
class Decay:
    """The factor that weight decay leaves of W⊥: one weight of 1 under SGD without a gradient.

    As `torch.optim.SGD` steps, with Nesterov momentum when there is momentum.
    """

    learning_rate: float
    momentum: float
    weight_decay: float
    factor: float = 1.0
    velocity: float = 0.0

    def step(self) -> None:
        # As SGD does it: decay is the whole gradient, it moves the velocity, and Nesterov's step
        # looks ahead along it.
        gradient = self.weight_decay * self.factor
        self.velocity = self.momentum * self.velocity + gradient
        self.factor -= self.learning_rate * (gradient + self.momentum * self.velocity)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"factor": self.factor, "velocity": self.velocity}
