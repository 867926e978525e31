"""python tests/fuzz.py [--each 10000] [--kinds gif,mp4,…] [--keep DIR]: hostile files.

Each mutant goes where such files go: media through probe and fingerprint and weights through their
reader, in a killable child with the stages' memory limit; manifests, params, safetensors and
receipts through their parsers in this process. Only typed errors may come out, within the limits.
Prints a row for each kind; exit code 1 if anything else came. `--keep` saves what did.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import get_ident, local

from mutants import KINDS, NARROW, mutant, seeds
from patience import PATIENCE_S

from video2gif.core.config import Params
from video2gif.core.errors import ItemError, UserError, Video2GifError
from video2gif.core.sandbox import Limits, Worker
from video2gif.core.store import read_arrays
from video2gif.datasets import read_manifest
from video2gif.features import weights
from video2gif.gifs.receipt import extract

MAX_CPU_S = 1.0
"""Of a hunt on a quiet machine."""
MAX_BYTES = 512 << 20
LIMITS = Limits(wall_s=PATIENCE_S)  # A busy machine is slow; CPU time is held to `max_cpu_s`.
_SLOW_SHARE = 100
BAD = ("crash", "timeout")


@dataclass
class Tally:
    """What became of the mutants of one kind."""

    causes: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0
    peak_bytes: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)
    """Number of the mutant, and what was wrong."""

    def add(self, number: int, cause: str, cpu_s: float, peak_bytes: int, why: str = "") -> None:
        self.causes[cause] += 1
        self.cpu_s, self.peak_bytes = max(self.cpu_s, cpu_s), max(self.peak_bytes, peak_bytes)
        if why:
            self.faults.append((number, why))


Outcome = tuple[str, float, int, str]


class Children:
    """A warm child for each thread; its last words go nowhere."""

    def __init__(self, folder: Path, open_until: ExitStack, max_cpu_s: float = MAX_CPU_S) -> None:
        self._folder, self._stack, self._own = folder, open_until, local()
        self._max_cpu_s = max_cpu_s

    def __call__(self, kind: str, content: bytes) -> Outcome:
        """What comes of a file of this kind."""
        if not hasattr(self._own, "worker"):
            self._own.worker = self._stack.enter_context(Worker(LIMITS))
        path = self._folder / f"{get_ident()}.{kind}"
        path.write_bytes(content)
        out = path.with_suffix(".out")
        try:
            return self._run(kind, path, out)
        finally:
            path.unlink()
            out.unlink(missing_ok=True)

    def _run(self, kind: str, path: Path, out: Path) -> Outcome:
        started = time.monotonic()
        try:
            if kind == "weights":
                args = {"path": str(path), "head": False}
                self._own.worker.run("video2gif.features.formats.read:work", args, out)
                weights.check(read_arrays(out.read_bytes())[0], where="x", architecture=NARROW)
                return "ok", time.monotonic() - started, 0, ""
            kind = "gif" if kind == "gif" else "video"
            args = {"params": {}, "path": str(path), "kind": kind}
            forget_peak(self._own.worker)
            self._own.worker.run("work:consume", args, out)
        except ItemError as error:
            why = error.reason if error.cause in BAD else ""
            return error.cause, time.monotonic() - started if kind == "weights" else 0, 0, why
        except UserError:
            return "user error", time.monotonic() - started, 0, ""
        found = json.loads(out.read_text())
        why = ""
        most_s = self._max_cpu_s
        if found["cpu_s"] > most_s and (least := self._least_cpu_s(kind, path)) > most_s:
            why = f"{least:.1f} s of CPU"
        why = f"{found['peak_bytes'] >> 20} MB" if found["peak_bytes"] > MAX_BYTES else why
        why = found["cause"] if found["cause"] in BAD else why
        return found["cause"], found["cpu_s"], found["peak_bytes"], why

    def _least_cpu_s(self, kind: str, path: Path) -> float:
        """CPU seconds of a second try, or 0 where this machine is slow with whole files, too.

        Neighbours on a core make every second of it worth less: a whole file is the measure.
        """
        whole = path.with_suffix(".whole")
        whole.write_bytes(seeds("gif" if kind == "gif" else "mp4")[0])
        took = []
        for one in (path, whole):
            out = one.with_suffix(".again")
            args = {"params": {}, "path": str(one), "kind": kind}
            self._own.worker.run("work:consume", args, out)
            took.append(json.loads(out.read_text())["cpu_s"])
            out.unlink()
        whole.unlink()
        return took[0] if took[0] > _SLOW_SHARE * took[1] else 0.0


def forget_peak(worker: Worker) -> None:
    """Let a child's peak of memory begin anew: a confined one cannot write to /proc itself."""
    child = worker._child
    if child is not None and child.poll() is None:
        Path(f"/proc/{child.pid}/clear_refs").write_text("5")


