"""What a scheduled run shows in Prefect: artifacts of what it computed and how good it is."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.counts import items_table
from video2gif.project.summary import SHOWN, Quality

_PREVIEW_BYTES = 200_000
_PREVIEWS = 3


def show_items(root: Path, *, since: float) -> None:
    """The table as an artifact of the current run."""
    create_table_artifact(
        key="items", table=items_table(root, since=since), description="Items by stage"
    )


def show_quality(root: Path, before: Quality | None, after: Quality, *, verdict: str) -> None:
    """Metrics before and after, the digest of dvc.lock, the report and some of its GIFs."""
    report = root / "report"
    lines = [
        f"**{verdict}**",
        "",
        "| | before | after |",
        "|---|---|---|",
        *(f"| {name} | {_figure(before, name)} | {_figure(after, name)} |" for name in SHOWN),
        "",
        f"dvc.lock `{lock_digest(root)}`, report [{report / 'index.html'}]({_uri(report)})",
        "",
        *previews(sorted(report.glob("gifs/*.gif"))),
    ]
    create_markdown_artifact(key="quality", markdown="\n".join(lines), description="The ranker")


def _uri(report: Path) -> str:
    return (report / "index.html").absolute().as_uri()


def _figure(result: Quality | None, metric: str) -> str:
    return str(result.rows["ranker"][metric]) if result else "–"


def lock_digest(root: Path) -> str:
    """The first 16 hex digits of dvc.lock's sha256: equal digests, equal data."""
    try:
        return hashlib.sha256((root / "dvc.lock").read_bytes()).hexdigest()[:16]
    except FileNotFoundError:
        return "none"


def previews(gifs: Sequence[Path]) -> list[str]:
    """Markdown images of the first few GIFs, inside the page: a server need not reach our files.

    Of a GIF that is too large for that, the still beside it.
    """
    shown = (next(filter(_is_small, (gif, gif.with_suffix(".jpg"))), None) for gif in gifs)
    return [_image(path) for path in list(filter(None, shown))[:_PREVIEWS]]


def _is_small(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= _PREVIEW_BYTES


def _image(path: Path) -> str:
    kind = {".gif": "gif", ".jpg": "jpeg"}[path.suffix]
    content = base64.b64encode(path.read_bytes()).decode()
    return f"![{path.stem}](data:image/{kind};base64,{content})"
