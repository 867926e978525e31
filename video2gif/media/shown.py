"""What a player shows of a decoded frame: turned, opaque, in square pixels, in the right colours.

The container, the codec and the frame each say a part of it. All of it is read here and applied
here, once, for whoever shows or measures a picture:

* `Shown` makes a frame upright (display matrix) and opaque (alpha over white), for everybody, and
  notes what its numbers mean. What it costs an ordinary frame is some comparisons.
* `Scaler` makes a frame of another size or format of it, for everybody. HDR and wide gamuts come
  out as SDR in BT.709 (`media.light`): of small pictures, as a whole frame costs fifty times that.
* `Painter` makes pixels of such a frame: in square pixels (`size_of`), with the matrix a player
  takes, and without the combs of interlaced video. It is for what people look at. Hashes and shot
  metrics take the scaled frame: a hash does not see shape or matrix, and its rows are those of one
  field; shot metrics must equal PySceneDetect's, which knows of neither.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Literal, cast

import av
import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.filter import Graph
from av.sidedata import sidedata
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from video2gif.media.light import Gamut, Hdr, Light, as_sdr, luma_709

Signs = tuple[int, int, int, int]
Steps = tuple[tuple[str, str], ...]
"""libav's filters with their arguments, in order."""

_UPRIGHT: Signs = (1, 0, 0, 1)
_TURNS: dict[Signs, Steps] = {
    # The matrix maps a stored pixel (x, y) to (a·x + c·y, b·x + d·y): by signs of (a, b, c, d).
    _UPRIGHT: (),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): (("vflip", ""),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}
_REBUILT: Steps = (("estdif", "mode=frame:deint=all"),)
_PACKED_ALPHA = {"rgba": 3, "bgra": 3, "argb": 0, "abgr": 0}
_WHITE = 255  # What libav puts under the transparent pixels of a GIF, and most pages behind one.
_UNSAID = 2  # AVCOL_SPC_UNSPECIFIED
_HD_WIDTH, _SD_HEIGHT = 1280, 576  # From this width, or above this height, players take BT.709.
_TRANSFERS: dict[int, Hdr] = {16: "PQ", 18: "HLG"}  # AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67
_WIDE: dict[int, Gamut] = {9: "BT.2020", 12: "P3"}  # AVCOL_PRI_BT2020, AVCOL_PRI_SMPTE432
_LEAST_ROWS = 4  # of a picture with two fields
_SLIMMEST = 100  # A pixel a hundred times as wide as high is a broken header.

_PIXELS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Look:
    """What a frame that `Shown` made does not say itself."""

    aspect: Fraction = Fraction(1)
    """Width of a pixel over its height."""
    is_turned: bool = False
    """Whether its columns are rows of the stored frame."""
    light: Light | None = None
    """What its numbers mean, unless they are SDR in BT.709 or BT.601. Noted here, as libav's words
    for it are blotted out while a frame is scaled, perhaps in another thread."""


_PLAIN = Look()


class Shown:
    """Makes the frames of one stream as they are shown; keeps its filter graphs."""

    def __init__(self, pixel_aspect: Fraction) -> None:
        """`pixel_aspect`: width of a stored pixel over its height, as the stream says."""
        is_sane = Fraction(1, _SLIMMEST) <= pixel_aspect <= _SLIMMEST
        self._stored = Look(pixel_aspect if is_sane else Fraction(1))
        self._turned = Look(1 / self._stored.aspect, is_turned=True)
        self._turn = _Filters()
        self._progressive = Progressive()
        self._signs: dict[tuple[object, ...], Signs] = {}

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The frame upright and opaque. PTS and duration are those of the argument."""
        signs, light = self._signs_of(frame), _light_of(frame)
        steps, look = _TURNS.get(signs, ()), self._stored
        if steps and not signs[0]:
            # Fields are rows: what is left of them behind a quarter turn nobody could undo.
            frame, look = self._progressive(frame), self._turned
        if steps:
            frame = self._turn(frame, steps)[-1]
        if _has_alpha(frame.format.name):
            frame = _over_white(frame)
        if light is not None:
            look = replace(look, light=light)
        if look != _PLAIN:
            frame.opaque = look
        return frame

    def _signs_of(self, frame: VideoFrame) -> Signs:
        # Once for each kind of frame: PyAV's side data hold their frame in a cycle, so that its
        # memory would wait for the collector.
        kind = (frame.rotation, frame.width, frame.height, frame.format.name)
        if kind not in self._signs:
            self._signs[kind] = _matrix_signs(frame)
        return self._signs[kind]


def stored_aspect(container: InputContainer, stream: VideoStream) -> Fraction:
    """Width of a stored pixel over its height: the container's word before the codec's."""
    # No browser heeds what a GIF says of it.
    is_gif = container.format.name == "gif"
    return Fraction(1) if is_gif else stream.sample_aspect_ratio or Fraction(1)


def aspect_of(frame: VideoFrame) -> Fraction:
    """Width of a pixel over its height, of a frame that `Shown` made."""
    return _look_of(frame).aspect


def width_of(frame: VideoFrame) -> int:
    """The width at which the frame has its shape in square pixels and keeps its height."""
    return max(1, round(frame.width * aspect_of(frame)))


def even_width(frame: VideoFrame, height: int) -> int:
    """The width (even: encoders want it) of the picture at `height`, in square pixels."""
    aspect = aspect_of(frame)
    if aspect == 1:
        return max(2, 2 * round(height * frame.width / frame.height / 2))
    # The nearest as well, but half a pair goes down.
    return max(2, -2 * int((1 - height * frame.width * aspect / frame.height) // 2))


def hdr_of(frame: VideoFrame) -> Hdr:
    """The transfer function of high dynamic range that a frame of `Shown` declares, or ""."""
    light = _look_of(frame).light
    return light.hdr if light else ""


def is_plain(frame: VideoFrame) -> bool:
    """Whether the frame's own numbers are those of an SDR picture in BT.709 or BT.601."""
    return _look_of(frame).light is None


