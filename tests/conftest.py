"""Fixtures that every test may use."""

import os
from pathlib import Path

import hypothesis
import pytest

from video2gif.core.items import Context
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore

pytest_plugins = ["cases", "fetching"]

# The same examples every time, however slow the machine: what CI refuses, anyone can repeat.
# `HYPOTHESIS_PROFILE=search` looks for new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture
def realdata() -> Path:
    """The folder of real videos and GIFs; the test is skipped where it is missing."""
    repo = Path(__file__).parents[1]
    folder = Path(os.environ.get("VIDEO2GIF_REALDATA", repo / "../shared/realdata")).resolve()
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"real data missing: {folder}/manifest.csv (set VIDEO2GIF_REALDATA)")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ItemStore:
    """An item store of this test's own."""
    return ItemStore(tmp_path / "store")


@pytest.fixture
def context(store: ItemStore) -> Context:
    """A serial runtime on this test's own store."""
    return Context(store, SerialMapper())
