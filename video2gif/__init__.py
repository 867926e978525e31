"""Learn from the GIFs people made which moments of a video deserve one, and make them.

`rank`, `make`, `match` and `find` are the Python API (`video2gif.make.api`). Nothing is imported
before it is used: `import video2gif` takes milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from video2gif.core.errors import ItemError, UserError, Video2GifError
    from video2gif.gifs.render import GifOptions
    from video2gif.make.api import Gif, Gifs, Place, Ranking, find, make, match, rank
    from video2gif.make.moments import Choice
    from video2gif.make.rankers import Moment

__version__ = "0.1.0"

__all__ = [
    "Choice",
    "Gif",
    "GifOptions",
    "Gifs",
    "ItemError",
    "Moment",
    "Place",
    "Ranking",
    "UserError",
    "Video2GifError",
    "__version__",
    "find",
    "make",
    "match",
    "rank",
]

_HOME = {
    "Choice": "video2gif.make.moments",
    "GifOptions": "video2gif.gifs.render",
    "Moment": "video2gif.make.rankers",
    **dict.fromkeys(("ItemError", "UserError", "Video2GifError"), "video2gif.core.errors"),
    **dict.fromkeys(
        ("Gif", "Gifs", "Place", "Ranking", "find", "match", "rank"), "video2gif.make.api"
    ),
}


def __getattr__(name: str) -> Any:
    if name == "make":
        return import_module("video2gif.make")  # A room that can be called: see its docstring.
    if name not in _HOME:
        raise AttributeError(f"module 'video2gif' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