def parse(kind: str, number: int, folder: Path, max_cpu_s: float) -> Outcome:
    """A mutant through its parser in this process."""
    content = mutant(kind, number)
    path = folder / f"{number}.{'csv' if kind == 'manifest' else kind}"
    started = time.process_time()
    if kind != "receipt":
        path.write_bytes(content)
    parsers: dict[str, Callable[[], object]] = {
        "manifest": lambda: read_manifest(path),
        "params": lambda: Params.load(path),
        "safetensors": lambda: weights.read(path, NARROW),
        "receipt": lambda: extract(content),
    }
    try:
        parsers[kind]()
        cause, why = "ok", ""
    except Video2GifError as error:
        cause, why = getattr(error, "cause", "user error"), ""
    except Exception as error:  # what the hunt is for
        cause, why = "crash", f"{type(error).__name__}: {error}"[:200]
    path.unlink(missing_ok=True)
    cpu_s = time.process_time() - started
    return cause, cpu_s, 0, why or (f"{cpu_s:.1f} s of CPU" if cpu_s > max_cpu_s else "")


def fuzz(kind: str, numbers: range, folder: Path, max_cpu_s: float = MAX_CPU_S) -> Tally:
    """Try the numbered mutants of a kind."""
    tally = Tally()
    seeds(kind)  # Made once, before threads ask for them.
    if kind not in ("gif", "mp4", "weights"):
        for number in numbers:
            tally.add(number, *parse(kind, number, folder, max_cpu_s))
        return tally
    # A child dies with the thread that started it: the stack, entered last, ends first.
    with ThreadPoolExecutor(2) as pool, ExitStack() as stack:
        children = Children(folder, stack, max_cpu_s)
        outcomes = pool.map(lambda number: children(kind, mutant(kind, number)), numbers)
        for number, outcome in zip(numbers, outcomes, strict=True):
            tally.add(number, *outcome)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--each", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--keep", type=Path)
    args = parser.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # where the children find `work`
    faults = 0
    for kind in args.kinds.split(","):
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            numbers = range(args.first, args.first + args.each)
            tally = fuzz(kind, numbers, Path(folder))
            left = sorted(path.name for path in Path(folder).iterdir())
        causes = ", ".join(f"{cause} {n}" for cause, n in tally.causes.most_common())
        peak = f", {tally.peak_bytes >> 20} MB at most" if tally.peak_bytes else ""
        print(
            f"{kind}: {args.each} in {time.monotonic() - started:.0f} s,"
            f" slowest {tally.cpu_s:.2f} s{peak}: {causes}",
            flush=True,
        )
        if left:
            print(f"  left behind: {left[:5]}")
        for number, why in tally.faults[:40]:
            print(f"  {kind} {number}: {why}", flush=True)
            if args.keep:
                args.keep.mkdir(parents=True, exist_ok=True)
                (args.keep / f"{number}.{kind}").write_bytes(mutant(kind, number))
        faults += len(tally.faults) + len(left)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
