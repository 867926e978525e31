"""`video2gif dataset …`: statistics, checks of a manifest, labels shared as hashes."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from video2gif.cli.terminal import Root, out, plain, table_of
from video2gif.core.errors import Exit, UserError
from video2gif.core.layout import Layout
from video2gif.core.names import shown

if TYPE_CHECKING:
    from video2gif.datasets.statistics import Corpus

dataset_app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
_MOST_SHOWN = 20


@dataset_app.callback()
def _dataset() -> None:
    """Count what a data set holds, check a manifest, share labels as hashes."""


@dataset_app.command()
def stats(root: Root = Path(".")) -> None:
    """Print how many videos, GIFs, matches and labels the project has."""
    from video2gif.datasets.statistics import corpus

    found = corpus(Layout(root.resolve()))
    for table in _tables(found):
        out.print(table)
    if found.not_made:
        out.print(f"Not made yet, counted as 0: {', '.join(found.not_made)}.")


@dataset_app.command()
def check(
    manifest: Annotated[Path, typer.Argument(help="A manifest, metadata.txt or PHD2 csv.")],
) -> None:
    """Check a manifest: print every line that cannot be used, with the reason (exit code 3)."""
    from video2gif.datasets import read_manifest

    found = read_manifest(manifest)
    gifs = sum(bool(row.gif_id) for row in found.rows)
    videos = len({row.video_id for row in found.rows})
    for bad in found.bad:
        print(f"{shown(str(manifest))}:{bad.line}: {shown(bad.reason)}")
    noted = sum(bool(row.notes) for row in found.rows)
    print(
        f"{videos} videos, {gifs} GIFs; {len(found.bad)} bad rows, {len(found.merged)} repeated,"
        f" {noted} with cells taken as unknown"
    )
    if found.bad:
        raise typer.Exit(Exit.QUARANTINED)


@dataset_app.command()
def given(
    layout: Annotated[str, typer.Argument(help="youtube-highlights or tvsum.")],
    folder: Annotated[Path, typer.Argument(help="annotations.json, splits.json, features.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder to write.")],
    root: Root = Path("."),
) -> None:
    """Turn a data set of features and labels into a manifest that `dvc repro` takes as it is."""
    from video2gif.core.config import Params
    from video2gif.datasets.given import READERS, manifest_table
    from video2gif.media.given import GivenClips

    if layout not in READERS:
        raise UserError(f"{layout}: unknown data set; choose {', '.join(sorted(READERS))}")
    views = Params.load(Layout(root.resolve()).params).label.popularity_views
    videos = READERS[layout](folder)
    (output / "clips").mkdir(parents=True, exist_ok=True)
    for video in videos:
        # The file's clock begins at 0, as do the spans of `manifest_table`.
        clips = GivenClips(video.times_s - video.times_s[0], video.features)
        clips.write(output / "clips" / f"{video.video_id}.npz")
    table = manifest_table(videos, saturation_views=views)
    table.to_csv(output / "manifest.csv", index=False, lineterminator="\n")
    print(f"{len(videos)} videos, {(table['gif_id'] != '').sum()} spans: {output / 'manifest.csv'}")
    print(
        f"dvc exp run -S download.manifest={output / 'manifest.csv'} -S 'extract.networks=[given]'"
        " -S 'train.inputs=[given]' -S train.ranker=neighbourhood"
    )


@dataset_app.command("export-hashes")
def export_hashes(
    output: Annotated[Path, typer.Argument(help="The file to write, JSON lines.")],
    root: Root = Path("."),
) -> None:
    """Write where each GIF lies in its video as a sequence of hashes, without any pixels."""
    from video2gif.labels.exchange import export

    written, left_out = export(Layout(root.resolve()), output)
    print(f"{written} GIFs written to {output}, {len(left_out)} left out")
    _reasons(Counter(reason.partition(":")[0] for _, reason in left_out))
    if left_out:
        raise typer.Exit(Exit.QUARANTINED)


@dataset_app.command("import-hashes")
def import_hashes(
    sequences: Annotated[Path, typer.Argument(help="A file that export-hashes wrote.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Manifest to write, in the folder of the project's."),
    ] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Search all videos, not just those of equal id.")
    ] = False,
    root: Root = Path("."),
) -> None:
    """Find GIFs that others shared as hashes in this project's videos, and write a manifest.

    The videos must be in the project's manifest and fingerprinted.
    """
    from video2gif.core.config import Params
    from video2gif.datasets import read_manifest
    from video2gif.fingerprint.read import Fingerprints
    from video2gif.labels.exchange import align, read, write_manifest

    layout = Layout(root.resolve())
    manifest = layout.root / Params.load(layout.params).download.manifest
    target = output or manifest.with_name(f"{manifest.stem}-aligned.csv")
    # A manifest's paths start at its own folder.
    if target.resolve().parent != manifest.resolve().parent:
        raise UserError(f"{target}: must lie beside {manifest}, whose urls are relative to it")
    found = list(align(read(sequences), Fingerprints.open(layout), everywhere=everywhere))
    write_manifest(target, found, read_manifest(manifest).rows)
    lost = [one for one in found if one.found.reason]
    print(f"{len(found) - len(lost)} of {len(found)} GIFs found; manifest: {target}")
    for one in lost[:_MOST_SHOWN]:
        print(f"{sequences}:{one.line}: {shown(one.gif_id)}: {shown(one.found.reason)}")
    if len(lost) > _MOST_SHOWN:
        _reasons(Counter(one.found.reason.partition(":")[0] for one in lost))
    if lost:
        raise typer.Exit(Exit.QUARANTINED)


def _reasons(counted: Mapping[str, int]) -> None:
    for reason, count in sorted(counted.items()):
        print(f"  {reason}: {count}")


def _tables(found: "Corpus") -> list[Table]:
    return [_table("Data set", found.facts)] + [
        _table(title, {name: f"{count:.0f}" for name, count in counts.items()})
        for title, counts in found.distributions.items()
    ]


def _table(title: str, rows: Mapping[str, str]) -> Table:
    table = table_of("", "", title=title, show_header=False, title_justify="left")
    for name, value in rows.items():
        table.add_row(plain(name), value)
    return table
