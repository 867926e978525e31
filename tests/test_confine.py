"""What a hijacked child can do: nothing, on each kernel that gives the means."""

import ast
import errno
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from video2gif.core import sandbox
from video2gif.core.confine import landlock, seccomp, trial
from video2gif.core.sandbox import Limits

TESTS = Path(__file__).parent
LIBRARY = TESTS.parent / "video2gif"

ALL_KINDS = {
    "nothing": Limits(),
    "public network": Limits(network="public"),
    "any network": Limits(network="any"),
}
# Without Landlock and without namespaces, no means is left against writing to other files.
WRITING = {
    *("write", "make a file", "make a folder", "remove", "rename", "link", "shared memory"),
}
PROGRAMS = {"fork", "run a program"}
UNIX = {"unix socket", "unix datagrams"}


@cache
def here() -> str:
    """What holds a child on this machine, unless it is weakened."""
    return trial.tried().in_force


def weaken(monkeypatch: pytest.MonkeyPatch, kernel: str) -> None:
    if not here().endswith("seccomp"):
        pytest.skip("no seccomp on this machine")
    monkeypatch.setenv("PYTHONPATH", str(TESTS / "weaker"))
    monkeypatch.setenv("WEAKER", kernel)


@pytest.mark.parametrize("limits", ALL_KINDS.values(), ids=ALL_KINDS)
def test_S2_a_hijacked_child_can_do_nothing_outside(limits: Limits) -> None:
    found = trial.tried(limits)
    if not found.in_force.endswith("seccomp") or found.in_force == "seccomp":
        pytest.skip(f"this kernel holds a child by {found.in_force} only")
    assert found.could == ()


@pytest.mark.parametrize(
    ("limits", "may"),
    [
        pytest.param(Limits(programs=True), PROGRAMS, id="programs"),
        pytest.param(Limits(gpu=True), UNIX, id="gpu"),
    ],
)
def test_S2_a_need_opens_what_it_is_named_for_and_no_more(limits: Limits, may: set[str]) -> None:
    assert set(trial.tried(limits).could) <= may


