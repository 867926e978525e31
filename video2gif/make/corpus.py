"""Where a GIF of unknown source comes from: `video2gif match GIF --corpus`.

Reads the project's fingerprints. The index of their hashes stands outside the pipeline's outputs
(`layout.corpus_index`): it is made on the first search and again when the fingerprints changed.
"""

import fcntl
import hashlib
import shutil
from pathlib import Path

from video2gif.config import Params
from video2gif.errors import EnvironmentProblem, UserError
from video2gif.fingerprint import Fingerprints
from video2gif.items import Context
from video2gif.layout import DOWNLOADS, Layout
from video2gif.make.analysis import fingerprint_file
from video2gif.make.match import Found
from video2gif.matching.corpus.index import Index, IndexWriter
from video2gif.matching.corpus.search import search_corpus, verify


def match_corpus(gif: Path, layout: Layout, params: Params, context: Context) -> list[Found]:
    """The project's videos, by their ids, that the GIF comes from, the surest first; else none.

    Raises `ItemError` if the GIF is bad, `EnvironmentProblem` if nothing is fingerprinted yet.
    """
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


def corpus_index(layout: Layout, fingerprints: Fingerprints) -> Index:
    """The index of all fingerprinted videos, made if it is missing or of other fingerprints."""
    videos = fingerprints.index.query("kind == 'video' and status == 'ok'")
    if videos.empty:
        raise UserError("the project has no fingerprinted video: nothing to search")
    source = hashlib.sha256("\n".join(videos.id + " " + videos.digest).encode()).hexdigest()
    lock = layout.lock("corpus")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # Two searches must not write one index.
        index = _current(layout.corpus_index, source)
        if index is None:
            _build(layout.corpus_index, list(videos.id), fingerprints, source)
    return index or Index(layout.corpus_index)


def _current(folder: Path, source: str) -> Index | None:
    try:
        index = Index(folder)
    except EnvironmentProblem:
        return None  # Not there, half written, or of another version: it is made anew.
    return index if index.source == source else None


def _build(folder: Path, video_ids: list[str], fingerprints: Fingerprints, source: str) -> None:
    # A search that still maps the old files keeps them: they lose their names only.
    shutil.rmtree(folder, ignore_errors=True)
    writer = IndexWriter(folder, source=source)
    for video_id in video_ids:
        writer.add(video_id, fingerprints.get("video", video_id).track)
    writer.finish()
