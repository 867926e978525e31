"""What the repository says about itself is there: no text names a file that does not exist."""

import re
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=REPO,
    capture_output=True,
    text=True,
    check=True,
).stdout.split("\n")
FILES = sorted(name for name in LISTED if name and (REPO / name).is_file())
TEXTS = [name for name in FILES if re.search(r"\.(md|py|toml|ya?ml|csv|j2|js)$|^Makefile$", name)]
WRITTEN_AT_RUN_TIME = {".video2gif/certificate.md", "certificate.md"}


def named(text: str, pattern: str) -> set[str]:
    """Every path in a text that the pattern finds, a full stop after it left out."""
    return {match.rstrip(".") for match in re.findall(pattern, text)}


def is_there(name: str) -> bool:
    """Whether a file of the repository is called so, by its whole path or by the end of it."""
    return any(f"/{path}".endswith(f"/{name.removeprefix('./')}") for path in FILES)


@pytest.mark.parametrize("text", TEXTS)
def test_every_document_that_a_text_names_is_there(text: str):
    content = (REPO / text).read_text()
    for name in named(content, r"[\w./-]*\w\.md\b") - WRITTEN_AT_RUN_TIME:
        assert is_there(name), f"{text} names {name}, which is not in the repository"
    for name in named(content, r"(?<![\w/.])docs/[\w./-]*\w"):
        assert (REPO / name).exists(), f"{text} names {name}, which is not in the repository"


@pytest.mark.parametrize("text", [name for name in TEXTS if name.endswith(".md")])
def test_every_module_that_a_document_names_is_there(text: str):
    for name in named((REPO / text).read_text(), r"(?<![\w/.])[\w./-]+/\w+\.py\b"):
        assert is_there(name), f"{text} names {name}, which is not in the repository"


def test_a_file_that_is_missing_would_be_found():
    assert is_there("core/layout.py")
    assert is_there("video2gif/core/layout.py")
    assert not is_there("yout.py")
    assert not is_there("media/layout.py")
