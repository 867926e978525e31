"""python tests/kills.py [--kills 20] [--seed 0] [--stages match,…]: SIGKILL `make repro` anywhere.

Clones the committed project, cuts its corpus down to two videos and its training to seconds, and
runs the pipeline once, untouched. Then, for each seed, in a clone and an item store of its own: the
same, with SIGKILL for all of its processes at a random moment; a look for orphans; a second run.
Prints a row a kill; exit code 1 unless every output, dvc.lock and the store's items are equal to
the untouched run's and no item that was there was made again. `--stages`: only up to these.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from video2gif.sample import manifest_csv

REPO = Path(__file__).parents[1]
ORPHANS_GONE_S = 3.0
OUTPUTS = ("data", "models", "metrics", "plots", "report")

# Seconds of work instead of minutes; every stage still does all it does.
SMALL = {
    "extract": {"clip_stride": 100},
    "label": {"validation_fraction": 0.0, "test_fraction": 0.0},
    "train": {"epochs": 3, "ensemble": 1},
    "evaluate": {"split": "all", "bootstrap_samples": 50},
    "report": {"max_videos": 1, "gifs_per_video": 1},
}


@dataclass(frozen=True)
class Clone:
    """A small project in a folder of its own, with its item store beside it."""

    root: Path

    @property
    def store(self) -> Path:
        return self.root.with_suffix(".store")

    @classmethod
    def make(cls, root: Path, *, videos: int = 2) -> "Clone":
        subprocess.run(["git", "clone", "-q", REPO, root], check=True)
        (root / "data" / "sample.csv").write_text(manifest_csv(limit=videos))
        params = yaml.safe_load((root / "params.yaml").read_text())
        for section, changed in SMALL.items():
            params[section] |= changed
        (root / "params.yaml").write_text(yaml.safe_dump(params))
        return cls(root)

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        """`python -m flows …` as a process group of its own, its output in a log."""
        own = {
            "PYTHONPATH": str(self.root),
            "VIDEO2GIF_CACHE": str(self.store),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        with self.root.with_suffix(".log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "flows", *(arguments or ("pipeline", "--quiet"))],
                cwd=self.root,
                env=os.environ | own | environment,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )

    def digests(self) -> dict[str, str]:
        """sha256 of dvc.lock and of every output, and the store's items by key."""
        files = [path for name in OUTPUTS for path in sorted((self.root / name).rglob("*"))]
        found = {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in [self.root / "dvc.lock", *files]
            if path.is_file()
        }
        return found | {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.items()
        }

    def items(self) -> dict[Path, int]:
        """The store's items and when each was made."""
        paths = [path for path in self.store.glob("??/*") if len(path.name) == 64]
        return {path: path.stat().st_mtime_ns for path in paths}

    def processes(self) -> list[int]:
        """Living processes that work for this clone."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                is_ours = str(self.store).encode() in (process / "environ").read_bytes()
                is_alive = process.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z"
            except OSError:
                continue
            if is_ours and is_alive:
                found.append(int(process.name))
        return found

    def remove(self) -> None:
        for path in (self.root, self.store):
            shutil.rmtree(path, ignore_errors=True)
        self.root.with_suffix(".log").unlink(missing_ok=True)


def untouched(folder: Path, stages: Sequence[str] = ()) -> tuple[Mapping[str, str], float]:
    """What one whole run gives, and how long it took: kept in the folder."""
    known = folder / "whole.json"
    if known.exists():
        return json.loads(known.read_text())
    clone = Clone.make(folder / "whole")
    started = time.monotonic()
    code = clone.start("pipeline", "--quiet", *stages).wait()
    took_s = time.monotonic() - started
    if code:
        sys.exit(f"the untouched run ended with {code}: {clone.root.with_suffix('.log')}")
    known.write_text(json.dumps([clone.digests(), took_s]))
    return clone.digests(), took_s


def killed(
    folder: Path,
    seed: int,
    expected: Mapping[str, str],
    took_s: float,
    stages: Sequence[str] = (),
) -> str:
    """Kill one run, run again; "" if all is as expected, else what is not."""
    clone = Clone.make(folder / f"seed{seed}")
    after_s = random.Random(seed).uniform(0.02, 0.98) * took_s
    process = clone.start("pipeline", "--quiet", *stages)
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + ORPHANS_GONE_S
    while (left := clone.processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    before = clone.items()
    code = clone.start("pipeline", "--quiet", *stages).wait()
    faults = [f"processes {left} lived on"] if left else []
    faults += [f"the second run ended with {code}"] if code else []
    if not faults:
        found, after = clone.digests(), clone.items()
        differ = sorted(k for k in expected | found if found.get(k) != expected.get(k))
        faults += [f"{len(differ)} files differ: {differ[:3]}"] if differ else []
        again = [path.name for path, made in before.items() if after.get(path) != made]
        faults += [f"{len(again)} finished items were made again"] if again else []
    print(
        f"seed {seed}: killed after {after_s:5.1f} s with {len(before):3} items:"
        f" {'; '.join(faults) or 'equal'}",
        flush=True,
    )
    if not faults:
        clone.remove()
    return "; ".join(faults)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the first kill")
    parser.add_argument("--stages", default="", help="comma-separated; default: all")
    parser.add_argument("--folder", type=Path, help="keep everything here")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    stages = [stage for stage in args.stages.split(",") if stage]
    expected, took_s = untouched(folder, stages)
    print(f"untouched: {took_s:.1f} s, {len(expected)} files and items", flush=True)
    seeds = range(args.seed, args.seed + args.kills)
    faults = [seed for seed in seeds if killed(folder, seed, expected, took_s, stages)]
    print(f"{args.kills - len(faults)} of {args.kills} equal")
    if not faults and not args.folder:
        shutil.rmtree(folder)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
