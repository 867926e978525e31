"""A linear ranker that sees each segment with its surroundings: solved at once, no steps.

Not in the paper. For few videos with good features it beats the network (docs/benchmarks/
highlights.md): every choice below was made by cross-validation inside YouTube Highlights' training
split. Four things make it better than a plain ridge:

- Only differences inside a video count: inputs and targets are taken less their video's mean, as
  in ranking/linear.py. A plain ridge spends its weights on what sets videos apart.
- Every video weighs the same however long it is, times how far its labels are trusted.
- A segment's inputs are averages of the segments around it, near (σ = 1 segment) and far (σ = 6).
  They replace its own values: one clip's features are noisy, and averages are inputs of the same
  kind, so weights are as many as before. The option `train.features: neighbours` instead sets the
  step from the neighbours *beside* the values: twice the weights, and the new half is the noise.
- The weights of a category are those of all categories plus a difference of its own (Evgeniou and
  Pontil, Regularized multi-task learning, KDD 2004), so that a category of few videos borrows.

Inputs are projected to the leading directions of the training clips, scaled by λ^(−1/4): half way
between as they are and all directions alike. Each stream of features (appearance, motion, sound;
`train.streams`) has directions of its own, and all streams the same variance: a wide one does not
drown the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from video2gif.core.errors import EnvironmentProblem, UserError

N_DIRECTIONS = 128
"""Of each stream."""
WIDTHS = (1.0, 6.0)
"""Standard deviations of the averages, in segments."""
_STRENGTH = 0.2  # Of the regularisation; the inputs' variances sum to 1 for each width.
_POWER = 0.25  # λ to the minus this; 0: as they are, 1/2: all directions alike.
_BASIS, _WEIGHTS = "neighbourhood.basis", "neighbourhood.weights"
_SPARE, _ROUNDS = 32, 3  # Of the search for directions: more columns than kept, and passes.


@dataclass(frozen=True, eq=False)
class Lesson:
    """One video to learn from."""

    x: Tensor
    """(n, D) float32: standardised features of its segments, in order of time."""
    target: Tensor
    """(n,) float: higher is better; NaN where nothing is known."""
    category: str
    trust: float = 1.0
    """How much its labels count, beside other videos' 1."""


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """What was learned."""

    basis: Tensor
    """(D, k) float32."""
    weights: Tensor
    """(1 + categories, k · widths) float32: for any category, then for each of `categories`."""
    categories: tuple[str, ...]

    def score(self, x: Tensor, category: str) -> Tensor:
        """Scores (n,) of a video's segments, `x` (n, D) as in a `Lesson`."""
        known = {name: row for row, name in enumerate(self.categories, start=1)}
        # A category that was not learned goes the way of all, which is row 0.
        return surroundings(x @ self.basis) @ self.weights[known.get(category, 0)]

    def tensors(self) -> dict[str, Tensor]:
        """For a model file."""
        return {_BASIS: self.basis.contiguous(), _WEIGHTS: self.weights.contiguous()}

    @classmethod
    def of(
        cls, tensor: Callable[[str], Tensor], categories: Sequence[str], *, n_inputs: int
    ) -> "Neighbourhood":
        """From a model file's tensors by name. Raises `EnvironmentProblem` for other shapes."""
        basis, weights = tensor(_BASIS), tensor(_WEIGHTS)
        wanted = (len(categories) + 1, basis.shape[-1] * len(WIDTHS))
        if basis.shape[:1] != (n_inputs,) or weights.shape != wanted:
            raise EnvironmentProblem(
                f"the model file has tensors {tuple(basis.shape)} and {tuple(weights.shape)}"
                f"; its card says {n_inputs} inputs and {wanted[0] - 1} categories; train again"
            )
        return cls(basis, weights, tuple(categories))


