"""Make the report: a page that shows results, GIFs and data. Reads all tables; writes report/.

GIFs and filmstrips are items, so a report after a new training encodes only GIFs it did not show
before.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import pandas as pd

from video2gif.core.config import Params
from video2gif.core.items import Context, Counts, compute
from video2gif.core.layout import Layout, clear_folder, read_csv, read_json
from video2gif.core.tables import (
    DOWNLOADS,
    FEATURES,
    FINGERPRINTS,
    LABELS,
    MATCHES,
    PREDICTIONS,
    SOURCES,
    TAGS,
    feature_status,
)
from video2gif.core.work import Item, Outcome
from video2gif.datasets.statistics import corpus
from video2gif.fingerprint.read import Fingerprints
from video2gif.gifs.render import HOLD_S, GifOptions, Within, moment_item, read_rendered, rendering
from video2gif.media.strips import filmstrip, filmstrip_item
from video2gif.page import charts
from video2gif.page.render import (
    ClipCard,
    Drawing,
    Failure,
    Quarantined,
    ReportPage,
    VideoCard,
    render,
)
from video2gif.page.results import (
    answer,
    comparison,
    method_table,
    percent,
    results,
    series,
    weak_spots,
)

_MOST_FAILURES = 6
_FAILED_NMSD = 0.3  # From here on, it may be said that the ranker did not find the GIFs.

_RANDOM_WEIGHTS = (
    "The C3D weights of this run are random (extract.weights = {weights}): its features are random"
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
        folders = layout.feature_folders()
        indices = [FEATURES.read(folder / "index.parquet") for folder in folders]
        # What one network has nothing of has no score (`ranking.videos.side_by_side`).
        self.features = pd.concat(indices).groupby(["video_id", "segment_id"])["n_clips"].min()
        self.feature_status = feature_status(folders)
        self.seen_tags = TAGS.read(layout.tags).set_index("video_id")["tags"]
        self.predictions = PREDICTIONS.read(layout.predictions)
        self.corpus = corpus(layout)
        self.metrics = read_json(layout.eval_metrics)
        self.card = read_json(layout.model_card)
        self.by_video = read_csv(layout.eval_videos_plot)
        self.train_plot = read_csv(layout.train_plot)
        self.loss_plot = read_csv(layout.loss_plot)
        self.ablations = [
            (read_json(path.with_suffix(".json")), read_csv(path))
            for path in sorted(layout.ablation.glob("*.csv"))
        ]

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
    """Videos to show: evaluated ones first, as the others were trained on; each group by id."""
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
    """The GIFs of the chosen segments by video and segment, made as `video2gif gif` makes them."""
    options = GifOptions(height=params.report.gif_height, fps=params.report.gif_fps)
    fingerprints = Fingerprints.open(layout)
    videos = data.media("video")
    items: dict[tuple[str, int], Item] = {}
    for video, rows in chosen.items():
        fingerprint = fingerprints.get("video", video)
        for row in rows.itertuples():
            span = int(row.start_frame), int(row.end_frame)
            items[video, int(row.segment_id)] = moment_item(
                f"video:{video}#{row.segment_id}",
                layout.media_file(videos.path[video]),
                sha256=videos.sha256[video],
                fingerprint=fingerprint,
                within=Within.exactly(span, fingerprint.edges_s, hold_s=HOLD_S),
            )
    outcomes = compute("report", rendering(options), list(items.values()), context)
    return dict(zip(items, outcomes, strict=True))


def _strip_outcomes(
    layout: Layout, context: Context, data: _Data, shown: Sequence[str]
) -> dict[str, Outcome]:
    videos = data.media("video")
    frames = data.fingerprints.query("kind == 'video'").set_index("id")["n_frames"]
    items = [
        filmstrip_item(
            f"video:{video}",
            layout.media_file(videos.path[video]),
            sha256=videos.sha256[video],
            n_frames=int(frames[video]),
        )
        for video in shown
    ]
    return dict(zip(shown, compute("report", filmstrip(), items, context), strict=True))


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
    # The file's name was made of the id and is harmless, which the id need not be.
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
            rendered = read_rendered(context.store.read(outcome.key))
            (folder / f"{name}.gif").write_bytes(rendered.content)
            (folder / f"{name}.jpg").write_bytes(rendered.still)
            clips.append(_clip(name, segment, title=title))
    duration = float(
        data.fingerprints.query("kind == 'video' and id == @video")["duration_s"].iloc[0]
    )
    own = data.predictions.query("video_id == @video")
    scores = charts.score_curve(
        [
            charts.Step(s, e, v)
            for s, e, v in own[["start_s", "end_s", "score"]].itertuples(index=False)
        ],
        duration_s=duration,
        # Only certain matches are drawn as the truth.
        truth=_spans(data.matches.query("video_id == @video and status == 'matched'")),
        chosen=_spans(chosen),
        label=f"Score of {title} over time",
    )
    facts = (
        f"{own['split'].iloc[0]} split",
        source["category"],
        f"{charts.clock(duration)} long",
        _nmsd(data, video),
        _seen(data, video),
    )
    return VideoCard(
        title=title,
        facts=[fact for fact in facts if fact],
        strip=f"gifs/{strip_name}" if strip_name else "",
        curve=scores + charts.time_axis(duration),
        clips=clips,
        anchor=_anchor(video),
        made_by_people=True,
    )


def _anchor(video: str) -> str:
    return f"video-{quote(video, safe='')}"


def _nmsd(data: _Data, video: str) -> str:
    """How well its GIFs were found; "" for a video that was not evaluated."""
    found = data.by_video.query("video_id == @video")["nmsd"].dropna()
    return f"nMSD {found.iloc[0]:.3f}" if len(found) else ""


def _seen(data: _Data, video: str) -> str:
    """What a network sees in it, in words; "" if nothing surely."""
    tags = str(data.seen_tags.get(video, "")).replace("|", ", ")
    return f"a network sees: {tags}" if tags else ""


def _clip(name: str, segment: Any, *, title: str) -> ClipCard:
    return ClipCard(
        gif=f"gifs/{name}.gif",
        still=f"gifs/{name}.jpg",
        start_s=segment.start_s,
        end_s=segment.end_s,
        alt=f"{title}, {segment.start_s:.1f} to {segment.end_s:.1f} seconds",
    )


def _spans(rows: pd.DataFrame) -> list[tuple[float, float]]:
    return list(rows[["start_s", "end_s"]].itertuples(index=False, name=None))


# The whole page


def _page(data: _Data, params: Params, cards: Sequence[VideoCard]) -> ReportPage:
    metrics = data.metrics
    weights = _RANDOM_WEIGHTS.format(weights=params.extract.weights)
    warnings = [weights] if data.card["random_weights"] else []
    if not metrics["n_videos"]:
        warnings.append(f"No video of the {params.evaluate.split} split could be evaluated.")
    return ReportPage(
        title="video2gif report",
        warnings=warnings,
        split=params.evaluate.split,
        asked=_asked(data, params),
        answer=answer(metrics),
        results=results(metrics),
        comparison=comparison(metrics),
        failures=_failures(data, {card.anchor for card in cards}),
        weak_spots=weak_spots(metrics),
        videos=cards,
        distributions=[
            Drawing(title, charts.bars(_trimmed([*counts.items()]), label=title))
            for title, counts in data.corpus.distributions.items()
        ],
        statistics=_statistics(data),
        training=_training(data),
        method_tables=[method_table(*measured) for measured in data.ablations],
        quarantine=_quarantine(data),
    )


def _asked(data: _Data, params: Params) -> list[str]:
    counted, metrics = data.corpus, data.metrics
    learned = counted.video_splits.get("train", 0)
    who = (
        f"The sample has {counted.gifs} GIFs of {counted.videos} films. The program has drawn them"
        " itself, in the place of films and of people who make GIFs of them"
        if data.card.get("rendered_sample")
        else f"People made {counted.gifs} GIFs of {counted.videos} films"
    )
    return [
        f"{who}. Which parts of a film are chosen, and can a ranker choose the same ones?",
        f"The ranker learned from {learned} films. Here it is asked about the {metrics['n_gifs']}"
        f" GIFs of {metrics['n_videos']} others (the {params.evaluate.split} split).",
    ]


def _failures(data: _Data, anchors: set[str]) -> list[Failure]:
    """The evaluated videos whose GIFs were ranked lowest, worst first."""
    rows = data.by_video.dropna(subset=["nmsd"])
    rows = rows[rows["nmsd"] >= _FAILED_NMSD].sort_values(
        ["nmsd", "video_id"], ascending=[False, True]
    )
    titles = data.sources.drop_duplicates("video_id").set_index("video_id")["title"]
    return [
        Failure(
            titles.get(row.video_id, "") or row.video_id,
            anchor if (anchor := _anchor(row.video_id)) in anchors else "",
            f"{percent(row.nmsd)} of it is ranked above its {_counted(row.n_gifs, 'GIF')}; by"
            f" motion alone it would be {percent(row.motion_nmsd)}.",
        )
        for row in rows.head(_MOST_FAILURES).itertuples()
    ]


def _trimmed(counts: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Without the empty bins before the first and after the last that holds something."""
    filled = [number for number, (_, count) in enumerate(counts) if count]
    return counts[filled[0] : filled[-1] + 1] if filled else []


