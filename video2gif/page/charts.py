"""Small SVG charts as text: score curves, lines, bars. Pure functions without a drawing library.

Colours are CSS variables (`--series-1` …) of page/style.css, so that a chart follows the light and
the dark theme. Coordinates are rounded to a tenth of a pixel: that keeps pages small and equal on
every machine.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

NOTHING = Markup('<p class="quiet">Nothing to draw.</p>')
"""In the place of a drawing that would be empty."""
_LEFT, _BOTTOM, _TOP, _RIGHT = 44, 30, 10, 12  # margins for axis text, px


@dataclass(frozen=True)
class Step:
    """One segment of a score curve, seconds; `score` is NaN where nothing was scored."""

    start_s: float
    end_s: float
    score: float


def score_curve(
    steps: Sequence[Step],
    *,
    duration_s: float,
    truth: Sequence[tuple[float, float]] = (),
    chosen: Sequence[tuple[float, float]] = (),
    label: str,
) -> Markup:
    """Scores over time, a step for each segment; bands: GIFs of people; bars below: chosen ones."""
    width, height = 720.0, 84.0
    scores = [step.score for step in steps if math.isfinite(step.score)]
    low, high = (min(scores), max(scores)) if scores else (0.0, 1.0)
    scale_x = width / max(duration_s, 1e-9)

    def y(score: float) -> float:
        # Scores have no unit: the video's lowest and highest fill the height. All equal: a low
        # line.
        return 72 - 62 * (score - low) / ((high - low) or 1.0)

    parts = [
        _rect(
            s * scale_x, 0, (e - s) * scale_x, 76, "truth", f"GIF made by people {s:.1f}–{e:.1f} s"
        )
        for s, e in truth
    ]
    parts += [
        _rect(s * scale_x, 78, (e - s) * scale_x, 5, "chosen", f"chosen {s:.1f}–{e:.1f} s")
        for s, e in chosen
    ]
    for step in steps:
        x0, x1 = step.start_s * scale_x, step.end_s * scale_x
        if math.isfinite(step.score):
            parts.append(
                f'<path class="step" d="M{x0:.1f} 76V{y(step.score):.1f}H{x1:.1f}V76Z">'
                f"<title>{step.start_s:.1f}–{step.end_s:.1f} s: {step.score:.3f}</title></path>"
            )
        else:
            parts.append(_rect(x0, 72, x1 - x0, 4, "unscored", "not scored"))
    return svg(parts, width, height, label, stretch=True)


_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_MOST_TICKS = 6


def time_axis(duration_s: float) -> Markup:
    """Times below a score curve; a drawing of its own, as the curve is stretched to its place."""
    step_s = next((s for s in _TICKS_S if duration_s / s <= _MOST_TICKS), 14_400)
    times_s = range(0, math.floor(duration_s) + 1, step_s)
    texts = []
    for time_s in times_s:
        share = 100 * time_s / max(duration_s, 1e-9)
        # The outer ones would be cut in half.
        anchor = "" if share < 3 else ' class="end"' if share > 96 else ' class="mid"'
        texts.append(f'<text x="{share:.2f}%" y="13"{anchor}>{clock(time_s)}</text>')
    return Markup(f'<svg class="axis" aria-hidden="true">{"".join(texts)}</svg>')


def clock(time_s: float) -> str:
    """A time as people write it: 0:07, 1:02:30."""
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def line_chart(
    series: Mapping[str, Sequence[tuple[float, float]]], *, x_label: str, y_label: str, label: str
) -> Markup:
    """Lines over shared axes, with a legend that names them by colour."""
    points = [p for line in series.values() for p in line if all(map(math.isfinite, p))]
    if not points:
        return NOTHING
    width, height = 380.0, 230.0
    xs, ys = [x for x, _ in points], [y for _, y in points]
    to_x = Scale(min(xs), max(xs), _LEFT, width - _RIGHT)
    to_y = Scale(min(0.0, *ys), max(ys), height - _BOTTOM, _TOP)
    parts = _axes(to_x, to_y, width, height, x_label=x_label, y_label=y_label)
    for number, (name, line) in enumerate(series.items(), start=1):
        path = " ".join(f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in line if math.isfinite(y))
        parts.append(
            f'<polyline class="line s{number}" points="{path}"><title>{escape(name)}</title>'
            "</polyline>"
        )
    return svg(parts, width, height, label) + _legend(list(series))


def bars(values: Sequence[tuple[str, float]], *, label: str) -> Markup:
    """A horizontal bar for each name and value, in the order given, with the value beside it."""
    if not values:
        return NOTHING
    top = max(value for _, value in values) or 1.0
    width, row = 380.0, 24
    parts = []
    for number, (name, value) in enumerate(values):
        y, written = number * row, f"{value:.0f}"
        parts.append(f'<text class="name" x="146" y="{y + 16}">{escape(name)}</text>')
        parts.append(_rect(152, y + 4, 170 * value / top, 15, "bar", f"{name}: {written}"))
        parts.append(
            f'<text class="value" x="{156 + 170 * value / top:.1f}" y="{y + 16}">{written}</text>'
        )
    return svg(parts, width, row * len(values) + 4.0, label)


class Scale:
    """A linear map from data to pixels, with round tick values."""

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        self.low, self.high = low, high if high > low else low + 1.0
        self._first, self._last = first, last

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self._first + share * (self._last - self._first)

    def ticks(self) -> list[float]:
        raw = (self.high - self.low) / 4
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw)
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor(self.high / step + 1e-9) - first + 1
        return [step * (first + number) for number in range(count)]


def _axes(
    to_x: Scale, to_y: Scale, width: float, height: float, *, x_label: str, y_label: str
) -> list[str]:
    bottom = height - _BOTTOM
    parts = []
    for value in to_y.ticks():
        y = to_y(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{width - _RIGHT:.1f}"/>')
        parts.append(f'<text class="tick end" x="{_LEFT - 6}" y="{y + 4:.1f}">{value:g}</text>')
    parts += [
        f'<text class="tick mid" x="{to_x(value):.1f}" y="{bottom + 15:.1f}">{value:g}</text>'
        for value in to_x.ticks()
    ]
    parts.append(
        f'<text class="tick end" x="{width - _RIGHT:.1f}" y="{height - 2:.1f}">{escape(x_label)}'
        f'</text><text class="tick" x="2" y="{height - 2:.1f}">{escape(y_label)}</text>'
    )
    return parts


def _legend(names: Sequence[str]) -> Markup:
    entries = "".join(
        f'<li><span class="key s{number}"></span>{escape(name)}</li>'
        for number, name in enumerate(names, start=1)
    )
    return Markup(f'<ul class="legend">{entries}</ul>')


def _rect(x: float, y: float, width: float, height: float, kind: str, title: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}"'
        f' height="{height:.1f}"><title>{escape(title)}</title></rect>'
    )


def svg(
    parts: Sequence[str], width: float, height: float, label: str, *, stretch: bool = False
) -> Markup:
    """The parts as a drawing with a name; `stretch`: it fills its place, whatever its shape."""
    aspect = ' preserveAspectRatio="none"' if stretch else ""
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}"{aspect}>'
        + "".join(parts)
        + "</svg>"
    )
