"""Read animated WebP, which libav cannot: Pillow decodes it, and libav gets a lossless film of it.

The film is kept in memory, so the number of pixels is limited before anything is decoded.
"""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from PIL import Image, UnidentifiedImageError

from video2gif.core.errors import ItemError

MAX_TOTAL_PIXELS = 100_000_000  # frames × canvas; 400 MB as a film at worst
_MILLISECOND = Fraction(1, 1000)
_DEFAULT_DELAY_MS = 100  # for a delay of 0, as libav has it for GIFs


def as_film(path: Path) -> io.BytesIO:
    """The frames of a WebP as lossless mov. Raises `ItemError`: not_media, too_large."""
    try:
        with Image.open(path, formats=("WEBP",)) as image:
            total = image.width * image.height * getattr(image, "n_frames", 1)
            if total > MAX_TOTAL_PIXELS:
                raise ItemError("too_large", f"{total} pixels; the limit is {MAX_TOTAL_PIXELS}")
            return _film(image)
    except Image.DecompressionBombError as error:
        raise ItemError("too_large", f"webp: {error}") from error
    except (UnidentifiedImageError, OSError, EOFError, SyntaxError, ValueError) as error:
        # Only the kind of error: Pillow's message names the path, which differs between clones.
        why = type(error).__name__
        raise ItemError("not_media", f"webp file cannot be read: {why}") from error


def _film(image: Image.Image) -> io.BytesIO:
    film = io.BytesIO()
    options = {"video_track_timescale": "1000"}
    with av.open(film, "w", format="mov", options=options) as container:
        stream = container.add_stream("png", rate=1000)
        stream.width, stream.height, stream.pix_fmt = image.width, image.height, "rgba"
        stream.codec_context.time_base = _MILLISECOND
        stream.codec_context.thread_count = 1  # a packet for every frame, at once
        stream.options = {"compression_level": "1"}
        pts = 0
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frame = VideoFrame.from_ndarray(np.asarray(image.convert("RGBA")), format="rgba")
            frame.pts, frame.time_base = pts, _MILLISECOND
            delay_ms = int(image.info.get("duration", 0)) or _DEFAULT_DELAY_MS
            pts += delay_ms
            for packet in stream.encode(frame):
                packet.duration = delay_ms  # Without it the last frame would last one tick.
                container.mux(packet)
    film.seek(0)
    return film
