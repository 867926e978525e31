"""Fingerprints of a GIF and the search in a film, as `make.finder` does both, without a store."""

import tempfile
from pathlib import Path

from match_realdata import PARAMS

from video2gif.fingerprint import decode, panels
from video2gif.fingerprint.phash import Window
from video2gif.fingerprint.read import read_fingerprint
from video2gif.fingerprint.track import Track
from video2gif.matching.finder import find
from video2gif.matching.stretches import Hit
from video2gif.matching.votes import SearchedFilm


def prints_of(gif: Path, *, with_panels: bool) -> list[Track]:
    """That of the whole picture, then those of its panels."""
    return [
        _print_of(gif, None),
        *(_print_of(gif, box) for box in (_boxes(gif) if with_panels else [])),
    ]


def _boxes(gif: Path) -> list[Window]:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "boxes"
        panels.work(out=out, params={}, path=str(gif))
        return panels.read_boxes(out.read_bytes())


def _print_of(gif: Path, box: Window | None) -> Track:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "print"
        params = decode.fingerprinting(PARAMS.fingerprint).params
        decode.work(out=out, params=params, path=str(gif), kind="gif", box=box)
        return read_fingerprint(out.read_bytes()).track


def found_in(prints: list[Track], film: SearchedFilm) -> list[Hit]:
    """The hits of the whole picture or, where none is matched, of its panels."""
    limits = PARAMS.match
    found: list[Hit] = []
    for number, track in enumerate(prints):
        if number and any(hit.match.status == "matched" for hit in found):
            break
        found += find(
            track, film, min_confidence=limits.min_confidence, min_frames=limits.min_frames
        )
    return sorted(found, key=lambda hit: hit.match.status != "matched")
