"""Fill the templates. The dataclasses here say what a page shows; page/*.j2 say how.

A page contains its style and script, so that it works from file:// and without a network. jinja2
escapes every text, as titles come from strangers; only our own charts (`Markup`) are left as they
are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class ClipCard:
    """One GIF on the page; paths are relative to the page."""

    rank: int
    gif: str
    still: str
    start_s: float
    end_s: float
    score: float
    alt: str
    note: str = ""
    why: Sequence[str] = ()
    """Why this moment, in a few facts."""


@dataclass(frozen=True, kw_only=True)
class VideoCard:
    """One video: its frames, its score curve, its GIFs."""

    title: str
    facts: Sequence[str]
    strip: str
    """Path of the filmstrip picture, "" for none."""
    curve: Markup
    clips: Sequence[ClipCard]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure with its 95 % interval; None if it could not be computed."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Compared:
    """A row of the comparison: the model or a baseline."""

    name: str
    nmsd: Metric
    map: Metric


@dataclass(frozen=True, kw_only=True)
class MethodRow:
    """A row of a table of methods."""

    name: str
    nmsd: Metric
    difference: Metric
    """Its nMSD minus that of the reference method on the same videos."""
    map: Metric
    paper_nmsd: float | None
    paper_map: float | None


@dataclass(frozen=True, kw_only=True)
class MethodTable:
    """All methods on one corpus, beside the paper's figures."""

    title: str
    note: str
    reference: str
    of_paper: Sequence[MethodRow]
    beyond: Sequence[MethodRow]
    noise: Markup | None
    """The losses under wrong labels."""


@dataclass(frozen=True)
class Tile:
    """One large figure at the top of the report."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Quarantined:
    """One row of the list of items that were left out."""

    stage: str
    id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ReportPage:
    """Everything `report.html.j2` shows."""

    title: str
    warnings: Sequence[str]
    split: str
    tiles: Sequence[Tile]
    comparison: Sequence[Compared]
    category_nmsd: Markup
    result_charts: Mapping[str, tuple[Markup, str]] = field(default_factory=dict)
    """More drawings of the results: drawing and caption by title."""
    method_tables: Sequence[MethodTable] = ()
    videos: Sequence[VideoCard]
    loss_by_epoch: Markup
    nmsd_by_epoch: Markup
    loss_functions: Markup
    distributions: Mapping[str, Markup]
    """What the data set holds: drawings by title."""
    statistics: Mapping[str, str]
    quarantine: Sequence[Quarantined] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class GifsPage:
    """Everything `gifs.html.j2` shows: what `video2gif gif` made."""

    title: str
    ranker: str
    warnings: Sequence[str]
    videos: Sequence[VideoCard]


@dataclass(frozen=True, kw_only=True)
class ReviewPage:
    """What `review.html.j2` shows before its script asks the server: `video2gif serve`."""

    title: str = "Review"
    accept: str
    """Suffixes of files that may be dropped, as `.mkv,.mts`."""
    ranker: str
    warnings: Sequence[str]


Page = ReportPage | GifsPage | ReviewPage
_FILES: Mapping[type, tuple[str, str]] = {
    # template and script
    ReportPage: ("report.html.j2", "play.js"),
    GifsPage: ("gifs.html.j2", "play.js"),
    ReviewPage: ("review.html.j2", "review.js"),
}


def render(page: Page) -> str:
    """The page as HTML."""
    template, script = _FILES[type(page)]
    content: dict[str, Any] = {name: getattr(page, name) for name in page.__dataclass_fields__}
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            style=Markup((_FOLDER / "style.css").read_text()),
            script=Markup((_FOLDER / script).read_text()),
        )
    )


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        # A misspelt name in a template is an error instead of an empty place on the page.
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
