"""What one item is and what is done to it: small values that travel between machines.

An *item* is one unit of a stage's work: one video to decode, one GIF to align. Its result is a
file in the `ItemStore` under a key made of everything that could change it: the work's code, the
libraries it leans on, the digests of its inputs, its parameters.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any, Literal

from video2gif.core.codeversion import code_version
from video2gif.core.errors import ItemError
from video2gif.core.sandbox import Limits

Status = Literal["computed", "reused", "quarantined"]


# What lies in the input itself: the same bytes fail the same way, so they are not tried again
# until code, libraries or parameters change. Memory, time, crashes and the network are luck.
LASTING = frozenset(
    {
        *("empty", "not_media", "truncated", "no_frames", "no_video", "codec"),
        *("too_large", "decode", "overflow", "label"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a stage does to one item, and all that its result depends on but the input.

    `function` is "module:function", called in a child as `function(out=Path, **args)`.
    """

    function: str
    params: Mapping[str, Any] = field(default_factory=dict)
    """JSON parameters that change the result; passed to the function as `params`."""
    libraries: tuple[str, ...] = ()
    """Distributions whose version is part of the key, as `av`."""
    limits: Limits = field(default_factory=Limits)
    resources: Mapping[str, float] = field(default_factory=dict)
    """What a worker must have besides a CPU, as {"GPU": 1}; for schedulers of many machines."""
    repeatable: bool = True
    """Whether the inputs alone decide if it fails: not so where a server has a say."""
    resumes: bool = False
    """Whether a job goes on where its last try ended: it is then given a folder, as `kept`."""

    def key(self, inputs: Sequence[str]) -> str:
        """sha256 over code, libraries, parameters and the digests of the inputs."""
        identity = {
            "function": self.function,
            "code": code_version(self.function.partition(":")[0]),
            # A new av or torch may decode or round otherwise, and no code of ours tells.
            "libraries": {name: _version(name) for name in self.libraries},
            "params": self.params,
            "inputs": list(inputs),
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


@cache
def _version(distribution: str) -> str:
    return version(distribution)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One input of a per-item stage."""

    id: str
    """For tables and logs, such as `video:bunny0`."""
    inputs: tuple[str, ...]
    """Digests of what the item reads: they, not the paths, decide whether it is new."""
    args: Mapping[str, Any]
    """JSON arguments of the work: paths and numbers, never frames."""


@dataclass(frozen=True)
class Outcome:
    """What became of one item: its key in the store, or why it is quarantined."""

    id: str
    key: str
    status: Status
    cause: str = ""
    """As that of the `ItemError`; "" unless quarantined."""
    message: str = ""

    @property
    def error(self) -> ItemError:
        """What it failed with, to be raised for whoever asked for this item alone."""
        return ItemError(self.cause, self.message)

    @property
    def reason(self) -> str:
        """`cause: message`, as it stands in tables; "" unless quarantined."""
        return "" if self.ok else self.error.reason

    @property
    def ok(self) -> bool:
        return self.status != "quarantined"


@dataclass(frozen=True)
class Job:
    """An item with its key, ready to travel to where it runs."""

    id: str
    key: str
    inputs: tuple[str, ...]
    args: Mapping[str, Any]

    @property
    def started(self) -> str:
        """A name for what an unfinished try leaves: of the inputs alone, whatever the code is."""
        return hashlib.sha256("\n".join(self.inputs).encode()).hexdigest()


@dataclass(frozen=True)
class Chunk:
    """A handful of jobs: one task of a scheduler. Small and picklable: it holds only paths."""

    work: Work
    jobs: tuple[Job, ...]
    store_root: str
