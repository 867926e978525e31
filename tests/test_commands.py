"""Every command in README and docs is one that exists, with its options; the quick ones are run."""

import argparse
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main
from dvc.cli.parser import get_main_parser

from flows.__main__ import _parser
from video2gif.cli.__main__ import app
from video2gif.core.config import Params
from video2gif.stages import STAGES

REPO = Path(__file__).parents[1]
TEXTS = sorted([REPO / "README.md", REPO / "CONTRIBUTING.md", *(REPO / "docs").glob("*.md")])
TARGETS = set(re.findall(r"^([\w-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))


@dataclass(frozen=True)
class Line:
    """A command as it stands in a text."""

    where: str
    words: tuple[str, ...]


def lines(text: str) -> list[str]:
    """Lines of ```sh fences; a comment, a pipe and what follows `\\` or `&&` taken apart."""
    fences = re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.DOTALL)
    whole = "\n".join(fences).replace("\\\n", " ")
    parts = re.split(r"\n|&&|;| \| (?=[a-z])", whole)
    spans = re.findall(r"(?<!`)`((?:video2gif|make|dvc|python -m flows) [^`\n]+)`", text)
    return [part.strip() for part in [*parts, *spans] if part.strip()]


def commands(path: Path) -> list[Line]:
    found = []
    for line in lines(path.read_text()):
        try:
            words = shlex.split(line.replace("…", ""), comments=True)
        except ValueError:  # Part of a quoted text that has a semicolon in it.
            words = line.split()
        while words and "=" in words[0]:
            words = words[1:]  # NAME=value in front of a command
        if words:
            found.append(Line(path.name, (words[0].removeprefix(".venv/bin/"), *words[1:])))
    return found


ALL = [line for path in TEXTS for line in commands(path)]
CLI = typer.main.get_command(app)


def options_of(words: tuple[str, ...]) -> set[str] | None:
    """The options of a `video2gif` command; None if there is no such command."""
    command = CLI
    for word in words:
        if not hasattr(command, "commands") or word.startswith("-"):
            break
        if word not in command.commands:
            return None
        command = command.commands[word]
    return {name for option in command.params for name in option.opts} | {
        "--help",
        "--install-completion",
        "--show-completion",
    }


def alternatives(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """`stats | check FILE` and `[--json|--csv]` as the words that they stand for."""
    flat = [re.split(r"\|", word.strip("[]")) for word in words]
    first = tuple(choice[0] for choice in flat if choice[0])
    extra = [(*first[:1], other) for choice in flat[1:2] for other in choice[1:]]
    return [first, *extra]


@pytest.mark.parametrize("line", [one for one in ALL if one.words[0] == "video2gif"], ids=str)
def test_a_video2gif_command_exists_with_its_options(line: Line):
    for words in alternatives(line.words[1:]):
        known = options_of(words)
        assert known is not None, f"{line.where}: no command {' '.join(words)}"
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
        assert used <= known, f"{line.where}: {sorted(used - known)} in {' '.join(line.words)}"


@pytest.mark.parametrize("line", [one for one in ALL if one.words[0] == "make"], ids=str)
def test_a_make_target_exists(line: Line):
    named = [word for word in line.words[1:] if re.fullmatch(r"[a-z][\w-]*", word)]
    assert set(named) <= TARGETS, line.where


@pytest.mark.parametrize(
    "line", [one for one in ALL if one.words[:3] == ("python", "-m", "flows")], ids=str
)
def test_a_flows_command_exists_with_its_options(line: Line):
    (commands_,) = [one for one in _parser()._actions if one.choices]
    assert commands_.choices is not None
    for name in (word for word in line.words[3:5] if re.fullmatch(r"[a-z]+", word)):
        assert name in {*commands_.choices, *STAGES}, line.where
    of = commands_.choices.get(line.words[3])  # type: ignore[union-attr]
    known = {name for action in of._actions for name in action.option_strings} if of else set()
    assert {w for w in line.words[4:] if w.startswith("--")} <= known, line.where


@pytest.mark.parametrize("line", [one for one in ALL if one.words[0] == "dvc"], ids=str)
def test_a_dvc_command_exists_and_sets_parameters_that_are_there(line: Line):
    parser = get_main_parser()
    for word in line.words[1:3]:
        below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        if not below:
            break
        assert word in below[0].choices, f"{line.where}: no dvc {word}"
        parser = below[0].choices[word]
    known = {name for action in parser._actions for name in action.option_strings}
    used = {word.partition("=")[0] for word in line.words if word.startswith("-")}
    assert used <= known, f"{line.where}: {sorted(used - known)}"
    params = Params.load(REPO / "params.yaml")
    for setting in [b for a, b in zip(line.words, line.words[1:], strict=False) if a == "-S"]:
        section, _, key = setting.partition("=")[0].partition(".")
        assert hasattr(getattr(params, section), key), f"{line.where}: {setting}"


# The file of tests/ that runs a command of the docs, and how it is called there. `video2gif`'s own
# are in test_documented.py.
RUN_BY = {
    "dask scheduler": ("test_executors.py", '"scheduler"'),
    "dask worker": ("test_executors.py", '"worker"'),
    "dvc artifacts get": ("test_committed.py", '"artifacts", "get"'),
    "dvc exp apply": ("test_committed.py", '"exp", "apply"'),
    "dvc exp push": ("test_committed.py", '"exp", "push"'),
    "dvc exp run": ("test_committed.py", '"exp", "run"'),
    "dvc exp show": ("test_committed.py", '"exp", "show"'),
    "dvc get": ("test_committed.py", 'dvc(user, "get"'),
    "dvc import": ("test_committed.py", '"import", "--rev"'),
    "dvc metrics diff": ("test_committed.py", '"metrics", "diff"'),
    "dvc plots diff": ("test_committed.py", '"plots", "diff"'),
    "dvc pull": ("test_nightly.py", '"pull"'),
    "dvc push": ("test_nightly.py", '"push"'),
    "dvc queue start": ("test_committed.py", '"queue", "start"'),
    "dvc remote add": ("test_nightly.py", '"remote", "add"'),
    "dvc remote modify": ("test_nightly.py", '"remote", "modify"'),
    "dvc repro": ("test_nightly.py", '"repro"'),
    "dvc status": ("test_nightly.py", '"status"'),
    "dvc update": ("test_committed.py", '"update", "--rev"'),
    "make fuzz": ("test_fuzz.py", "fuzz.fuzz("),
    "make repro": ("kills.py", '"pipeline"'),
    "make site": ("test_site.py", '"mkdocs"'),
    "pip install": ("test_bare.py", '"install"'),
    "prefect deploy": ("test_operations.py", '"deploy"'),
    "prefect deployment run": ("test_operations.py", "create_flow_run"),
    "prefect server start": ("test_operations.py", '"server", "start"'),
    "prefect work-pool create": ("test_operations.py", '"work-pool", "create"'),
    "prefect worker start": ("test_operations.py", '"worker", "start"'),
    "python -c": ("test_operations.py", "Secret"),
    "python -m flows pipeline": ("kills.py", '"pipeline"'),
    "python -m flows prepare": ("test_operations.py", '"flows", "prepare"'),
    "python -m flows serve": ("test_flows.py", '"flows", "serve"'),
}
# No test runs these: they run the tests, check the code, take hours, or are the shell's.
BY_HAND = {
    "cd",
    "cp",
    "export",
    "git",
    "grep",
    "make .venv/.installed",
    "make certificate",
    "make lint",
    "make reliability",
    "make test",
    "make test-all",
    "mkdir",
    "unzip",
}
PROGRAMS = {name.split()[0] for name in (*RUN_BY, *BY_HAND)}


@pytest.mark.parametrize("line", [one for one in ALL if one.words[0] in PROGRAMS], ids=str)
def test_a_command_names_the_test_that_runs_it(line: Line):
    known = {*RUN_BY, *BY_HAND}
    # Whole words: `dvc exp` alone is not `dvc exp run`.
    assert known & {" ".join(line.words[:n]) for n in range(1, 5)}, f"{line.where}: {line.words}"


@pytest.mark.parametrize(("file", "call"), RUN_BY.values(), ids=RUN_BY)
def test_the_named_test_calls_the_command(file: str, call: str):
    assert call in (REPO / "tests" / file).read_text()


def test_commands_were_found_and_a_wrong_one_would_be():
    assert len(ALL) > 60
    assert options_of(("nothing",)) is None
    assert "--nothing" not in (options_of(("gif",)) or set())


def test_shell_completion_is_offered():
    """As the quick start says. Shown, not installed: a test changes nobody's shell."""
    command = [sys.executable, "-m", "video2gif", "--show-completion"]
    environment = {**os.environ, "SHELL": "bash"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert "No such option" not in done.stderr


@pytest.mark.parametrize("target", ["test", "test-all", "reliability"])
def test_pytest_understands_what_make_says(target: str, tmp_path: Path):
    """Without the tests themselves: only some are collected, and none is run."""
    rule = (REPO / "Makefile").read_text().partition(f"\n{target}:")[2].splitlines()[1]
    _, *words = shlex.split(rule.replace("docs/reliability.md", str(tmp_path / "table")))
    words += ["--collect-only", "-q", "-n0", "--ignore-glob=*/test_[!d]*", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, *words], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "table").exists() == (target == "reliability")
