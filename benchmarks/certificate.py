"""`make certificate`: is the result the same, to the last byte, wherever it is made?

Runs one small corpus on plain calls, `dvc repro`, a Prefect deployment, Dask and Ray, with 1 and
4 workers, and with a worker (or the whole run) killed half-way; then on one and two cores and on
every emulated processor of `processors`; each in a project and an item store of its own. Prints
the md5 of every output side by side, writes the table to .video2gif/certificate.md, and ends with
1 if any two differ; of processors only what is exact must agree, of the rest the largest
difference and whether the rankings are equal is printed. `--real` takes the real films and trains
in full: a network of three epochs has learned little, and small differences turn its rankings.
"""

import argparse
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processors import PROCESSORS, Floats, prepare
from ruamel.yaml import YAML

from flows.guard import children
from video2gif.sample import manifest_csv

REPO = Path(__file__).parents[1]
CODE = ("ablation", "flows", "video2gif", "weights", "constraints.txt", "dvc.yaml", "params.yaml")
# Seconds of work, and videos enough in every split although there are few.
CUT_DOWN = {
    "extract": {"clip_stride": 100},
    "label": {"validation_fraction": 0.25, "test_fraction": 0.25},
    "train": {"epochs": 3, "ensemble": 1},
    "evaluate": {"split": "all", "bootstrap_samples": 50},
    "report": {"max_videos": 2, "gifs_per_video": 1},
}
PLAIN = """
from pathlib import Path
from video2gif import stages
from video2gif.core.config import Params
from video2gif.core.items import Context
from video2gif.core.layout import Layout
layout = Layout(Path.cwd())
for stage in stages.STAGES:
    print(stage, stages.load(stage)(layout, Params.load(layout.params), Context.default()))
"""
FLOWS = """
from pathlib import Path
from flows import server
from flows.stages import run_stage
from video2gif.stages import STAGES
if __name__ == "__main__":
    with server.api(Path.cwd()):
        for stage in STAGES:
            run_stage(stage, Path.cwd(), quiet=True)
"""


@dataclass(frozen=True)
class Way:
    """One way to run the corpus."""

    name: str
    run: Callable[["Project"], None]
    processor: Mapping[str, str] | None = None
    """What the libraries are told; None where the bytes must be equal throughout."""


