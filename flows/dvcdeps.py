"""`python -m flows.dvcdeps`: write into dvc.yaml what its stages' code says they read.

Read from the syntax trees, nothing is run: the modules a stage imports (and those whose functions
it names as work, "video2gif.x:work"), the sections of params.yaml it touches (`params.train`) and
the files of the layout it opens (`layout.segments`). Outputs and plots stay written by hand.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from video2gif.codeversion import closure, module_path
from video2gif.config import Params
from video2gif.layout import Layout
from video2gif.stages import STAGES

_PACKAGE = module_path("video2gif").parent
_PYTHON = frozenset({".py", ".pyc"})
_SECTIONS = frozenset(Params.__dataclass_fields__)
# The runtime that every stage stands on; the manifest is named in params.yaml. Trained weights and
# mean cubes lie in one folder, because `random:0` is no file that a dep could name.
_ALWAYS = ("constraints.txt",)
_EXTRA = {"download": ("${download.manifest}",), "extract": ("weights",)}


@dataclass(frozen=True)
class Reads:
    """What one stage reads, paths relative to the project."""

    code: tuple[str, ...]
    data: tuple[str, ...]
    params: tuple[str, ...]

    @property
    def deps(self) -> list[str]:
        return [*self.code, *self.data]


def reads(stage: str, outs: frozenset[str]) -> Reads:
    """What the code of a stage reads; its own outputs are no inputs."""
    entry = f"video2gif.stages.{stage}"
    modules = _with_work(entry)
    files = {path for module in modules for path in _data(module)} - outs
    return Reads(
        code=tuple(sorted(_relative(path) for m in modules for path in _files(m))),
        data=(*_EXTRA.get(stage, ()), *_ALWAYS, *sorted(files)),
        params=tuple(sorted(_sections(entry))),
    )


def _files(module: str) -> Iterator[Path]:
    """A module's own file, and what lies beside a package's: its templates and style sheets."""
    path = module_path(module)
    yield path
    if path.name == "__init__.py":
        yield from (p for p in path.parent.iterdir() if p.is_file() and p.suffix not in _PYTHON)


def _relative(path: Path) -> str:
    return path.relative_to(_PACKAGE.parent).as_posix()


def _with_work(entry: str) -> frozenset[str]:
    """The import closure, and that of every module whose function is named as work in it."""
    reached: frozenset[str] = frozenset()
    waiting = [entry]
    while waiting:
        new = closure(waiting.pop()) - reached
        reached |= new
        waiting += [work for module in new for work in _work_modules(module)]
    return reached


@cache
def _nodes(module: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(module_path(module).read_text())))


def _work_modules(module: str) -> Iterator[str]:
    for node in _nodes(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name, colon, function = node.value.partition(":")
            is_ours = name.startswith("video2gif.") and name.replace(".", "").isidentifier()
            if colon and is_ours and function.isidentifier():
                yield name


def _attributes(module: str, of: str) -> Iterator[str]:
    """X of every `<of>.X` and `something.<of>.X` in a module."""
    for node in _nodes(module):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = getattr(owner, "id", getattr(owner, "attr", "")).lstrip("_")
            if name == of:
                yield node.attr


def _sections(module: str) -> set[str]:
    return set(_attributes(module, "params")) & _SECTIONS


def _data(module: str) -> set[str]:
    root = Path("/root-of-the-project")
    found = set()
    for name in _attributes(module, "layout"):
        value = getattr(Layout(root), {"media_file": "media"}.get(name, name), None)
        if isinstance(value, Path) and name not in {"root", "params"}:
            found.add(value.relative_to(root).as_posix())
    return found


def outs_of(entry: dict[str, Any]) -> frozenset[str]:
    """Paths of a stage's outs, metrics and plots, as dvc.yaml lists them."""
    listed = [out for kind in ("outs", "metrics", "plots") for out in entry.get(kind, ())]
    return frozenset(out if isinstance(out, str) else next(iter(out)) for out in listed)


def main(path: Path = Path("dvc.yaml")) -> int:
    """Rewrite deps and params of every stage; comments and the rest stay."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 100
    content = yaml.load(path)
    for stage in STAGES:
        entry = content["stages"][stage]
        found = reads(stage, outs_of(entry))
        entry["deps"], entry["params"] = found.deps, list(found.params)
    yaml.dump(content, path)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
