"""Who may import whom: read from the syntax trees, so that nothing has to be run.

`python tests/test_architecture.py` prints the rooms and their arrows, as docs/architecture.md
draws them.
"""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from video2gif.core.errors import _EXTRAS

REPO = Path(__file__).parents[1]
LIBRARY = REPO / "video2gif"

# Lowest first. A room imports only from lower rows; rooms of one row do not know each other.
ROWS = (
    {"core"},
    {"media", "datasets", "evaluation"},
    {"sample", "features", "page", "fingerprint"},
    {"gifs", "ranking", "shots", "matching"},
    {"ablation"},
    {"make", "labels"},
    {"web", "stages"},
    {"project"},
    {"cli"},
)
MOST_ROOMS, MOST_ARROWS, MOST_LINES = 22, 85, 400
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


def rooms() -> dict[str, set[str]]:
    """Every room, and the rooms it imports from."""
    found: dict[str, set[str]] = {
        path.parent.name: set() for path in sorted(LIBRARY.glob("*/__init__.py"))
    }
    for room, others in found.items():
        for path in files(f"video2gif/{room}"):
            parts = [name.split(".") for name in imported(path)]
            others |= {p[1] for p in parts if p[0] == "video2gif" and len(p) > 1}
        others &= found.keys() - {room}
    return found


def drawing() -> str:
    """The map of docs/architecture.md: rooms by row, each with the rooms it looks into."""
    lines = ["flowchart TD"]
    for row in reversed(ROWS):
        lines += [
            f"  {room} --> {' & '.join(sorted(others))}"
            for room, others in rooms().items()
            if room in row and others
        ]
    return "\n".join(lines)


@pytest.mark.parametrize("room", sorted(rooms()))
def test_a_room_imports_only_from_lower_rows(room: str):
    for other in rooms()[room]:
        assert row_of(other) < row_of(room), f"{room} imports {other}, which is not below it"


def test_there_are_few_rooms_and_few_arrows():
    arrows = sum(len(others) for others in rooms().values())
    print(f"{len(rooms())} rooms, {arrows} arrows\n{drawing()}")
    assert len(rooms()) <= MOST_ROOMS
    assert arrows <= MOST_ARROWS


def modules() -> dict[str, set[str]]:
    """Every module of the library, and those it imports from its own room."""
    names = {
        path: "video2gif." + ".".join(path.relative_to(LIBRARY).with_suffix("").parts)
        for path in files("video2gif")
    }
    known = set(names.values())
    return {name: set(imported(path)) & known - {name} for path, name in names.items()}


def test_no_module_reaches_itself_by_imports():
    found = modules()
    for start in found:
        reached, waiting = set(), [start]
        while waiting:
            new = found[waiting.pop()] - reached
            reached |= new
            waiting += new
        assert start not in reached, f"{start} stands in a circle"


def test_no_name_of_a_class_or_type_stands_for_two_things():
    rooms: dict[str, set[str]] = defaultdict(set)
    for path in LIBRARY.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                rooms[node.name].add(str(path.relative_to(LIBRARY)))
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                # `Crop = tuple[int, ...]`; a TypeVar is a letter.
                rooms[node.targets[0].id].add(str(path.relative_to(LIBRARY)))
    taken = {name: files for name, files in rooms.items() if len(files) > 1}
    assert {n: f for n, f in taken.items() if re.fullmatch(r"[A-Z][a-z]\w+", n)} == {}


def test_the_package_itself_holds_no_room_of_one_file():
    assert {path.name for path in LIBRARY.glob("*.py")} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("path", files("video2gif") + files("flows"), ids=lambda path: path.stem)
def test_no_file_needs_two_rooms(path: Path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


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


def test_the_map_in_the_docs_is_the_one_of_the_imports():
    assert drawing() in (REPO / "docs" / "architecture.md").read_text(), (
        "put what `python tests/test_architecture.py` prints into docs/architecture.md"
    )


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        pytest.param("video2gif.make.api", {*_EXTRAS}, id="api"),
        pytest.param("video2gif.make.run", {*_EXTRAS}, id="gif"),
        pytest.param("video2gif.make.verify", {*_EXTRAS}, id="verify"),
        pytest.param("video2gif.make.spoken", {*_EXTRAS}, id="say"),
        pytest.param("video2gif.make.editors", {*_EXTRAS}, id="editors"),
        pytest.param("video2gif.web.app", {*_EXTRAS}, id="serve"),
        pytest.param("video2gif", {"numpy", "torch", "prefect"}, id="package"),
        pytest.param("video2gif.cli.__main__", {"torch", "prefect", "av", "scenedetect"}, id="cli"),
        pytest.param("video2gif.evaluation.tables", {"torch", "sklearn", "av"}, id="evaluate"),
        pytest.param("video2gif.fingerprint.read", {"torch", "av", "cv2"}, id="read"),
        pytest.param("flows.__main__", {"torch", "prefect", "av"}, id="flows"),
        pytest.param("video2gif.core.sandbox", {"numpy", "torch", "pandas"}, id="sandbox"),
    ],
)
def test_importing_is_light(module: str, unwanted: set[str]):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=True
    )
    assert not unwanted & set(done.stdout.split())


def test_packets_are_read_in_one_place():
    """`media.open.packets` knows what PyAV does not."""
    readers = [path for path in LIBRARY.rglob("*.py") if ".demux(" in path.read_text()]
    assert readers == [LIBRARY / "media" / "open.py"]


def test_tables_are_made_in_one_place():
    """`cli.terminal.table_of` cuts nothing; Rich's own `Table` does."""
    cli = LIBRARY / "cli"
    assert [p for p in cli.glob("*.py") if re.search(r"\bTable\(", p.read_text())] == [
        cli / "terminal.py"
    ]


if __name__ == "__main__":
    print(drawing())
