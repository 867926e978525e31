"""The documentation's site: links that lead somewhere, no page left out, built without network."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPO = Path(__file__).parents[1]
DOCS = REPO / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OUTSIDE = re.compile(r"^(https?|mailto):")


def anchors(page: Path) -> set[str]:
    """What a heading of a page is called in a link."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    words = [re.sub(r"[^\w\s-]", "", title.lower()).strip() for title in titles]
    return {re.sub(r"[\s-]+", "-", word) for word in words}


@pytest.mark.parametrize("page", [*PAGES, *REPO.glob("*.md")], ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path):
    text = re.sub(r"`[^`]*`", "", page.read_text())  # What is code is no link.
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        if OUTSIDE.match(target):
            continue
        file = (page.parent / name) if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page.name}: {target}"


def test_every_page_is_in_the_menu():
    menu = named(yaml.safe_load((REPO / "mkdocs.yml").read_text())["nav"])
    assert sorted(menu) == [str(page.relative_to(DOCS)) for page in PAGES]


def named(entry: object) -> list[str]:
    """The pages that a part of the menu names."""
    if isinstance(entry, dict):
        return [name for one in entry.values() for name in named(one)]
    if isinstance(entry, list):
        return [name for one in entry for name in named(one)]
    return [str(entry)]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path):
    # A proxy that nobody runs: whatever asked the network would fail.
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "all_proxy")}
    environment = {**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    done = subprocess.run(
        command, cwd=REPO, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    loading = re.compile(
        r"""<(?:script|img|link rel=.?stylesheet)\b[^>]*?(?:src|href)=.?(https?:)"""
    )
    for page in tmp_path.rglob("*.html"):
        assert loading.search(page.read_text()) is None, page


@pytest.mark.slow
def test_the_notebook_runs_from_start_to_end(tmp_path: Path):
    cells = json.loads((DOCS / "film_to_gifs.ipynb").read_text())["cells"]
    assert all(not cell.get("outputs") for cell in cells)
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    script = tmp_path / "notebook.py"
    script.write_text(code)
    command = [sys.executable, script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
