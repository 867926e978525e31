"""A page a person wants to look at. Reads every table; writes report/index.html and report/gifs/.

GIFs and filmstrips are items, so a report after a new training encodes only what it newly shows.
"""

import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from markupsafe import Markup

from video2gif.config import Params
from video2gif.corpus import corpus
from video2gif.items import Context, Counts, Item, Outcome, Work, compute
from video2gif.layout import (
    DOWNLOADS,
    FEATURE_STATUS,
    FEATURES,
    FINGERPRINTS,
    LABELS,
    MATCHES,
    PREDICTIONS,
    SOURCES,
    Layout,
    clear_folder,
    read_json,
)
from video2gif.page import charts
from video2gif.page.pictures import unpack_clip
from video2gif.page.render import (
    Clip,
    Compared,
    Method,
    MethodTable,
    Metric,
    Quarantined,
    ReportPage,
    Tile,
    VideoCard,
    render,
)

_RANDOM_WEIGHTS = (
    "The C3D weights of this run are random (extract.weights = {weights}): the features are random"
    " projections of pixels and know nothing about videos. The figures show that the pipeline"
    " learns what was planted in its corpus, not how good the method is. Import the Sports-1M"
    " weights with `video2gif weights import` for a real run."
)


class _Data:
    """The tables of a project, read once."""

    def __init__(self, layout: Layout) -> None:
        self.downloads = DOWNLOADS.read(layout.downloads)
        self.sources = SOURCES.read(layout.sources)
        self.fingerprints = FINGERPRINTS.read(layout.fingerprints / "index.parquet")
        self.matches = MATCHES.read(layout.matches)
        self.labels = LABELS.read(layout.labels)
        self.features = FEATURES.read(layout.features / "index.parquet")
        self.feature_status = FEATURE_STATUS.read(layout.features / "status.parquet")
        self.predictions = PREDICTIONS.read(layout.predictions)
        self.corpus = corpus(layout)
        self.metrics = read_json(layout.eval_metrics)
        self.card = read_json(layout.model_card)
        self.train_plot = pd.read_csv(layout.train_plot)
        self.loss_plot = pd.read_csv(layout.loss_plot)
        self.ablations = [read_json(path) for path in sorted(layout.ablation.glob("*.json"))]

    def media(self, kind: str) -> pd.DataFrame:
        """Usable files of a kind, by id."""
        found = self.downloads.query("kind == @kind and status == 'ok'")
        return found.set_index("id")


def run(layout: Layout, params: Params, context: Context) -> Counts:
    """Write the page."""
    data = _Data(layout)
    clear_folder(layout.report)
    shown = _shown_videos(data, params)
    chosen = {video: _top_segments(data, video, params.report.gifs_per_video) for video in shown}
    gifs = _gif_outcomes(layout, params, context, data, chosen)
    strips = _strip_outcomes(layout, context, data, shown)
    pictures = layout.report / "gifs"
    pictures.mkdir()
    cards = [
        _video_card(data, video, chosen[video], gifs, strips[video], pictures, context)
        for video in shown
    ]
    page = _page(data, params, cards)
    (layout.report / "index.html").write_text(render(page), encoding="utf-8")
    return Counts.of([*gifs.values(), *strips.values()])


# What to show


def _shown_videos(data: _Data, params: Params) -> list[str]:
    """Evaluated videos first (the others were trained on), each group by id."""
    scored = data.predictions.dropna(subset=["score"])
    held_out = scored["split"] == params.evaluate.split
    ids = [*sorted(set(scored[held_out]["video_id"])), *sorted(set(scored[~held_out]["video_id"]))]
    return ids[: params.report.max_videos]


def _top_segments(data: _Data, video_id: str, count: int) -> pd.DataFrame:
    """The best-scored segments of a video, best first; ties by time."""
    own = data.predictions.query("video_id == @video_id").dropna(subset=["score"])
    return own.sort_values(["score", "start_s"], ascending=[False, True]).head(count)


