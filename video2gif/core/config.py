"""params.yaml as frozen dataclasses: one section a stage, no defaults here, every key checked.

Values live only in params.yaml. An unknown or missing key, or a value of the wrong type or
outside its range, is a `UserError` that names the key. Runtime knobs (workers, executor, cache
path) are no parameters: see `video2gif.core.items.Context`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen, Predicate

from video2gif.core.errors import EnvironmentProblem, UserError
from video2gif.core.readers import Unreadable, parsed_yaml

# Read by pydantic, which is imported only when a file is checked: it costs a tenth of a second.
Fraction = Annotated[float, Ge(0), Le(1)]
Share = Annotated[float, Gt(0), Le(1)]
Positive = Annotated[float, Gt(0)]
PositiveInt = Annotated[int, Gt(0)]
Names = Annotated[list[str], MinLen(1)]


def _is_aspect(text: str) -> bool:
    """Two numbers from 1 to 99 with a colon between, or nothing."""
    return not text or re.fullmatch("[1-9][0-9]?:[1-9][0-9]?", text) is not None


@dataclass(frozen=True, kw_only=True)
class DownloadParams:
    """Where videos and GIFs come from, and what is accepted."""

    manifest: str
    """Path of the manifest csv, relative to the project's root."""
    max_failed_fraction: Fraction
    """Share of ids that may fail before the stage fails, in [0, 1]."""
    max_bytes: PositiveInt
    """Largest file accepted, bytes."""
    timeout_s: Positive
    """Wall-clock limit for one file, seconds."""
    allow_private: bool
    """Whether URLs may resolve to loopback, link-local and private addresses."""


@dataclass(frozen=True, kw_only=True)
class FingerprintParams:
    """The one decode of every file."""

    max_failed_fraction: Fraction
    max_bad_packets: Fraction
    """Share of undecodable packets above which a file is quarantined, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class MatchParams:
    """Alignment of a GIF to its video (see video2gif/matching)."""

    min_confidence: Fraction
    """Probability that the span is right below which a match is not called `matched`."""
    min_frames: int
    """GIFs with fewer distinct frames are unmatched, said so."""


@dataclass(frozen=True, kw_only=True)
class SegmentParams:
    """Shots, then segments of bounded length that tile the video."""

    method: Literal["shots", "transnetv2", "kts"]
    """`shots`: PySceneDetect's detectors. `kts`: these, each shot divided where its content
    changes (kernel temporal segmentation). `transnetv2`: a network's shots (optional extra)."""
    detector: Literal["content", "adaptive"]
    threshold: Positive
    """PySceneDetect's threshold of the chosen detector (content 27, adaptive 3)."""
    gradual: bool
    """Whether fades and dissolves end a shot as well (`shots` and `kts`)."""
    transnetv2_threshold: Annotated[float, Gt(0), Lt(1)]
    """Probability from which a frame is part of a transition, in (0, 1)."""
    kts_penalty: Annotated[float, Ge(0)]
    """Weight of the number of parts (vmax in the method's public code); more gives fewer."""
    min_shot_frames: Annotated[int, Ge(0)]
    """PySceneDetect's min_scene_len, frames."""
    max_len_s: Positive
    """A longer shot is split into equal parts no longer than this (to a frame), seconds."""
    min_len_frames: PositiveInt
    """A shorter shot is merged into a neighbour (C3D needs 16 frames)."""


@dataclass(frozen=True, kw_only=True)
class LabelParams:
    """Positive and negative segments, pairs, popularity, splits."""

    positive_overlap: Share
    """Smallest overlap of a positive, in (0, 1]."""
    overlap_of: Literal["segment", "gif"]
    """Of what the overlap is a share."""
    max_pairs_per_video: PositiveInt
    """Cap so that long videos do not dominate."""
    popularity_views: Positive
    """Views at which log popularity saturates at 1."""
    validation_fraction: Fraction
    test_fraction: Fraction
    split_seed: int
    duplicate_share: Share
    """Share of one video's pictures that another shows as well from which on both are in one
    split, in (0, 1]."""


