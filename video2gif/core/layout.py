"""Every path of a project. All other modules take paths from here and spell no file name.

Tables are parquet with an explicit schema, sorted by key, with no timestamp, absolute path or
duration of work in them: the same data gives the same bytes in every clone.

`data/fingerprints/` and `data/features/` are *shards*: an index.parquet plus arrays cut into
buckets by a hash of the video's id, so that one new video changes one bucket.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video2gif.core.errors import EnvironmentProblem
from video2gif.core.readers import Unreadable, parsed_json
from video2gif.core.store import atomic_path

if TYPE_CHECKING:
    import pandas as pd


class _Below:
    """A path below the project's root, as an attribute of every `Layout`."""

    def __init__(self, relative: str) -> None:
        self._relative = relative

    def __get__(self, layout: "Layout | None", _: type) -> Path:
        return Path(self._relative) if layout is None else layout.root / self._relative


@dataclass(frozen=True)
class Layout:
    """The files of one project, below its root."""

    root: Path

    params = _Below("params.yaml")
    machine = _Below("machine.json")
    """Which processor made the dvc.lock beside it."""
    media = _Below("data/media")
    downloads = _Below("data/downloads.parquet")
    sources = _Below("data/sources.parquet")
    fingerprints = _Below("data/fingerprints")
    matches = _Below("data/matches.parquet")
    segments = _Below("data/segments.parquet")
    spans = _Below("data/spans.parquet")
    labels = _Below("data/labels.parquet")
    pairs = _Below("data/pairs.parquet")
    features = _Below("data/features")
    tags = _Below("data/features/tags.parquet")
    """What the classes of a network say is in each video."""
    predictions = _Below("data/predictions.parquet")
    model = _Below("models/ranker.safetensors")
    model_card = _Below("models/ranker.json")
    train_metrics = _Below("metrics/train.json")
    eval_metrics = _Below("metrics/eval.json")
    plots = _Below("plots")
    train_plot = _Below("plots/train.csv")
    loss_plot = _Below("plots/losses.csv")
    eval_videos_plot = _Below("plots/nmsd_by_video.csv")
    eval_categories_plot = _Below("plots/nmsd_by_category.csv")
    eval_histogram_plot = _Below("plots/nmsd_histogram.csv")
    report = _Below("report")
    ablation = _Below("ablation")
    """Tables of all methods, one file each (`video2gif ablate`; in git, not in DVC)."""
    corpus_index = _Below(".video2gif/corpus")
    """The index of all videos' hashes (git-ignored, outside DVC's outputs, made anew)."""

    def media_file(self, relative: str) -> Path:
        """The file of a DOWNLOADS row, by its `path` column."""
        return self.media / relative

    def features_of(self, network: str) -> Path:
        """The shards and the index of one network."""
        return self.features / network

    def network(self, name: str) -> Path:
        """What made the features of a network: weights, licence, parameters."""
        return self.features_of(name) / "network.json"

    def feature_folders(self) -> list[Path]:
        """Those of all networks that were run, by name."""
        found = sorted(path for path in self.features.glob("*") if path.is_dir())
        if not found:
            raise EnvironmentProblem(f"{self.features}: no features; `dvc repro` makes them")
        return found

    def check_outputs(self) -> None:
        """Raise `EnvironmentProblem` if outputs cannot be written, or would land elsewhere.

        For the start of a stage: after an hour of work it is late to find out.
        """
        for name in ("data", "models", "metrics", "plots", "report"):
            folder = self.root / name
            # A folder that is not there yet must be one that we can make.
            found = folder if folder.exists() else self.root
            if not (found.is_dir() and os.access(found, os.W_OK | os.X_OK)):
                raise EnvironmentProblem(
                    f"{found}: outputs cannot be written there; make it a folder you may write to"
                )
            for path in (folder, *(folder.glob("*") if folder.is_dir() else ())):
                if path.is_symlink() and not self._is_ours(path.resolve()):
                    raise EnvironmentProblem(
                        f"{path}: is a symbolic link to {path.resolve()}; outputs are written in"
                        " the project: remove the link"
                    )

    def _is_ours(self, target: Path) -> bool:
        """In the project, or in DVC's cache, which may link its objects into the workspace."""
        # Where the cache is may be set; that its objects are in files/md5 may not.
        return target.is_relative_to(self.root.resolve()) or "files/md5" in target.as_posix()

    def checkpoint(self, stage: str) -> Path:
        """Where unfinished work of a stage stands (git-ignored, outside DVC's outputs)."""
        return self.root / ".video2gif" / f"{stage}.checkpoint"

    def lock(self, stage: str) -> Path:
        """The stage's own lock file (git-ignored, outside DVC's outputs)."""
        return self.root / ".video2gif" / f"{stage}.lock"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Sorted, indented, no NaN (null instead), newline at the end: stable bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_finite(content), indent=2, sort_keys=True, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_csv(path: Path, frame: "pd.DataFrame") -> None:
    """A plot's data: LF line ends, nine significant digits, nothing a spreadsheet would run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    inert = frame.map(lambda cell: _inert(cell) if isinstance(cell, str) else cell)
    with atomic_path(path) as temporary:
        inert.to_csv(temporary, index=False, float_format="%.9g", lineterminator="\n")


def read_csv(path: Path) -> "pd.DataFrame":
    """What `write_csv` wrote; the mark that made a text inert is taken off again."""
    import pandas as pd

    frame = pd.read_csv(path)
    return frame.map(lambda cell: cell.removeprefix("'") if isinstance(cell, str) else cell)


def _inert(text: str) -> str:
    """Text of a stranger for a spreadsheet and a terminal: no formula, no control character."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises `EnvironmentProblem` when it is missing or broken."""
    try:
        return parsed_json(path.read_bytes())
    except FileNotFoundError:
        raise EnvironmentProblem(f"{path}: missing; `dvc repro` makes it") from None
    except Unreadable as error:
        raise EnvironmentProblem(f"{path}: {error}") from None


def clear_folder(folder: Path) -> None:
    """Make an output folder empty, so that no stale file of an earlier run survives."""
    if folder.is_symlink():
        raise EnvironmentProblem(f"{folder}: is a symbolic link; outputs are written to folders")
    folder.mkdir(parents=True, exist_ok=True)
    # Deepest first: only an empty folder can be removed.
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