def _gif_outcomes(
    layout: Layout,
    params: Params,
    context: Context,
    data: _Data,
    chosen: dict[str, pd.DataFrame],
) -> dict[tuple[str, int], Outcome]:
    work = Work(
        function="video2gif.page.pictures:clip_work",
        params={
            "height": params.report.gif_height,
            "fps": params.report.gif_fps,
            "format": "gif",
            "max_bytes": None,
        },
        libraries=("av", "opencv-python"),
    )
    videos = data.media("video")
    keys = [(video, int(s)) for video, rows in chosen.items() for s in rows["segment_id"]]
    spans = [
        span
        for rows in chosen.values()
        for span in zip(rows["start_s"], rows["end_s"], strict=True)
    ]
    items = [
        Item(
            id=f"video:{video}#{segment}",
            inputs=(videos.loc[video, "sha256"], repr(start), repr(end)),
            args={
                "path": str(layout.media_file(videos.loc[video, "path"])),
                "start_s": start,
                "end_s": end,
            },
        )
        for (video, segment), (start, end) in zip(keys, spans, strict=True)
    ]
    return dict(zip(keys, compute("report", work, items, context), strict=True))


def _strip_outcomes(
    layout: Layout, context: Context, data: _Data, shown: Sequence[str]
) -> dict[str, Outcome]:
    videos = data.media("video")
    frames = data.fingerprints.query("kind == 'video'").set_index("id")["n_frames"]
    items = [
        Item(
            id=f"video:{video}",
            inputs=(videos.loc[video, "sha256"],),
            args={
                "path": str(layout.media_file(videos.loc[video, "path"])),
                "n_frames": int(frames[video]),
            },
        )
        for video in shown
    ]
    work = Work(function="video2gif.page.pictures:strip_work", libraries=("av", "opencv-python"))
    return dict(zip(shown, compute("report", work, items, context), strict=True))


# One video


def _video_card(
    data: _Data,
    video: str,
    chosen: pd.DataFrame,
    gifs: dict[tuple[str, int], Outcome],
    strip: Outcome,
    folder: Path,
    context: Context,
) -> VideoCard:
    stem = PurePosixPath(data.media("video").loc[video, "path"]).stem
    strip_name = f"{stem}.jpg" if strip.ok else ""
    if strip.ok:
        (folder / strip_name).write_bytes(context.store.read(strip.key))
    source = data.sources.query("video_id == @video").iloc[0]
    title = source["title"] or video
    clips = []
    for rank, segment in enumerate(chosen.itertuples(), start=1):
        outcome = gifs[video, segment.segment_id]
        if outcome.ok:
            name = f"{stem}_{rank:02d}"
            gif, still = unpack_clip(context.store.read(outcome.key))
            (folder / f"{name}.gif").write_bytes(gif)
            (folder / f"{name}.jpg").write_bytes(still)
            clips.append(_clip(name, rank, segment, title=title))
    duration = float(
        data.fingerprints.query("kind == 'video' and id == @video")["duration_s"].iloc[0]
    )
    own = data.predictions.query("video_id == @video")
    return VideoCard(
        title=title,
        facts=[
            fact for fact in (own["split"].iloc[0], source["category"], f"{duration:.1f} s") if fact
        ],
        strip=f"gifs/{strip_name}" if strip_name else "",
        curve=charts.score_curve(
            [
                charts.Step(s, e, v)
                for s, e, v in own[["start_s", "end_s", "score"]].itertuples(index=False)
            ],
            duration_s=duration,
            truth=_spans(data.matches.query("video_id == @video and status == 'matched'")),
            chosen=_spans(chosen),
            label=f"Score of {title} over time",
        ),
        clips=clips,
    )


def _clip(name: str, rank: int, segment: Any, *, title: str) -> Clip:
    return Clip(
        rank=rank,
        gif=f"gifs/{name}.gif",
        still=f"gifs/{name}.jpg",
        start_s=segment.start_s,
        end_s=segment.end_s,
        score=segment.score,
        alt=f"{title}, {segment.start_s:.1f} to {segment.end_s:.1f} seconds",
    )


def _spans(rows: pd.DataFrame) -> list[tuple[float, float]]:
    return list(rows[["start_s", "end_s"]].itertuples(index=False, name=None))


# The whole page