class Scaler:
    """Frames that `Shown` made, at another size and in another format. Kept, as it has tables."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()
        self._of_sdr = VideoReformatter()

    def __call__(
        self,
        frame: VideoFrame,
        width: int | None,
        height: int | None,
        format: str,
        *,
        matrix: Colorspace | None = None,
        interpolation: Interpolation = Interpolation.BILINEAR,
    ) -> VideoFrame:
        """`matrix`: None for the one that the frame names, or BT.601."""
        light = _look_of(frame).light
        small = self._scaler.reformat(
            frame,
            width,
            height,
            format if light is None else "rgb48le",
            src_colorspace=_matrix_of(frame) if light and matrix is None else matrix,
            interpolation=interpolation,
            threads=1,
        )
        if light is None:
            return small
        pixels = as_sdr(small.to_ndarray(), light)
        if format == "gray8":  # The luma of the SDR film; libav would take BT.601's.
            return VideoFrame.from_ndarray(luma_709(pixels), format=format)
        sdr = VideoFrame.from_ndarray(pixels, format="rgb24")
        return self._of_sdr.reformat(sdr, format=format, threads=1)


class Painter:
    """Pixels of frames that `Shown` made, for people's eyes. One for each sequence of frames."""

    def __init__(self) -> None:
        self._scaler = Scaler()
        self._progressive = Progressive()

    def pixels(
        self,
        frame: VideoFrame,
        width: int,
        height: int,
        *,
        order: Literal["rgb24", "bgr24"] = "rgb24",
        interpolation: Interpolation = Interpolation.BILINEAR,
    ) -> np.ndarray:
        """uint8 (height, width, 3)."""
        whole = self._progressive(frame)
        whole.opaque = frame.opaque
        picture = self._scaler(
            whole, width, height, order, matrix=_matrix_of(frame), interpolation=interpolation
        )
        return picture.to_ndarray()


class Progressive:
    """Rebuilds the rows of one field from those of the other, in frames that say they have two.

    libav's estdif looks at one frame only, so a frame comes out the same wherever decoding began.
    """

    def __init__(self) -> None:
        self._filters = _Filters()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The frame without combs; the frame itself unless it is interlaced."""
        if not frame.interlaced_frame or frame.height < _LEAST_ROWS:
            return frame
        self._filters(frame, _REBUILT)
        # The filter gives out a frame when it has the next one: let each be its own next.
        return self._filters(frame, _REBUILT)[-1]


class _Filters:
    """A filter graph, kept while steps, size and format stay."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._made_for: tuple[object, ...] = ()

    def __call__(self, frame: VideoFrame, steps: Steps) -> list[VideoFrame]:
        """What comes out when this frame goes in."""
        made_for = (steps, frame.width, frame.height, frame.format.name)
        if self._graph is None or self._made_for != made_for:
            self._graph, self._made_for = _graph(frame, steps), made_for
        self._graph.push(frame)
        found: list[VideoFrame] = []
        with suppress(BlockingIOError):
            while True:
                found.append(cast(VideoFrame, self._graph.pull()))
        return found


def _graph(frame: VideoFrame, steps: Steps) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=_tick_of(frame)
    )
    nodes = [graph.add(name, arguments) for name, arguments in steps]
    graph.link_nodes(source, *nodes, graph.add("buffersink"))
    graph.configure()
    return graph


def _tick_of(frame: VideoFrame) -> Fraction:
    """A decoder of our own (`media.open.decoder_of`) tells none at the end of a stream."""
    return frame.time_base or Fraction(1, av.time_base)


def _look_of(frame: VideoFrame) -> Look:
    look = frame.opaque
    return look if isinstance(look, Look) else _PLAIN


