"""Turn metrics/eval.json and the ablation tables into what the report shows and says."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from video2gif.page import charts
from video2gif.page.comparisons import Measured, columns, intervals
from video2gif.page.render import Compared, Drawing, MethodRow, MethodTable, Metric

OURS = "this ranker"
_NAMES = {"motion": "motion alone", "random": "a random order"}
_LEAST_VIDEOS = 3  # of a group: the mean of fewer says little


def percent(share: float) -> str:
    """A share as people read it: 16 %."""
    return f"{100 * share:.0f} %"


def answer(metrics: dict[str, Any]) -> list[str]:
    """How well the ranker did, in sentences; none when nothing could be evaluated."""
    if metrics["nmsd"] is None:
        return []
    found = [
        f"On average {percent(metrics['nmsd'])} of a film is ranked above the GIFs that people"
        " made of it: 0 % would be perfect."
    ]
    random, motion = (metrics["baselines"][name] for name in ("random", "motion"))
    found.append(
        f"A random order has {percent(random['nmsd'])}, a ranking by motion alone"
        f" {percent(motion['nmsd'])}."
    )
    if motion.get("ranker_less_baseline"):
        found.append(_beside_motion(motion["ranker_less_baseline"]))
    if metrics["recall_at_5"] is not None:
        found.append(
            f"The five best parts of a film show {percent(metrics['recall_at_5'])} of its GIFs."
        )
    return found


def _beside_motion(difference: dict[str, Any]) -> str:
    value, bounds = difference["nmsd"], difference["nmsd_ci"]
    if value is None or bounds is None:
        return "There are too few films to say whether motion alone would do as well."
    is_sure = bounds[0] * bounds[1] > 0
    told = f"{abs(value):.3f} (95 % interval of the difference: {bounds[0]:.3f} to {bounds[1]:.3f})"
    if not is_sure:
        return f"It differs from motion alone by {told}, which may be chance."
    how = "better" if value < 0 else "worse"
    return f"It is {how} than motion alone by {told}, which is more than chance."


def results(metrics: dict[str, Any]) -> list[Drawing]:
    """The ranker beside the baselines: one drawing for each metric."""
    texts = {
        "nmsd": ("nMSD", "How much of a film stands above the GIF. Lower is better."),
        "map": ("mAP", "How well the GIF's frames come first. Higher is better."),
    }
    arrows = {"nmsd": "← better", "map": "better →"}
    drawn = []
    for name, (title, text) in texts.items():
        rows = [
            _measured(row.name, getattr(row, name), is_ours=row.name == OURS)
            for row in comparison(metrics)
        ]
        known = [row for row in rows if row is not None]
        picture = intervals(
            known, x_label=f"{title}, {arrows[name]}", label=f"{title} of all rankers"
        )
        drawn.append(Drawing(title, picture, text))
    return drawn


def _measured(name: str, metric: Metric, *, is_ours: bool = False) -> Measured | None:
    if metric.value is None or math.isnan(metric.value):
        return None
    return Measured(name, metric.value, metric.low, metric.high, is_ours)


def comparison(metrics: dict[str, Any]) -> list[Compared]:
    """The ranker and the baselines, one row each."""
    rows = {OURS: metrics, **metrics["baselines"]}
    return [
        Compared(_NAMES.get(name, name), _metric(m, "nmsd"), _metric(m, "map"))
        for name, m in rows.items()
    ]


def _metric(figures: Mapping[str, Any], name: str) -> Metric:
    low, high = figures.get(f"{name}_ci") or (None, None)
    return Metric(value=figures[name], low=low, high=high)


def weak_spots(metrics: dict[str, Any]) -> list[Drawing]:
    """nMSD by category and by length; where along the ranking the GIFs lie."""
    categories = [
        _measured(_counted(name or "none", figures), _metric(figures, "nmsd"))
        for name, figures in sorted(metrics["per_category"].items())
    ]
    lengths = [Measured(*one) for one in by_length(metrics["per_length"])]
    label = "nMSD, ← better"
    return [
        Drawing(
            "By category",
            intervals([one for one in categories if one], x_label=label, label="nMSD by category"),
            "nMSD with its 95 % interval; in brackets the number of films.",
        ),
        Drawing(
            "By length of the film",
            intervals(lengths, x_label=label, label="nMSD by length of the film"),
            f"Films of similar length together, {_LEAST_VIDEOS} at least.",
        ),
        _along(metrics["calibration"]),
    ]


def _counted(name: str, figures: Mapping[str, Any]) -> str:
    count = figures.get("n_videos")
    return name if count is None else f"{name} ({count})"


def by_length(groups: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    """(name, nMSD) of films of similar length, shortest first.

    The metrics have tenths of the films; neighbours are joined until every group has some films
    and another name. nMSD is a mean over films, so that of a group is the weighted mean.
    """
    joined: list[list[Mapping[str, Any]]] = []
    for group in (one for one in groups if one["nmsd"] is not None):
        if joined and (_n_videos(joined[-1]) < _LEAST_VIDEOS or _meets(joined[-1][-1], group)):
            joined[-1].append(group)
        else:
            joined.append([group])
    if len(joined) > 1 and _n_videos(joined[-1]) < _LEAST_VIDEOS:
        last = joined.pop()
        joined[-1] += last
    return [(_span_name(part), _mean_nmsd(part)) for part in joined]


def _meets(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return f"{before['to_s']:.1f}" == f"{after['from_s']:.1f}"


def _n_videos(part: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(one["n_videos"]) for one in part)


def _span_name(part: Sequence[Mapping[str, Any]]) -> str:
    low, high = f"{part[0]['from_s']:.1f}", f"{part[-1]['to_s']:.1f}"
    span = low if low == high else f"{low}–{high}"
    return f"{span} s ({_n_videos(part)})"


def _mean_nmsd(part: Sequence[Mapping[str, Any]]) -> float:
    return float(sum(one["nmsd"] * one["n_videos"] for one in part) / _n_videos(part))


def _along(tenths: Sequence[Mapping[str, Any]]) -> Drawing:
    frames = sum(one["n_frames"] for one in tenths)
    usual = sum(one["gif_share"] * one["n_frames"] for one in tenths) / max(frames, 1)
    drawn = columns(
        [(f"{100 * one['best_share']:.0f}", one["gif_share"]) for one in tenths],
        usual=usual,
        usual_name="share of all frames that are in a GIF",
        x_label="per cent of the film, best first",
        label="Share of frames inside a GIF by tenth of the ranking",
    )
    return Drawing(
        "Along the ranking",
        drawn,
        "How many of the frames are in a GIF that people made, from the part ranked best to the"
        f" part ranked worst. The line is the mean, {percent(usual)}: a random order has it"
        " everywhere.",
    )


def method_table(content: dict[str, Any], lines: pd.DataFrame) -> MethodTable:
    """One table of `video2gif ablate`: the notes beside its csv, and the csv."""
    methods, noise = lines[lines["noise"].isna()], lines[lines["noise"].notna()]
    rows = {
        beyond: [_method(row) for row in own.to_dict("records")]
        for beyond, own in methods.groupby(methods["beyond"].astype(bool))
    }
    return MethodTable(
        title=content["name"],
        note=_about_table(content),
        reference=content["reference"],
        of_paper=rows.get(False, []),
        beyond=rows.get(True, []),
        picture=_all_methods([*rows.get(False, []), *rows.get(True, [])], content["reference"]),
        noise=charts.line_chart(
            {
                str(name).replace("_", " "): list(zip(line["noise"], line["nmsd"], strict=True))
                for name, line in noise.groupby("name", sort=False)
            },
            x_label="wrong positives",
            y_label="nMSD",
            label="nMSD by the share of wrong positives",
        )
        if len(noise)
        else None,
    )


def _all_methods(rows: Sequence[MethodRow], reference: str) -> Markup:
    measured = [_measured(row.name, row.nmsd, is_ours=row.name == reference) for row in rows]
    known = sorted((one for one in measured if one), key=lambda one: (one.value, one.name))
    return intervals(known, x_label="nMSD, ← better", label="nMSD of all methods")


def _about_table(content: dict[str, Any]) -> str:
    scored = f"{content['n_gifs']} GIFs of {content['n_videos']} videos"
    folds = content["folds"]
    how = (
        f"each scored by what learned from the others, in {folds} folds"
        if folds
        else "the test split"
    )
    weights = ", C3D with random weights" if content["random_weights"] else ""
    return (
        f"{scored}, {how}{weights}; means of {content['seeds']} seeds, 95 % intervals over videos."
        " Measured by `video2gif ablate`, apart from this report. The paper's figures are for its"
        " own videos and from memory: compare only their order."
    )


def _method(row: dict[str, Any]) -> MethodRow:
    return MethodRow(
        name=row["name"],
        nmsd=_bounded(row, "nmsd"),
        difference=_bounded(row, "to_reference"),
        map=_bounded(row, "map"),
        paper_nmsd=_known(row["paper_nmsd"]),
        paper_map=_known(row["paper_map"]),
    )


def _bounded(row: dict[str, Any], name: str) -> Metric:
    return Metric(value=row[name], low=row[f"{name}_low"], high=row[f"{name}_high"])


def _known(figure: float) -> float | None:
    return None if math.isnan(figure) else figure


def series(frame: pd.DataFrame, x: str, y: str) -> dict[str, list[tuple[float, float]]]:
    """Points (x, y) of each member of the ensemble, by name; NaN where there is no value."""
    return {
        f"model {member + 1}": list(zip(rows[x], rows[y].fillna(math.nan), strict=True))
        for member, rows in frame.groupby("member")
    }
