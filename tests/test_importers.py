"""Published weight files: every format gives the same tensors; a hostile one gives an error."""

import contextlib
import hashlib
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import weight_files
from hypothesis import given, settings
from hypothesis import strategies as st
from weight_files import Exploit, Tensors

from video2gif.core.errors import ItemError, UserError
from video2gif.features import importers, weights
from video2gif.features.formats import caffe, pickles
from video2gif.features.importers import Origin, compare, import_c3d, verdict
from video2gif.features.weights import Architecture

NARROW = Architecture(channels=((2,), (3,), (2, 3), (3, 2), (2, 3)), n_fc6=7)

Write = Callable[[Path, Tensors], None]


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape).astype("f4") for name, shape in NARROW.shapes.items()}


def import_narrow(file: Path, **choices: object) -> dict[str, object]:
    target = file.with_name("out.safetensors")
    return import_c3d(file, target, architecture=NARROW, **choices)  # type: ignore[arg-type]


def _torch(keys: Callable[[Tensors], Tensors], *, as_zip: bool, wrapped: bool = False) -> Write:
    def write(path: Path, tensors: Tensors) -> None:
        content: object = weight_files.state_dict(keys(tensors))
        if wrapped:
            content = {"meta": {"epoch": 3, "name": "c3d"}, "state_dict": content}
        torch.save(content, path, _use_new_zipfile_serialization=as_zip)

    return write


FORMATS = {
    "caffe-five-axes": weight_files.caffemodel,
    "caffe-length-last": lambda p, t: weight_files.caffemodel(p, t, five_axes=False),
    "lasagne-python2": lambda p, t: p.write_bytes(
        weight_files.python2_pickle(weight_files.lasagne_list(t))
    ),
    "lasagne-protocol0": lambda p, t: p.write_bytes(
        weight_files.protocol0(weight_files.lasagne_list(t))
    ),
    "lasagne-protocol2": lambda p, t: p.write_bytes(
        pickle.dumps(weight_files.lasagne_list(t), protocol=2)
    ),
    "lasagne-up-to-fc6": lambda p, t: p.write_bytes(
        pickle.dumps(weight_files.lasagne_list(t)[:-4], protocol=4)
    ),
    "torch-short-keys": _torch(weight_files.short_keys, as_zip=True),
    "torch-short-keys-stream": _torch(weight_files.short_keys, as_zip=False),
    "torch-mmaction": _torch(weight_files.mmaction_keys, as_zip=True),
    "torch-mmaction-stream": _torch(weight_files.mmaction_keys, as_zip=False, wrapped=True),
    "torch-numbered": _torch(weight_files.numbered_keys, as_zip=True, wrapped=True),
    "torch-numbered-stream": _torch(weight_files.numbered_keys, as_zip=False),
}


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_every_format_gives_the_known_tensors(
    write: Write, tmp_path: Path, tensors: dict[str, np.ndarray]
) -> None:
    file = tmp_path / "published"
    write(file, tensors)
    import_narrow(file)
    found = weights.load(str(tmp_path / "out.safetensors"), NARROW)
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_equal_weights_give_equal_files_whatever_their_format(
    tmp_path: Path, tensors: dict[str, np.ndarray]
) -> None:
    digests = set()
    for name in ("caffe-five-axes", "lasagne-python2", "torch-mmaction"):
        FORMATS[name](tmp_path / "published", tensors)
        digests.add(import_narrow(tmp_path / "published")["sha256"])
    assert len(digests) == 1


