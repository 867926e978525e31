"""A version of the code that made an item, computed from the code: nobody has to raise a number.

`closure` is the set of this package's modules that a module imports, directly or not; the test of
dvc.yaml uses it too. `code_version` digests their syntax trees without docstrings, so that
changed code recomputes the items it touches, and a changed comment recomputes nothing.
"""

import ast
import hashlib
import threading
from functools import cache
from pathlib import Path

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
    tree = _parsed(module_path(module))
    found: set[str] = set()
    for node in _runtime_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in found if _is_ours(name))


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
        digest.update(name.encode() + b"\0" + _normal_form(module_path(name)).encode() + b"\0")
    return digest.hexdigest()[:16]


def forget() -> None:
    """Read the code anew: a worker that lives for days outlives the files it started from."""
    for remembered in (imports, closure, code_version, _normal_form):
        remembered.cache_clear()


def _parsed(path: Path) -> ast.Module:
    # In two threads at once, CPython 3.11's parser mixes up their depths of recursion and fails.
    with _PARSING:
        return ast.parse(path.read_text())


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


@cache
def _normal_form(path: Path) -> str:
    tree = _parsed(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)
