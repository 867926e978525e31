"""The schema of every table of a project: columns, types, sort key.

Tables are parquet, sorted by key, with no timestamp, absolute path or duration of work in them:
the same data gives the same bytes in every clone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from video2gif.core.errors import EnvironmentProblem
from video2gif.core.store import atomic_path


@dataclass(frozen=True)
class Table:
    """A parquet file's columns and its sort key."""

    name: str
    schema: pa.Schema
    key: tuple[str, ...]

    def write(self, path: Path, rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> None:
        """Write rows sorted by key, with exactly the schema's columns."""
        frame = pd.DataFrame(rows, columns=self.schema.names)
        # Rows with equal keys keep their order, so that equal rows in give equal bytes out.
        frame = frame.sort_values(list(self.key), kind="stable", ignore_index=True)
        # Where no row gives a list, pandas makes the column one of floats (NaN), which arrow does
        # not take for a column of lists.
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
    "features/NETWORK/index",
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
    "features/NETWORK/status",
    _schema(
        video_id=_TEXT,
        status=_TEXT,
        reason=_TEXT,
        backend=_TEXT,  # "" unless ok, as the next
        mode=_TEXT,  # clips | dense | pictures: all rows the same, or ""
        cosine=_REAL,  # smallest of the backend's to torch-fp32's features, on its warm-up
    ),
    ("video_id",),
)


def feature_status(folders: Sequence[Path]) -> pd.DataFrame:
    """FEATURE_STATUS of all networks: a video that fails for several alike is told of once."""
    tables = [FEATURE_STATUS.read(folder / "status.parquet") for folder in folders]
    return pd.concat(tables).drop_duplicates(["video_id", "reason"])


TAGS = Table(
    "features/tags",  # what a network sees in a video; the manifest's own tags stand in SOURCES
    _schema(
        video_id=_TEXT,
        tags=_TEXT,  # separated by |, the surest first
        origin=_TEXT,  # the network whose classes they are
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