def test_the_card_tells_source_licence_and_layers(
    tmp_path: Path, tensors: dict[str, np.ndarray]
) -> None:
    file = tmp_path / "c3d.pth"
    FORMATS["torch-mmaction"](file, tensors)
    import_narrow(file, origin=Origin(url="https://x/c3d.pth", licence="do as you like"))
    card = json.loads((tmp_path / "out.json").read_text())
    assert card["source"] == {
        "url": "https://x/c3d.pth",
        "file": "c3d.pth",
        "bytes": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "format": "pytorch",
        "left_out": ["fc7.weight"],
    }
    assert card["licence"] == "do as you like"
    written = (tmp_path / "out.safetensors").read_bytes()
    assert card["sha256"] == hashlib.sha256(written).hexdigest()
    layer = card["layers"]["conv3b.weight"]
    assert layer["shape"] == [3, 2, 3, 3, 3]
    assert layer["std"] == pytest.approx(tensors["conv3b.weight"].std(), rel=1e-6)
    assert layer["max"] == tensors["conv3b.weight"].max()


# --- refusals ---


def _hostile_files(folder: Path, canary: Path) -> dict[str, Path]:
    exploit = Exploit(canary)
    (folder / "pickle").write_bytes(pickle.dumps([exploit] * 22, protocol=2))
    torch.save({"conv1.weight": exploit}, folder / "zip")
    torch.save({"conv1.weight": exploit}, folder / "stream", _use_new_zipfile_serialization=False)
    objects = np.empty(6, object)
    objects[:] = exploit
    np.savez(folder / "head.npz", objects)
    # A name that only looks allowed: attributes are not followed.
    dotted = b"OrderedDict.__init__.__globals__"
    (folder / "dotted").write_bytes(
        b"\x80\x04](\x8c\x0bcollections\x8c" + bytes([len(dotted)]) + dotted + b"\x93e."
    )
    return {path.name: path for path in folder.iterdir()}


def test_D16_a_pickle_that_runs_code_is_refused_and_the_canary_untouched(tmp_path: Path) -> None:
    folder, canary = tmp_path / "files", tmp_path / "canary"
    folder.mkdir()
    for name, path in _hostile_files(folder, canary).items():
        with pytest.raises(UserError, match="the pickle names") as caught:
            importers.read_published(path, sha256="", head=name == "head.npz")
        assert name == "dotted" or "system" in str(caught.value)
    assert not canary.exists()
    with pytest.raises(pickle.UnpicklingError):  # The files are live: torch, trusting, runs them.
        torch.load(folder / "zip", weights_only=True)
    torch.load(folder / "zip", weights_only=False)
    assert canary.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "by its first bytes", id="empty"),
        pytest.param(b"\x80\x02].", "expected a list of 22 arrays", id="empty-list"),
        pytest.param(b"\x80\x02](", "no readable pickle", id="cut-pickle"),
        pytest.param(b"\x0a\x05hello", "no V1 layers", id="other-protobuf"),
        pytest.param(b"\x0a\xff\xff\xff\xff\x0f", "ends .* late", id="cut-protobuf"),
        pytest.param(b"PK\x03\x04nothing", "no readable zip", id="cut-zip"),
        pytest.param(b"\x89HDF\r\n\x1a\n", "by its first bytes", id="hdf5"),
        # LONG_BINPUT to slot 2³¹ and a string that claims 2 GB.
        pytest.param(b"\x80\x02]r\xff\xff\xff\x7f.", "", id="memo-bomb"),
        pytest.param(b"\x80\x02]T\xff\xff\xff\x7f.", "", id="string-bomb"),
    ],
)
def test_what_is_no_weight_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(UserError, match=rf"file: cannot be imported: .*{message}"):
        import_narrow(file)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _with(name: str, array: np.ndarray) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, name: array}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(_with("fc6.bias", np.full(7, np.nan, "f4")), r"fc6\.bias holds NaN", id="nan"),
        pytest.param(_with("fc6.bias", np.full(7, 1e300)), r"fc6\.bias holds NaN", id="overflow"),
        pytest.param(_with("fc6.bias", np.zeros(8, "f4")), r"fc6\.bias is float32 \(8", id="shape"),
        pytest.param(
            lambda t: {k: v for k, v in t.items() if k != "conv5b.bias"},
            r"missing conv5b\.bias",
            id="missing",
        ),
    ],
)
def test_D18_wrong_tensors_are_refused_and_nothing_is_written(
    damage: Callable[[Tensors], Tensors],
    message: str,
    tmp_path: Path,
    tensors: dict[str, np.ndarray],
) -> None:
    file = tmp_path / "c3d.pth"
    torch.save({k: torch.from_numpy(v) for k, v in damage(tensors).items()}, file)
    with pytest.raises(UserError, match=message):
        import_narrow(file)
    assert [path.name for path in tmp_path.iterdir()] == ["c3d.pth"]


