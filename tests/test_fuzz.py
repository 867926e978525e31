"""Hostile files: a few of each kind every time, ten thousand of each in the slow suite.

`tests/found/` keeps those that once did harm. `make fuzz` looks for others.
"""

import re
import shutil
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import fuzz
import pytest
from mutants import KINDS, mutant

from video2gif.core.errors import ItemError, UserError
from video2gif.features.formats import read

TESTS = Path(__file__).parent
FOUND = sorted((TESTS / "found").glob("*.*"))
MEDIA = ("gif", "mp4")
OTHERS = tuple(kind for kind in KINDS if kind not in MEDIA)
NAME = {"gif": "D1", "mp4": "D2"}
# A core that others share does the same work in several times the seconds. `make fuzz` asks for 1.
MAX_CPU_S = 20.0


@pytest.fixture(autouse=True)
def _children_find_the_work(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def told(kind: str, numbers: range, folder: Path) -> str:
    """What came of the mutants, if only what may come did."""
    tally = fuzz.fuzz(kind, numbers, folder, MAX_CPU_S)
    assert not tally.faults, tally.faults[:10]
    assert not list(folder.iterdir())
    assert tally.causes.total() == len(numbers)
    peak = f", {tally.peak_bytes >> 20} MB" if tally.peak_bytes else ""
    return f"{len(numbers)} {kind}: at most {tally.cpu_s:.2f} s{peak}"


AMOUNTS = [pytest.param(200, id="few"), pytest.param(10_000, id="10000", marks=pytest.mark.slow)]


@pytest.mark.parametrize("number", AMOUNTS)
def test_D1_mutated_gifs_give_typed_errors_only(tmp_path: Path, number: int, record_property):
    record_property("figure", told("gif", range(number), tmp_path))


@pytest.mark.parametrize("number", AMOUNTS)
def test_D2_mutated_mp4s_give_typed_errors_only(tmp_path: Path, number: int, record_property):
    record_property("figure", told("mp4", range(number), tmp_path))


@pytest.mark.parametrize("number", AMOUNTS)
@pytest.mark.parametrize("kind", OTHERS)
def test_D33_other_mutants_give_typed_errors_only(
    tmp_path: Path, kind: str, number: int, record_property
):
    record_property("figure", told(kind, range(number), tmp_path))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_D33_what_was_found_stays_harmless(path: Path, tmp_path: Path):
    kind = path.suffix[1:]
    if kind == "weights":  # in this process: an unforeseen exception would end the test
        with suppress(ItemError, UserError):
            read.work(out=tmp_path / "out", path=str(path), head=False)
        return
    with ExitStack() as stack:
        _, _, _, why = fuzz.Children(tmp_path, stack, MAX_CPU_S)(kind, path.read_bytes())
    assert not why


def test_mutants_are_the_same_each_time():
    assert mutant("gif", 7) == mutant("gif", 7) != mutant("gif", 8)


CALLS = "open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat"
CHANGES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|creat\(|rename|unlink|mkdir|symlink|connect\(")
KERNEL = re.compile(r"/dev/null|/proc/\d+/clear_refs|/run/nscd/")  # not files, or the libc asking
# What the C library and OpenSSL read when a process starts.
LIBC = (
    "/etc/ld.so",
    "/etc/localtime",
    "/etc/nsswitch",
    "/etc/passwd",
    "/etc/ssl/",
    "/var/run/nscd",
)
MORE = "rmdir,symlink,symlinkat,link,linkat,truncate,connect"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_D1_D2_mutated_media_touch_nothing_else(tmp_path: Path, record_property):
    """The system calls of everything that runs: files changed, files read, connections."""
    inside, trace = tmp_path / "inside", tmp_path / "trace"
    inside.mkdir()
    traced = f"strace -f -y --seccomp-bpf -qq -e trace={CALLS},{MORE} -o {trace}".split()
    command = [sys.executable, TESTS / "fuzz.py", "--kinds", "gif,mp4", "--each", "1000"]
    environment = {"PYTHONPATH": str(TESTS), "TMPDIR": str(inside), "PATH": "/usr/bin:/bin"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    subprocess.run([*traced, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
    lines = [
        line for line in trace.read_text(errors="replace").splitlines() if "resumed" not in line
    ]
    outside = [line for line in lines if str(inside) not in line]
    changed = [line for line in outside if CHANGES.search(line) and not KERNEL.search(line)]
    assert not changed
    # What is read elsewhere: the interpreter's and the libraries' own files, and the kernel's.
    own = (sys.prefix, sys.base_prefix, "/usr", "/lib", "/proc/", "/sys/", "/dev/", *LIBC)
    read_there = {match[1] for line in outside if (match := re.search(r'"(/[^"]*)"', line))}
    strange = {path for path in read_there if not path.startswith((*own, str(TESTS.parent)))}
    assert not strange
    record_property("figure", f"{len(lines)} system calls of 2,000 files: none outside")
