"""Who may import whom: read from the syntax trees, so that nothing has to be run."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]

# Lowest first. A module imports only from lower rows and from its own room.
ROWS = (
    {"errors"},
    {"config", "layout", "codeversion", "sandbox", "store", "items", "shards", "datasets"},
    {"media", "rates"},
    {"matching", "shots", "features", "ranking", "sample", "page", "labels", "corpus"},
    {"fingerprint"},
    {"stages", "make", "summary", "doctor", "fsck", "hashlabels"},
    {
        "cli",
        "cli_dataset",
        "cli_fsck",
        "cli_make",
        "cli_plan",
        "cli_rank",
        "cli_review",
        "cli_shared",
        "cli_weights",
        "plan",
        "web",
    },
)
# Rooms of one row that may look into another, and those that may look into fewer.
ALSO = {
    ("items", "codeversion"),
    ("items", "sandbox"),
    ("items", "store"),
    ("layout", "store"),
    ("doctor", "make"),
    ("cli", "cli_dataset"),
    ("cli", "cli_fsck"),
    ("cli", "cli_weights"),
    ("cli", "cli_plan"),
    ("cli", "cli_rank"),
    ("cli", "cli_make"),
    ("cli", "cli_review"),
    ("cli", "cli_shared"),
    ("cli_make", "cli_shared"),
    ("cli_review", "cli_shared"),
    ("cli_review", "web"),
    ("cli_plan", "plan"),
}
PURE = {"matching": {"media"}, "shots": {"media"}, "ranking": {"media"}, "page": set()}
HEAVY = {"numpy", "pandas", "torch", "pyarrow", "av", "cv2"}


def row_of(room: str) -> int:
    """The row a room of the library stands in."""
    return next(number for number, rooms in enumerate(ROWS) if room in rooms)


def imported(path: Path) -> Iterator[str]:
    """Every module a file names in an import, wherever it stands in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; closures are read from full names"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(package: str) -> list[Path]:
    """The python files of a package of the repository."""
    return sorted((REPO / package).rglob("*.py"))


def room(path: Path) -> str:
    """The room a file of the library belongs to: its folder below video2gif, or its own name."""
    return path.relative_to(REPO / "video2gif").parts[0].removesuffix(".py")


LIBRARY = [path for path in files("video2gif") if room(path) not in {"__init__", "__main__"}]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(REPO)))
def test_a_module_imports_only_from_lower_rows_and_its_own_room(path: Path):
    home = room(path)
    for name in imported(path):
        package, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if package != "video2gif" or not other or other.startswith("__") or other == home:
            continue
        if row_of(other) == row_of(home):
            assert (home, other) in ALSO, f"{home} and {other} stand side by side"
        assert row_of(other) <= row_of(home), f"{home} imports {other} from above"
        assert other not in PURE.get(home, set()), f"{home} is pure and imports {other}"


@pytest.mark.parametrize("path", files("video2gif"), ids=lambda path: path.stem)
def test_the_library_knows_neither_prefect_nor_dvc(path: Path):
    for name in imported(path):
        assert name.partition(".")[0] not in {"prefect", "dvc", "flows"}, f"{path}: {name}"


@pytest.mark.parametrize("path", files("flows"), ids=lambda path: path.stem)
def test_flows_touch_no_data(path: Path):
    for name in imported(path):
        assert name.partition(".")[0] not in HEAVY, f"{path}: {name}"


def test_stages_never_import_each_other():
    for path in files("video2gif/stages"):
        for name in imported(path):
            assert not name.startswith("video2gif.stages."), f"{path}: {name}"


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        pytest.param("video2gif", {"numpy", "torch", "prefect"}, id="package"),
        pytest.param("video2gif.cli", {"torch", "prefect", "av", "scenedetect"}, id="cli"),
        pytest.param("video2gif.ranking.external", {"torch", "sklearn", "av"}, id="evaluate"),
        pytest.param("flows.__main__", {"torch", "prefect", "av"}, id="flows"),
        pytest.param("video2gif.sandbox", {"numpy", "torch", "pandas"}, id="sandbox"),
    ],
)
def test_importing_is_light(module: str, unwanted: set[str]):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=True
    )
    assert not unwanted & set(done.stdout.split())
