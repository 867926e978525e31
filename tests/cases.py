"""The numbered cases of reliability: which tests hold them, and how the last run went.

A test holds the cases whose numbers follow `test_` in its name: `test_A3_A4_a_cut_file_is_named`.
`pytest --cases docs/reliability.md` runs only such tests and writes the table below the file's
marker: case, tests, outcome, figure. A test tells a figure by `record_property("figure", "…")`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("cases.txt")
MARKER = "<!-- written by `make reliability` -->"
_NUMBERS = re.compile(r"test_((?:[A-E]\d+_)+)")


def cases() -> dict[str, str]:
    """Every case's number and what it says, in the order of the list."""
    lines = LIST.read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def held_by(name: str) -> list[str]:
    """The numbers of the cases that a test's name says it holds."""
    match = _NUMBERS.match(name)
    return match[1].strip("_").split("_") if match else []


class Record:
    """Outcomes of the tests that hold cases, as they are reported."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._outcomes: dict[str, dict[str, str]] = defaultdict(dict)
        self._figures: dict[str, list[str]] = defaultdict(list)

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        others = [item for item in items if not held_by(item.name)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if held_by(item.name)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rpartition("::")[2]
        outcome = "open" if hasattr(report, "wasxfail") else report.outcome
        for case in held_by(name):
            if report.when == "call" or outcome != "passed":
                self._outcomes[case][report.nodeid] = outcome
            if report.when == "call":
                self._figures[case] += [str(v) for k, v in report.user_properties if k == "figure"]

    def pytest_sessionfinish(self) -> None:
        head = self._target.read_text().partition(MARKER)[0] if self._target.exists() else ""
        self._target.write_text(f"{head}{MARKER}\n\n" + "\n".join(self._table()) + "\n")

    def _table(self) -> Iterator[str]:
        rows = [(case, text, self._verdict(case)) for case, text in cases().items()]
        held = sum(verdict == "holds" for _, _, verdict in rows)
        tests = {name for outcomes in self._outcomes.values() for name in outcomes}
        yield f"{len(rows)} cases, {held} hold; {len(tests)} tests (each parameter counts).\n"
        yield "| case | what is done → what must come of it | tests | outcome | figure |"
        yield "|---|---|---|---|---|"
        for case, text, verdict in rows:
            figures = "; ".join(dict.fromkeys(self._figures[case]))
            yield f"| {case} | {text} | {self._names(case)} | {verdict} | {figures} |"

    def _verdict(self, case: str) -> str:
        found = set(self._outcomes[case].values())
        for outcome, verdict in (("failed", "**fails**"), ("open", "**open**")):
            if outcome in found:
                return verdict
        return "holds" if "passed" in found else "**not run**"

    def _names(self, case: str) -> str:
        names: dict[str, int] = defaultdict(int)
        for nodeid in self._outcomes[case]:
            names[nodeid.partition("[")[0].removeprefix("tests/")] += 1
        return "<br>".join(f"{n} ×{k}" if k > 1 else n for n, k in sorted(names.items()))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", type=Path, help="run the numbered cases, write their table")


def pytest_configure(config: pytest.Config) -> None:
    target = config.getoption("--cases")
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Record(target))