def _counted(count: int, noun: str) -> str:
    return noun if count == 1 else f"{count} {noun}s"


def _training(data: _Data) -> list[Drawing]:
    train, losses = data.train_plot, data.loss_plot
    by_loss = {
        # The first column is u, the others are losses.
        name.replace("_", " "): list(zip(losses["u"], losses[name], strict=True))
        for name in losses.columns[1:]
    }
    loss = charts.line_chart(
        series(train, "epoch", "loss"), x_label="epoch", y_label="loss", label="Loss by epoch"
    )
    nmsd = charts.line_chart(
        series(train, "epoch", "validation_nmsd"),
        x_label="epoch",
        y_label="nMSD",
        label="Validation nMSD by epoch",
    )
    functions = charts.line_chart(by_loss, x_label="u", y_label="loss", label="Loss functions")
    return [
        Drawing("Loss by epoch", loss, "Of the training pairs, for each network of the ensemble."),
        Drawing("Validation nMSD by epoch", nmsd, "Lower is better. The best epoch is kept."),
        Drawing(
            "The loss functions compared",
            functions,
            "Over u = 1 − h(s⁺) + h(s⁻): a pair in the wrong order has u > 1. Adaptive Huber is"
            " drawn for the least (p = 0) and the most (p = 1) popular GIF; Huber is the former,"
            " so their lines coincide.",
        ),
    ]


def _statistics(data: _Data) -> dict[str, str]:
    unscored = int((data.features == 0).sum())
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