@dataclass(frozen=True)
class Project:
    """A project in a folder of its own, its item store beside it."""

    root: Path
    kill_at: int
    """How many items the store holds when a killed run is killed."""
    told: Mapping[str, str] = field(default_factory=dict)
    """Environment of all its processes."""

    @property
    def store(self) -> Path:
        return self.root.parent / "store"

    def start(self, *command: str, workers: int, executor: str = "process") -> Any:
        """Start a process in the project; it leads a session of its own, to be killed whole."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT")} | {
            "VIDEO2GIF_CACHE": str(self.store),
            "VIDEO2GIF_EXECUTOR": executor,
            "VIDEO2GIF_WORKERS": str(workers),
            "PYTHONPATH": f"{self.root}{os.pathsep}{prepare(self.root.parent / 'site')}",
            "NUMBA_CACHE_DIR": str(self.root.parent / "numba"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DO_NOT_TRACK": "1",
            "DVC_NO_ANALYTICS": "1",
            **self.told,
        }
        log = (self.root.parent / "log").open("a")
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.root,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def run(self, *command: str, workers: int, executor: str = "process") -> None:
        process = self.start(*command, workers=workers, executor=executor)
        if process.wait():
            log = (self.root.parent / "log").read_text()[-3000:]
            raise SystemExit(f"{self.root.parent.name}: exit code {process.returncode}\n{log}")

    def items(self) -> int:
        return sum(1 for path in self.store.glob("??/*") if not path.name.startswith("."))

    def half_way(self) -> None:
        """Return when the store is half full."""
        while self.items() < self.kill_at:
            time.sleep(0.02)


def new_project(
    folder: Path, *, videos: int, kill_at: int, real: bool = False, told: Mapping[str, str] = {}
) -> Project:
    """The code of this checkout, a small manifest, and parameters cut down to seconds."""
    root = folder / "project"
    root.mkdir(parents=True)
    for name in CODE:
        copy = shutil.copytree if (REPO / name).is_dir() else shutil.copy
        copy(REPO / name, root / name)
    (root / "data").mkdir()
    (root / "data" / "sample.csv").write_text(manifest_csv(limit=videos))
    yaml = YAML()
    params = yaml.load(root / "params.yaml")
    for section, values in CUT_DOWN.items():
        if section != "train" or not real:
            params[section].update(values)
    if real:
        params["download"]["manifest"] = str(realdata() / "manifest.csv")
    yaml.dump(params, root / "params.yaml")
    dvc = [sys.executable, "-m", "dvc", "init", "--quiet", "--no-scm"]
    subprocess.run(dvc, cwd=root, check=True, env=os.environ | {"DVC_NO_ANALYTICS": "1"})
    return Project(root, kill_at, told)


def realdata() -> Path:
    return Path(os.environ.get("VIDEO2GIF_REALDATA", REPO / "../shared/realdata")).resolve()


def plain(workers: int, *, cores: int = 0) -> Callable[[Project], None]:
    """`cores`: how many the run may use; 0 for all."""
    words: tuple[str, ...] = ("-c", PLAIN)
    if cores:
        code = "import os, sys; os.sched_setaffinity(0, range(int(sys.argv[1])))\n" + PLAIN
        words = ("-c", code, str(cores))
    return lambda project: project.run(*words, workers=workers)


def repro(workers: int) -> Callable[[Project], None]:
    return lambda project: project.run("-m", "dvc", "repro", workers=workers)


def repro_killed(project: Project) -> None:
    """SIGKILL of everything half-way, then `dvc repro` again."""
    process = project.start("-m", "dvc", "repro", workers=4)
    project.half_way()
    assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    project.run("-m", "dvc", "repro", workers=4)


def deployment(workers: int) -> Callable[[Project], None]:
    """A served deployment, run by its schedule, until its pipeline has ended."""

    def run(project: Project) -> None:
        server = project.start("-m", "flows", "serve", "--interval", "2", workers=workers)
        try:
            done = project.root / "report" / "index.html"
            counts = project.root / ".video2gif" / "counts" / "report.json"
            while not (done.exists() and counts.exists() and (project.root / "dvc.lock").exists()):
                assert server.poll() is None, (project.root.parent / "log").read_text()[-3000:]
                time.sleep(0.5)
            time.sleep(3)  # dvc.lock gets its last stage.
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=60)

    return run


def dask(workers: int, *, kill: bool = False) -> Callable[[Project], None]:
    """A scheduler and worker processes; one of them dies half-way."""

    def run(project: Project) -> None:
        with dask_cluster(project, workers) as (address, processes):
            if kill:
                when_half_way(project, processes[0].kill)
            project.run("-c", FLOWS, workers=workers, executor=f"dask://{address}")
            assert not kill or processes[0].poll() == -signal.SIGKILL

    return run


@contextmanager
def dask_cluster(project: Project, workers: int) -> Iterator[tuple[str, list[Any]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    with ExitStack() as stack:

        def start(*words: str) -> Any:
            process = project.start("-m", "dask", *words, "--no-dashboard", workers=1)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        start("scheduler", "--host", "127.0.0.1", "--port", str(port))
        worker = ("worker", address, "--nthreads", "1", "--no-nanny")
        processes = [start(*worker) for _ in range(workers)]
        time.sleep(8)  # All of them, so that there is one to spare.
        yield address, processes


def ray(workers: int, *, kill: bool = False) -> Callable[[Project], None]:
    """Ray's own local cluster; one of its workers dies half-way."""

    def run(project: Project) -> None:
        killed: list[int] = []
        process = project.start("-c", FLOWS, workers=workers, executor="ray")
        if kill:
            when_half_way(project, lambda: killed.extend(kill_ray_worker(process.pid)))
        if process.wait():
            raise SystemExit((project.root.parent / "log").read_text()[-3000:])
        assert not kill or killed, "no worker was at work half-way"

    return run


def kill_ray_worker(driver: int) -> list[int]:
    """SIGKILL a process of Ray that runs a chunk."""
    while True:
        for pid in children(driver):
            try:
                title = Path(f"/proc/{pid}/cmdline").read_text()
            except OSError:
                continue
            if "process_chunk" in title:
                os.kill(pid, signal.SIGKILL)
                return [pid]
        time.sleep(0.01)


def when_half_way(project: Project, act: Callable[[], object]) -> None:
    def wait() -> None:
        project.half_way()
        act()

    threading.Thread(target=wait, daemon=True).start()


