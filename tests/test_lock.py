"""The lock: versions, hashes and licences say the same."""

import importlib.util
from pathlib import Path

REPO = Path(__file__).parents[1]


def pinned(name: str) -> dict[str, str]:
    """Versions by package, of constraints.txt or hashes.txt."""
    lines = [line.split()[0] for line in (REPO / name).read_text().splitlines() if "==" in line]
    return {
        package.lower().replace("_", "-").replace(".", "-"): version
        for package, _, version in (line.partition("==") for line in lines)
    }


def test_hashes_are_of_the_locked_versions():
    locked, hashed = pinned("constraints.txt"), pinned("hashes.txt")
    other = {name: v for name, v in hashed.items() if locked.get(name, v) != v}
    assert not other, "run `python tools/hashes.py`"
    assert len(hashed) > 200


def test_every_package_tells_a_licence_that_permits_any_use():
    spec = importlib.util.spec_from_file_location("licences", REPO / "tools" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    licences = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(licences)
    told = {name: licences.licence(name) for name in licences.locked()}
    assert [name for name, licence in told.items() if licence == "unknown"] == []
    assert [n for n, licence in told.items() if "AGPL" in licence or "NC" in licence] == []