def _page(data: _Data, params: Params, cards: Sequence[VideoCard]) -> ReportPage:
    metrics, weights = data.metrics, params.extract.weights
    warnings = [_RANDOM_WEIGHTS.format(weights=weights)] if weights.startswith("random:") else []
    if not metrics["n_videos"]:
        warnings.append(f"No video of the {params.evaluate.split} split could be evaluated.")
    train = data.train_plot
    return ReportPage(
        title="video2gif report",
        warnings=warnings,
        split=params.evaluate.split,
        tiles=_tiles(metrics),
        comparison=_comparison(metrics),
        category_nmsd=charts.bars(_category_nmsd(metrics), label="nMSD by category", digits=3),
        result_charts=_result_charts(metrics),
        method_tables=[_method_table(content) for content in data.ablations],
        videos=cards,
        loss_by_epoch=charts.line_chart(
            _series(train, "epoch", "loss"), x_label="epoch", y_label="loss", label="Loss by epoch"
        ),
        nmsd_by_epoch=charts.line_chart(
            _series(train, "epoch", "validation_nmsd"),
            x_label="epoch",
            y_label="nMSD",
            label="Validation nMSD by epoch",
        ),
        loss_functions=charts.line_chart(
            {
                name.replace("_", " "): list(
                    zip(data.loss_plot["u"], data.loss_plot[name], strict=True)
                )
                for name in data.loss_plot.columns[1:]
            },
            x_label="u",
            y_label="loss",
            label="Loss functions",
        ),
        distributions={
            title: charts.bars([*counts.items()], label=title)
            for title, counts in data.corpus.distributions.items()
        },
        statistics=_statistics(data),
        quarantine=_quarantine(data),
    )


def _tiles(metrics: dict[str, Any]) -> list[Tile]:
    def figure(name: str) -> str:
        return "–" if metrics[name] is None else f"{metrics[name]:.3f}"

    random = metrics["baselines"]["random"]
    return [
        Tile("nMSD ↓", figure("nmsd"), f"random {_three(random['nmsd'])}"),
        Tile("mAP ↑", figure("map"), f"random {_three(random['map'])}"),
        Tile("recall at 5 ↑", figure("recall_at_5"), "GIFs found by the best five segments"),
        Tile("evaluated", str(metrics["n_gifs"]), f"GIFs of {metrics['n_videos']} videos"),
    ]


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _comparison(metrics: dict[str, Any]) -> list[Compared]:
    rows = {"this ranker": metrics, **metrics["baselines"]}
    return [Compared(name, _metric(m, "nmsd"), _metric(m, "map")) for name, m in rows.items()]


def _metric(figures: dict[str, Any], name: str) -> Metric:
    low, high = figures.get(f"{name}_ci") or (None, None)
    return Metric(value=figures[name], low=low, high=high)


def _category_nmsd(metrics: dict[str, Any]) -> list[tuple[str, float]]:
    return [
        (name, figures["nmsd"])
        for name, figures in sorted(metrics["per_category"].items())
        if figures["nmsd"] is not None
    ]


def _result_charts(metrics: dict[str, Any]) -> dict[str, tuple[Markup, str]]:
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


def _method_table(content: dict[str, Any]) -> MethodTable:
    rows = {
        beyond: [_method(row) for row in content["rows"] if row["beyond"] == beyond]
        for beyond in (False, True)
    }
    noise = pd.DataFrame(content.get("noise", []), columns=["loss", "noise", "nmsd"])
    return MethodTable(
        title=content["name"],
        note=_about_table(content),
        reference=content["reference"],
        of_paper=rows[False],
        beyond=rows[True],
        noise=charts.line_chart(
            {
                str(name).replace("_", " "): list(zip(line["noise"], line["nmsd"], strict=True))
                for name, line in noise.groupby("loss", sort=False)
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
        " Measured by `video2gif ablate`, apart from this report. The paper's figures are of its"
        " own corpus and remembered, not re-read: compare their order."
    )


def _method(row: dict[str, Any]) -> Method:
    return Method(
        name=row["name"],
        nmsd=_metric(row, "nmsd"),
        difference=_metric(row, "to_reference"),
        map=_metric(row, "map"),
        paper_nmsd=row["paper_nmsd"],
        paper_map=row["paper_map"],
    )


def _series(frame: pd.DataFrame, x: str, y: str) -> dict[str, list[tuple[float, float]]]:
    return {
        f"model {member + 1}": list(zip(rows[x], rows[y].fillna(math.nan), strict=True))
        for member, rows in frame.groupby("member")
    }


def _statistics(data: _Data) -> dict[str, str]:
    unscored = int((data.features["n_clips"] == 0).sum())
    return {
        **data.corpus.facts,
        "segments": f"{len(data.labels)}",
        "segments too short to score": f"{unscored}",
    }


def _quarantine(data: _Data) -> list[Quarantined]:
    tables = {
        "download": data.downloads.assign(id=data.downloads["kind"] + " " + data.downloads["id"]),
        "fingerprint": data.fingerprints.assign(
            id=data.fingerprints["kind"] + " " + data.fingerprints["id"]
        ),
        "extract": data.feature_status.rename(columns={"video_id": "id"}),
    }
    return [
        Quarantined(stage, row.id, row.reason)
        for stage, table in tables.items()
        for row in table[table["status"] != "ok"].itertuples()
    ]
