"""Where a GIF comes from: `video2gif match GIF VIDEO…`."""

import fcntl
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video2gif.core.config import Params
from video2gif.core.errors import EnvironmentProblem, UserError
from video2gif.core.items import Context
from video2gif.core.layout import Layout
from video2gif.fingerprint.read import Fingerprints
from video2gif.make.analysis import fingerprint_file
from video2gif.make.finder import compare
from video2gif.matching.confidence import Match

if TYPE_CHECKING:
    from video2gif.matching.corpus.index import Index


@dataclass(frozen=True)
class Found:
    """A video and what was found in it; `failure` says why it could not be searched."""

    video: Path
    match: Match | None
    failure: str = ""
    path: Path | None = None
    """Where the file is, if `video` is a project's id of it."""

    @property
    def file(self) -> Path:
        return self.path or self.video

    def as_dict(self) -> dict[str, Any]:
        """For JSON: no NaN, plain types."""
        if self.match is None:
            return {"video": str(self.video), "status": "quarantined", "reason": self.failure}
        return {"video": str(self.video), **self.match.for_json()}

    @property
    def order(self) -> tuple[bool, float, str]:
        """Sort key: the surest first, failures last."""
        confidence = self.match.confidence if self.match and self.match.span else -1.0
        return self.match is None, -confidence, str(self.video)


def match_files(gif: Path, videos: Sequence[Path], params: Params, context: Context) -> list[Found]:
    """Search each video for the GIF; the surest first. Raises `ItemError` if the GIF is bad."""
    pairs = compare([gif], videos, params, context)
    if error := pairs.clips[gif]:
        raise error
    found = [Found(video, None, error.reason) for video, error in pairs.films.items() if error]
    found += [Found(video, None, error.reason) for (_, video), error in pairs.failed.items()]
    found += [Found(video, hit.match) for (_, video), hits in pairs.hits.items() for hit in hits]
    return sorted(found, key=lambda one: one.order)


def match_corpus(gif: Path, layout: Layout, params: Params, context: Context) -> list[Found]:
    """The project's videos, by their ids, that the GIF comes from, the surest first; else none.

    Raises `ItemError` if the GIF is bad, `EnvironmentProblem` if nothing is fingerprinted yet.
    """
    from video2gif.core.tables import DOWNLOADS
    from video2gif.matching.corpus.search import search_corpus, verify

    fingerprints = Fingerprints.open(layout)
    wanted = fingerprint_file(gif, "gif", params, context)[1].track
    sources = verify(
        wanted,
        search_corpus(wanted, corpus_index(layout, fingerprints)),
        lambda video_id: fingerprints.get("video", video_id).track,
        min_confidence=params.match.min_confidence,
        min_frames=params.match.min_frames,
    )
    videos = DOWNLOADS.read(layout.downloads).query("kind == 'video'").set_index("id").path
    return [
        Found(
            Path(source.video_id),
            source.match,
            path=layout.media_file(str(videos[source.video_id])),
        )
        for source in sources
    ]


def corpus_index(layout: Layout, fingerprints: Fingerprints) -> "Index":
    """The index of all fingerprinted videos, made if it is missing or of other fingerprints."""
    videos = fingerprints.index.query("kind == 'video' and status == 'ok'")
    if videos.empty:
        raise UserError("the project has no fingerprinted video: nothing to search")
    source = hashlib.sha256("\n".join(videos.id + " " + videos.digest).encode()).hexdigest()
    lock = layout.lock("corpus")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # Two searches must not write one index.
        found = _current(layout.corpus_index, source)
        return found or _build(layout.corpus_index, list(videos.id), fingerprints, source)


def _current(folder: Path, source: str) -> "Index | None":
    from video2gif.matching.corpus.index import Index

    try:
        index = Index(folder)
    except EnvironmentProblem:
        return None  # Not there, half written, or of another version: it is made anew.
    return index if index.source == source else None


def _build(folder: Path, video_ids: list[str], fingerprints: Fingerprints, source: str) -> "Index":
    from video2gif.matching.corpus.index import Index, IndexWriter

    # A search that still maps the old files keeps them: they lose their names only.
    shutil.rmtree(folder, ignore_errors=True)
    writer = IndexWriter(folder, source=source)
    for video_id in video_ids:
        writer.add(video_id, fingerprints.get("video", video_id).track)
    writer.finish()
    return Index(folder)
