"""What this package reads of DVC's two files: dvc.yaml's stages, and dvc.lock's.

People merge both by hand, so each is checked against a shape before anything is taken from it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from video2gif.core.errors import EnvironmentProblem
from video2gif.core.readers import Unreadable, parsed_yaml

_Known = TypeVar("_Known")
_Entry = str | dict[str, Any]


@dataclass(frozen=True)
class LockedFile:
    """A file or folder as a stage found or left it."""

    path: str
    md5: str = ""
    """Of a folder: of its listing, with `.dir` behind it. "" for what has no md5, such as a URL."""
    size: int | None = None


@dataclass(frozen=True)
class LockedStage:
    """A stage that has run."""

    cmd: str | list[str]
    deps: tuple[LockedFile, ...] = ()
    outs: tuple[LockedFile, ...] = ()


@dataclass(frozen=True)
class WrittenStage:
    """A stage as dvc.yaml has it. An entry is a path, or a mapping from a path to its options."""

    deps: tuple[str, ...] = ()
    outs: tuple[_Entry, ...] = ()
    metrics: tuple[_Entry, ...] = ()
    plots: tuple[_Entry, ...] = ()

    def written(self) -> dict[str, Any]:
        """What the stage writes: the options of each path of outs, metrics and plots."""
        entries = (*self.outs, *self.metrics, *self.plots)
        whole = [{entry: {}} if isinstance(entry, str) else entry for entry in entries]
        return {path: options for entry in whole for path, options in entry.items()}


@dataclass(frozen=True)
class _Lock:
    stages: dict[str, LockedStage]


@dataclass(frozen=True)
class _Pipeline:
    stages: dict[str, WrittenStage]


def locked_stages(text: str | bytes) -> dict[str, LockedStage]:
    """The stages of a dvc.lock. Raises `Unreadable` naming the place."""
    return _checked(_Lock, parsed_yaml(text)).stages


def written_stages(root: Path) -> dict[str, WrittenStage]:
    """The stages of the project's dvc.yaml. Raises `EnvironmentProblem` naming file and place."""
    path = root / "dvc.yaml"
    try:
        return _checked(_Pipeline, parsed_yaml(path.read_bytes())).stages
    except (OSError, Unreadable) as error:
        raise EnvironmentProblem(f"{path}: {error}") from None


def _checked(shape: type[_Known], content: Any) -> _Known:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(shape).validate_python(content)
    except ValidationError as error:
        mistake = error.errors()[0]
        where = ".".join(map(str, mistake["loc"])) or "the document"
        raise Unreadable(f"{where}: {mistake['msg'].replace('Input should', 'must')}") from None
