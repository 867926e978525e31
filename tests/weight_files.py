"""Weight files in every published format, written independently of the code that reads them."""

import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

Tensors = Mapping[str, np.ndarray]

CONVOLUTIONS = ("conv1a", "conv2a", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")


def caffemodel(path: Path, tensors: Tensors, *, five_axes: bool = True) -> None:
    """NetParameter with V1 layers, as protobuf itself writes it.

    `five_axes`: C3D's BlobProto (length between channels and height); else Caffe's own, where
    length stands behind the data.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    axes = ["num", "channels", "length", "height", "width"]
    numbers = [1, 2, 3, 4, 5] if five_axes else [1, 2, 9, 3, 4]
    file = descriptor_pb2.FileDescriptorProto(name="c3d.proto", package=f"axes{five_axes}")
    kind = descriptor_pb2.FieldDescriptorProto

    def message(message_name: str, /, **fields: tuple[int, int, int, str]) -> None:
        made = file.message_type.add(name=message_name)
        for field, (number, label, type_, of) in fields.items():
            added = made.field.add(name=field, number=number, label=label, type=type_)
            if of:
                added.type_name = f".axes{five_axes}.{of}"
            if type_ == kind.TYPE_FLOAT:
                added.options.packed = True

    one, many, data = kind.LABEL_OPTIONAL, kind.LABEL_REPEATED, 6 if five_axes else 5
    message(
        "BlobProto",
        **{axis: (n, one, kind.TYPE_INT32, "") for axis, n in zip(axes, numbers, strict=True)},
        data=(data, many, kind.TYPE_FLOAT, ""),
        diff=(data + 1, many, kind.TYPE_FLOAT, ""),
    )
    message(
        "V1LayerParameter",
        bottom=(2, many, kind.TYPE_STRING, ""),
        name=(4, one, kind.TYPE_STRING, ""),
        type=(5, one, kind.TYPE_INT32, ""),
        blobs=(6, many, kind.TYPE_MESSAGE, "BlobProto"),
        blobs_lr=(7, many, kind.TYPE_FLOAT, ""),
    )
    message(
        "NetParameter",
        name=(1, one, kind.TYPE_STRING, ""),
        layers=(2, many, kind.TYPE_MESSAGE, "V1LayerParameter"),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    net_class = message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"axes{five_axes}.NetParameter")
    )
    net = net_class(name="DeepVideoNet")
    net.layers.add(name="data", type=5)
    for layer in (*CONVOLUTIONS, "fc6-1"):
        name = layer.removesuffix("-1")
        net.layers.add(name=name.replace("conv", "relu"), type=18, bottom=[layer])
        added = net.layers.add(name=layer, type=4, blobs_lr=[1, 2])
        for array in (tensors[f"{name}.weight"], tensors[f"{name}.bias"]):
            shape = (1,) * (5 - array.ndim) + array.shape
            blob = added.blobs.add(**dict(zip(axes, shape, strict=True)))
            blob.data.extend(array.ravel().tolist())
            blob.diff.extend([7.0] * 3)
    path.write_bytes(net.SerializeToString())


def lasagne_list(tensors: Tensors) -> list[np.ndarray]:
    """The 22 arrays: W and b in turn, fully connected W (in, out); fc7 and fc8 small ones."""
    n_fc6 = len(tensors["fc6.bias"])
    arrays = [tensors[f"{n}.{part}"] for n in CONVOLUTIONS for part in ("weight", "bias")]
    arrays += [tensors["fc6.weight"].T, tensors["fc6.bias"]]
    for n_out in (5, 4):
        arrays += [np.ones((n_fc6, n_out), "f4"), np.zeros(n_out, "f4")]
    return arrays


def python2_pickle(arrays: Sequence[np.ndarray]) -> bytes:
    """What Python 2's cPickle.dump(arrays, file, 2) writes: byte strings, numpy.core names."""
    return b"\x80\x02](" + b"".join(map(_python2_array, arrays)) + b"e."


def _python2_array(array: np.ndarray) -> bytes:
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    data = array.astype("<f4").tobytes("F" if fortran else "C")
    shape = b"(" + b"".join(b"J" + struct.pack("<i", n) for n in array.shape) + b"t"
    minus_one = b"J\xff\xff\xff\xff"
    dtype = b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNN" + 2 * minus_one + b"K\x00tb"
    begun = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    flag = b"\x88" if fortran else b"\x89"
    return (
        begun
        + b"(K\x01"
        + shape
        + dtype
        + flag
        + b"T"
        + struct.pack("<i", len(data))
        + data
        + b"tb"
    )


def short_keys(tensors: Tensors) -> dict[str, np.ndarray]:
    """conv1, conv2, conv3a …"""
    short = {"conv1a": "conv1", "conv2a": "conv2"}
    found = {}
    for key, array in tensors.items():
        layer, _, part = key.partition(".")
        found[f"{short.get(layer, layer)}.{part}"] = array
    return found | {"fc8.weight": np.ones((3, 2), "f4")}


def mmaction_keys(tensors: Tensors) -> dict[str, np.ndarray]:
    """conv1a.conv.weight …"""
    return {
        key.replace(".", ".conv.") if key.startswith("conv") else key: array
        for key, array in tensors.items()
    } | {"fc7.weight": np.ones((3, 2), "f4")}


def numbered_keys(tensors: Tensors) -> dict[str, np.ndarray]:
    """features.0 …, classifier.0"""
    numbers = dict(zip(CONVOLUTIONS, (0, 3, 6, 8, 11, 13, 16, 18), strict=True))
    found = {}
    for key, array in tensors.items():
        layer, _, part = key.partition(".")
        room = "classifier.0" if layer == "fc6" else f"features.{numbers[layer]}"
        found[f"{room}.{part}"] = array
    return found | {"classifier.3.weight": np.ones((3, 2), "f4")}


def state_dict(arrays: Tensors) -> "OrderedDict[str, torch.Tensor]":
    """As torch saves it; every second one a view, one in double precision."""
    tensors = OrderedDict((key, torch.from_numpy(a.copy())) for key, a in arrays.items())
    for key in list(tensors)[::2]:
        tensors[key] = torch.cat([torch.zeros(1), tensors[key].ravel()])[1:].view(
            tensors[key].shape
        )
    last = list(tensors)[1]
    tensors[last] = tensors[last].double()
    return tensors


class Exploit:
    """Unpickled by trusting code, it touches the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (f"touch {self.canary}",)


def protocol0(value: object) -> bytes:
    """Python 2's default."""
    return pickle.dumps(value, protocol=0)
