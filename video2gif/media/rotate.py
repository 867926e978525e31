"""Turn frames as the container's display matrix says, like players do.

The matrix maps a stored pixel (x, y) to (a·x + c·y, b·x + d·y). Only quarter turns and mirror
images are applied. libav's transpose and flip filters work on the decoder's own pixel format, so
nothing is converted; an upright frame is passed on as it is.
"""

from collections.abc import Mapping
from typing import cast

import numpy as np
from av.buffer import Buffer
from av.filter import Graph
from av.video.frame import VideoFrame

_FILTERS: dict[tuple[int, int, int, int], tuple[tuple[str, str], ...]] = {
    # signs of (a, b, c, d): libav's filters, in order
    (1, 0, 0, 1): (),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): (("vflip", ""),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}


class Upright:
    """Turns frames of one stream. Its filter graph is kept until size or format change."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._made_for: tuple[object, ...] = ()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The frame as it is shown. PTS and duration are those of the argument."""
        filters = _FILTERS.get(_matrix_signs(frame), ())
        if not filters:
            return frame
        made_for = (filters, frame.width, frame.height, frame.format.name)
        if self._graph is None or self._made_for != made_for:
            self._graph, self._made_for = _graph(frame, filters), made_for
        self._graph.push(frame)
        turned = self._graph.pull()
        assert isinstance(turned, VideoFrame)
        return turned


def _matrix_signs(frame: VideoFrame) -> tuple[int, int, int, int]:
    # PyAV's type annotation of side_data is wrong; it is a mapping from names.
    side_data = cast(Mapping[str, Buffer], frame.side_data)
    if "DISPLAYMATRIX" not in side_data:
        return 1, 0, 0, 1
    a, b, _, c, d = np.sign(np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), "=i4")[:5])
    return int(a), int(b), int(c), int(d)


def _graph(frame: VideoFrame, filters: tuple[tuple[str, str], ...]) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    steps = [graph.add(name, arguments) for name, arguments in filters]
    graph.link_nodes(source, *steps, graph.add("buffersink"))
    graph.configure()
    return graph
