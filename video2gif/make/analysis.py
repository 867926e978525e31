"""A video, fingerprinted, cut into segments and ranked.

The same items as the pipeline's stages (so a video that the pipeline has seen is not analysed
again), for files that stand in no manifest. A `Ranker` gives each segment a score: `Baseline`
needs no model, `make.rankers.TrainedRanker` is what `dvc repro` trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from video2gif.core.config import Params
from video2gif.core.items import Context, one
from video2gif.core.types import Kind
from video2gif.core.work import Item
from video2gif.features.network import Extraction
from video2gif.fingerprint.decode import fingerprinting
from video2gif.fingerprint.defects import Clean, clean_frames, clean_parts
from video2gif.fingerprint.phash import Window
from video2gif.fingerprint.read import Fingerprint, read_fingerprint
from video2gif.make.inputs import Admitted, admit
from video2gif.media.light import Hdr
from video2gif.media.strips import filmstrip, filmstrip_item, window, window_item
from video2gif.media.together import Reading, read_together
from video2gif.shots.segments import segment_shots, shot_cuts


@dataclass(frozen=True)
class Analysis:
    """What is known of a video before it is ranked."""

    path: Path
    sha256: str
    fingerprint: Fingerprint
    spans: np.ndarray
    """Segments, int64 (n, 2): frames [start, end), tiling the video."""
    cuts: tuple[int, ...]
    """Frames at which a shot starts, without 0."""
    hdr: Hdr = ""
    """The film's high dynamic range; everything made of it is SDR."""
    rate: Fraction = Fraction(25)
    """Frames a second, as the container says."""

    @property
    def facts(self) -> list[str]:
        """What people are told of the film itself."""
        return [f"{self.fingerprint.end_s:.1f} s", *self.notes]

    @property
    def notes(self) -> list[str]:
        """What was done to the film's pictures that people should know of."""
        return [f"HDR ({self.hdr}), shown as SDR"] if self.hdr else []

    @property
    def edges_s(self) -> np.ndarray:
        """When each frame starts, and the end of the last, float64 (n + 1,)."""
        return self.fingerprint.edges_s

    @property
    def spans_s(self) -> np.ndarray:
        """Segments in seconds, float64 (n, 2)."""
        return self.edges_s[self.spans]

    @property
    def shots(self) -> list[tuple[int, int]]:
        """Frames [start, end) of each shot."""
        return list(pairwise([0, *self.cuts, len(self.fingerprint.pts_s)]))

    @cached_property
    def is_clean(self) -> np.ndarray:
        """Frames that are not black, blank, fading or a card, bool (n,)."""
        return clean_frames(self.fingerprint.cues, self.fingerprint.pts_s, self.cuts)

    @cached_property
    def clean(self) -> list[Clean]:
        """The good part of each segment."""
        return clean_parts(self.fingerprint.cues, self.edges_s, self.spans, self.cuts)


def fingerprint_file(
    path: Path, kind: Kind, params: Params, context: Context
) -> tuple[str, Fingerprint]:
    """A file's sha256 and fingerprint. Raises `ItemError` for what is no whole video or GIF."""
    file = admit(path, kind, params, context)
    return file.sha256, _fingerprint(file, kind, params, context)


def _fingerprint(
    file: Admitted,
    kind: Kind,
    params: Params,
    context: Context,
    *,
    meanwhile: Sequence[Extraction] = (),
) -> Fingerprint:
    item = fingerprint_item(file, kind)
    reading = Reading(fingerprinting(params.fingerprint), item)
    looks = [_look(extraction, file) for extraction in meanwhile if not extraction.by_segment]
    read_together("decode", [[reading, *looks]], context)
    return read_fingerprint(one("decode", reading.work, item, context))


def fingerprint_item(file: Admitted, kind: Kind, box: Window | None = None) -> Item:
    """The item of `fingerprint.decode`: without a box the same as the stage's."""
    args = {"path": str(file.path.resolve()), "kind": kind}
    if box is None:
        return Item(id=f"{kind}:{file.path.name}", inputs=(file.sha256,), args=args)
    return Item(
        id=f"{kind}:{file.path.name} {box}",
        inputs=(file.sha256, repr(tuple(box))),
        args={**args, "box": list(box)},
    )


def _look(extraction: Extraction, file: Admitted) -> Reading:
    spans = np.zeros((0, 2), np.int64)  # Not known yet: only networks that need none look already.
    name = f"video:{file.path.name}"
    item = extraction.item(name, sha256=file.sha256, path=file.path, spans=spans)
    return Reading(extraction.work, item)


def analyse(
    path: Path, params: Params, context: Context, *, meanwhile: Sequence[Extraction] = ()
) -> Analysis:
    """Decode a video once and cut it. Raises `ItemError` for what cannot be decoded.

    Networks that take pictures by time alone can look at it `meanwhile`: their items are stored.
    """
    file = admit(path, "video", params, context)
    fingerprint = _fingerprint(file, "video", params, context, meanwhile=meanwhile)
    transitions = _transitions(path, file.sha256, params, context)
    starts = shot_cuts(fingerprint, params.segment, transitions=transitions)
    tiles = segment_shots(fingerprint, starts, params.segment)
    spans = np.array(tiles, np.int64).reshape(-1, 2)
    said = file.probed
    rate = Fraction(said.fps_num, said.fps_den) if said.fps_num and said.fps_den else Fraction(25)
    return Analysis(path, file.sha256, fingerprint, spans, tuple(starts), said.hdr, rate)


def _transitions(path: Path, sha256: str, params: Params, context: Context) -> np.ndarray | None:
    """TransNetV2's probabilities, where segment.method asks for them: the stage's own item."""
    if params.segment.method != "transnetv2":
        return None
    from video2gif.shots import transnet

    item = transnet.item(f"video:{path.name}", sha256=sha256, path=path)
    return transnet.read_transitions(one("transnetv2", transnet.detection(), item, context))


def whole_strip(analysis: Analysis, context: Context) -> bytes:
    """A JPEG of the video from start to end, squeezed. Raises `ItemError`."""
    item = filmstrip_item(
        f"strip:{analysis.path.name}",
        analysis.path,
        sha256=analysis.sha256,
        n_frames=len(analysis.fingerprint.pts_s),
    )
    return one("filmstrip", filmstrip(), item, context)


def window_strip(
    analysis: Analysis, frames: Sequence[int], *, height: int, context: Context
) -> bytes:
    """A JPEG of some frames (numbers, ascending) side by side, each `height` px tall."""
    item = window_item(
        f"frames:{analysis.path.name}",
        analysis.path,
        sha256=analysis.sha256,
        edges_s=analysis.edges_s,
        frames=frames,
    )
    return one("frames", window(height), item, context)