WAYS = (
    Way("plain 1", plain(1)),
    Way("plain 4", plain(4)),
    Way("dvc 1", repro(1)),
    Way("dvc 4", repro(4)),
    Way("dvc 4, killed", repro_killed),
    Way("deployment 1", deployment(1)),
    Way("deployment 4", deployment(4)),
    Way("dask 1", dask(1)),
    Way("dask 4", dask(4)),
    Way("dask 4, killed", dask(4, kill=True)),
    Way("ray 1", ray(1)),
    Way("ray 4", ray(4)),
    Way("ray 4, killed", ray(4, kill=True)),
    Way("1 core", plain(2, cores=1)),
    Way("2 cores", plain(2, cores=2)),
    *(Way(name, plain(1), told) for name, told in PROCESSORS.items()),
)

# Sums of floats in the libraries' own order: everything else must be equal on every processor.
FLOATING = ("data/features", "data/predictions.parquet", "metrics/", "models/", "plots/", "report")


def outs_of(stage: dict[str, Any]) -> list[str]:
    """Paths of a stage's outs, metrics and plots, as dvc.yaml lists them."""
    listed = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, ())]
    return [out if isinstance(out, str) else next(iter(out)) for out in listed]


def digests(root: Path) -> dict[str, str]:
    """md5 of every output that dvc.yaml names: of its bytes, and of names and bytes for folders."""
    stages = YAML(typ="safe").load(root / "dvc.yaml")["stages"]
    outs = sorted(out for entry in stages.values() for out in outs_of(entry))
    return {out: digest(root / out) for out in outs}


def exact(md5s: Mapping[str, str]) -> dict[str, str]:
    """The outputs that no processor may change."""
    return {out: md5 for out, md5 in md5s.items() if not out.startswith(FLOATING)}


def digest(path: Path) -> str:
    found = hashlib.md5()
    if not path.exists():
        return "missing"
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        found.update(file.relative_to(path).as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


DIFFERS = "DIFFERS"


def verdict(md5s: Mapping[str, str], expected: Mapping[str, str], way: Way) -> str:
    """Whether a way's outputs are what they must be."""
    if md5s == expected:
        return "equal"
    is_exact = way.processor is not None and exact(md5s) == exact(expected)
    return "equal tables" if is_exact else DIFFERS


def table(found: dict[str, dict[str, str]]) -> str:
    """Markdown: an output a row, a way a column, the first eight digits of each md5."""
    outs = list(next(iter(found.values())))
    lines = [
        "| output | " + " | ".join(found) + " |",
        "|---" * (len(found) + 1) + "|",
        *(
            f"| {out} | " + " | ".join(md5s[out][:8] for md5s in found.values()) + " |"
            for out in outs
        ),
    ]
    return "\n".join(lines)


def main() -> int:
    """Run every way, compare, say so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--only", nargs="*", metavar="WAY", help="these beside the first")
    parser.add_argument("--real", action="store_true", help="the real films, not the sample")
    args = parser.parse_args()
    first: Floats | None = None
    found: dict[str, dict[str, str]] = {}
    kill_at = 1
    with tempfile.TemporaryDirectory(prefix="video2gif-certificate-") as folder:
        for way in WAYS:
            if found and args.only and way.name not in args.only:
                continue
            started = time.monotonic()
            place = Path(folder) / way.name.replace(" ", "-").replace(",", "")
            project = new_project(
                place,
                videos=args.videos,
                kill_at=kill_at,
                real=args.real,
                told=way.processor or {},
            )
            way.run(project)
            kill_at = max(kill_at, project.items() // 2)
            found[way.name] = digests(project.root)
            said = verdict(found[way.name], next(iter(found.values())), way)
            first = first or Floats.of(project.root)
            if way.processor:
                said += f"; {first.beside(Floats.of(project.root))}"
            took = time.monotonic() - started
            print(f"{way.name:20}{took:6.0f} s  {said}", flush=True)
            shutil.rmtree(place)
    expected = next(iter(found.values()))
    ways = {way.name: way for way in WAYS}
    same = all(verdict(md5s, expected, ways[name]) != DIFFERS for name, md5s in found.items())
    same = same and "missing" not in expected.values()
    told = "All outputs that must be are equal." if same else "THE OUTPUTS DIFFER."
    out = REPO / ".video2gif" / "certificate.md"
    out.parent.mkdir(exist_ok=True)
    out.write_text(f"# Executor-equality certificate\n\n{table(found)}\n\n{told}\n")
    print(f"{table(found)}\n\n{told} ({out})")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
