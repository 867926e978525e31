"""The one safe way to open media: which formats, how large, and which stream is the video.

A media file may be hostile. libav recognises formats by content, and some (playlists, ffconcat,
SDP, image lists) make it open *other* files. So only the formats in `_FORMATS` are allowed, and
only plain files. References from a QuickTime file to other files are not followed (libav's default,
`enable_drefs=0`). Sizes are checked before memory for a frame is allocated.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.logging
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from video2gif.core.errors import ItemError
from video2gif.media.sniff import Content, cut_short, sniff
from video2gif.media.webp import as_film

MAX_GIF_FRAME_PIXELS = 4096**2
MAX_GIF_TOTAL_PIXELS = 2 * 10**9  # frames × canvas; a 4.6 kB GIF can ask for 16 Gpx
MAX_VIDEO_FRAME_PIXELS = 8192**2
MAX_DURATION_S = 12 * 3600.0

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    "avi",
    "flv",
    "mpegts",
    "mpeg",
    "mpegvideo",
    "ogg",
    "gif",
)
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """An open container, closed at the end of the block whatever happens.

    Raises `ItemError`: missing, empty, not_media, truncated (an mp4 whose index was cut off),
    no_video, codec, too_large, oom.
    """
    container = _open(path)
    try:
        _check_size(container)
        yield container
    finally:
        # An unclosed container keeps its file descriptor and buffers until the process ends.
        container.close()


def video_stream(container: InputContainer) -> VideoStream:
    """The video that a player would show: the first enabled stream, else the first; no cover art.

    libav's "best" stream would be the one with the largest picture. But people see the first track,
    and make their GIFs of it.
    """
    streams = [s for s in container.streams.video if not s.disposition & _NO_VIDEO]
    enabled = [s for s in streams if s.disposition & Disposition.default]
    for stream in enabled or streams:
        return stream
    raise ItemError("no_video", f"no video stream among {len(container.streams)} streams")


def max_frame_pixels(container: InputContainer) -> int:
    """Largest frame allowed in this container, pixels."""
    is_gif = container.format.name == "gif"
    return MAX_GIF_FRAME_PIXELS if is_gif else MAX_VIDEO_FRAME_PIXELS


def _open(path: Path) -> InputContainer:
    content = sniff(path)
    if content.kind == "gif" and content.pixels > MAX_GIF_FRAME_PIXELS:
        # libav decodes a frame when it opens a GIF, so the canvas must be checked before that.
        raise _too_large(content.width, content.height, MAX_GIF_FRAME_PIXELS)
    # With the prefix, libav takes a name such as `a:b.mp4` or `http:x` for a file, not for a URL.
    source = as_film(path) if content.kind == "webp" else f"file:{path}"
    options = {
        "format_whitelist": ",".join(_FORMATS),
        "protocol_whitelist": "file",
        "max_pixels": str(MAX_VIDEO_FRAME_PIXELS),
        "threads": "1",
    }
    try:
        # Titles and tags in another encoding than UTF-8 are no reason to refuse a file.
        return av.open(source, "r", options=options, metadata_errors="replace")
    except MemoryError:
        # A message of our own: libav's names the path, which differs between clones.
        raise ItemError("oom", f"{content.kind} header asks for too much memory") from None
    except av.error.FFmpegError as error:
        raise _open_error(path, content, error) from error


def _open_error(path: Path, content: Content, error: av.error.FFmpegError) -> ItemError:
    if content.is_media:
        why = cut_short(path, content.kind)
        if why:
            return ItemError("truncated", f"{content.kind} file is cut short: {why}")
        return ItemError("not_media", f"{content.kind} file cannot be read: {error.strerror}")
    return ItemError("not_media", f"content is {content.kind or 'unknown'}, not video or GIF")


def _check_size(container: InputContainer) -> None:
    stream = video_stream(container)
    context = stream.codec_context
    if context is None:
        raise ItemError("codec", f"no decoder for video codec {_codec_name(container, stream)}")
    limit = max_frame_pixels(container)
    if context.width * context.height > limit:
        raise _too_large(context.width, context.height, limit)
    duration_s = (container.duration or 0) / av.time_base
    if duration_s > MAX_DURATION_S:
        raise ItemError("too_large", f"{duration_s:.0f} s long; the limit is {MAX_DURATION_S:g} s")


def _codec_name(container: InputContainer, stream: VideoStream) -> str:
    """An unknown codec as libav names it, `none (zzzz / 0x7A7A7A7A)`.

    PyAV does not give the name; only libav's printed description of the file contains it.
    """
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        dump = container.dumps_format()  # type: ignore[attr-defined]  # not in the stubs
    finally:
        av.logging.set_level(level)
    match = re.search(rf"Stream #0:{stream.index}\b.*?: Video: (.+?), ", dump)
    return match[1] if match else "unknown"


def _too_large(width: int, height: int, limit: int) -> ItemError:
    return ItemError(
        "too_large", f"frames of {width}×{height} pixels; the limit is {limit} pixels a frame"
    )
