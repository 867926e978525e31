"""The search in a corpus without its index: every frame against every other."""

import numpy as np

from video2gif.fingerprint.track import Track
from video2gif.matching.corpus import queries, search
from video2gif.matching.corpus.index import Index
from video2gif.matching.corpus.kernels import within
from video2gif.matching.corpus.queries import Hits
from video2gif.matching.corpus.search import Candidate


def search_exhaustively(gif: Track, index: Index) -> list[Candidate]:
    """As `search_corpus`, by comparing every frame with every other: its oracle."""

    def find(plane: int, hashes: np.ndarray) -> Hits:
        return within(index.hashes[plane], hashes, radius=search.RADIUS)

    frames = queries.chosen(gif, search._FRAMES[0])
    return search._search(gif, frames, index, find, 8)
