"""What a manifest names: videos, the GIFs people made of them, and what is known about both.

`read_manifest` reads three layouts and tells them apart by the first line: the project's own csv,
the Video2GIF release's metadata.txt and PHD2's csv. Ids are kept exactly as written ("0123456",
"NA", "1e5", "-x"). Every line becomes a `SourceRow`, or a `BadRow` with the reason.
"""

from importlib.resources import files
from pathlib import Path

from video2gif.datasets import own, phd2, release
from video2gif.datasets.rows import BadRow, Manifest, SourceRow, check_id, first_line

__all__ = ["BadRow", "Manifest", "SourceRow", "check_id", "published_test_ids", "read_manifest"]


def read_manifest(path: Path) -> Manifest:
    """Read a manifest of any layout.

    Raises `UserError` when the file is missing, empty, or lacks or misspells a column.
    """
    header = first_line(path, columns=own.REQUIRED)
    # Each reader says whether the header looks like its own, also with a column missing: the error
    # then names the right layout's columns. The project's csv comes last, as anything may be one.
    for layout in (release, phd2):
        if layout.is_header(header):
            return layout.read(path)
    return own.read(path)


def published_test_ids() -> frozenset[str]:
    """The 357 videos (CC-BY) of the Video2GIF data set that its paper was evaluated on.

    From the data set's testset.txt (BSD). A public fork lists all of them among its training ids:
    whatever a manifest says, nothing of ours trains on them.
    """
    return frozenset(files(__package__).joinpath("testset.txt").read_text().split())
