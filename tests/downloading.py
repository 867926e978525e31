"""A project with a manifest and media beside it, for the tests of the download stage."""

import importlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd

from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context, Counts
from video2gif.core.layout import Layout
from video2gif.core.store import ItemStore
from video2gif.core.tables import DOWNLOADS
from video2gif.core.work import Chunk, Job, Outcome, Work
from video2gif.stages import download

HEADER = "video_id,video_url,gif_id,gif_url"


def make_clip(path: Path, *, n_frames: int = 30, seed: int = 0) -> Path:
    """Noise that moves, 64×48 at 10 fps; mpeg4 in mp4 and mkv, or a GIF, by the suffix."""
    codec, pixels = ("gif", "rgb8") if path.suffix == ".gif" else ("mpeg4", "yuv420p")
    noise = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for shift in range(n_frames):
            picture = np.roll(noise, shift, axis=1)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        container.mux(stream.encode(None))
    return path


class InlineMapper:
    """Runs the work in this process: most tests here are not about the killable child."""

    workers = 1

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Outcome]]:
        for chunk in chunks:
            store = ItemStore(Path(chunk.store_root))
            yield [self._outcome(chunk.work, job, store) for job in chunk.jobs]

    def _outcome(self, work: Work, job: Job, store: ItemStore) -> Outcome:
        module, _, function = work.function.partition(":")
        call = getattr(importlib.import_module(module), function)
        try:
            with store.writing(job.key) as out, tempfile.TemporaryDirectory() as folder:
                kept = {"kept": folder} if work.resumes else {}
                call(out=out, params=work.params, **job.args, **kept)
        except ItemError as error:
            return Outcome(job.id, job.key, "quarantined", error.cause, error.message)
        return Outcome(job.id, job.key, "computed")


class Project:
    """A project with a manifest and media beside it."""

    def __init__(self, root: Path, context: Context) -> None:
        self.inputs = root / "inputs"
        self.layout = Layout(root / "project")
        self.context = context
        params = Params.load(Path(__file__).parents[1] / "params.yaml")
        changed = replace(params.download, manifest="../inputs/manifest.csv", max_failed_fraction=1)
        self.params = replace(params, download=changed)
        self.inputs.mkdir()
        self.layout.root.mkdir()

    def set(self, **changes: object) -> None:
        self.params = replace(self.params, download=replace(self.params.download, **changes))

    def run(self, *lines: str, header: str = HEADER) -> Counts:
        (self.inputs / "manifest.csv").write_text("\n".join([header, *lines]) + "\n")
        return download.run(self.layout, self.params, self.context)

    @property
    def rows(self) -> pd.DataFrame:
        """DOWNLOADS by `kind:id`; each id exactly once, and just the files named are there."""
        table = DOWNLOADS.read(self.layout.downloads)
        names = table["kind"] + ":" + table["id"]
        assert names.is_unique
        files = {
            path.relative_to(self.layout.media).as_posix()
            for path in self.layout.media.rglob("*")
            if path.is_file()
        }
        assert files == set(table["path"]) - {""}
        return table.set_index(names)

    def reason(self, name: str) -> str:
        row = self.rows.loc[name]
        assert row["status"] == "quarantined"
        return row["reason"]
