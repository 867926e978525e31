"""What is said on a GIF, and when: captions and subtitles. `letters` draws them."""

from collections.abc import Sequence

import numpy as np

Word = tuple[float, float, str]
"""From when to when, seconds of the film, and what is shown then."""

MOST_CHARS, MOST_WORDS = 400, 20  # of one GIF: its receipt holds them


def text_at(words: Sequence[Word], time_s: float) -> str:
    """What is said at that time; the later of two that overlap."""
    said = [text for start_s, end_s, text in words if start_s <= time_s < end_s]
    return said[-1] if said else ""


def within(words: Sequence[Word], start_s: float, end_s: float) -> list[Word]:
    """Those that are shown in a stretch, as many as a receipt has room for."""
    found: list[Word] = []
    for one in words:
        overlaps = one[0] < end_s and one[1] > start_s
        if overlaps and sum(len(text) for *_, text in [*found, one]) <= MOST_CHARS:
            found.append(one)
    return found[:MOST_WORDS]


def with_words(frame: np.ndarray, text: str) -> np.ndarray:
    """A copy of uint8 (h, w, 3) with the text at its bottom; the frame itself where it is empty."""
    if not text.strip():
        return frame
    from video2gif.gifs.letters import drawn

    return drawn(frame, text)


def fonts_of(words: Sequence[Word]) -> str:
    """Which fonts draw these texts here: 16 hex digits; "" where there is no text."""
    if not words:
        return ""
    from video2gif.gifs.letters import fonts_for

    return fonts_for(text for *_, text in words)
