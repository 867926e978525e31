"""`video2gif weights …`: published C3D and Video2GIF weights → checked safetensors with a card."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from video2gif.cli.terminal import Root, out, table_of
from video2gif.core.config import params_at
from video2gif.core.errors import UserError

if TYPE_CHECKING:
    from video2gif.features.importers import Origin

weights_app = typer.Typer(
    no_args_is_help=True, help="Import, fetch and compare C3D and Video2GIF weights."
)

FOLDER = Path("weights")

Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="File to write; default: weights/NAME.")
]
DigestOption = Annotated[
    str, typer.Option(help="The file's sha256, or at least its first 8 digits.")
]


@weights_app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A caffemodel, pickle, npz or PyTorch file.")],
    output: Output = None,
    head: Annotated[
        bool, typer.Option("--head", help="The file is the Video2GIF ranker, not C3D.")
    ] = False,
    sha256: DigestOption = "",
    licence: Annotated[str, typer.Option(help="Licence to be noted in the card.")] = "",
    root: Root = Path("."),
) -> None:
    """Convert a published weight file to safetensors, with a card (.json) beside it."""
    from video2gif.features.importers import Origin

    origin = Origin(licence=licence or "not stated")
    _import(file, output or _default(root, file, head=head), root, sha256, head, origin)


@weights_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="See `weights list`.")],
    output: Output = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Say that you accept the licence shown.")
    ] = False,
    sha256: DigestOption = "",
    unpinned: Annotated[
        bool, typer.Option("--unpinned", help="Accept a file whose sha256 is not known.")
    ] = False,
    root: Root = Path("."),
) -> None:
    """Download a published weight file and convert it. A cut download is resumed."""
    from video2gif.core.store import ItemStore
    from video2gif.features.published import chosen, download

    one = chosen(name)
    out.print(f"{one.what}\n{one.url}\nLicence: {one.licence}", soft_wrap=True, highlight=False)
    for doubt in one.doubts:
        out.print(f"[yellow]note:[/] {doubt}", soft_wrap=True, highlight=False)
    if not accept_licence:
        raise UserError(f"weights fetch {name}: add --accept-licence once you accept the above")
    # Beside the items, so that a cut download is found and resumed from any folder.
    folder = ItemStore.default().root / "weights" / name
    file = download(one, folder, sha256=sha256, unpinned=unpinned)
    target = output or root / FOLDER / f"{name}.safetensors"
    _import(file, target, root, sha256 or one.sha256, one.head, one.origin)


@weights_app.command("list")
def list_published() -> None:
    """List the published weight files that `fetch` knows."""
    from video2gif.features.published import PUBLISHED

    for one in PUBLISHED.values():
        out.print(f"[bold]{one.name}[/]: {one.what}", soft_wrap=True, highlight=False)
        # Not in a table, which would break what is there to be copied into lines.
        checksum = f"sha256 {one.sha256}…" if one.sha256 else "no sha256 stated"
        out.print(f"  {one.url}\n  {checksum}", soft_wrap=True, highlight=False)


@weights_app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Imported weights (.safetensors).")],
    b: Annotated[Path, typer.Argument(help="Imported weights to compare with.")],
) -> None:
    """Tell whether two files hold the same weights, or one of them flipped in time."""
    from video2gif.features import importers
    from video2gif.features.weights import read

    found = importers.compare(read(a), read(b))
    table = table_of("layer", "nearest", "difference", "as it is")
    for one in found:
        table.add_row(one.layer, one.variant, f"{one.difference:.1e}", f"{one.as_it_is:.1e}")
    out.print(table)
    out.print(importers.verdict(found), soft_wrap=True, highlight=False)


def _default(root: Path, file: Path, *, head: bool) -> Path:
    folder = root / "models" if head else root / FOLDER
    return folder / f"{file.stem}.safetensors"


def _import(
    file: Path, target: Path, root: Path, sha256: str, head: bool, origin: "Origin"
) -> None:
    if target.suffix != ".safetensors":
        raise UserError(f"-o {target}: expected a name ending in .safetensors")
    if head:
        from video2gif.make.released import write_head

        extract = params_at(root).extract
        write_head(file, target, extract=extract, root=root, sha256=sha256, licence=origin.licence)
        _say(f"{target}: rank with `video2gif gif VIDEO --ranker {target}`")
        return
    from video2gif.features.importers import import_c3d

    card = import_c3d(file, target, sha256=sha256, origin=origin)
    left_out = ", ".join(card["source"]["left_out"]) or "nothing"
    _say(
        f"{target}: {card['source']['format']}, {len(card['layers'])} tensors; left out: {left_out}"
    )
    _say(
        f"use it: set extract.weights to {target} in params.yaml, and extract.mean to the mean cube"
    )


def _say(text: str) -> None:
    # No markup: a path may hold brackets, which Rich would take for it.
    out.print(text, soft_wrap=True, highlight=False, markup=False)
