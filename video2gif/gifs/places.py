"""Where GIFs are put, and what is taken there: `video2gif gif --for NAME`.

The limits were written down from memory in 2026, without a network to look them up: places change
theirs. A place of your own, or other limits, stand in params.yaml under `places`.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from video2gif.core.config import PlaceLimits
from video2gif.core.errors import UserError

if TYPE_CHECKING:
    from video2gif.gifs.render import GifOptions  # Takes time; a help text wants the names alone.

MB, KB = 1_000_000, 1_000

PLACES: Mapping[str, PlaceLimits] = {
    "discord": PlaceLimits(max_bytes=10 * MB, max_width=1280, max_height=720),
    "discord-emoji": PlaceLimits(max_bytes=256 * KB, max_width=128, max_height=128, aspect="1:1"),
    # 200 frames of the largest size stay below its limit of 300 million pixels in all.
    "twitter": PlaceLimits(max_bytes=15 * MB, max_width=1280, max_height=1080, max_frames=200),
    "slack-emoji": PlaceLimits(
        max_bytes=128 * KB, max_width=128, max_height=128, max_frames=50, aspect="1:1"
    ),
    "github": PlaceLimits(max_bytes=10 * MB, max_width=1280, max_height=720),
    "reddit": PlaceLimits(max_bytes=20 * MB, max_width=1280, max_height=720),
    "giphy": PlaceLimits(max_bytes=8 * MB, max_width=1280, max_height=720, max_s=15),
    "email": PlaceLimits(max_bytes=1 * MB, max_width=600, max_height=480, max_s=8),
    # WhatsApp's: an animated WebP of just this size.
    "sticker": PlaceLimits(
        max_bytes=500 * KB,
        max_width=512,
        max_height=512,
        max_s=10,
        aspect="1:1",
        format="webp",
        is_exact=True,
    ),
    "9:16": PlaceLimits(max_bytes=15 * MB, max_width=720, max_height=1280, aspect="9:16"),
    "1:1": PlaceLimits(max_bytes=15 * MB, max_width=720, max_height=720, aspect="1:1"),
    "4:5": PlaceLimits(max_bytes=15 * MB, max_width=720, max_height=900, aspect="4:5"),
}
_LAST_FRAME_S = 0.1  # Rates are coarse: a GIF may come out half a frame longer than its moment.


def place_of(name: str, own: Mapping[str, PlaceLimits]) -> PlaceLimits:
    """The place of that name. Raises `UserError` naming all there are."""
    known = {**PLACES, **own}
    if name not in known:
        raise UserError(f"--for {name}: choose {', '.join(known)}, or add it to params.yaml")
    return known[name]


def made_for(options: "GifOptions", place: PlaceLimits) -> "GifOptions":
    """The options within the limits of a place; what a person asked for stays where it fits."""
    return replace(
        options,
        max_bytes=min(place.max_bytes, options.max_bytes or place.max_bytes),
        height=min(place.max_height, options.height or place.max_height),
        max_width=place.max_width,
        max_frames=place.max_frames,
        max_s=place.max_s,
        fps=min(options.fps or place.max_fps, place.max_fps) if place.max_fps else options.fps,
        format=place.format or options.format,
        aspect=place.aspect or options.aspect,
        cut_bars=True,
        is_exact=place.is_exact,
    )


def longest_s(options: "GifOptions", asked_s: float | None) -> float | None:
    """The longest stretch of film whose GIF stays within the place's seconds, and those asked."""
    if options.max_s is None:
        return asked_s
    played = (options.max_s - _LAST_FRAME_S) * options.speed
    played = played / 2 if options.loop == "pingpong" else played
    return min(played, asked_s or math.inf)
