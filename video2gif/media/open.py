"""The one safe way to open media: what may be opened, how large, and which stream is the video.

Media files are hostile until proven otherwise. libav recognises containers by content and some of
them (playlists, ffconcat, SDP, image lists) name *other* files, so only the formats of
`media.kinds` and the plain file protocol are allowed; a QuickTime file's external data references
stay closed (libav's default, `enable_drefs=0`). Sizes are checked before a frame is allocated.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import av
import av.logging
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from video2gif.core.errors import ItemError
from video2gif.media.kinds import DEMUXERS, refusal
from video2gif.media.sniff import Content, cut_short, sniff, truncated

MAX_GIF_FRAME_PIXELS = 4096**2
MAX_GIF_TOTAL_PIXELS = 2 * 10**9  # frames × canvas; a 4.6 kB GIF can ask for 16 Gpx
MAX_VIDEO_FRAME_PIXELS = 8192**2
MAX_DURATION_S = 12 * 3600.0

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
    """The video a player would show: the first enabled stream, else the first; never cover art.

    Not libav's "best" (the largest picture): people see, and cut GIFs from, the first track. Only a
    single picture gives way to the sequence beside it: an animated AVIF begins with such a one.
    """
    streams = [s for s in container.streams.video if not s.disposition & _NO_VIDEO]
    enabled = [s for s in streams if s.disposition & Disposition.default] or streams
    if not enabled:
        raise ItemError("no_video", f"no video stream among {len(container.streams)} streams")
    moving = [s for s in enabled if s.frames > 1]
    return moving[0] if moving and enabled[0].frames == 1 else enabled[0]


def packets(container: InputContainer, stream: Stream | None = None) -> Iterator[Packet]:
    """The packets of a stream (None: of all), and at the end an empty one.

    In MPEG-TS a stream can appear that nobody knew when the file was opened. PyAV counts it when
    it ends, and does not find it: an IndexError after all packets.
    """
    with suppress(IndexError):
        yield from container.demux() if stream is None else container.demux(stream)


def decoder_of(
    container: InputContainer, stream: VideoStream, *, threads: int
) -> VideoCodecContext:
    """What decodes the stream's packets, within the limits on a frame's size.

    Its own decoder, but for WebM's transparent films: libav's decoders of VP8 and VP9 leave out
    their alpha, libvpx's do not.
    """
    decoder = stream.codec_context
    alpha = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(decoder.name, "")
    said = {key.lower(): value for key, value in stream.metadata.items()}
    if said.get("alpha_mode") == "1" and alpha in av.codecs_available:
        decoder = cast(VideoCodecContext, CodecContext.create(alpha, "r"))
    decoder.thread_count = threads
    decoder.thread_type = "AUTO"
    # Also holds for sizes that appear in mid-stream: such a packet counts as bad.
    decoder.options = {"max_pixels": str(max_frame_pixels(container))}
    return decoder


def max_frame_pixels(container: InputContainer) -> int:
    """Largest frame allowed in this container, pixels."""
    is_gif = container.format.name == "gif"
    return MAX_GIF_FRAME_PIXELS if is_gif else MAX_VIDEO_FRAME_PIXELS


def _as_film(path: Path) -> io.BytesIO:
    from video2gif.media.webp import as_film  # Pillow, for this one kind of file.

    return as_film(path)


def _open(path: Path) -> InputContainer:
    content = sniff(path)
    if content.kind == "gif" and content.pixels > MAX_GIF_FRAME_PIXELS:
        # libav decodes a frame while it probes: a GIF's canvas is checked before libav sees it.
        raise _too_large(content.width, content.height, MAX_GIF_FRAME_PIXELS)
    # The prefix keeps a name such as `a:b.mp4` or `http:x` a file name.
    source = _as_film(path) if content.kind == "webp" else f"file:{path}"
    options = {
        "format_whitelist": ",".join(DEMUXERS),
        "protocol_whitelist": "file",
        "max_pixels": str(MAX_VIDEO_FRAME_PIXELS),
        "threads": "1",
    }
    try:
        # Tags in another encoding than UTF-8 are no reason to refuse the pictures.
        return av.open(source, "r", options=options, metadata_errors="replace")
    except MemoryError:
        # libav's message would name the path, which differs from clone to clone.
        raise ItemError("oom", f"{content.kind} header asks for too much memory") from None
    except av.error.FFmpegError as error:
        raise _open_error(path, content, error) from error


def _open_error(path: Path, content: Content, error: av.error.FFmpegError) -> ItemError:
    if content.is_media:
        why = cut_short(path, content.kind)
        if why:
            return truncated(f"{content.kind} file is cut short ({why})")
        return ItemError("not_media", f"{content.kind} file cannot be read: {error.strerror}")
    return ItemError("not_media", refusal(content.kind))


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
    """`none (zzzz / 0x7A7A7A7A)`: PyAV keeps no name of it but in libav's dump."""
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
