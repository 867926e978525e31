"""`python benchmarks/cases.py PROGRAM…`: what another version of video2gif does with known cases.

PROGRAM is a `video2gif`, of this clone or of any other commit. Each line is one example of
docs/reliability.md (K: files, S: attacks): what is right, and what came. Reads `cases/` and
`videos/` in $VIDEO2GIF_REALDATA (default ../shared/realdata); K13 wants an ffmpeg on the PATH. Only
what the command line shows is here: the tests show the rest from inside.
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
REALDATA = Path(os.environ.get("VIDEO2GIF_REALDATA", ROOT.parent / "shared" / "realdata"))
CASES, VIDEOS = REALDATA / "cases", REALDATA / "videos"
# Prints the exit code and the largest process's peak in MB.
PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], capture_output=True).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
print(f"exit {code}, largest process {peak} MB")
"""
Rows = Iterator[tuple[str, str, str]]
Tell = Callable[[Path], str]


class Version:
    """One `video2gif`, run in a folder and with a store of its own."""

    def __init__(self, program: list[str], folder: Path) -> None:
        self.program, self.folder, self._number = program, folder, 0
        self.environment = {
            **os.environ,
            "VIDEO2GIF_CACHE": str(folder / "cache"),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def run(self, *words: object, cwd: Path | None = None) -> tuple[int, str]:
        """Exit code, and all it says."""
        done = subprocess.run(
            [*self.program, *map(str, words)],
            cwd=cwd or self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=900,
            check=False,
        )
        return done.returncode, done.stdout.decode(errors="replace").strip()

    def gif(self, path: Path, *options: object, tell: Tell | None = None) -> str:
        """What `gif` makes of a file, in words; `tell` looks at the first GIF."""
        self._number += 1
        out = self.folder / f"made{self._number}"
        code, said = self.run("gif", path, "--ranker", "baseline", "-o", out, *options)
        made = sorted(out.rglob("*.gif"))
        if not made:
            return f"exit {code}, no GIF; {reason(said)}"
        return f"exit {code}, {len(made)} GIFs" + (f", {tell(made[0])}" if tell else "")


def reason(said: str) -> str:
    """The last line that is an answer, shortened."""
    lines = [line.strip() for line in said.splitlines()]
    lines = [x for x in lines if x and not x.endswith(": done") and "could not be used" not in x]
    last = lines[-1] if lines else "silence"
    return last.replace(str(REALDATA), "…")[:110]


def pictures(gif: Path) -> list[np.ndarray]:
    """All frames, (H, W, 3) uint8."""
    with av.open(str(gif)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def size(gif: Path) -> str:
    height, width, _ = pictures(gif)[0].shape
    return f"{width}×{height}"


def mean(gif: Path) -> str:
    return "/".join(f"{x:.0f}" for x in np.mean(pictures(gif), axis=(0, 1, 2)))


def reddest(gif: Path) -> str:
    first = pictures(gif)[0].astype(int)
    red = first[(first[..., 0] > 150) & (first[..., 1:].max(axis=-1) < 90)]
    return "red is " + "/".join(f"{x:.0f}" for x in np.median(red, axis=0))


def corner(gif: Path) -> str:
    return "corner is " + "/".join(map(str, pictures(gif)[0][4, 4].tolist()))


def seconds(gif: Path) -> str:
    """By the delays of its frames."""
    content, at, total_cs = gif.read_bytes(), 0, 0
    while (at := content.find(b"\x21\xf9\x04", at)) >= 0:
        total_cs += int.from_bytes(content[at + 4 : at + 6], "little")
        at += 8
    return f"{total_cs / 100:.1f} s"


def combs(gif: Path) -> str:
    grey = pictures(gif)[5].astype(int).mean(axis=-1)
    near, far = (np.abs(grey[step:] - grey[:-step]).mean() for step in (1, 2))
    return f"next lines differ {near / far:.2f} × those two apart"


def files(one: Version) -> Rows:
    """K1 to K7, K10, K12, K13: media."""
    single = ("--top", 1, "--loop", "none")
    yield "K1", "lossless trim: whole", one.gif(CASES / "trim_editlist.mp4")
    yield "K1", "null frames: whole", one.gif(CASES / "drop.avi")
    for name, right in (("sar.webm", "426"), ("sar_pasp.mp4", "426"), ("sar_rot.mp4", "134")):
        yield "K2", f"{name}: {right}×240", one.gif(CASES / name, "--top", 1, tell=size)
    for name in ("hlg.mp4", "pq.mp4"):
        yield "K3", f"{name}: about 147/103/69", one.gif(CASES / name, *single, tell=mean)
    hd = one.gif(CASES / "709_untagged_hd.mp4", *single, tell=reddest)
    yield "K3", "720p without a tag: red is 200/30/30", hd
    yield "K3", "alpha over green: no green", one.gif(CASES / "ball.webm", *single, tell=corner)
    short = one.gif(CASES / "vfrmax.mp4", "--max-len", 4, *single, tell=seconds)
    yield "K4", "frames at changes, --max-len 4: at most 4 s", short
    yield (
        "K4",
        "a pause of 4 minutes: seconds",
        one.gif(CASES / "idle5min.mp4", *single, tell=seconds),
    )
    yield "K5", "JPEGs with Exif: read", one.gif(exif(one.folder), *single)
    code, said = one.run("match", CASES / "clip.avif", VIDEOS / "bunny0.mp4")
    has_one = "one frame" in said
    yield "K6", "an animated AVIF is a clip", f"exit {code}, said to have one frame: {has_one}"
    yield "K7", "two recordings joined: read", one.gif(CASES / "joined_reset.ts", "--top", 3)
    code, said = one.run("rank", CASES / "delayed2.mp4", "--ranker", "baseline")
    starts = [float(start) for start in re.findall(r"│ +\d+ +│ +([\d.]+) +│", said)]
    first = min(starts, default=float("nan"))
    yield "K7", "a picture 3 s after the sound: ranked from 3 s", f"exit {code}, from {first:g} s"
    cut = one.folder / "cut.webm"
    cut.write_bytes((CASES / "sar.webm").read_bytes()[:80_000])
    yield "K10", "a cut webm: refused", one.gif(cut, "--top", 1)
    code, said = one.run("rank", cut, "--ranker", "baseline")
    yield "K12", "rank of it: name, what, remedy", f"exit {code}; {reason(said)}"
    yield (
        "K13",
        "interlaced: below 1",
        one.gif(interlaced(one.folder), "--height", 576, *single, tell=combs),
    )


def exif(folder: Path) -> Path:
    """Forty JPEGs as a camera writes them."""
    path, picture = folder / "exif.avi", np.zeros((96, 128, 3), np.uint8)
    picture[:, :64], picture[:, 64:] = (200, 30, 30), (30, 30, 200)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuvj420p"
        for number in range(40):
            block, file = Image.Exif(), io.BytesIO()
            block[0x0112] = 1
            Image.fromarray(np.roll(picture, 3 * number, axis=1)).save(file, "JPEG", exif=block)
            packet = av.Packet(file.getvalue())
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 10), stream, True
            container.mux(packet)
    return path


def interlaced(folder: Path) -> Path:
    source = "testsrc2=s=720x576:r=50:d=4"
    codec = "-c:v mpeg2video -b:v 8M -flags +ilme+ildct inter.ts"
    command = f"ffmpeg -loglevel error -f lavfi -i {source} -vf interlace=scan=tff {codec}"
    subprocess.run(command.split(), cwd=folder, check=True)
    return folder / "inter.ts"


def names(one: Version) -> Rows:
    """K8, K9, K11: names, kinds and tables."""
    film = VIDEOS / "nasa.mp4"

    def folder(name: str, *targets: bytes) -> Path:
        path = one.folder / name
        path.mkdir()
        for target in targets:
            shutil.copy(film, path / os.fsdecode(target))
        return path

    def made(source: Path, out: Path) -> tuple[int, str]:
        return one.run("gif", source, "--ranker", "baseline", "-o", out, "--top", 1)

    out = one.folder / "above" / "in"
    code, _ = made(folder("dots", b"...mp4", b"b.mp4"), out)
    above = sum(path.name != "in" for path in out.parent.iterdir())
    yield "K8", "a file `...mp4`: nothing above -o", f"exit {code}, {above} files above"
    out = one.folder / "latin"
    code, said = made(folder("bytes", b"\xff\xfe latin1.mp4"), out)
    page = any(out.rglob("*.html"))
    yield "K8", "a name that is no text: a page", f"exit {code}, a page: {page}"
    escapes = folder("escapes", b"\x1b[31m x[red].mp4") / "\x1b[31m x[red].mp4"
    code, said = one.run("rank", escapes, "--ranker", "baseline")
    raw = "\x1b[31m" in said
    yield "K8", "escapes in a name: not raw", f"exit {code}, raw: {raw}"
    code, said = made(folder("empty"), one.folder / "of_empty")
    yield "K9", "an empty folder: said, exit 2", f"exit {code}; {reason(said)}"
    yield "K9", "home.wmv: read", one.gif(CASES / "home.wmv")
    ogv = folder("ogv")
    shutil.copy(CASES / "clip.ogv", ogv)
    yield "K9", "a folder with an .ogv: read", one.gif(ogv)
    predicted, labels = one.folder / "p.csv", one.folder / "l.csv"
    predicted.write_text("video_id,start_s,end_s,score\nNA,0,1,.5\nNA,1,2,.7\nNA,2,3,.1\n")
    labels.write_text("video_id,start_s,end_s\nNA,0,1\n")
    code, said = one.run("evaluate", predicted, labels, "--json")
    found = '"nMSD"' in said or "nmsd" in said
    yield "K11", "a video named NA: measured", f"exit {code}, a figure: {found}"


def attacks(one: Version) -> Rows:
    """S4, S8: documents and media made to cost."""
    project = one.folder / "project"
    project.mkdir()
    (project / "dvc.yaml").write_text("stages: {}\n")

    def told(name: str, text: str, command: str) -> str:
        shutil.copy(ROOT / "params.yaml", project)
        (project / name).write_text(text)
        code, said = one.run(command, cwd=project)
        return f"exit {code}, {len(said)} characters, traceback: {'Traceback' in said}"

    yield "S4", "params.yaml of 200,000 [", told("params.yaml", "[" * 200_000, "plan")
    yield "S4", "dvc.lock of 200,000 [", told("dvc.lock", "[" * 200_000, "fsck")
    lock = "schema: '2.0'\nstages:\n  download: {cmd: x, outs: 5}\n"
    yield "S4", "dvc.lock with `outs: 5`", told("dvc.lock", lock, "fsck")
    big = one.folder / "big.gif"
    with av.open(str(big), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.width = stream.height = 2000
        stream.pix_fmt = "rgb8"
        for number in range(126):
            picture = np.zeros((2000, 2000, 3), np.uint8)
            picture[:, 15 * number : 15 * number + 40] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="rgb8")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for words in (["rank", big], ["gif", big, "-o", one.folder / "of_big", "--top", "1"]):
        command = [sys.executable, "-c", PEAK, *one.program, *map(str, words)]
        done = subprocess.run(
            [*command, "--ranker", "baseline"],
            cwd=one.folder,
            env=one.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        yield "S8", f"GIF of 2000×2000×126, {words[0]}: 512 MB + child", done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="+", help="a video2gif: path, or a command of words")
    program = parser.parse_args().program
    if not CASES.is_dir():
        parser.error(f"{CASES} is missing: set VIDEO2GIF_REALDATA")
    started = time.monotonic()
    print("| | right | here |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        one = Version(program, Path(folder).resolve())
        for part in (files, names, attacks):
            for number, right, came in part(one):
                print(f"| {number} | {right} | {came} |", flush=True)
    print(f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
