"""`video2gif ablate`, `evaluate`, `labels`: compare methods, measure rankings, convert labels."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from video2gif.cli.terminal import Root, err, out, plain, table_of
from video2gif.core.config import Params
from video2gif.core.errors import Exit, UserError
from video2gif.core.layout import Layout, read_csv, read_json

if TYPE_CHECKING:
    from video2gif.ablation.table import AblationProgress as Report


def ablate(
    name: Annotated[str, typer.Option(help="The table is ablation/NAME.csv.")] = "table",
    folds: Annotated[
        int,
        typer.Option(
            min=0,
            help="Divide all videos into so many parts and score each part by training on the"
            " others; 0: train and test on the project's own splits.",
        ),
    ] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How often to train each method.")] = 5,
    workers: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 2,
    noise: Annotated[bool, typer.Option(help="Also train each loss with wrong labels.")] = True,
    root: Root = Path("."),
) -> None:
    """Train every method of the paper's table on this project's data, and compare them."""
    from video2gif.ablation.run import Ablation, run

    layout = Layout(root.resolve())
    choice = Ablation(name=name, n_folds=folds, seeds=seeds, workers=workers, noise=noise)
    with _progress() as progress:
        path = run(layout, Params.load(layout.params), choice, progress)
    out.print(_table(path))
    print(path)


@contextmanager
def _progress() -> "Iterator[Report]":
    if not err.is_terminal:
        yield lambda what, done, total: err.print(f"{done} of {total}: {what}", highlight=False)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done - 1, total=total
        )


def _table(path: Path) -> Table:
    reference = read_json(path.with_suffix(".json"))["reference"]
    table = table_of("method", "nMSD %", "mAP %", f"nMSD less {reference}", "paper")
    # Rows of the noise figure have a share there.
    for row in read_csv(path).query("noise.isna()").to_dict("records"):
        # Methods that are not in the paper have NaN, which is not above 0 either.
        paper = f"{100 * row['paper_nmsd']:.2f}" if row["paper_nmsd"] > 0 else ""
        cells = [
            _with_interval(row[name], (row[f"{name}_low"], row[f"{name}_high"]), sign)
            for name, sign in (("nmsd", ""), ("map", ""), ("to_reference", "+"))
        ]
        table.add_row(row["name"], *cells, paper)
    return table


def _with_interval(value: float, interval: tuple[float, float], sign: str = "") -> str:
    mean, low, high = (f"{100 * share:{sign}.1f}" for share in (value, *interval))
    # The backslash: Rich would take a bracket for markup.
    return f"{mean} \\[{low}, {high}]"


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="csv: video_id, start, end, score.")],
    labels: Annotated[Path, typer.Argument(help="csv: video_id, start, end of each GIF.")],
    against: Annotated[
        Path | None, typer.Option(help="Other predictions, to be compared on the same videos.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    samples: Annotated[int, typer.Option(min=1, help="Bootstrap samples of the intervals.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
) -> None:
    """Measure anyone's ranking as the paper does: nMSD, mAP, recall at 5, with intervals.

    In both files start and end are either `start_frame` and `end_frame`, or `start_s` and `end_s`.
    Exit code 3 if some videos could not be measured.
    """
    from video2gif.evaluation import figures
    from video2gif.evaluation.tables import read

    found = read(predictions, labels)
    content = dict(figures.full(found.videos, samples=samples, seed=seed))
    content["without_predictions"] = found.without_predictions
    content["without_labels"] = found.without_labels
    if against is not None:
        other = {one.video_id: one.metrics for one in read(against, labels).videos}
        # Over the same videos only: a difference of two sets of videos says nothing of two
        # rankings.
        both = [one for one in found.videos if one.video_id in other]
        content["less_against"] = {
            "n_videos": len(both),
            **figures.difference(
                [one.metrics for one in both],
                [other[one.video_id] for one in both],
                samples=samples,
                seed=seed,
            ),
        }
    if as_json:
        print(json.dumps(content, indent=2, sort_keys=True))
    else:
        out.print(_figures_table(content))
        _tell_left_out(found.without_predictions, found.without_labels)
    if found.without_predictions or not found.videos:
        raise typer.Exit(Exit.QUARANTINED)


def _figures_table(content: dict[str, Any]) -> Table:
    title = f"{content['n_gifs']} GIFs of {content['n_videos']} videos"
    other = content.get("less_against")
    table = table_of(
        "", "value \\[95 % interval]", *(["less --against"] if other else []), title=title
    )
    names = {"nmsd": "nMSD %", "nmsd_best": "nMSD %, best GIF", "map": "mAP %"}
    for name, label in {**names, "recall_at_5": "recall at 5 %"}.items():
        sides = [(content, ""), *([(other, "+")] if other else [])]
        cells = [
            "–" if side[name] is None else _with_interval(side[name], side[f"{name}_ci"], sign)
            for side, sign in sides
        ]
        table.add_row(label, *cells)
    table.add_row("unscored segments", str(content["n_unscored_segments"]))
    table.add_row("tied segments", str(content["n_tied_segments"]))
    return table


def _tell_left_out(predictions: list[str], labels: list[str]) -> None:
    for what, ids in (("predictions", predictions), ("labels that can be measured", labels)):
        if ids:
            shown = ", ".join(plain(name) for name in ids[:10])
            more = f" and {len(ids) - 10} more" if len(ids) > 10 else ""
            err.print(f"without {what}: {shown}{more}", soft_wrap=True, highlight=False)


def labels(
    layout: Annotated[str, typer.Argument(help="phd2, tvsum or youtube-highlights.")],
    source: Annotated[Path, typer.Argument(help="Its csv, its anno.tsv, or its folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The csv to write.")],
    split: Annotated[
        str | None,
        typer.Option(help="Write a manifest instead, with this split: train, validation or test."),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            min=1, help="Frame rate of the videos; a manifest needs it if labels are frames."
        ),
    ] = None,
    best_share: Annotated[
        float,
        typer.Option(min=0.01, max=0.99, help="TVSum: share of each video to call a highlight."),
    ] = 0.15,
) -> None:
    """Turn another data set's highlights into labels for `evaluate`, or into a manifest.

    To train on one data set and test on another, write a manifest of each, one with --split train
    and one with --split test. Join them into one file with one header, and name it in
    `download.manifest`.
    """
    from video2gif.datasets import highlights as otherdata

    if split not in (None, "train", "validation", "test"):
        raise UserError(f"--split {split}: choose train, validation or test")
    unit, found = otherdata.read(layout, source, best_share=best_share)
    table = (
        otherdata.labels_table(unit, found)
        if split is None
        else otherdata.manifest_table(unit, found, split=split, fps=fps)
    )
    table.to_csv(output, index=False, lineterminator="\n")
    print(f"{len(table)} highlights of {table['video_id'].nunique()} videos written to {output}")
