"""The pictures of a page as items: GIFs with their still, and filmstrips.

Each function is the work of an item (`video2gif.items`): it writes one payload, `unpack_gif`
reads the two pictures of the first kind back.
"""

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from video2gif.items import read_arrays, write_arrays
from video2gif.media.decode import Decoder
from video2gif.media.encode import write_clip

_STRIP_FRAMES = 24
_STRIP_HEIGHT = 54  # px; frames are squeezed to 30 px wide: it is an index, not a picture


def gif_work(*, out: Path, params: dict[str, Any], path: str, start_s: float, end_s: float) -> None:
    """Write the GIF of [start_s, end_s) and its first frame as a JPEG, packed in one payload.

    params: `height` (px) and `fps` of the GIF.
    """
    gif = out.with_suffix(".gif")
    try:
        write_clip(
            Path(path),
            gif,
            start_s=start_s,
            end_s=end_s,
            height=params["height"],
            fps=params["fps"],
        )
        with Decoder(gif) as decoder:
            _, first = next(decoder.frames())
            still = _jpeg(first.to_ndarray(format="bgr24"))
        write_arrays(out, {"gif": np.frombuffer(gif.read_bytes(), np.uint8), "still": still})
    finally:
        gif.unlink(missing_ok=True)


def unpack_gif(payload: bytes) -> tuple[bytes, bytes]:
    """The GIF and its still (JPEG) from a `gif_work` payload."""
    arrays, _ = read_arrays(payload)
    return arrays["gif"].tobytes(), arrays["still"].tobytes()


def strip_work(*, out: Path, params: dict[str, Any], path: str, n_frames: int) -> None:
    """Write a JPEG of evenly spaced frames side by side: the video at a glance."""
    wanted = np.unique(np.linspace(0, n_frames - 1, _STRIP_FRAMES).round().astype(int))
    tiles: list[np.ndarray] = []
    reformatter = av.video.reformatter.VideoReformatter()
    with Decoder(Path(path)) as decoder:
        for number, (_, frame) in enumerate(decoder.frames()):
            if len(tiles) < len(wanted) and number == wanted[len(tiles)]:
                small = reformatter.reformat(frame, width=48, height=_STRIP_HEIGHT, format="bgr24")
                tiles.append(small.to_ndarray())
    out.write_bytes(_jpeg(np.concatenate(tiles, axis=1)).tobytes())


def _jpeg(image: np.ndarray) -> np.ndarray:
    """An (h, w, 3) BGR picture as JPEG bytes, uint8 (n,)."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 78])[1].ravel()
