"""C3D weights: which tensors there are, seeded random ones, our safetensors files and their checks.

A weight file of this project is safetensors with float32 tensors named as in the prototxt
(`conv1a.weight` … `fc6.bias`; fc7 and fc8 may be there and are not used). Importers of published
formats (Caffe, Lasagne, npz, PyTorch: docs/paper.md, Weights) end in `save`.

The parent of a stage imports this module to check and digest weights, so it goes without torch.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from video2gif.core.errors import UserError

_KERNEL = (3, 3, 3)


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network. C3D's own are `ARCHITECTURE`; tests use narrow ones."""

    channels: tuple[tuple[int, ...], ...] = ((64,), (128,), (256, 256), (512, 512), (512, 512))
    """Output channels of the convolutions in front of pool1 … pool5."""
    n_fc6: int = 4096
    clip: tuple[int, int, int] = (16, 112, 112)
    """Frames, rows, columns of the input."""

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Names of the convolutions in front of each pooling: (conv1a,), …, (conv5a, conv5b)."""
        return tuple(
            tuple(f"conv{group}{'ab'[i]}" for i in range(len(widths)))
            for group, widths in enumerate(self.channels, start=1)
        )

    @cached_property
    def widths(self) -> dict[str, int]:
        """Output channels by the name of the convolution."""
        return {
            name: width
            for names, widths in zip(self.groups, self.channels, strict=True)
            for name, width in zip(names, widths, strict=True)
        }

    @property
    def n_pool5(self) -> int:
        """Values after pool5, C3D's 512×1×4×4: all poolings round down but pool5, which rounds up.

        pool1 keeps time, so frames are halved four times and rows and columns five times.
        """
        frames, rows, columns = self.clip
        sides = [math.ceil((frames >> 3) / 2), *(math.ceil((n >> 4) / 2) for n in (rows, columns))]
        return self.channels[-1][-1] * math.prod(sides)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor the network needs, in the order of the layers."""
        shapes: dict[str, tuple[int, ...]] = {}
        n_in = 3
        for name, n_out in self.widths.items():
            shapes |= {f"{name}.weight": (n_out, n_in, *_KERNEL), f"{name}.bias": (n_out,)}
            n_in = n_out
        return shapes | {"fc6.weight": (self.n_fc6, self.n_pool5), "fc6.bias": (self.n_fc6,)}


ARCHITECTURE = Architecture()

_UNUSED_SHAPES = {
    "fc7.weight": (4096, 4096),
    "fc7.bias": (4096,),
    "fc8.weight": (487, 4096),
    "fc8.bias": (487,),
}

_RANDOM = "random:"


def load(spec: str, architecture: Architecture = ARCHITECTURE) -> dict[str, np.ndarray]:
    """The weights that `spec` names: `random:SEED`, or the path of a safetensors file."""
    if is_random(spec):
        return random_weights(_seed(spec), architecture)
    return read(Path(spec), architecture)


def digest(spec: str, architecture: Architecture = ARCHITECTURE) -> str:
    """What stands for the weights in item keys: `random:SEED` itself, or the file's sha256.

    Reads and checks a file: wrong weights stop the stage, not each of its items.
    """
    if is_random(spec):
        return f"{_RANDOM}{_seed(spec)}"
    read(Path(spec), architecture)
    with Path(spec).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def located(spec: str, root: Path) -> str:
    """`spec` with a relative path made to start at `root`."""
    return spec if is_random(spec) else str((root / spec).resolve())


def is_random(spec: str) -> bool:
    """Whether no trained weights are used; the report and the command line then say so."""
    return spec.startswith(_RANDOM)


def random_weights(seed: int, architecture: Architecture = ARCHITECTURE) -> dict[str, np.ndarray]:
    """He-initialised weights (variance 2 / fan-in, zero bias), the same bits on every machine.

    Uniform instead of normal: it is built from the generator's integers alone, without the
    logarithms of a normal's tails that differ between C libraries, and is several times faster.
    """
    return {
        name: _he_uniform(f"{seed}:{name}", shape) if len(shape) > 1 else np.zeros(shape, "f4")
        for name, shape in architecture.shapes.items()
    }


def read(path: Path, architecture: Architecture = ARCHITECTURE) -> dict[str, np.ndarray]:
    """Read and check a weight file. Raises `UserError` naming file, tensor and what is wrong."""
    try:
        weights = safetensors.numpy.load_file(path)
    except OSError as error:
        raise UserError(
            f"{path}: no readable weight file ({error}); set extract.weights to random:SEED or to"
            " a file made by `video2gif weights import FILE`"
        ) from None
    # No header, one that promises other bytes than there are, or (TypeError) a dtype of torch's.
    except (safetensors.SafetensorError, TypeError) as error:
        raise UserError(
            f"{path}: not a readable safetensors file ({error}); make it again with"
            " `video2gif weights import FILE`"
        ) from None
    check(weights, where=str(path), architecture=architecture)
    return weights


def save(
    path: Path, weights: Mapping[str, np.ndarray], architecture: Architecture = ARCHITECTURE
) -> None:
    """Check weights and write them as safetensors; equal weights give equal bytes."""
    check(weights, where=str(path), architecture=architecture)
    contiguous = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    path.write_bytes(safetensors.numpy.save(contiguous))


def check(
    weights: Mapping[str, np.ndarray], *, where: str, architecture: Architecture = ARCHITECTURE
) -> None:
    """Raise `UserError` unless all needed tensors and no unknown ones are there, finite float32."""
    needed = architecture.shapes
    known = needed | _UNUSED_SHAPES
    missing, stray = needed.keys() - weights.keys(), weights.keys() - known.keys()
    if missing or stray:
        raise UserError(
            f"{where}: not C3D's tensors: missing {_some(missing)}, unknown {_some(stray)};"
            " import published files with `video2gif weights import FILE`"
        )
    for name, array in weights.items():
        if array.shape != known[name] or array.dtype != np.float32:
            raise UserError(
                f"{where}: {name} is {array.dtype} {array.shape}, expected float32 {known[name]}"
            )
        if not np.isfinite(array).all():
            raise UserError(f"{where}: {name} holds NaN or infinity; the file is damaged")


def _he_uniform(identity: str, shape: tuple[int, ...]) -> np.ndarray:
    # A generator of its own for each tensor: changing one layer leaves the others as they are.
    seed = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8])
    values = np.random.Generator(np.random.PCG64(seed)).random(shape, dtype=np.float32)
    bound = np.float32(math.sqrt(6 / math.prod(shape[1:])))  # Variance bound² / 3 = 2 / fan-in.
    values *= 2 * bound
    values -= bound
    return values


def _seed(spec: str) -> int:
    text = spec.removeprefix(_RANDOM)
    if not (text.isascii() and text.isdigit()):
        raise UserError(f"extract.weights = {spec!r}: expected random:SEED with a whole number")
    return int(text)


def _some(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:4])
    return f"{shown}, … ({len(names)})" if len(names) > 4 else shown or "nothing"
