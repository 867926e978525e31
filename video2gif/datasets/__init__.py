"""What a manifest names: videos, the GIFs people made of them, and what is known about both.

`read_manifest` knows three layouts by their first line: the project's own csv, the Video2GIF
release's metadata.txt and PHD2's csv. Every id comes out exactly as written ("0123456", "NA",
"1e5", "-x"), every line either as a `SourceRow` or as a `BadRow` that says why not.
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
