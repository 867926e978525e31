"""Every path and every table schema of a project. Nobody else spells a file name.

Tables are parquet with an explicit schema, sorted by key, with no timestamp, absolute path or
duration of work in them: the same data gives the same bytes in every clone.

`data/fingerprints/` and `data/features/` are *shards*: an index.parquet plus arrays cut into
buckets by a hash of the video's id, so that one new video changes one bucket.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from video2gif.errors import EnvironmentProblem
from video2gif.store import atomic_path


@dataclass(frozen=True)
class Table:
    """A parquet file's columns and its sort key."""

    name: str
    schema: pa.Schema
    key: tuple[str, ...]

    def write(self, path: Path, rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> None:
        """Write rows sorted by key, with exactly the schema's columns."""
        frame = pd.DataFrame(rows, columns=self.schema.names)
        frame = frame.sort_values(list(self.key), kind="stable", ignore_index=True)
        # A column of lists that nobody fills is one of NaN, which arrow takes for numbers.
        lists = [c.name for c in self.schema if pa.types.is_list(c.type)]
        frame = frame.astype(dict.fromkeys(lists, object))
        table = pa.Table.from_pandas(frame, schema=self.schema, preserve_index=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without pandas' metadata: it repeats the schema and names library versions.
        table = table.replace_schema_metadata(None)
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    def read(self, path: Path) -> pd.DataFrame:
        """Read a table. Raises `EnvironmentProblem` when it is missing or of another shape."""
        try:
            table = pq.read_table(path)
        except FileNotFoundError:
            raise EnvironmentProblem(
                f"{path}: missing; `dvc repro` makes it, `dvc pull` fetches it"
            ) from None
        except pa.ArrowInvalid as error:
            raise EnvironmentProblem(f"{path}: not a readable parquet file: {error}") from None
        if table.schema.names != self.schema.names:
            raise EnvironmentProblem(
                f"{path}: columns {table.schema.names}, expected {self.schema.names};"
                " it was written by another version: run `dvc repro`"
            )
        return table.to_pandas()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


_TEXT, _INT, _REAL = pa.string(), pa.int64(), pa.float64()
_SPANS = pa.list_(pa.list_(pa.int64(), 2))

DOWNLOADS = Table(
    "downloads",
    _schema(
        kind=_TEXT,  # video | gif | row (a manifest row that names nothing usable)
        id=_TEXT,
        path=_TEXT,  # below data/media; "" unless ok
        sha256=_TEXT,
        bytes=_INT,
        n_frames=_INT,  # as the container's packets say; fingerprint counts decoded ones
        duration_s=_REAL,
        fps_num=_INT,
        fps_den=_INT,
        width=_INT,
        height=_INT,
        status=_TEXT,  # ok | quarantined | missing
        reason=_TEXT,
    ),
    ("kind", "id"),
)

SOURCES = Table(
    "sources",  # the manifest as it was understood: one row a GIF, or a video without GIFs
    _schema(
        video_id=_TEXT,
        gif_id=_TEXT,  # "" for a video without GIFs
        start_s=_REAL,  # declared span, NaN if none
        end_s=_REAL,
        views=_REAL,  # NaN if unknown
        age_days=_REAL,
        category=_TEXT,
        title=_TEXT,
        tags=_TEXT,  # separated by |
        split=_TEXT,  # "" unless the manifest fixes it
        line=_INT,  # of the manifest: videos that stand there first keep their split
    ),
    ("video_id", "gif_id"),
)

FINGERPRINTS = Table(
    "fingerprints/index",
    _schema(
        kind=_TEXT,
        id=_TEXT,
        status=_TEXT,  # ok | quarantined
        reason=_TEXT,
        shard=_TEXT,
        row=_INT,  # first row in the shard
        n_frames=_INT,  # decoded, in presentation order
        duration_s=_REAL,  # end of the last frame
        width=_INT,
        height=_INT,
        bad_packets=_INT,
        digest=_TEXT,  # of all that decides a match; "" unless ok
    ),
    ("kind", "id"),
)

MATCHES = Table(
    "matches",
    _schema(
        gif_id=_TEXT,
        video_id=_TEXT,
        start_frame=_INT,
        end_frame=_INT,
        start_s=_REAL,
        end_s=_REAL,
        distance=_REAL,
        speed=_REAL,
        confidence=_REAL,
        status=_TEXT,  # matched | ambiguous | unmatched
        reason=_TEXT,
        # Of an ambiguous match: other spans it may be, [start_frame, end_frame), sorted.
        alternatives=_SPANS,
    ),
    ("gif_id", "video_id"),
)

SEGMENTS = Table(
    "segments",
    _schema(
        video_id=_TEXT,
        segment_id=_INT,
        start_frame=_INT,
        end_frame=_INT,
        start_s=_REAL,
        end_s=_REAL,
    ),
    ("video_id", "segment_id"),
)

SPANS = Table(
    "spans",  # where each GIF lies in its video, as the labels take it; every GIF exactly once
    _schema(
        video_id=_TEXT,
        gif_id=_TEXT,
        start_frame=_INT,  # null unless placed
        end_frame=_INT,
        start_s=_REAL,
        end_s=_REAL,
        origin=_TEXT,  # match | declared | ""
        popularity=_REAL,  # in [0, 1]
        status=_TEXT,  # placed | ambiguous | unplaced | quarantined
        reason=_TEXT,
    ),
    ("video_id", "gif_id"),
)

LABELS = Table(
    "labels",
    _schema(
        split=_TEXT,  # train | validation | test
        video_id=_TEXT,
        segment_id=_INT,
        label=_TEXT,  # positive | negative | ignored
        overlap=_REAL,  # the largest over the video's GIFs
        gif_id=_TEXT,  # the GIF with the largest overlap, "" if none
        duplicate_of=_TEXT,  # the video whose split a near-duplicate follows, "" if its own
    ),
    ("video_id", "segment_id"),
)

PAIRS = Table(
    "pairs",
    _schema(
        split=_TEXT,
        video_id=_TEXT,
        gif_id=_TEXT,
        positive=_INT,  # segment_id
        negative=_INT,
        popularity=_REAL,  # of the GIF, in [0, 1]
    ),
    ("video_id", "gif_id", "positive", "negative"),
)

FEATURES = Table(
    "features/index",
    _schema(
        video_id=_TEXT,
        segment_id=_INT,
        shard=_TEXT,  # "" for a segment without clips
        row=_INT,  # first clip's row in the shard
        n_clips=_INT,  # 0: shorter than one clip, reported unscored
    ),
    ("video_id", "segment_id"),
)

FEATURE_STATUS = Table(
    "features/status",
    _schema(
        video_id=_TEXT,
        status=_TEXT,
        reason=_TEXT,
        backend=_TEXT,  # "" unless ok, as the next
        mode=_TEXT,  # clips | dense: all rows the same, or ""
        cosine=_REAL,  # smallest of the backend's to torch-fp32's features, on its warm-up
    ),
    ("video_id",),
)

PREDICTIONS = Table(
    "predictions",
    _schema(
        split=_TEXT,
        video_id=_TEXT,
        segment_id=_INT,
        start_frame=_INT,
        end_frame=_INT,
        start_s=_REAL,
        end_s=_REAL,
        score=_REAL,  # NaN: unscored
        motion=_REAL,  # the motion baseline's score
    ),
    ("video_id", "segment_id"),
)


@dataclass(frozen=True)
class Layout:
    """The files of one project, below its root."""

    root: Path

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def media(self) -> Path:
        return self.root / "data" / "media"

    def media_file(self, relative: str) -> Path:
        """The file of a DOWNLOADS row, by its `path` column."""
        return self.media / relative

    @property
    def downloads(self) -> Path:
        return self.root / "data" / "downloads.parquet"

    @property
    def sources(self) -> Path:
        return self.root / "data" / "sources.parquet"

    @property
    def fingerprints(self) -> Path:
        return self.root / "data" / "fingerprints"

    @property
    def matches(self) -> Path:
        return self.root / "data" / "matches.parquet"

    @property
    def segments(self) -> Path:
        return self.root / "data" / "segments.parquet"

    @property
    def spans(self) -> Path:
        return self.root / "data" / "spans.parquet"

    @property
    def labels(self) -> Path:
        return self.root / "data" / "labels.parquet"

    @property
    def pairs(self) -> Path:
        return self.root / "data" / "pairs.parquet"

    @property
    def features(self) -> Path:
        return self.root / "data" / "features"

    @property
    def model(self) -> Path:
        return self.root / "models" / "ranker.safetensors"

    @property
    def model_card(self) -> Path:
        return self.root / "models" / "ranker.json"

    @property
    def train_metrics(self) -> Path:
        return self.root / "metrics" / "train.json"

    @property
    def eval_metrics(self) -> Path:
        return self.root / "metrics" / "eval.json"

    @property
    def plots(self) -> Path:
        return self.root / "plots"

    @property
    def train_plot(self) -> Path:
        return self.plots / "train.csv"

    @property
    def loss_plot(self) -> Path:
        return self.plots / "losses.csv"

    @property
    def eval_videos_plot(self) -> Path:
        return self.plots / "nmsd_by_video.csv"

    @property
    def eval_categories_plot(self) -> Path:
        return self.plots / "nmsd_by_category.csv"

    @property
    def eval_histogram_plot(self) -> Path:
        return self.plots / "nmsd_histogram.csv"

    @property
    def predictions(self) -> Path:
        return self.root / "data" / "predictions.parquet"

    @property
    def ablation(self) -> Path:
        """Tables of all methods, one file each (`video2gif ablate`; in git, not in DVC)."""
        return self.root / "ablation"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def corpus_index(self) -> Path:
        """The index of all videos' hashes (git-ignored, outside DVC's outputs, made anew)."""
        return self.root / ".video2gif" / "corpus"

    def check_outputs(self) -> None:
        """Raise `EnvironmentProblem` if outputs cannot be written, or would land elsewhere.

        For the start of a stage: after an hour of work it is late to find out.
        """
        for name in ("data", "models", "metrics", "plots", "report"):
            folder = self.root / name
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


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """A plot's data: LF line ends, nine significant digits, nothing a spreadsheet would run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    inert = frame.map(lambda cell: _inert(cell) if isinstance(cell, str) else cell)
    with atomic_path(path) as temporary:
        inert.to_csv(temporary, index=False, float_format="%.9g", lineterminator="\n")


def _inert(text: str) -> str:
    """Text of a stranger for a spreadsheet and a terminal: no formula, no control character."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises `EnvironmentProblem` when it is missing or broken."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise EnvironmentProblem(f"{path}: missing; `dvc repro` makes it") from None
    except json.JSONDecodeError as error:
        raise EnvironmentProblem(f"{path}: not valid JSON: {error}") from None


def clear_folder(folder: Path) -> None:
    """Make an output folder empty, so that no stale file of an earlier run survives."""
    if folder.is_symlink():
        raise EnvironmentProblem(f"{folder}: is a symbolic link; outputs are written to folders")
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
