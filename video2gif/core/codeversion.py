"""A version of the code that made an item, computed from the code: nobody has to raise a number.

`closure` is the set of this package's modules that a module imports, directly or not; the test of
dvc.yaml uses it too. `code_version` digests their syntax trees without docstrings, so that
changed code recomputes the items it touches, and a changed comment recomputes nothing.

Parsing the package's modules takes most of a second, longer than all else in a run that finds its
items stored. So what a file says is kept beside Python's own bytecode of it, under the digest of
its content.
"""

import ast
import hashlib
import json
import os
import sys
import threading
from contextlib import suppress
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import NamedTuple

_PACKAGE = "video2gif"
_ROOT = Path(__file__).parents[1]

# The ground everything stands on: how items travel and are kept, never what is in them.
_PLUMBING = f"{_PACKAGE}.core"
_PARSING = threading.Lock()


def module_path(module: str) -> Path:
    """The file of a module of this package: `video2gif.shots` → video2gif/shots/__init__.py."""
    base = _ROOT.joinpath(*module.split(".")[1:])
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of this package that a module names in its imports (not under TYPE_CHECKING)."""
    return frozenset(name for name in _facts(module_path(module)).imports if _is_ours(name))


@cache
def closure(module: str) -> frozenset[str]:
    """The module itself and all modules of this package it reaches by imports."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting += imports(name)
        parent = name.rpartition(".")[0]
        if parent:
            waiting.append(parent)  # Importing a.b runs a/__init__.py as well.
    return frozenset(reached)


@cache
def code_version(module: str) -> str:
    """Digest of the code that computes: the closure without the plumbing, docstrings left out."""
    digest = hashlib.sha256()
    # The order of a set differs from one process to the next.
    for name in sorted(closure(module)):
        # Else a change in how items travel would compute every item of every project anew.
        if name in (_PACKAGE, _PLUMBING) or name.startswith(f"{_PLUMBING}."):
            continue
        digest.update(f"{name}\0{_facts(module_path(name)).code}\0".encode())
    return digest.hexdigest()[:16]


def forget() -> None:
    """Read the code anew: a worker that lives for days outlives the files it started from."""
    for remembered in (imports, closure, code_version, _facts):
        remembered.cache_clear()


def _is_ours(name: str) -> bool:
    return (name == _PACKAGE or name.startswith(f"{_PACKAGE}.")) and module_path(name).is_file()


def _runtime_nodes(tree: ast.AST) -> list[ast.AST]:
    nodes: list[ast.AST] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            # What only a type checker imports never runs, so it changes no result.
            children = list(node.orelse)
        waiting += children
    return nodes


class _Facts(NamedTuple):
    """What one file says."""

    imports: list[str]
    """Names in its imports: modules, and what is taken from them."""
    code: str
    """Digest of its syntax tree without docstrings."""


@cache
def _facts(path: Path) -> _Facts:
    content = path.read_bytes()
    digest = hashlib.sha256(_own_digest() + content).hexdigest()
    kept = Path(cache_from_source(str(path))).with_suffix(".code")
    with suppress(OSError, ValueError, TypeError):
        of, *facts = json.loads(kept.read_bytes())
        if of == digest:
            return _Facts(*facts)
    found = _read(content)
    if not sys.dont_write_bytecode:
        _keep(kept, [digest, *found])
    return found


@cache
def _own_digest() -> bytes:
    """Of this file: what it drew from others is no longer true when it changes."""
    return hashlib.sha256(Path(__file__).read_bytes()).digest()


def _read(content: bytes) -> _Facts:
    # In two threads at once, CPython 3.11's parser mixes up their depths of recursion and fails.
    with _PARSING:
        tree = ast.parse(content)
    named: set[str] = set()
    for node in _runtime_nodes(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named.add(node.module)
            named |= {f"{node.module}.{alias.name}" for alias in node.names}
    return _Facts(sorted(named), hashlib.sha256(_normal_form(tree).encode()).hexdigest())


def _keep(path: Path, facts: list[object]) -> None:
    """Where nobody may write, nothing is kept. A file that a crash tore is not read."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        try:
            partial.write_text(json.dumps(facts))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _normal_form(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)
