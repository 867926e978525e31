"""Whoever takes a file in, the look at it is the same, and so are the words."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context
from video2gif.core.layout import Layout
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore
from video2gif.core.tables import DOWNLOADS
from video2gif.gifs.render import GifOptions
from video2gif.make.analysis import analyse
from video2gif.make.match import match_files
from video2gif.make.moments import Choice
from video2gif.make.rankers import Baseline
from video2gif.make.run import Run
from video2gif.stages import download
from video2gif.web.uploads import keep

PARAMS = Params.load(Path(__file__).parents[1] / "params.yaml")
SECRET = "the neighbour's file"


def cut_webm(folder: Path) -> Path:
    """A webm of two seconds, of which an eighth arrived."""
    whole = folder / "whole.webm"
    noise = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), np.uint8)
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("libvpx", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for array in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode(None))
    content = whole.read_bytes()
    whole.unlink()
    path = folder / "cut.webm"
    path.write_bytes(content[: len(content) // 8])
    return path


def page(folder: Path) -> Path:
    path = folder / "page.gif"
    path.write_text("<!doctype html><html><body>404, no such GIF</body></html>")
    return path


def playlist(folder: Path) -> Path:
    (folder / "secret.txt").write_text(SECRET)
    path = folder / "list.mp4"
    path.write_text("ffconcat version 1.0\nfile secret.txt\n")
    return path


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(ItemStore(tmp_path / "store"), SerialMapper())


def reason_of_download(path: Path, context: Context, *, kind: str) -> str:
    root = path.parent / f"project-{kind}"
    root.mkdir()
    shutil.copy(path, root)
    other = "other.mp4"  # not there; only the row of the file itself is read
    urls = (path.name, other) if kind == "video" else (other, path.name)
    lines = ["video_id,video_url,gif_id,gif_url", f"v,{urls[0]},g,{urls[1]}"]
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    chosen = replace(PARAMS.download, manifest="manifest.csv", max_failed_fraction=1.0)
    download.run(Layout(root), replace(PARAMS, download=chosen), context)
    table = DOWNLOADS.read(Layout(root).downloads).set_index("kind")
    return str(table.loc[kind, "reason"])


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(ItemError) as caught:
        call()
    return caught.value.reason


def reason_of_gif(path: Path, context: Context) -> str:
    found: list[str] = []

    class Skip:
        def __init__(self, name: str) -> None: ...

        def __enter__(self) -> None: ...

        def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
            found.extend([error.reason] if isinstance(error, ItemError) else [])
            return isinstance(error, ItemError)

    run = Run(PARAMS, Baseline(), GifOptions(), Choice(), path.parent / "out", context)
    assert run.all([str(path)], skip=Skip) == 1
    return found[0]


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        pytest.param(cut_webm, "truncated", id="a-cut-webm"),
        pytest.param(page, "not_media", id="a-page-named-gif"),
        pytest.param(playlist, "not_media", id="a-playlist-named-mp4"),
    ],
)
def test_K10_every_way_in_says_the_same(
    tmp_path: Path, context: Context, make: Callable[[Path], Path], cause: str
) -> None:
    path = make(tmp_path)
    said = {
        "download, a video": reason_of_download(path, context, kind="video"),
        "download, a GIF": reason_of_download(path, context, kind="gif"),
        "gif": reason_of_gif(path, context),
        "rank": reason(lambda: analyse(path, PARAMS, context)),
        "match, the GIF": reason(lambda: match_files(path, [], PARAMS, context)),
        "upload": reason(lambda: keep(path, path.name, PARAMS, context)),
    }
    assert len(set(said.values())) == 1, said
    (words,) = set(said.values())
    assert words.startswith(f"{cause}: ")
    assert SECRET not in words


@pytest.mark.parametrize("command", ["rank", "match"])
def test_K12_a_cut_file_is_named_with_what_is_wrong_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("VIDEO2GIF_CACHE", str(tmp_path / "store"))
    path = cut_webm(tmp_path)
    others = [path] if command == "match" else []
    said = subprocess.run(
        [sys.executable, "-m", "video2gif", command, path, *others],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 3, said
    (line,) = (line for line in said.stderr.splitlines() if line.startswith("error: "))
    for part in (path.name, "truncated", "fetch or export the file again"):
        assert part in line