def test_S3_a_child_is_held_by_every_version_of_landlock(
    abi: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken(monkeypatch, f"namespaces landlock={abi}")
    found = trial.tried()
    assert found.in_force.startswith(f"Landlock {abi}")
    assert found.could == ()


@pytest.fixture(params=[1, 2, 3, 4, 5, 6, 7, 8, 99])
def abi(request: pytest.FixtureRequest) -> int:
    if min(request.param, landlock.NEWEST) > landlock.version() + 1:
        pytest.skip("this kernel cannot do what that version asks for")
    return int(request.param)


def test_S3_an_unknown_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if landlock.version() < 7:
        pytest.skip("this kernel cannot do what the newest version asks for")
    weaken(monkeypatch, "namespaces landlock=99")
    assert "Landlock 99 (newer than known here)" in trial.tried().in_force


@pytest.mark.parametrize(
    ("version", "files", "tcp", "scopes", "size"),
    [  # linux/landlock.h of the release that brought each
        (1, 0x1FFF, 0, 0, 8),
        (2, 0x3FFF, 0, 0, 8),
        (3, 0x7FFF, 0, 0, 8),
        (4, 0x7FFF, 3, 0, 16),
        (5, 0xFFFF, 3, 0, 16),
        (6, 0xFFFF, 3, 3, 24),
        (7, 0xFFFF, 3, 3, 24),
        (8, 0xFFFF, 3, 3, 24),
        (99, 0xFFFF, 3, 3, 24),
    ],
)
def test_S3_a_ruleset_asks_for_all_that_a_version_knows_and_no_more(
    version: int, files: int, tcp: int, scopes: int, size: int
) -> None:
    rules, n_bytes = landlock.ruleset(version)
    reading = 0b1100
    assert (rules.files, rules.tcp, rules.scopes) == (files & ~reading, tcp, scopes)
    assert n_bytes == size


@pytest.mark.parametrize(
    ("kernel", "could"),
    [
        pytest.param("namespaces landlock=0", WRITING, id="seccomp alone"),
        pytest.param("landlock=0", set(), id="no Landlock"),
        pytest.param("namespaces", set(), id="no namespaces"),
    ],
)
def test_S2_what_a_weaker_kernel_does_not_deny_is_said(
    monkeypatch: pytest.MonkeyPatch, kernel: str, could: set[str]
) -> None:
    if "namespaces" not in kernel and "read-only" not in here():
        pytest.skip("no namespaces here")
    if "landlock" not in kernel and "Landlock" not in here():
        pytest.skip("no Landlock here")
    weaken(monkeypatch, kernel)
    assert set(trial.tried().could) == could


def test_S2_without_seccomp_the_network_and_other_files_are_still_out_of_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "read-only mounts" not in here():
        pytest.skip("no namespaces here")
    weaken(monkeypatch, "seccomp")
    could = set(trial.tried().could)
    assert not could & WRITING
    assert not could & {"chmod", "chown", "utime", "set an attribute", "TCP connection"}
    assert "lock" in could


# --- the filter, call by call, for both machines ---


def outcome(machine: str, call: int, *arguments: int, needs: frozenset = frozenset()) -> int:
    """What the filter answers to a call: 0 (allowed) or an error number. PID 77 is the child's."""
    program = seccomp.program(machine, seccomp.rules(77, needs))
    token = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    padded = [argument & (1 << 64) - 1 for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    return run(program, struct.pack("<iIQ6Q", call, token, 0, *padded))


def run(program: list[tuple[int, int, int, int]], data: bytes) -> int:
    """An interpreter of classic BPF, as much as the filter uses (linux/bpf_common.h)."""
    at = accumulator = 0
    while True:
        code, yes, no, k = program[at]
        at += 1
        if code == 0x20:
            accumulator = int.from_bytes(data[k : k + 4], "little")
        elif code == 0x54:
            accumulator &= k
        elif code in (0x15, 0x35):
            at += yes if (accumulator == k if code == 0x15 else accumulator >= k) else no
        elif code == 0x06:
            return 0 if k == 0x7FFF0000 else k & 0xFFFF
        else:
            raise AssertionError(f"instruction {code:#x} is not classic BPF that is used here")


SOMETIMES = {
    *("open", "openat", "fcntl", "ioctl", "kill", "tgkill", "prlimit64", "sched_setaffinity"),
    *("personality", "clone", "prctl"),
}
MACHINES = ("x86_64", "aarch64")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", sorted(set(seccomp.NUMBERS) - SOMETIMES))
def test_S2_a_call_is_refused_whatever_its_arguments(machine: str, name: str) -> None:
    number = seccomp.NUMBERS[name][MACHINES.index(machine)]
    if number is None:
        pytest.skip("this machine has no such call")
    for argument in (0, 1, 77, -1):
        assert outcome(machine, number, *[argument] * 6) == errno.EPERM


ARGUMENTS = [
    ("openat", (-100, 0, 0o1000), False),  # read-only, and emptied
    ("openat", (-100, 0, 0o1101), True),  # written anew: Landlock says where
    ("openat", (-100, 0, 0), True),
    ("fcntl", (3, 1), True),
    ("fcntl", (3, 6), False),  # F_SETLK
    ("fcntl", (3, 8), False),  # F_SETOWN
    ("fcntl", (3, 1024), False),  # F_SETLEASE
    ("ioctl", (0, 0x5401), True),  # TCGETS: is it a terminal?
    ("ioctl", (0, 0x5412), False),  # TIOCSTI
    ("ioctl", (0, 0x5412 | 7 << 32), False),  # The kernel looks at the lower half only.
    ("kill", (77, 6), True),
    ("kill", (78, 0), False),
    ("kill", (0, 9), False),
    ("kill", (-1, 9), False),
    ("tgkill", (77, 79, 6), True),
    ("tgkill", (1, 1, 9), False),
    ("prlimit64", (0, 7), True),
    ("prlimit64", (1, 7), False),
    ("sched_setaffinity", (0, 8), True),
    ("sched_setaffinity", (1, 8), False),
    ("personality", (0xFFFFFFFF,), True),
    ("personality", (0x0040000,), False),
    ("clone", (0x3D0F00,), True),  # a thread
    ("clone", (0x1200011,), False),  # fork
    ("clone", (0x4111,), False),  # vfork
    ("prctl", (15,), True),  # PR_SET_NAME
    ("prctl", (1, 0), False),  # PR_SET_PDEATHSIG
]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("name", "arguments", "allowed"), ARGUMENTS)
def test_S2_a_call_is_refused_by_its_argument(
    machine: str, name: str, arguments: tuple[int, ...], allowed: bool
) -> None:
    number = seccomp.NUMBERS[name][MACHINES.index(machine)]
    assert number is not None
    assert outcome(machine, number, *arguments) == (0 if allowed else errno.EPERM)


def test_every_call_that_is_refused_only_sometimes_has_its_arguments_tried() -> None:
    assert {name for name, _, _ in ARGUMENTS} == SOMETIMES - {"open"}


@pytest.mark.parametrize("machine", MACHINES)
def test_S2_what_is_newer_than_the_table_is_not_there(machine: str) -> None:
    for call in range(seccomp.NEW, 1000):
        wanted = 0 if call in seccomp.HARMLESS else errno.ENOSYS
        assert outcome(machine, call) == wanted
    assert outcome(machine, 0x40000000 | 41) == errno.ENOSYS  # the calls of x32


def test_S2_calls_of_another_machine_are_refused() -> None:
    program = seccomp.program("x86_64", seccomp.rules(77))
    i386 = 0x40000003
    assert run(program, struct.pack("<iIQ6Q", 20, i386, 0, *[0] * 6)) == errno.EPERM


@pytest.mark.parametrize(
    ("need", "name", "arguments", "allowed"),
    [
        ("stream", "sendto", (3, 0, 1, 0x4000), True),
        ("stream", "sendto", (3, 0, 1, 0x20000000), False),  # MSG_FASTOPEN
        ("stream", "socket", (2, 1, 0), False),
        ("stream", "connect", (3,), False),
        ("program", "execve", (), True),
        ("program", "clone", (0x1200011,), True),
        ("program", "clone", (0x10000011,), False),  # in a new user namespace
        ("program", "socket", (2, 1, 0), False),
        ("gpu", "socket", (1, 5, 0), True),
        ("gpu", "socket", (2, 2, 0), False),
        ("gpu", "connect", (3,), False),
        ("gpu", "sendto", (3,), False),
    ],
)
@pytest.mark.parametrize("machine", MACHINES)
def test_S2_a_need_opens_single_calls(
    machine: str, need: str, name: str, arguments: tuple[int, ...], allowed: bool
) -> None:
    number = seccomp.NUMBERS[name][MACHINES.index(machine)]
    assert number is not None
    found = outcome(machine, number, *arguments, needs=frozenset({need}))
    assert found == (0 if allowed else errno.EPERM)


# --- no work can forget it ---


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a name in the library, with the file it stands in."""
    for path in sorted(LIBRARY.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
                yield path.relative_to(LIBRARY).as_posix(), node


def test_S2_what_is_left_open_is_left_open_in_these_places_only() -> None:
    opened = {
        (file, keyword.arg, ast.unparse(keyword.value))
        for file, call in calls("Limits")
        for keyword in call.keywords
        if keyword.arg in ("network", "programs", "gpu")
    }
    assert opened == {
        ("media/together.py", "gpu", "any((one.limits.gpu for one in works))"),
        ("features/warmup.py", "gpu", "True"),
        ("gifs/render.py", "programs", "encoder == 'gifski'"),
        ("media/fetch.py", "network", "'any' if policy.allow_private else 'public'"),
    }


def test_S2_every_work_runs_in_such_a_child() -> None:
    """A job is done by `Worker.run` alone, and a `Worker` has no child that is not confined."""
    assert {file for file, _ in calls("Worker")} == {
        "core/confine/trial.py",
        "core/mappers.py",
        "features/importers.py",
        "features/published.py",
    }
    names = set(Limits.__dataclass_fields__)
    assert names == {"wall_s", "memory_bytes", "disk_bytes", "network", "programs", "gpu"}
    child = (LIBRARY / "core" / "child.py").read_text()
    assert child.index("confine(folder") < child.index("_serve(sys.stdin")


def test_S2_processes_are_started_in_these_places_only() -> None:
    starts = {"run", "Popen", "fork", "system", "spawnv", "execv", "popen", "check_output"}
    found = {
        file
        for name in starts
        for file, call in calls(name)
        if ast.unparse(call.func).startswith(("subprocess.", "os."))
    }
    assert found == {
        "core/confine/namespaces.py",  # A fork of the child itself, before it is confined.
        "core/confine/trial.py",  # What must fail.
        "core/sandbox.py",
        "gifs/encoders.py",  # gifski, in a confined child.
        "project/committed.py",  # git
        "project/doctor.py",  # git
        "project/plan.py",  # dvc
    }
    assert sandbox.Worker.__doc__
