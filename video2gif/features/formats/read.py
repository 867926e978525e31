"""A published weight file → arrays under our names. Runs in a killable child: see `importers`.

How each format maps to our names: docs/paper.md, Weights. Convolutions are copied, as all files
hold cross-correlations; fully connected layers are (out, in) here and in Caffe and PyTorch, (in,
out) in Lasagne.
"""

import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

import numpy as np

from video2gif.core.errors import ItemError
from video2gif.core.store import write_arrays
from video2gif.features.formats import caffe, pickles

CONVOLUTIONS = ("conv1a", "conv2a", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")
HEAD = ("h1", "h2", "score")

_DENSE = ("fc6", "fc7", "fc8")
_FEATURES = dict(zip((0, 3, 6, 8, 11, 13, 16, 18), CONVOLUTIONS, strict=True))
_CLASSIFIER = dict(zip((0, 3, 6), _DENSE, strict=True))
_SHORT = {"conv1": "conv1a", "conv2": "conv2a"} | {name: name for name in CONVOLUTIONS[2:]}

Arrays = dict[str, np.ndarray]


def work(*, out: Path, path: str, head: bool) -> None:
    """Write the arrays, float32, with notes `format` and `left_out` (names not taken over).

    `head`: the Video2GIF npz (h1, h2, score) instead of C3D. Raises `ItemError`.
    """
    try:
        with Path(path).open("rb") as file:
            kind, content = _read(file, head=head)
        arrays, left_out = _head(content) if head else _c3d(kind, content)
        with np.errstate(over="ignore"):  # What overflows becomes infinite: the parent refuses it.
            single = {name: np.asarray(a, np.float32) for name, a in arrays.items()}
    except (ItemError, MemoryError):
        raise
    # Damaged sizes, offsets and names raise nearly anything in zipfile, mmap and numpy.
    except Exception as error:
        raise ItemError("not_media", f"damaged: {error}") from None
    write_arrays(out, single, {"format": kind, "left_out": sorted(left_out)})


def _read(file: BinaryIO, *, head: bool) -> tuple[str, Any]:
    """The format, told by the first bytes, and what the file holds."""
    start = file.read(64)
    file.seek(0)
    if start.startswith(b"PK\x03\x04"):
        return _read_zip(file, head=head)
    if pickles.is_torch_stream(start):
        return "pytorch", pickles.read_torch_stream(file)
    if start[:1] == b"\x80" or start[:2] in (b"(l", b"]q", b"]."):
        return "lasagne", pickles.read_numpy(file)
    if start[:1] in (b"\x0a", b"\x12"):
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        return "caffe", caffe.read_layers(memoryview(mapped))
    raise ItemError(
        "not_media", "neither a caffemodel, a pickle, an npz nor a PyTorch file by its first bytes"
    )


def _read_zip(file: BinaryIO, *, head: bool) -> tuple[str, Any]:
    try:
        with ZipFile(file) as archive:
            names = archive.namelist()
        if any(name.endswith("/data.pkl") for name in names):
            return "pytorch", pickles.read_torch_zip(file)
        if "arr_0.npy" in names:
            return "npz", pickles.read_npz(file)
    except (BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ItemError("not_media", f"no readable zip: {error}") from None
    raise ItemError("not_media", "a zip, but neither an npz with arr_0 nor a PyTorch file")


def _head(content: Any) -> tuple[Arrays, set[str]]:
    """h1, h2, score, (W, b) in turn, W (in, out)."""
    if not _is_arrays(content, 2 * len(HEAD)):
        raise ItemError("not_media", "expected arr_0 with 6 arrays: W and b of h1, h2 and score")
    return _in_turn(content, (), HEAD), set()


def _c3d(kind: str, content: Any) -> tuple[Arrays, set[str]]:
    if kind == "caffe":
        return _from_caffe(content)
    if kind == "lasagne":
        return _from_lasagne(content)
    if kind == "pytorch":
        return _from_state_dict(content)
    raise ItemError("not_media", "an npz holds no C3D; the Video2GIF head: `weights import --head`")


def _from_caffe(layers: Mapping[str, list[np.ndarray]]) -> tuple[Arrays, set[str]]:
    # The prototxt that was trained calls them fc6-1 and so on; its deployed copies, fc6.
    named = {name.removesuffix("-1"): blobs for name, blobs in layers.items()}
    tensors = {
        f"{name}.{part}": blob
        for name, blobs in named.items()
        for part, blob in zip(("weight", "bias"), blobs, strict=False)
    }
    return _used(tensors, lambda name: name)


def _from_lasagne(content: Any) -> tuple[Arrays, set[str]]:
    for dense in (_DENSE, _DENSE[:1]):  # The whole network, or cut after fc6.
        if _is_arrays(content, 2 * len(CONVOLUTIONS + dense)):
            return _used(_in_turn(content, CONVOLUTIONS, dense), lambda name: name)
    raise ItemError("not_media", "expected a list of 22 arrays: W and b of 8 conv and 3 fc layers")


def _in_turn(content: list[np.ndarray], copied: tuple[str, ...], turned: tuple[str, ...]) -> Arrays:
    """W and b of each layer in turn; the W of `turned` ones transposed from (in, out)."""
    weights, biases = content[::2], content[1::2]
    arrays: Arrays = {}
    for name, weight, bias in zip(copied + turned, weights, biases, strict=True):
        arrays |= {f"{name}.weight": weight.T if name in turned else weight, f"{name}.bias": bias}
    return arrays


def _from_state_dict(content: Any) -> tuple[Arrays, set[str]]:
    """Whichever of the three published styles of keys."""
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise ItemError("not_media", "a PyTorch file, but not of a state dict")
    tensors = {str(k): v for k, v in content.items() if isinstance(v, np.ndarray)}
    for style in (_short, _mmaction, _numbered):
        if any(style(key) == "conv1a.weight" for key in tensors):
            return _used(tensors, style)
    raise ItemError("not_media", f"keys such as {', '.join(sorted(tensors)[:3])}: not C3D's")


def _short(key: str) -> str:
    """conv1.weight, conv2.weight, conv3a.weight …"""
    layer, _, part = key.partition(".")
    return f"{_SHORT.get(layer, layer)}.{part}"


def _mmaction(key: str) -> str:
    """conv1a.conv.weight …, fc6.weight"""
    return key.replace(".conv.", ".")


def _numbered(key: str) -> str:
    """features.0.weight …, classifier.0.weight"""
    room, _, rest = key.partition(".")
    number, _, part = rest.partition(".")
    known: Mapping[int, str] = {"features": _FEATURES, "classifier": _CLASSIFIER}.get(room, {})
    return f"{known.get(int(number), key)}.{part}" if number.isdecimal() else key


def _used(
    tensors: Mapping[str, np.ndarray], style: Callable[[str], str]
) -> tuple[Arrays, set[str]]:
    """Tensors by our names, without those of layers behind fc6."""
    named = {style(key): array for key, array in tensors.items()}
    layers = (*CONVOLUTIONS, *_DENSE[:1])
    kept = {name: a for name, a in named.items() if name.rpartition(".")[0] in layers}
    return kept, named.keys() - kept.keys()


def _is_arrays(content: Any, count: int) -> bool:
    return (
        isinstance(content, list)
        and len(content) == count
        and all(isinstance(array, np.ndarray) for array in content)
    )
