"""The numbered cases of reliability: which tests hold them, and how the last run went.

A test holds the cases whose numbers follow `test_` in its name: `test_A3_A4_a_cut_file_is_named`.
`pytest --cases=docs/reliability.md` runs only such tests and writes the table below the file's
marker: case, tests, outcome, figure. A test tells a figure by `record_property("figure", "…")`.
"""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pytest

LIST = Path(__file__).with_name("cases.txt")
MARKER = "<!-- written by `make reliability` -->"
_NUMBERS = re.compile(r"test_((?:[A-EKS]\d+_)+)")


def cases() -> dict[str, str]:
    """Every case's number and what it says, in the order of the list."""
    lines = LIST.read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def held_by(name: str) -> list[str]:
    """The numbers of the cases that a test's name says it holds."""
    match = _NUMBERS.match(name)
    return match[1].strip("_").split("_") if match else []


@dataclass(frozen=True)
class Result:
    """How one test went when it last ran."""

    outcome: Literal["passed", "failed", "open", "skipped"]
    figures: list[str]
    commit: str


class Record:
    """Outcomes of the tests that hold cases. Runs of parts of them add up, commit by commit."""

    def __init__(self, target: Path, config: pytest.Config) -> None:
        self._target, self._root = target, config.rootpath
        self._kept = config.rootpath / ".pytest_cache" / "cases.json"
        self._results = dict(self._known())
        git = ["git", "-C", config.rootpath, "rev-parse", "--short", "HEAD"]
        self._commit = subprocess.run(
            git, capture_output=True, text=True, check=False
        ).stdout.strip()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not held_by(report.nodeid.rpartition("::")[2]):
            return
        if report.when == "call" or report.outcome != "passed":
            outcome = "open" if hasattr(report, "wasxfail") else report.outcome
            figures = [str(value) for key, value in report.user_properties if key == "figure"]
            self._results[report.nodeid] = Result(outcome, figures, self._commit)

    def pytest_sessionfinish(self) -> None:
        self._kept.parent.mkdir(exist_ok=True)
        self._kept.write_text(json.dumps({k: asdict(v) for k, v in self._results.items()}))
        head = self._target.read_text().partition(MARKER)[0] if self._target.exists() else ""
        self._target.write_text(f"{head}{MARKER}\n\n" + "\n".join(self._table()) + "\n")

    def _known(self) -> Iterator[tuple[str, Result]]:
        """Results of earlier runs, of tests that are still there."""
        if not self._kept.exists():
            return
        for nodeid, result in json.loads(self._kept.read_text()).items():
            path, _, name = nodeid.partition("::")
            file = self._root / path
            if file.exists() and f"def {name.partition('[')[0]}(" in file.read_text():
                yield nodeid, Result(**result)

    def _table(self) -> Iterator[str]:
        by_case: dict[str, dict[str, Result]] = {case: {} for case in cases()}
        for nodeid, result in sorted(self._results.items()):
            for case in held_by(nodeid.rpartition("::")[2]):
                by_case[case][nodeid] = result
        verdicts = {case: _verdict(results) for case, results in by_case.items()}
        held = sum(verdict == "holds" for verdict in verdicts.values())
        commits = sorted({result.commit for result in self._results.values()})
        yield (
            f"{len(by_case)} cases, {held} hold; {len(self._results)} tests (each parameter"
            f" counts), run at {', '.join(commits)}.\n"
        )
        yield "| case | what is done → what must come of it | tests | outcome | figure |"
        yield "|---|---|---|---|---|"
        for case, text in cases().items():
            results = by_case[case]
            figures = "; ".join(dict.fromkeys(f for r in results.values() for f in r.figures))
            yield f"| {case} | {text} | {_names(results)} | {verdicts[case]} | {figures} |"


def _verdict(results: Mapping[str, Result]) -> str:
    found = {result.outcome for result in results.values()}
    for outcome, verdict in (("failed", "**fails**"), ("open", "**open**")):
        if outcome in found:
            return verdict
    return "holds" if "passed" in found else "**not run**"


def _names(results: Mapping[str, Result]) -> str:
    names = Counter(nodeid.partition("[")[0].removeprefix("tests/") for nodeid in results)
    return "<br>".join(f"{n} ×{k}" if k > 1 else n for n, k in sorted(names.items()))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", type=Path, help="run the numbered cases, write their table")


def pytest_configure(config: pytest.Config) -> None:
    target = config.getoption("--cases")
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Record(target, config))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--cases"):
        config.hook.pytest_deselected(items=[item for item in items if not held_by(item.name)])
        items[:] = [item for item in items if held_by(item.name)]