@dataclass(frozen=True, kw_only=True)
class ExtractParams:
    """Features of pictures and clips, by one network or several."""

    networks: Names
    """Any of `efficientnet-lite0`, `c3d`, and files as `weights/NAME.onnx@sha256:DIGEST`
    (video2gif/features/registry.py)."""
    frames_per_s: Positive
    """Pictures a second that networks of single pictures look at."""
    weights: str
    """C3D's: `random:SEED`, or the path of a safetensors file made by `video2gif weights import`.
    Keep it in weights/, as a mean cube: DVC sees changes there."""
    mean: str
    """C3D's: `channel` (three channel means) or the path of a mean cube .npy (3, 16, 128, 171)."""
    clip_stride: PositiveInt
    """C3D's frames from the start of one clip to the next inside a segment (the paper: 8)."""
    mirror: bool
    """Average each clip's fc6 with that of its mirror image."""
    mode: Literal["clips", "dense"]
    """`clips`: each on its own, as in the paper. `dense`: convolutions shared along a segment."""
    backend: Literal[
        "torch-fp32",
        "torch-bf16",
        "openvino-fp32",
        "openvino-bf16",
        "cuda-bf16",
        "opencv-fp32",
        "auto",
    ]
    """How networks run; all but the reference, torch-fp32, give slightly other features. `auto`:
    the fastest here, so that another machine may give other bits: the index names the backend."""
    max_failed_fraction: Fraction


@dataclass(frozen=True, kw_only=True)
class TrainParams:
    """The RankNet on features (and context), or a linear ranker of the segments' surroundings."""

    ranker: Literal["network", "neighbourhood"]
    """`network`: the paper's, with all the choices below. `neighbourhood`: solved at once from few
    videos with good features (video2gif/ranking/neighbourhood.py); of the below only `inputs`,
    `streams` and `seed`."""
    streams: list[PositiveInt]
    """Widths of the features that stand side by side (appearance, motion, sound), for
    `neighbourhood`; none: they are one."""

    inputs: Names
    """The networks of `extract.networks` to learn from; a file goes by its name without suffix.
    Of several, a segment shows the mean row of each, side by side."""
    loss: Literal["l1", "l2", "huber", "adaptive_huber", "classification", "listwise"]
    huber_delta: Positive
    pairs: Literal["video", "across"]
    """`across`: a positive beside negatives of any video (the paper's "video agnostic")."""
    features: Literal["own", "centred", "neighbours"]
    """What the network sees of a segment. `own`: its features. `centred`: these less the video's
    mean. `neighbours`: its features, and how they differ from those of the segments beside it."""
    fusion: bool
    """Combine the network's ranking with a linear ranker and eight cues of the fingerprint. The
    weights are learned from the training pairs."""
    context: list[str]
    """Any of category, tags, position."""
    tag_buckets: PositiveInt
    """Width of the hashed bag of tags."""
    hidden: list[PositiveInt]
    dropout: Annotated[float, Ge(0), Lt(1)]
    batch_pairs: PositiveInt
    epochs: PositiveInt
    learning_rate: Positive
    momentum: Annotated[float, Ge(0), Lt(1)]
    weight_decay: Annotated[float, Ge(0)]
    patience: PositiveInt
    """Epochs without a better validation nMSD before training stops."""
    ensemble: PositiveInt
    """Models averaged (seeds seed, seed + 1, …)."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class EvaluateParams:
    """Metrics on the test split."""

    protocol: Literal["split", "leave_one_out"]
    """`leave_one_out`: every video is scored by a ranker trained on all others (small corpora)."""
    split: Literal["test", "validation", "train", "all"]
    """Videos evaluated under protocol `split`; `leave_one_out` evaluates all."""
    bootstrap_samples: PositiveInt
    random_seeds: PositiveInt
    """Random rankings averaged into the random baseline."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class ReportParams:
    """The page and its GIFs."""

    max_videos: int
    gifs_per_video: int
    gif_height: int
    gif_fps: int


@dataclass(frozen=True, kw_only=True)
class PlaceLimits:
    """What a place takes of the GIFs that are put there (`video2gif gif --for NAME`)."""

    max_bytes: Annotated[int, Ge(10_000)]
    max_width: Annotated[int, Ge(32), Le(4096)]
    """Pixels; likewise `max_height`."""
    max_height: Annotated[int, Ge(32), Le(2160)]
    max_s: Annotated[float, Ge(1)] | None = None
    """How long a GIF may be, seconds."""
    max_frames: Annotated[int, Ge(2)] | None = None
    max_fps: Annotated[float, Ge(1), Le(50)] | None = None
    aspect: Annotated[str, Predicate(_is_aspect)] = ""
    """Width to height, as `9:16`; "" keeps the film's."""
    format: Literal["", "gif", "webp", "avif", "mp4"] = ""
    """The one it takes; "" for any."""
    is_exact: bool = False
    """Whether it wants just this size (not for GIFs, whose bytes depend on their size)."""


