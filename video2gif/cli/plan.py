"""`video2gif plan`: what `dvc repro` would recompute, in items and estimated minutes."""

from pathlib import Path
from typing import TYPE_CHECKING

from video2gif.cli.terminal import Root, out, table_of
from video2gif.core.config import Params
from video2gif.core.layout import Layout
from video2gif.core.store import ItemStore

if TYPE_CHECKING:
    from video2gif.project.plan import Planned


def plan(root: Root = Path(".")) -> None:
    """Show what `dvc repro` would recompute: stages, items, estimated minutes."""
    from video2gif.project.plan import plan as make_plan

    layout = Layout(root.resolve())
    stages = make_plan(layout, Params.load(layout.params), ItemStore.default())
    table = table_of("stage", "state", "items to compute", "minutes")
    for one in stages:
        table.add_row(one.stage, one.state, _items(one), _minutes(one.minutes))
    out.print(table)
    out.print(_summary(stages), soft_wrap=True, highlight=False)


def _items(one: "Planned") -> str:
    if one.todo is None:
        return "not known yet" if one.by_item else "whole stage"
    return f"{one.todo} of {one.total}" if one.total else str(one.todo)


def _minutes(value: float | None) -> str:
    if value is None:
        return "unknown"
    # An exact 0 is no small number: nothing is to be done.
    return f"{value:.1f}" if value >= 0.05 or not value else "< 0.1"


def _summary(stages: "list[Planned]") -> str:
    stale = [one for one in stages if one.state != "up to date"]
    if not stale:
        return "Nothing to do: everything is up to date."
    measured = sum(one.minutes or 0.0 for one in stale)
    unknown = [one.stage for one in stale if one.minutes is None]
    told = f"About {_minutes(measured)} minutes, by earlier runs on this machine"
    if unknown:
        told += f"; never measured here: {', '.join(unknown)}"
    first = next(one.stage for one in stale)
    return f"{told}. What follows {first} is counted on the tables as they are."
