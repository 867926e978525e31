"""`video2gif weights import` and `compare`: a published file → checked safetensors with a card.

The file is read in a killable child (`formats.read`); what comes back is checked here as if a
stranger had written it. The card, a json beside the weights, says where they come from, under
which licence, what was left out, and what the layers look like.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from video2gif.core.errors import ItemError, UserError
from video2gif.core.layout import write_json
from video2gif.core.sandbox import Limits, Worker
from video2gif.core.store import atomic_path, read_arrays
from video2gif.features import weights as c3d_weights
from video2gif.features.weights import ARCHITECTURE, Architecture

# The largest published file is 330 MB and is unpacked to float64 at worst.
_LIMITS = Limits(wall_s=600, memory_bytes=6 << 30)
_WORK = "video2gif.features.formats.read:work"
_HEX_DIGITS = frozenset("0123456789abcdef")

HEAD_SHAPES = {
    "h1.weight": (512, 4096),
    "h1.bias": (512,),
    "h2.weight": (128, 512),
    "h2.bias": (128,),
    "score.weight": (1, 128),
    "score.bias": (1,),
}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a weight file comes from, for its card."""

    url: str = ""
    licence: str = "not stated"
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """Arrays of a published file, unchecked but for the digest, and what its card says of it."""

    arrays: dict[str, np.ndarray]
    source: dict[str, Any]


def import_c3d(
    file: Path,
    target: Path,
    *,
    sha256: str = "",
    origin: Origin | None = None,
    architecture: Architecture = ARCHITECTURE,
) -> dict[str, Any]:
    """Write `target` (safetensors) and its card (.json beside it); returns the card.

    `sha256`: what the file must have, whole or its first digits. Raises `UserError` naming the
    file and what is wrong: digest, format, shape, NaN.
    """
    origin = origin or Origin()
    found = read_published(file, sha256=sha256, head=False)
    c3d_weights.check(found.arrays, where=str(file), architecture=architecture)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        c3d_weights.save(temporary, found.arrays, architecture)
    card = {
        "network": "C3D to fc6",
        "sha256": _sha256(target),
        "source": found.source | {"url": origin.url},
        "licence": origin.licence,
        "doubts": list(origin.doubts),
        "layers": statistics(found.arrays),
    }
    write_json(target.with_suffix(".json"), card)
    return card


def import_head(file: Path, *, sha256: str = "") -> Imported:
    """The released Video2GIF head: h1, h2 and score, checked. Raises `UserError`."""
    found = read_published(file, sha256=sha256, head=True)
    for name, shape in HEAD_SHAPES.items():
        array = found.arrays.get(name)
        if array is None or array.shape != shape:
            raise UserError(
                f"{file}: {name} is {'missing' if array is None else array.shape}, expected"
                f" {shape}; it is not the Video2GIF head"
            )
        if not np.isfinite(array).all():
            raise UserError(f"{file}: {name} holds NaN or infinity; the file is damaged")
    return found


def read_published(file: Path, *, sha256: str, head: bool) -> Imported:
    """Read a file of any published format in a child. Raises `UserError`."""
    digest = check_sha256(file, sha256)
    with (
        tempfile.TemporaryDirectory(prefix="video2gif-") as folder,
        Worker(_LIMITS, root=Path(folder)) as worker,
    ):
        out = Path(folder) / "weights"
        try:
            worker.run(_WORK, {"path": str(file.resolve()), "head": head}, out)
            arrays, notes = read_arrays(out.read_bytes())
        except (ItemError, safetensors.SafetensorError, ValueError, KeyError) as error:
            raise UserError(f"{file}: cannot be imported: {error}") from None
    source = {
        "file": file.name,
        "bytes": file.stat().st_size,
        "sha256": digest,
        "format": notes["format"],
        "left_out": notes["left_out"],
    }
    return Imported(arrays, source)


def check_sha256(file: Path, expected: str) -> str:
    """The file's sha256. Raises `UserError` unless it begins with `expected` ("" accepts all)."""
    digest = _sha256(file)
    if not digest.startswith(checked_digits(expected)):
        raise UserError(
            f"{file}: its sha256 is {digest}, expected {expected}; it is another file or damaged:"
            " fetch it again"
        )
    return digest


def checked_digits(sha256: str) -> str:
    """The digits of a sha256 or its beginning, in lower case. Raises `UserError`."""
    digits = sha256.lower()
    if digits and (not 8 <= len(digits) <= 64 or not set(digits) <= _HEX_DIGITS):
        raise UserError(f"sha256 {sha256!r}: expected 8 to 64 hexadecimal digits")
    return digits


def statistics(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Shape, range, mean and standard deviation of each tensor, to tell weights apart by eye."""
    return {
        name: {
            "shape": list(array.shape),
            "min": float(array.min()),
            "max": float(array.max()),
            "mean": float(array.mean(dtype=np.float64)),
            "std": float(array.std(dtype=np.float64)),
        }
        for name, array in sorted(arrays.items())
    }


# --- compare ---------------------------------------------------------------------------------

_AXES = {"time": 2, "rows": 3, "columns": 4}

AXIS_ORDERS = {
    "as it is": (),
    "time flipped": ("time",),
    "rows and columns flipped": ("rows", "columns"),
    "all axes flipped": ("time", "rows", "columns"),
}
"""What ports have done to convolution kernels, knowingly or not."""

SAME = 1e-3
"""Relative difference up to which two tensors count as the same weights (half precision: 3e-4)."""


@dataclass(frozen=True)
class KernelComparison:
    """How one convolution of B relates to that of A."""

    layer: str
    variant: str
    """Of `AXIS_ORDERS`: what, done to B, brings it nearest to A."""
    difference: float
    """‖A − variant(B)‖ / ‖A‖ of that variant."""
    as_it_is: float
    """The same without any change to B."""

    @property
    def same(self) -> bool:
        return self.difference <= SAME


def compare(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> list[KernelComparison]:
    """Each kernel of both, in the order of the layers, and fc6's matrix (which has no axes)."""
    return [
        _compared(name, a[name], b[name]) for name in a if name.endswith("weight") and name in b
    ]


def verdict(found: list[KernelComparison]) -> str:
    """What the comparison means, in one sentence."""
    kernels = [one for one in found if one.layer.startswith("conv")]
    if not all(one.same for one in found):
        off = [one.layer for one in found if not one.same]
        return f"different weights: {', '.join(off)} agree under no flip"
    variants = {one.variant for one in kernels}
    if variants == {"as it is"}:
        return "the same weights"
    if len(variants) == 1:
        return f"the same weights, but B has {variants.pop()}: one of the two sees film backwards"
    return f"the same weights, flipped differently from layer to layer: {', '.join(variants)}"


def _compared(name: str, a: np.ndarray, b: np.ndarray) -> KernelComparison:
    layer, scale = name.removesuffix(".weight"), float(np.linalg.norm(a)) or 1.0
    if a.shape != b.shape:
        raise UserError(f"{name}: {a.shape} against {b.shape}; two different networks")
    variants = AXIS_ORDERS if a.ndim == 5 else {"as it is": ()}
    differences = {
        variant: float(np.linalg.norm(a - np.flip(b, tuple(_AXES[axis] for axis in axes)))) / scale
        for variant, axes in variants.items()
    }
    best = min(differences, key=differences.__getitem__)
    return KernelComparison(layer, best, differences[best], differences["as it is"])


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
