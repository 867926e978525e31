"""One picture that stands for a video in a list, and how long the video says it is.

Of three key frames the one with most contrast: films begin in black. Nothing else is decoded, so a
film of hours takes no longer than a short one.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from video2gif.core.errors import ItemError
from video2gif.core.sandbox import Limits
from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.work import Item, Work
from video2gif.media.open import decoder_of, open_container, packets, video_stream
from video2gif.media.shown import Painter, Shown, stored_aspect
from video2gif.media.strips import jpeg, tile
from video2gif.media.whole import declared

_HEIGHT, _QUALITY = 120, 80
_PLACES = (0.15, 0.4, 0.7)  # of the length
_WALL_S = 30.0


@dataclass(frozen=True)
class Poster:
    """A JPEG, and the length that the file declares; 0 where it declares none."""

    jpeg: bytes
    duration_s: float


def postering() -> Work:
    """The work of `poster_item`s."""
    return Work(
        function=f"{__name__}:work",
        libraries=("av", "opencv-python-headless"),
        limits=Limits(wall_s=_WALL_S),
    )


def poster_item(item_id: str, path: Path, *, sha256: str) -> Item:
    """One video, whole or not."""
    return Item(id=item_id, inputs=(sha256,), args={"path": str(path.resolve())})


def read_poster(payload: bytes) -> Poster:
    """From the item that `work` wrote."""
    arrays, notes = read_arrays(payload)
    return Poster(arrays["jpeg"].tobytes(), float(notes["duration_s"]))


def work(*, out: Path, params: Mapping[str, Any], path: str) -> None:
    """Write the picture and the length. Raises `ItemError`, among them no_frames."""
    painter, best, most = Painter(), None, -1.0
    with open_container(Path(path)) as container:
        stream = video_stream(container)
        duration_s = declared(container, stream).duration_s
        shown = Shown(stored_aspect(container, stream))
        codec = decoder_of(container, stream, threads=1)
        codec.skip_frame = "NONKEY"
        for place in _PLACES:
            frame = _key_frame(container, stream, codec, place * duration_s)
            if frame is None:
                continue
            picture = tile(shown(frame), _HEIGHT, painter)
            # The middle: bars above and below give contrast to a picture that has none.
            middle = picture[_HEIGHT // 4 : 3 * _HEIGHT // 4]
            if (contrast := float(middle.std())) > most:
                best, most = picture, contrast
    if best is None:
        raise ItemError("no_frames", "no picture could be decoded")
    write_arrays(out, {"jpeg": jpeg(best, quality=_QUALITY)}, {"duration_s": duration_s})


def _key_frame(
    container: InputContainer, stream: VideoStream, codec: VideoCodecContext, time_s: float
) -> VideoFrame | None:
    """The key frame at or before a time; the next one of the file where it cannot jump."""
    with suppress(av.error.FFmpegError):
        container.seek(int(time_s * av.time_base))
        codec.flush_buffers()
    with suppress(av.error.FFmpegError):
        for packet in packets(container, stream):
            for frame in codec.decode(packet if packet.size else None):
                return frame
    return None