def fit(lessons: Sequence[Lesson], *, seed: int, streams: Sequence[int] = ()) -> Neighbourhood:
    """Learn from videos with at least two known targets that differ; the others only help to find
    the directions.

    `streams`: widths of the features that stand side by side in x; none: it is one. `seed`: of the
    random start of the search for directions. Raises `UserError` if the widths do not sum to D.
    """
    basis = _basis(torch.cat([lesson.x for lesson in lessons]), streams, seed=seed)
    # Sorted: the order of a set differs from one process to the next, and the rows of the weights
    # have it.
    means = {
        name: _moments([lesson for lesson in lessons if lesson.category == name], basis)
        for name in sorted({lesson.category for lesson in lessons})
    }
    # Every category counts once here, however many videos it has.
    shared = _solved(
        torch.stack([curvature for curvature, _ in means.values()]).mean(dim=0),
        torch.stack([slope for _, slope in means.values()]).mean(dim=0),
    )
    # A category's own weights explain what the shared ones leave over: b − a·w.
    own = [shared + _solved(a, b - a @ shared) for a, b in means.values()]
    return Neighbourhood(basis, torch.stack([shared, *own]).float(), tuple(means))


def surroundings(z: Tensor) -> Tensor:
    """Gaussian averages over the segments around each, one after the other: (n, k · widths)."""
    place = torch.arange(len(z), dtype=z.dtype)
    apart = place[:, None] - place
    kernels = [torch.exp(-0.5 * (apart / width) ** 2) for width in WIDTHS]
    # Divided by the sum, or averages would shrink at the ends of a video.
    return torch.cat([kernel / kernel.sum(dim=1, keepdim=True) @ z for kernel in kernels], dim=1)


def _basis(x: Tensor, streams: Sequence[int], *, seed: int) -> Tensor:
    """The directions of every stream, (D, k of all streams): zero outside their own."""
    widths = list(streams) or [x.shape[1]]
    if sum(widths) != x.shape[1]:
        raise UserError(
            f"train.streams: {', '.join(map(str, widths))} sum to {sum(widths)}, the features are"
            f" {x.shape[1]} wide"
        )
    found = [directions(part, seed=seed) for part in x.split(widths, dim=1)]  # type: ignore[no-untyped-call]
    # All streams together have the variance that one alone would have (see `_STRENGTH`).
    return torch.block_diag(*found) / len(widths) ** 0.5  # type: ignore[no-untyped-call]


def directions(x: Tensor, *, seed: int) -> Tensor:
    """The leading principal directions of inputs (n, D), scaled: (D, k), k ≤ `N_DIRECTIONS`.

    A randomised search (Halko, Martinsson and Tropp, Finding structure with randomness, 2011).
    """
    x = x - x.mean(dim=0)
    k = min(N_DIRECTIONS, *x.shape)
    start = torch.randn(
        x.shape[1], min(k + _SPARE, *x.shape), generator=torch.Generator().manual_seed(seed)
    )
    # Made orthonormal at each pass: else rounding turns all columns into the first direction.
    found = torch.linalg.qr(start).Q
    for _ in range(_ROUNDS):
        found = torch.linalg.qr(x.T @ (x @ found)).Q
    inside = x @ found
    variances, turn = torch.linalg.eigh((inside.T @ inside).double() / len(x))
    # `eigh` gives the smallest first.
    variances, turn = variances.flip(0)[:k].clamp(min=1e-9), turn.flip(1)[:, :k]
    scale = variances**-_POWER
    # With variances that sum to 1, `_STRENGTH` means the same for any features.
    scale = scale / (variances * scale**2).sum().sqrt()
    return (found.double() @ (turn * scale)).float()


def _moments(lessons: Sequence[Lesson], basis: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over videos, weighted by trust, of the mean of z·zᵀ and of z·y over their known
    segments, both less their mean in the video."""
    width = basis.shape[1] * len(WIDTHS)
    curvature, slope = basis.new_zeros(width, width).double(), basis.new_zeros(width).double()
    trust = 0.0
    for lesson in lessons:
        known = ~torch.isnan(lesson.target)
        # A single target differs from nothing, and only differences inside a video teach.
        if known.sum() < 2:
            continue
        z, y = surroundings(lesson.x @ basis)[known].double(), lesson.target[known].double()
        z, y = z - z.mean(dim=0), y - y.mean()
        curvature += lesson.trust / len(y) * (z.T @ z)
        slope += lesson.trust / len(y) * (z.T @ y)
        trust += lesson.trust
    return curvature / max(trust, 1e-9), slope / max(trust, 1e-9)


def _solved(curvature: Tensor, slope: Tensor) -> Tensor:
    ridge = _STRENGTH * torch.eye(len(slope), dtype=slope.dtype)
    return torch.linalg.solve(curvature + ridge, slope)
