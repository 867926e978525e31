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

    gif: str
    still: str
    start_s: float
    end_s: float
    alt: str
    is_film: bool = False
    """Whether `gif` is an MP4, which an <img> does not play."""
    why: str = ""
    """Why this moment, in a sentence."""
    details: Sequence[str] = ()
    """The figures behind it, for those who unfold them."""


@dataclass(frozen=True, kw_only=True)
class VideoCard:
    """One video: its frames, its score curve, its GIFs."""

    title: str
    facts: Sequence[str]
    strip: str
    """Path of the filmstrip picture, "" for none."""
    curve: Markup
    clips: Sequence[ClipCard]
    anchor: str = ""
    """What a link on the page names it."""
    made_by_people: bool = False
    """Whether the curve shows GIFs that people made."""


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
    picture: Markup
    """nMSD of every method, with its interval."""
    noise: Markup | None
    """The losses under wrong labels."""


@dataclass(frozen=True)
class Quarantined:
    """One row of the list of items that were left out."""

    stage: str
    id: str
    reason: str


@dataclass(frozen=True)
class Drawing:
    """A drawing with its title and the sentence below it."""

    title: str
    picture: Markup
    text: str = ""


@dataclass(frozen=True)
class Failure:
    """A video of the evaluated split on which the ranker did badly."""

    title: str
    anchor: str
    """Of its card on the page; "" where it has none."""
    text: str


@dataclass(frozen=True, kw_only=True)
class ReportPage:
    """Everything `report.html.j2` shows, in its order."""

    title: str
    warnings: Sequence[str]
    split: str
    asked: Sequence[str]
    """What was asked of which data: a few sentences."""
    answer: Sequence[str]
    """How well it went: a few sentences."""
    results: Sequence[Drawing]
    comparison: Sequence[Compared]
    failures: Sequence[Failure] = ()
    weak_spots: Sequence[Drawing] = ()
    """Where it fails: by category, by length, along the ranking."""
    videos: Sequence[VideoCard]
    distributions: Sequence[Drawing]
    """What the data set holds."""
    statistics: Mapping[str, str]
    training: Sequence[Drawing]
    method_tables: Sequence[MethodTable] = ()
    quarantine: Sequence[Quarantined] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class GifsPage:
    """Everything `gifs.html.j2` shows: what `video2gif gif` made."""

    title: str
    ranker: str
    warnings: Sequence[str]
    """About the ranker, behind the fold that says how moments are chosen."""
    videos: Sequence[VideoCard]


@dataclass(frozen=True, kw_only=True)
class ReviewPage:
    """What `review.html.j2` shows before its script asks the server: `video2gif serve`."""

    title: str = "GIFs of your films"
    accept: str
    """Suffixes of files that may be dropped, as `.mkv,.mts`."""
    ranker: str
    warnings: Sequence[str]


Page = ReportPage | GifsPage | ReviewPage
_REVIEW = ("common", "shelf", "uploads", "player", "keys", "moments", "editor", "exports", "review")
_FILES: Mapping[type, tuple[str, Sequence[str]]] = {
    # The template, and the scripts in the order in which they run, as one.
    ReportPage: ("report.html.j2", ("play",)),
    GifsPage: ("gifs.html.j2", ("play",)),
    ReviewPage: ("review.html.j2", _REVIEW),
}


def render(page: Page) -> str:
    """The page as HTML."""
    template, scripts = _FILES[type(page)]
    content: dict[str, Any] = {name: getattr(page, name) for name in page.__dataclass_fields__}
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            style=Markup((_FOLDER / "style.css").read_text()),
            script=Markup("\n".join((_FOLDER / f"{name}.js").read_text() for name in scripts)),
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