def _matrix_of(frame: VideoFrame) -> Colorspace | None:
    """The matrix that players take where the frame names none; None: the frame's own, or BT.601."""
    if int(frame.colorspace) != _UNSAID or not _is_yuv(frame.format.name):
        return None
    light = _look_of(frame).light
    if light is not None and light.gamut == "BT.2020":
        return Colorspace.BT2020
    size = (frame.width, frame.height)
    width, height = size[::-1] if _look_of(frame).is_turned else size
    return Colorspace.ITU709 if width >= _HD_WIDTH or height > _SD_HEIGHT else None


def _light_of(frame: VideoFrame) -> Light | None:
    """None for SDR in BT.709, or in BT.601's primaries, which differ from them by a shade."""
    hdr = _TRANSFERS.get(int(frame.color_trc), "")
    said = int(frame.color_primaries)
    gamut = _WIDE.get(said, "BT.2020" if hdr and said == _UNSAID else "BT.709")
    return Light(hdr, gamut) if hdr or gamut != "BT.709" else None


def _matrix_signs(frame: VideoFrame) -> Signs:
    _name_all_side_data()
    # PyAV declares a shape that its mapping does not have.
    side_data = cast(Mapping[str, Buffer], frame.side_data)
    if "DISPLAYMATRIX" not in side_data:
        return _UPRIGHT
    a, b, _, c, d = np.sign(np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), "=i4")[:5])
    return int(a), int(b), int(c), int(d)


@cache
def _name_all_side_data() -> None:
    """Let PyAV read a frame's side data though its list is older than libav's.

    Its enumeration raises `ValueError` for a kind that it does not know (29, of Apple's spatial
    video; 31, an Exif block), and with it nothing of the frame can be read.
    """

    def unnamed(kinds: type[sidedata.Type], value: int) -> sidedata.Type:
        kind = object.__new__(kinds)
        kind._name_ = f"UNNAMED_{value}"
        kind._value_ = value  # type: ignore[assignment]
        return kind

    sidedata.Type._missing_ = classmethod(unnamed)  # type: ignore[assignment]


@cache
def _has_alpha(name: str) -> bool:
    pixels = VideoFormat(name)
    return pixels.has_palette or any(part.is_alpha for part in pixels.components)


@cache
def _is_yuv(name: str) -> bool:
    pixels = VideoFormat(name)
    return not pixels.is_rgb and not pixels.has_palette and len(pixels.components) >= 3


def _over_white(frame: VideoFrame) -> VideoFrame:
    """The frame itself where white shows nowhere through it."""
    if _is_opaque(frame):
        return frame
    pixels, order = _with_alpha(frame)
    shown = np.empty((*pixels.shape[:2], 3), np.uint8)
    rows = max(1, _PIXELS_AT_ONCE // frame.width)  # Of a huge picture the sums take 600 MB.
    for start in range(0, frame.height, rows):
        part = pixels[start : start + rows][..., order]
        alpha = part[..., 3:].astype(np.uint16)
        shown[start : start + rows] = (part[..., :3] * alpha + _WHITE * (255 - alpha) + 127) // 255
    if all(np.array_equal(shown[..., to], pixels[..., at]) for to, at in enumerate(order[:3])):
        return frame  # It is white already where it is transparent, as libav leaves GIFs.
    opaque = VideoFrame.from_ndarray(shown, format="rgb24")
    opaque.pts, opaque.duration, opaque.time_base = frame.pts, frame.duration, _tick_of(frame)
    return opaque


def _with_alpha(frame: VideoFrame) -> tuple[np.ndarray, tuple[int, ...]]:
    """uint8 (h, w, 4), and where in it red, green, blue and alpha are; a view where it can be."""
    at = _PACKED_ALPHA.get(frame.format.name)
    if at is None:
        # Not rgba: at some widths libswscale leaves its last columns as they were in memory.
        pixels = frame.to_ndarray(format="gbrap", src_colorspace=_matrix_of(frame), threads=1)
        return pixels, (0, 1, 2, 3)
    plane = frame.planes[0]
    rows = np.frombuffer(cast(bytes, plane), np.uint8).reshape(-1, plane.line_size)
    view = rows[: plane.height, : 4 * plane.width].reshape(plane.height, plane.width, 4)
    return view, tuple(frame.format.name.index(channel) for channel in "rgba")


def _is_opaque(frame: VideoFrame) -> bool:
    """Whether each pixel is opaque, or clear and white, as libav leaves those of GIFs."""
    at = _PACKED_ALPHA.get(frame.format.name)
    if at is None:
        return False
    plane = frame.planes[0]
    rows = np.frombuffer(cast(bytes, plane), "<u4").reshape(-1, plane.line_size // 4)
    pixels = rows[: plane.height, : plane.width]
    alpha = np.uint32(0xFF << 8 * at)
    is_clear_white = pixels == (alpha ^ np.uint32(0xFFFFFFFF))
    return bool((is_clear_white | (pixels & alpha == alpha)).all())
