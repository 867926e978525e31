"""A module's version follows the code it computes with, and nothing else."""

import sys
from pathlib import Path

import pytest

from video2gif.core import codeversion

FILES = {
    "__init__": "",
    "core/__init__": "",
    "core/items": "PLUMBING = 1\n",
    "low": '"""Doc."""\nX = 1\n',
    "wing/__init__": "",
    "wing/room": "from video2gif import low\nfrom video2gif.core.items import PLUMBING\n",
    "wing/other": "Y = 1\n",
    "lazy": "def f():\n    import video2gif.wing.other\n",
    "typed": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import video2gif.low\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package in the place of this project's."""
    for name, text in FILES.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(codeversion, "_ROOT", tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    codeversion.forget()
    yield tmp_path
    codeversion.forget()


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        pytest.param(
            "wing.room",
            {"", ".low", ".core", ".core.items", ".wing", ".wing.room"},
            id="from-package",
        ),
        pytest.param("lazy", {"", ".lazy", ".wing", ".wing.other"}, id="inside-a-function"),
        pytest.param("typed", {"", ".typed"}, id="type-checking-only"),
    ],
)
def test_the_closure_is_what_an_import_runs(package: Path, module: str, expected: set[str]):
    assert codeversion.closure(f"video2gif.{module}") == {f"video2gif{name}" for name in expected}


@pytest.mark.parametrize(
    ("changed", "text", "same"),
    [
        pytest.param("low", '"""Doc."""\nX = 2\n', False, id="code-below"),
        pytest.param("low", '"""Other."""\n# Why.\nX = 1\n', True, id="comment-and-docstring"),
        pytest.param("wing/other", "Y = 2\n", True, id="not-imported"),
        pytest.param("core/items", "PLUMBING = 2\n", True, id="plumbing"),
        pytest.param("wing/__init__", "Z = 1\n", False, id="parent-package"),
    ],
)
def test_the_version_changes_with_what_computes(package: Path, changed: str, text: str, same: bool):
    before = codeversion.code_version("video2gif.wing.room")
    (package / f"{changed}.py").write_text(text)
    codeversion.forget()
    assert (codeversion.code_version("video2gif.wing.room") == before) is same


def test_every_module_of_the_project_has_a_version():
    root = Path(codeversion.__file__).parents[1]
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(["video2gif", *(part for part in parts if part != "__init__")])
        assert len(codeversion.code_version(name)) == 16


def test_what_a_file_says_is_kept_beside_its_bytecode(
    package: Path, monkeypatch: pytest.MonkeyPatch
):
    before = codeversion.code_version("video2gif.wing.room")
    codeversion.forget()
    with monkeypatch.context() as context:
        context.setattr(codeversion.ast, "parse", lambda text: pytest.fail("parsed again"))
        assert codeversion.code_version("video2gif.wing.room") == before


@pytest.mark.parametrize("kept", ["", "[]", "torn [", '["of another content", ["os"], "code"]'])
def test_what_is_kept_but_damaged_is_read_anew(package: Path, kept: str):
    before = codeversion.code_version("video2gif.wing.room")
    for path in package.rglob("*.code"):
        path.write_text(kept)
    codeversion.forget()
    assert codeversion.code_version("video2gif.wing.room") == before


def test_where_nothing_may_be_kept_the_code_is_read_each_time(
    package: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert codeversion.code_version("video2gif.wing.room")
    assert not list(package.rglob("*.code"))