def test_D17_another_sha256_is_refused_before_the_file_is_read(
    tmp_path: Path, tensors: dict[str, np.ndarray]
) -> None:
    file = tmp_path / "c3d.pth"
    FORMATS["torch-mmaction"](file, tensors)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    import_narrow(file, sha256=digest)
    import_narrow(file, sha256=digest[:8].upper())
    with pytest.raises(UserError, match=rf"its sha256 is {digest}, expected 0000aaaa"):
        import_narrow(file, sha256="0000aaaa")
    with pytest.raises(UserError, match="8 to 64 hexadecimal digits"):
        import_narrow(file, sha256=digest[:7])


def test_D30_tensors_that_reach_beside_their_storage_are_refused() -> None:
    storage = pickles._Storage("<f4", "0")
    data = {"0": np.arange(6, dtype="<f4").tobytes()}

    def tensor(offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> np.ndarray:
        return pickles._Tensor(storage, offset, shape, stride).array(data)

    np.testing.assert_array_equal(tensor(0, (2, 3), (3, 1)), [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tensor(0, (3, 2), (1, 3)), [[0, 3], [1, 4], [2, 5]])
    for offset, shape, stride in [(1, (2, 3), (3, 1)), (-6, (6,), (1,)), (0, (7,), (1,))]:
        with pytest.raises(ItemError, match="past its storage"):
            tensor(offset, shape, stride)
    with pytest.raises(ItemError, match="strides"):
        tensor(0, (1 << 40,), (0,))


def test_D29_a_zip_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bomb.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", b"")
    content = bytearray(file.read_bytes())
    at = content.index(b"PK\x01\x02") + 24  # The uncompressed size in the central directory.
    content[at : at + 4] = struct.pack("<I", 0xF0000000)
    file.write_bytes(content)
    with pytest.raises(UserError, match="bytes unpacked"):
        importers.read_published(file, sha256="", head=True)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_random_bytes_never_break_the_wire_reader(content: bytes) -> None:
    with contextlib.suppress(ItemError):
        caffe.read_layers(memoryview(content))


# --- compare ---


def _flipped(tensors: Tensors, *axes: int) -> dict[str, np.ndarray]:
    return {
        name: np.flip(array, axes).copy() if array.ndim == 5 else array
        for name, array in tensors.items()
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda t: t, "the same weights", id="same"),
        pytest.param(lambda t: _flipped(t, 2), "B has time flipped", id="time"),
        pytest.param(lambda t: _flipped(t, 3, 4), "B has rows and columns flipped", id="plane"),
        pytest.param(lambda t: _flipped(t, 2, 3, 4), "B has all axes flipped", id="all"),
        pytest.param(
            lambda t: {k: v.astype("f2").astype("f4") for k, v in _flipped(t, 2).items()},
            "B has time flipped",
            id="half-precision",
        ),
        pytest.param(
            lambda t: t | {"fc6.weight": t["fc6.weight"] + 1},
            "different weights: fc6 agree",
            id="other-fc6",
        ),
        pytest.param(
            lambda t: {k: v[::-1].copy() for k, v in t.items()}, "different weights", id="other"
        ),
        pytest.param(
            lambda t: t | {"conv2a.weight": np.flip(t["conv2a.weight"], 2)},
            "from layer to layer",
            id="one-layer",
        ),
    ],
)
def test_flips_between_two_files_are_found(
    change: Callable[[Tensors], Tensors], expected: str, tensors: dict[str, np.ndarray]
) -> None:
    assert expected in verdict(compare(tensors, change(tensors)))
