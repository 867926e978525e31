"""From one video to its GIFs: fingerprint, cut into segments, rank, write the best ones.

The same items as the pipeline's stages (so a video that the pipeline has seen is not analysed
again), for files that stand in no manifest.

`video2gif.make` is this room and also a function of the Python API: the room can be called. Python
puts every sub-package that somebody imports in place of an attribute of the same name, so a
function beside it would work only until then.
"""

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """`video2gif.make.api.make`."""
        from video2gif.make.api import make

        return make(*args, **options)


sys.modules[__name__].__class__ = _Room
