"""This run's dvc.lock beside the committed one: which stages gave the same bytes, and where.

Reads dvc.lock, dvc.yaml and machine.json in the project and in git's HEAD. machine.json names the
vector instructions of the processor that made the lock beside it: where bytes differ, it tells
whether another processor may be the reason.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from video2gif.core.errors import EnvironmentProblem
from video2gif.core.layout import Layout, read_json, write_json
from video2gif.core.readers import Unreadable, parsed_json
from video2gif.project.dvcfiles import locked_stages, written_stages
from video2gif.stages import STAGES

LOCK = "dvc.lock"
# How the flags that matter begin, on x86 and on ARM.
_VECTOR_UNITS = ("sse", "ssse", "avx", "fma", "f16c", "bmi", "amx", "asimd", "sve")
# What makes libraries take another processor than the one that is there (`make certificate`).
_EMULATION = (
    "ATEN_CPU_CAPABILITY",
    "GLIBC_TUNABLES",
    "MKL_CBWR",
    "NPY_DISABLE_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "OPENCV_CPU_DISABLE",
)
# Sums of floats in the libraries' own order: docs/benchmarks/determinism.md.
FLOATING = frozenset({"extract", "train", "evaluate", "report"})
"""Stages whose bytes another processor may change; all the others are exact."""


@dataclass(frozen=True)
class LockComparison:
    """The stages' outputs against those of the committed lock."""

    equal: tuple[str, ...]
    other: tuple[str, ...]
    """Stages whose outputs differ, or that the committed lock does not have."""
    features: tuple[str, ...]
    """+name: this processor has it, the committed lock's had not; -name: the other way round."""

    @property
    def is_explained(self) -> bool:
        """Whether nothing differs but floats that another processor summed."""
        return not self.other or (bool(self.features) and FLOATING.issuperset(self.other))

    def __str__(self) -> str:
        n_equal, n_all = len(self.equal), len(self.equal) + len(self.other)
        line = f"{n_equal} of {n_all} stages byte-equal to the committed lock"
        if not self.other:
            return line
        why = f"processor: {' '.join(self.features)}" if self.features else "the same processor"
        return f"{line}; other: {', '.join(self.other)} ({why})"


def compared(root: Path) -> LockComparison | None:
    """The comparison, or None where git's HEAD has no dvc.lock."""
    committed = _committed(root, LOCK)
    if committed is None:
        return None
    before, now = _outs(committed, "HEAD"), _outs((root / LOCK).read_text(), str(root))
    equal = tuple(s for s in STAGES if s in now and now[s] == before.get(s))
    theirs, ours = _noted(root), set(processor())
    features = (
        *(f"+{f}" for f in sorted(ours - theirs)),
        *(f"-{f}" for f in sorted(theirs - ours)),
    )
    return LockComparison(
        equal, tuple(s for s in STAGES if s not in equal), features if theirs else ()
    )


def note_machine(root: Path) -> None:
    """Write which processor made the lock that is there now."""
    write_json(Layout(root).machine, {"processor": processor()})


def is_noted(root: Path) -> bool:
    """Whether machine.json is there and readable."""
    try:
        return bool(read_json(Layout(root).machine)["processor"])
    except (EnvironmentProblem, KeyError, TypeError):
        return False


def processor() -> list[str]:
    """Vector instructions of this processor, and what tells libraries to use others, sorted."""
    flags: set[str] = set()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        # "flags" on x86, "Features" on ARM.
        if key.strip() in ("flags", "Features"):
            flags |= {flag for flag in value.split() if flag.startswith(_VECTOR_UNITS)}
    told = {f"{name}={os.environ[name]}" for name in _EMULATION if os.environ.get(name)}
    return sorted(flags | told)


def in_git(root: Path) -> list[str]:
    """What a run changes and git keeps: the lock, the machine, outputs that DVC does not cache."""
    outs = [
        path
        for stage in written_stages(root).values()
        for path, options in stage.written().items()
        # Such outputs are in git in place of DVC's cache.
        if isinstance(options, dict) and options.get("cache") is False
    ]
    return [LOCK, Layout(root).machine.name, *outs]


def _committed(root: Path, name: str) -> str | None:
    done = subprocess.run(
        ["git", "show", f"HEAD:./{name}"], cwd=root, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else None


def _noted(root: Path) -> set[str]:
    """The processor of the committed lock; of a machine that nobody noted, or not so, nothing."""
    text = _committed(root, Layout(root).machine.name)
    try:
        return set(map(str, parsed_json(text)["processor"])) if text else set()
    except (Unreadable, KeyError, TypeError):
        return set()


def _outs(lock: str, where: str) -> dict[str, list[tuple[str, str]]]:
    """Paths and digests of each stage's outputs."""
    try:
        stages = locked_stages(lock)
    except Unreadable as error:
        raise EnvironmentProblem(f"{LOCK} of {where}: {error}") from None
    return {name: sorted((out.path, out.md5) for out in s.outs) for name, s in stages.items()}
