"""Turn metrics/eval.json and the ablation tables into what the report shows."""

import math
from typing import Any

import pandas as pd
from markupsafe import Markup

from video2gif.page import charts
from video2gif.page.render import Compared, MethodRow, MethodTable, Metric, Tile


def tiles(metrics: dict[str, Any]) -> list[Tile]:
    """The large figures at the top, each beside that of a random ranking."""
    random = metrics["baselines"]["random"]
    return [
        Tile("nMSD ↓", three(metrics["nmsd"]), f"random {three(random['nmsd'])}"),
        Tile("mAP ↑", three(metrics["map"]), f"random {three(random['map'])}"),
        Tile(
            "recall at 5 ↑", three(metrics["recall_at_5"]), "GIFs found by the best five segments"
        ),
        Tile("evaluated", str(metrics["n_gifs"]), f"GIFs of {metrics['n_videos']} videos"),
    ]


def three(value: float | None) -> str:
    """A figure with three digits, or a dash if there is none."""
    return "–" if value is None else f"{value:.3f}"


def comparison(metrics: dict[str, Any]) -> list[Compared]:
    """The ranker and the baselines, one row each."""
    rows = {"this ranker": metrics, **metrics["baselines"]}
    return [Compared(name, _metric(m, "nmsd"), _metric(m, "map")) for name, m in rows.items()]


def _metric(figures: dict[str, Any], name: str) -> Metric:
    low, high = figures.get(f"{name}_ci") or (None, None)
    return Metric(value=figures[name], low=low, high=high)


def category_nmsd(metrics: dict[str, Any]) -> list[tuple[str, float]]:
    """nMSD of each category that has one, sorted by name."""
    return [
        (name, figures["nmsd"])
        for name, figures in sorted(metrics["per_category"].items())
        if figures["nmsd"] is not None
    ]


def result_charts(metrics: dict[str, Any]) -> dict[str, tuple[Markup, str]]:
    """Charts with a caption, by title."""
    by_length = [
        (f"{group['from_s']:.1f}–{group['to_s']:.1f} s", group["nmsd"])
        for group in metrics["per_length"]
    ]
    by_rank = [
        (f"up to {round(100 * one['best_share'])} %", one["gif_share"])
        for one in metrics["calibration"]
    ]
    return {
        "nMSD by length of the video": (
            charts.bars(by_length, label="nMSD by length of the video", digits=3),
            "lower is better",
        ),
        "What the ranking is worth": (
            charts.bars(
                by_rank, label="Share of frames inside a GIF by tenth of the ranking", digits=3
            ),
            "share of frames inside a GIF, by tenth of each video's ranking, best first",
        ),
    }


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
