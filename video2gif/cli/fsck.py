"""`video2gif fsck`: check that all stored files are whole; repair them where that is possible."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from video2gif.core.errors import Exit
from video2gif.core.layout import Layout
from video2gif.core.store import ItemStore

if TYPE_CHECKING:
    from video2gif.project.fsck import Damage

_out = Console(soft_wrap=True, highlight=False)


def fsck(
    root: Annotated[Path, typer.Option(help="The project.")] = Path("."),
    repair: Annotated[
        bool, typer.Option("--repair", help="Restore what is damaged where possible, else remove.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Forget which inputs failed, so they are tried again.")
    ] = False,
) -> None:
    """Check that all stored files are whole: items, DVC's cache, lock files (else exit code 5)."""
    from video2gif.project.fsck import Tally, check, forget_failures

    layout, store, tally = Layout(root.resolve()), ItemStore.default(), Tally()
    found = left = 0
    for damage in check(layout, store, tally):
        found += 1
        left += not _told(damage, repair=repair)
    _out.print(
        f"{tally.items} items ({tally.failures} of them say why an input is bad),"
        f" {tally.objects} objects of DVC's cache: {found} damaged"
        + (f", {left} left to you" if repair and left else "")
    )
    if retry:
        _out.print(f"{forget_failures(store)} failures forgotten; run again to try them")
    if left:
        raise typer.Exit(Exit.ENVIRONMENT)


def _told(damage: "Damage", *, repair: bool) -> bool:
    """Print what is wrong and repair it if asked to. Returns whether it is repaired."""
    is_mended = bool(repair and damage.repair and damage.repair())
    state = "mended" if is_mended else "damaged"
    # No markup: a path may hold brackets, which Rich would take for it.
    _out.print(f"{state}: {damage.path}: {damage.what}; {damage.remedy}", markup=False)
    return is_mended
