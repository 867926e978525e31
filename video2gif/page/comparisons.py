"""Drawings that compare: figures with their intervals on one axis, shares beside what is usual.

As in `charts`: pure functions, SVG as text, colours from the style sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from video2gif.page.charts import NOTHING, Scale, svg

_VALUE = 46.0  # px: the figures at the right
_LETTER, _LEAST_NAME, _MOST_NAME = 7.2, 60.0, 182.0  # px: the names at the left
_WIDTH, _ROW, _AXIS = 380.0, 27.0, 34.0


@dataclass(frozen=True)
class Measured:
    """A figure with its 95 % interval, which may be unknown."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    is_ours: bool = False
    """Drawn in the second colour, with a line down the drawing to compare the others with."""


def intervals(rows: Sequence[Measured], *, x_label: str, label: str) -> Markup:
    """A dot for each figure and a line for its interval, below each other on one axis from 0."""
    if not rows:
        return NOTHING
    top = max(one.value if one.high is None else one.high for one in rows)
    names = _LETTER * max(len(one.name) for one in rows)
    left = min(max(names, _LEAST_NAME), _MOST_NAME)
    to_x = Scale(0.0, max(top, 1e-9), left + 12, _WIDTH - _VALUE - 10)
    bottom = _ROW * len(rows)
    parts = _axis(to_x, bottom, x_label)
    for one in (row for row in rows if row.is_ours):
        parts.append(f'<path class="guide" d="M{to_x(one.value):.1f} 0V{bottom:.1f}"/>')
    for number, one in enumerate(rows):
        parts += _row(one, to_x, y=number * _ROW + _ROW / 2, name_x=left)
    return svg(parts, _WIDTH, bottom + _AXIS, label)


def _row(one: Measured, to_x: Scale, *, y: float, name_x: float) -> list[str]:
    kind = "ours" if one.is_ours else "other"
    known = "" if one.low is None else f", 95 % interval {one.low:.3f} to {one.high:.3f}"
    parts = [f"<g><title>{escape(one.name)}: {one.value:.3f}{known}</title>"]
    parts.append(
        f'<text class="name {kind}" x="{name_x:.1f}" y="{y + 4:.1f}">{escape(one.name)}</text>'
    )
    if one.low is not None and one.high is not None:
        low, high = to_x(one.low), to_x(one.high)
        parts.append(f'<path class="interval {kind}" d="M{low:.1f} {y:.1f}H{high:.1f}"/>')
    parts.append(f'<circle class="dot {kind}" cx="{to_x(one.value):.1f}" cy="{y:.1f}" r="4.5"/>')
    x = _WIDTH - _VALUE
    return [*parts, f'<text class="value" x="{x:.1f}" y="{y + 4:.1f}">{one.value:.3f}</text></g>']


def _axis(to_x: Scale, bottom: float, x_label: str) -> list[str]:
    parts = []
    for value in to_x.ticks():
        x = to_x(value)
        parts.append(f'<path class="grid" d="M{x:.1f} 0V{bottom:.1f}"/>')
        parts.append(f'<text class="mid" x="{x:.1f}" y="{bottom + 14:.1f}">{value:g}</text>')
    middle = (to_x(to_x.low) + to_x(to_x.high)) / 2
    parts.append(
        f'<text class="mid" x="{middle:.1f}" y="{bottom + 30:.1f}">{escape(x_label)}</text>'
    )
    return parts


def columns(
    values: Sequence[tuple[str, float]], *, usual: float, usual_name: str, x_label: str, label: str
) -> Markup:
    """A column for each share, as high as it is; a line at the share that is `usual`."""
    if not values:
        return NOTHING
    height, left, floor = 190.0, 40.0, 160.0
    to_y = Scale(0.0, max(*(share for _, share in values), usual, 1e-9), floor, 22.0)
    step = (_WIDTH - left) / len(values)
    parts = []
    for number, (name, share) in enumerate(values):
        x, y = left + number * step, to_y(share)
        middle = x + step / 2
        # A share of nothing keeps a foot on the ground: it was measured, and it is nothing.
        parts.append(
            f'<rect class="bar" x="{x + 3:.1f}" y="{min(y, floor - 1.5):.1f}"'
            f' width="{step - 6:.1f}" height="{max(floor - y, 1.5):.1f}">'
            f"<title>{escape(name)}: {100 * share:.1f} %</title></rect>"
            f'<text class="mid value" x="{middle:.1f}" y="{y - 5:.1f}">{100 * share:.0f} %</text>'
            f'<text class="mid" x="{middle:.1f}" y="{floor + 15:.1f}">{escape(name)}</text>'
        )
    y, centre = to_y(usual), (left + _WIDTH) / 2
    parts.append(
        f'<path class="guide" d="M{left:.1f} {y:.1f}H{_WIDTH:.1f}"/>'
        f'<text x="0" y="{y + 4:.1f}">{100 * usual:.0f} %<title>{escape(usual_name)}</title></text>'
        f'<text class="mid" x="{centre:.1f}" y="{height - 2:.1f}">{escape(x_label)}</text>'
    )
    return svg(parts, _WIDTH, height, label)
