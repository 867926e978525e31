"""params.yaml as frozen dataclasses: one section a stage, no defaults here, every key checked.

Values live only in params.yaml. An unknown or missing key, or a value of the wrong type or
outside its range, is a `UserError` that names the key. Runtime knobs (workers, executor, cache
path) are no parameters: see `video2gif.core.items.Context`.
"""

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from video2gif.core.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Download:
    """Where videos and GIFs come from, and what is accepted."""

    manifest: str
    """Path of the manifest csv, relative to the project's root."""
    max_failed_fraction: float
    """Share of ids that may fail before the stage fails, in [0, 1]."""
    max_bytes: int
    """Largest file accepted, bytes."""
    timeout_s: float
    """Wall-clock limit for one file, seconds."""
    allow_private: bool
    """Whether URLs may resolve to loopback, link-local and private addresses."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """The one decode of every file."""

    max_failed_fraction: float
    max_bad_packets: float
    """Share of undecodable packets above which a file is quarantined, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """Alignment of a GIF to its video (see video2gif/matching)."""

    min_confidence: float
    """Probability that the span is right below which a match is not called `matched`."""
    min_frames: int
    """GIFs with fewer distinct frames are unmatched, said so."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Shots, then segments of bounded length that tile the video."""

    method: Literal["shots", "transnetv2", "kts"]
    """`shots`: PySceneDetect's detectors. `kts`: these, each shot divided where its content
    changes (kernel temporal segmentation). `transnetv2`: a network's shots (optional extra)."""
    detector: Literal["content", "adaptive"]
    threshold: float
    """PySceneDetect's threshold of the chosen detector (content 27, adaptive 3)."""
    gradual: bool
    """Whether fades and dissolves end a shot as well (`shots` and `kts`)."""
    transnetv2_threshold: float
    """Probability from which a frame is part of a transition, in (0, 1)."""
    kts_penalty: float
    """Weight of the number of parts (vmax in the method's public code); more gives fewer."""
    min_shot_frames: int
    """PySceneDetect's min_scene_len, frames."""
    max_len_s: float
    """A longer shot is split into equal parts no longer than this (to a frame), seconds."""
    min_len_frames: int
    """A shorter shot is merged into a neighbour (C3D needs 16 frames)."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """Positive and negative segments, pairs, popularity, splits."""

    positive_overlap: float
    """Smallest overlap of a positive, in (0, 1]."""
    overlap_of: Literal["segment", "gif"]
    """Of what the overlap is a share."""
    max_pairs_per_video: int
    """Cap so that long videos do not dominate."""
    popularity_views: float
    """Views at which log popularity saturates at 1."""
    validation_fraction: float
    test_fraction: float
    split_seed: int
    duplicate_share: float
    """Share of one video's pictures that another shows as well from which on both are in one
    split, in (0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Extract:
    """C3D fc6 features of 16-frame clips."""

    weights: str
    """`random:SEED`, or the path of a safetensors file made by `video2gif weights import`. Keep
    it in weights/, as a mean cube: DVC sees changes there."""
    mean: str
    """`channel` (three channel means) or the path of a mean cube .npy (3, 16, 128, 171)."""
    clip_stride: int
    """Frames from the start of one clip to the next inside a segment (the paper: 8)."""
    mirror: bool
    """Average each clip's fc6 with that of its mirror image."""
    mode: Literal["clips", "dense"]
    """`clips`: each on its own, as in the paper. `dense`: convolutions shared along a segment."""
    backend: Literal[
        "torch-fp32", "torch-bf16", "openvino-fp32", "openvino-bf16", "cuda-bf16", "auto"
    ]
    """How C3D runs; all but the reference, torch-fp32, give slightly other features. `auto`: the
    fastest here, so that another machine may give other bits."""
    max_failed_fraction: float


@dataclass(frozen=True, kw_only=True)
class Train:
    """The RankNet on fc6 (and context), or a linear ranker of the segments' surroundings."""

    ranker: Literal["network", "neighbourhood"]
    """`network`: the paper's, with all the choices below. `neighbourhood`: solved at once from few
    videos with good features (video2gif/ranking/neighbourhood.py); of the below only `streams`
    and `seed`."""
    streams: list[int]
    """Widths of the features that stand side by side (appearance, motion, sound), for
    `neighbourhood`; none: they are one."""

    loss: Literal["l1", "l2", "huber", "adaptive_huber", "classification", "listwise"]
    huber_delta: float
    pairs: Literal["video", "across"]
    """`across`: a positive beside negatives of any video (the paper's "video agnostic")."""
    features: Literal["own", "centred", "neighbours"]
    """What of fc6 a segment shows: its own; less the video's mean; and the step to its
    neighbours beside it."""
    fusion: bool
    """A linear ranking, motion and colour beside the network's, weighted as the training pairs
    say."""
    context: list[str]
    """Any of category, tags, position."""
    tag_buckets: int
    """Width of the hashed bag of tags."""
    hidden: list[int]
    dropout: float
    batch_pairs: int
    epochs: int
    learning_rate: float
    momentum: float
    weight_decay: float
    patience: int
    """Epochs without a better validation nMSD before training stops."""
    ensemble: int
    """Models averaged (seeds seed, seed + 1, …)."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Metrics on the test split."""

    protocol: Literal["split", "leave_one_out"]
    """`leave_one_out`: every video is scored by a ranker trained on all others (small corpora)."""
    split: Literal["test", "validation", "train", "all"]
    """Videos evaluated under protocol `split`; `leave_one_out` evaluates all."""
    bootstrap_samples: int
    random_seeds: int
    """Random rankings averaged into the random baseline."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """The page and its GIFs."""

    max_videos: int
    gifs_per_video: int
    gif_height: int
    gif_fps: int


@dataclass(frozen=True, kw_only=True)
class Params:
    """All sections of params.yaml."""

    download: Download
    fingerprint: Fingerprint
    match: Match
    segment: Segment
    label: Label
    extract: Extract
    train: Train
    evaluate: Evaluate
    report: Report

    @classmethod
    def load(cls, path: Path) -> "Params":
        """Read and check a params.yaml. Raises `UserError` naming file and key."""
        try:
            # safe_load: a tag such as !!python/object in a params file must stay inert.
            content = yaml.safe_load(path.read_text())
        except FileNotFoundError:
            raise UserError(
                f"{path}: no such file; run inside a project, or give its root with --root"
            ) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not valid YAML: {error}") from None
        params = from_mapping(cls, content, where=str(path))
        _check_ranges(params, where=str(path))
        return params


def find_params(root: Path) -> Path:
    """The params.yaml of the project at `root`, or the one this package came with.

    The second serves `video2gif gif` outside any project.
    """
    shipped = (Path(__file__).parents[2], Path(sys.prefix, "share", "video2gif"))
    for folder in (root, *shipped):
        if (folder / "params.yaml").is_file():
            return folder / "params.yaml"
    raise UserError(f"{root}: no params.yaml; run inside a project, or name one with --root")


def from_mapping(cls: type[T], content: object, *, where: str) -> T:
    """Build a dataclass from a mapping, strictly: same keys, right types."""
    if not isinstance(content, Mapping):
        raise UserError(f"{where}: expected a mapping of keys, found {content!r}")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in content:
        if key not in names:
            raise UserError(f"{where}: unknown key {key!r}; known here: {', '.join(names)}")
    for name in names:
        if name not in content:
            raise UserError(f"{where}: missing key {name!r}")
    return cls(**{n: _convert(hints[n], content[n], where=f"{where}: {n}") for n in names})


def _convert(hint: Any, value: Any, *, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_mapping(typing.cast(type, hint), value, where=where)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in args:
            raise UserError(f"{where}: {value!r} is not one of {', '.join(map(str, args))}")
        return value
    if origin is list:
        if not isinstance(value, list):
            raise UserError(f"{where}: expected a list, found {value!r}")
        return [_convert(args[0], item, where=where) for item in value]
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _convert(args[0], value, where=where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise UserError(f"{where}: expected {hint.__name__}, found {value!r}")
    return value


def _check_ranges(params: Params, *, where: str) -> None:
    fraction: Callable[[float], bool] = lambda v: 0 <= v <= 1  # noqa: E731
    positive: Callable[[float], bool] = lambda v: v > 0  # noqa: E731
    checks: list[tuple[str, Callable[[Any], bool], str]] = [
        ("download.max_failed_fraction", fraction, "in [0, 1]"),
        ("download.max_bytes", positive, "above 0"),
        ("download.timeout_s", positive, "above 0"),
        ("fingerprint.max_failed_fraction", fraction, "in [0, 1]"),
        ("fingerprint.max_bad_packets", fraction, "in [0, 1]"),
        ("match.min_confidence", fraction, "in [0, 1]"),
        ("segment.threshold", positive, "above 0"),
        ("segment.max_len_s", positive, "above 0"),
        ("segment.transnetv2_threshold", lambda v: 0 < v < 1, "in (0, 1)"),
        ("segment.kts_penalty", lambda v: v >= 0, "0 or more"),
        ("segment.min_shot_frames", lambda v: v >= 0, "0 or more"),
        ("segment.min_len_frames", positive, "above 0"),
        ("label.positive_overlap", lambda v: 0 < v <= 1, "in (0, 1]"),
        ("label.validation_fraction", fraction, "in [0, 1]"),
        ("label.test_fraction", fraction, "in [0, 1]"),
        ("label.max_pairs_per_video", positive, "above 0"),
        ("label.duplicate_share", lambda v: 0 < v <= 1, "in (0, 1]"),
        ("label.popularity_views", positive, "above 0"),
        ("extract.clip_stride", positive, "above 0"),
        ("extract.max_failed_fraction", fraction, "in [0, 1]"),
        ("train.dropout", lambda v: 0 <= v < 1, "in [0, 1)"),
        ("train.batch_pairs", positive, "above 0"),
        ("train.epochs", positive, "above 0"),
        ("train.huber_delta", positive, "above 0"),
        ("train.tag_buckets", positive, "above 0"),
        ("train.hidden", lambda v: all(width > 0 for width in v), "widths above 0"),
        ("train.momentum", lambda v: 0 <= v < 1, "in [0, 1)"),
        ("train.weight_decay", lambda v: v >= 0, "at least 0"),
        ("train.patience", positive, "above 0"),
        ("train.learning_rate", positive, "above 0"),
        ("train.ensemble", positive, "above 0"),
        ("evaluate.bootstrap_samples", positive, "above 0"),
        ("evaluate.random_seeds", positive, "above 0"),
    ]
    for dotted, holds, domain in checks:
        section, _, name = dotted.partition(".")
        value = getattr(getattr(params, section), name)
        if not holds(value):
            raise UserError(f"{where}: {dotted} = {value!r} must be {domain}")
    if params.extract.mode == "dense" and params.extract.clip_stride % 8:
        raise UserError(
            f"{where}: extract.clip_stride = {params.extract.clip_stride} must be a multiple of 8"
            " in extract.mode dense: a step of its convolutions is 8 frames"
        )
    held_out = params.label.validation_fraction + params.label.test_fraction
    if held_out >= 1:
        raise UserError(
            f"{where}: label.validation_fraction + label.test_fraction = {held_out:g} leaves"
            " nothing to train on; keep the sum below 1"
        )
