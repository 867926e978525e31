"""Count what a data set holds: videos, hours, GIFs, matches, overlaps, labels, splits.

Reads those tables that exist already, so it works before all stages have run.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from video2gif.core.layout import Layout
from video2gif.core.tables import (
    DOWNLOADS,
    FINGERPRINTS,
    LABELS,
    MATCHES,
    PAIRS,
    SOURCES,
    SPANS,
    Table,
)

_LENGTH_EDGES_S = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0)
_OVERLAP_EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Histogram:
    """Counts of values between edges. Bins are half-open; the last one also takes all above it."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: np.ndarray, edges: tuple[float, ...]) -> "Histogram":
        inside = np.clip(values[np.isfinite(values)], edges[0], edges[-1])
        return cls(edges, tuple(np.histogram(inside, edges)[0].tolist()))

    @property
    def bars(self) -> dict[str, float]:
        """Counts by the name of their bin."""
        names = [f"{a:g}–{b:g}" for a, b in zip(self.edges, self.edges[1:], strict=False)]
        return dict(zip(names, map(float, self.counts), strict=True))


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The numbers of one project."""

    videos: int
    """Named by the manifest."""
    videos_usable: int
    """Decoded and fingerprinted."""
    hours: float
    """Of the usable videos."""
    gifs: int
    """Named by the manifest."""
    gifs_usable: int
    near_duplicates: int
    """Videos that show the same pictures as one that stands before them in the manifest."""
    categories: Mapping[str, int]
    """Videos by category, the largest first; "none" without one."""
    matches: Mapping[str, int]
    """GIFs by matched, ambiguous, unmatched."""
    placed_by: Mapping[str, int]
    """GIFs by how their place is known: match, declared, unknown."""
    gif_length_s: Histogram
    """Seconds of video that a placed GIF shows."""
    gif_length_median_s: float
    """NaN without placed GIFs."""
    overlap: Histogram
    """Segments that share frames with a GIF, by their largest overlap with one."""
    labels: Mapping[str, int]
    """Segments by positive, negative, ignored."""
    video_splits: Mapping[str, int]
    pair_splits: Mapping[str, int]
    not_made: tuple[str, ...]
    """Tables that no stage has written yet; their numbers are 0."""

    @property
    def facts(self) -> dict[str, str]:
        """Single numbers by name, as a person reads them."""
        median = self.gif_length_median_s
        return {
            "videos": f"{self.videos}",
            "videos decoded": f"{self.videos_usable}",
            "hours of video": f"{self.hours:.2f}",
            "near-duplicate videos": f"{self.near_duplicates}",
            "GIFs": f"{self.gifs}",
            "GIFs decoded": f"{self.gifs_usable}",
            "median length of a GIF": "–" if math.isnan(median) else f"{median:.2f} s",
        }

    @property
    def distributions(self) -> dict[str, Mapping[str, float]]:
        """Counts by title; empty ones are left out."""
        counted: dict[str, Mapping[str, float]] = {
            "Videos by category": self.categories,
            "Videos by split": self.video_splits,
            "GIFs by match": self.matches,
            "GIFs placed by": self.placed_by,
            "GIFs by length, seconds": self.gif_length_s.bars,
            "Touched segments by overlap": self.overlap.bars,
            "Segments by label": self.labels,
            "Pairs by split": self.pair_splits,
        }
        return {title: counts for title, counts in counted.items() if counts}


def corpus(layout: Layout) -> Corpus:
    """Count what is there. Raises `EnvironmentProblem` for a table that cannot be read."""
    tables = _Tables()
    sources = tables.read(SOURCES, layout.sources)
    prints = tables.read(FINGERPRINTS, layout.fingerprints / "index.parquet")
    # Nothing is counted from it: this only says so where it is missing.
    tables.read(DOWNLOADS, layout.downloads)
    matches = tables.read(MATCHES, layout.matches)
    spans = tables.read(SPANS, layout.spans)
    labels = tables.read(LABELS, layout.labels)
    pairs = tables.read(PAIRS, layout.pairs)
    usable = prints[prints.status == "ok"]
    of_video = sources.drop_duplicates("video_id")
    # All rows of a video have its split and its duplicate.
    by_video = labels.drop_duplicates("video_id")
    placed = spans[spans.status == "placed"]
    lengths = (placed.end_s - placed.start_s).to_numpy(dtype=float)
    return Corpus(
        videos=len(of_video),
        videos_usable=int((usable.kind == "video").sum()),
        hours=float(usable[usable.kind == "video"].duration_s.sum()) / 3600,
        gifs=int((sources.gif_id != "").sum()),
        gifs_usable=int((usable.kind == "gif").sum()),
        near_duplicates=int((by_video.duplicate_of != "").sum()),
        categories=_counts(of_video.category.replace("", "none")),
        matches=_counts(matches.status),
        placed_by=_counts(spans.origin.replace("", "unknown")),
        gif_length_s=Histogram.of(lengths, _LENGTH_EDGES_S),
        gif_length_median_s=float(np.median(lengths)) if len(lengths) else float("nan"),
        overlap=Histogram.of(labels.overlap[labels.overlap > 0].to_numpy(float), _OVERLAP_EDGES),
        labels=_counts(labels.label),
        video_splits=_counts(by_video.split),
        pair_splits=_counts(pairs.split),
        not_made=tuple(tables.missing),
    )


class _Tables:
    """Tables, empty where no stage has written them."""

    def __init__(self) -> None:
        self.missing: list[str] = []

    def read(self, table: Table, path: Path) -> pd.DataFrame:
        if path.exists():
            return table.read(path)
        self.missing.append(table.name.partition("/")[0])
        return table.schema.empty_table().to_pandas()


def _counts(values: "pd.Series[str]") -> dict[str, int]:
    """By name, the largest first, equal ones by name."""
    found = values.value_counts().items()
    return {str(k): int(v) for k, v in sorted(found, key=lambda item: (-item[1], str(item[0])))}
