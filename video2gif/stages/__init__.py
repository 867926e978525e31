"""The nine stages, in the order the data flows. Each module has one `run(layout, params, context)`.

A stage reads the files that earlier stages wrote; no stage imports another.
"""

import importlib
from collections.abc import Callable
from typing import cast

from video2gif.core.config import Params
from video2gif.core.items import Context, Counts
from video2gif.core.layout import Layout

STAGES = (
    "download",
    "fingerprint",
    "match",
    "segment",
    "label",
    "extract",
    "train",
    "evaluate",
    "report",
)

StageRun = Callable[[Layout, Params, Context], Counts]


def load(stage: str) -> StageRun:
    """The `run` of a stage, which first checks that its outputs can be written.

    Only that stage is imported, so that one which needs no torch starts without it.
    """
    if stage not in STAGES:
        raise KeyError(stage)
    run = cast(StageRun, importlib.import_module(f"{__name__}.{stage}").run)

    def checked(layout: Layout, params: Params, context: Context) -> Counts:
        layout.check_outputs()
        return run(layout, params, context)

    return checked