@dataclass(frozen=True, kw_only=True)
class Params:
    """All sections of params.yaml."""

    download: DownloadParams
    fingerprint: FingerprintParams
    match: MatchParams
    segment: SegmentParams
    label: LabelParams
    extract: ExtractParams
    train: TrainParams
    evaluate: EvaluateParams
    report: ReportParams
    places: Mapping[str, PlaceLimits] = field(default_factory=dict)
    """Places of your own for `video2gif gif --for NAME`, beside those of gifs/places.py."""

    # strict: no "yes" for a bool, no "3" for a number. YAML can write infinity and NaN; no value
    # here may be either.
    __pydantic_config__: ClassVar = {"extra": "forbid", "strict": True, "allow_inf_nan": False}

    @classmethod
    def load(cls, path: Path) -> "Params":
        """Read and check a params.yaml. Raises `UserError` naming file and key."""
        try:
            # A tag such as !!python/object in a params file stays inert.
            content = parsed_yaml(path.read_bytes())
        except FileNotFoundError:
            raise UserError(
                f"{path}: no such file; run inside a project, or give its root with --root"
            ) from None
        except (Unreadable, OSError) as error:
            raise UserError(f"{path}: {error}") from None
        params = _checked(content, where=str(path))
        _check_together(params, where=str(path))
        return params


def params_at(root: Path) -> Params:
    """The parameters of the project at `root`; outside any project, those of this package.

    The package's serve `video2gif gif` in any folder, also where OpenVINO is not installed: there
    OpenCV runs the network. A project's own params.yaml alone says what runs.
    """
    own = root / "params.yaml"
    if own.is_file():
        return Params.load(own)
    params = Params.load(_shipped())
    if find_spec("openvino"):
        return params
    return replace(params, extract=replace(params.extract, backend="opencv-fp32"))


def _shipped() -> Path:
    """The params.yaml that this package came with: in a clone its root's, else an installed file.

    Raises `EnvironmentProblem` where it is gone.
    """
    in_clone = Path(__file__).parents[2] / "params.yaml"
    if in_clone.is_file():
        return in_clone
    for file in files("video2gif") or ():
        path = Path(str(file.locate()))
        if file.name == "params.yaml" and path.is_file():
            return path
    raise EnvironmentProblem("video2gif's own params.yaml is missing: install video2gif again")


def _checked(content: object, *, where: str) -> Params:
    """The same keys as the dataclasses, each with its type and inside its range."""
    from pydantic import TypeAdapter, ValidationError

    try:
        # As JSON: only there does strict pydantic take a mapping for a dataclass.
        return TypeAdapter(Params).validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        mistakes = [_told(mistake) for mistake in error.errors()]
        raise UserError(f"{where}: {'; '.join(mistakes)}") from None


def _told(mistake: Mapping[str, Any]) -> str:
    """`section.key = value must be …`, from what pydantic says of a mistake."""
    *section, key = map(str, mistake["loc"] or ("content",))
    within = f" in {'.'.join(section)}" if section else ""
    if mistake["type"] == "missing":
        return f"missing key {key!r}{within}"
    if mistake["type"] == "unexpected_keyword_argument":
        return f"unknown key {key!r}{within}"
    limit = mistake["msg"].replace("Input should", "must")
    return f"{'.'.join([*section, key])} = {mistake['input']!r} {limit}"


def _check_together(params: Params, *, where: str) -> None:
    """The rules between two keys."""
    if params.extract.mode == "dense" and params.extract.clip_stride % 8:
        raise UserError(
            f"{where}: extract.clip_stride = {params.extract.clip_stride} must be a multiple of 8"
            " in extract.mode dense: a step of its convolutions is 8 frames"
        )
    twice = {"extract.networks": params.extract.networks, "train.inputs": params.train.inputs}
    for key, names in twice.items():
        if len(set(names)) < len(names):
            raise UserError(f"{where}: {key} = {names!r} must name each once")
    # A file goes by its name without folder, suffix and digest, as in `features/registry.py`.
    known = [Path(name.partition("@")[0]).stem for name in params.extract.networks]
    if unknown := [name for name in params.train.inputs if name not in known]:
        raise UserError(
            f"{where}: train.inputs names {', '.join(unknown)}, which extract.networks"
            f" ({', '.join(known)}) does not run"
        )
    held_out = params.label.validation_fraction + params.label.test_fraction
    if held_out >= 1:
        raise UserError(
            f"{where}: label.validation_fraction + label.test_fraction = {held_out:g} leaves"
            " nothing to train on; keep the sum below 1"
        )
