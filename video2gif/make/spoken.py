"""What is said in a film: subtitles on its GIFs, and the moment of a line."""

import difflib
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from video2gif.core.errors import ItemError, UserError
from video2gif.core.items import Context, one
from video2gif.core.store import file_digest
from video2gif.gifs.words import MOST_CHARS, Word
from video2gif.make.analysis import Analysis
from video2gif.make.moments import Chosen, exactly
from video2gif.media.subtitles import Subtitle, read_subtitles, subtitle_item, subtitling

EMBEDDED = "embedded"
_ALIKE = 0.6  # Of what is looked for, so much must stand in a line.
_AROUND_S = 0.2  # Before and after a line: mouths move earlier and stop later.
_AT_MOST = 3  # Lines that one sentence is spread over.


@dataclass(frozen=True)
class Said:
    """What a person asked for of words."""

    caption: str = ""
    subtitles: str = ""
    """An .srt file, or `embedded`; drawn on the GIFs."""
    line: str = ""
    """A line of the film whose moment is wanted."""

    def __post_init__(self) -> None:
        if len(self.caption) > MOST_CHARS:
            raise UserError(f"--caption has {len(self.caption)} characters, at most {MOST_CHARS}")
        if self.subtitles not in ("", EMBEDDED) and not Path(self.subtitles).is_file():
            raise UserError(f"--subtitles {self.subtitles}: no such file, nor `{EMBEDDED}`")

    def lines(self, analysis: Analysis, context: Context) -> list[Subtitle]:
        """The film's subtitles where they are needed. Raises `ItemError` where there are none."""
        if not self.subtitles and not self.line:
            return []
        is_embedded = self.subtitles in ("", EMBEDDED)
        path = analysis.path if is_embedded else Path(self.subtitles)
        sha256 = analysis.sha256 if is_embedded else file_digest(path)
        item = subtitle_item(f"subtitles:{path.name}", path, sha256=sha256, embedded=is_embedded)
        return read_subtitles(one("subtitles", subtitling(), item, context))

    def words(self, lines: Sequence[Subtitle]) -> list[Word]:
        """What is drawn: the caption all the time, else the subtitles if they were named."""
        if self.caption:
            return [(-1e9, 1e9, self.caption)]
        return list(lines) if self.subtitles else []


def spoken(
    analysis: Analysis, lines: Sequence[Subtitle], wanted: str, *, longest_s: float | None
) -> Chosen:
    """The moment in which a line is said; of equals the earliest. Raises `ItemError` (not_said)."""
    rated = [
        (-_likeness(wanted, " ".join(text for *_, text in lines[first:last])), last - first, first)
        for first in range(len(lines))
        for last in range(first + 1, min(first + _AT_MOST, len(lines)) + 1)
    ]
    best = min(rated, default=(0.0, 0, 0))
    if -best[0] < _ALIKE:
        raise ItemError("not_said", f"no subtitle says {wanted!r}")
    found = lines[best[2] : best[2] + best[1]]
    end_s = analysis.fingerprint.end_s
    start_s = max(0.0, found[0][0] - _AROUND_S)
    until_s = min(end_s, found[-1][1] + _AROUND_S, start_s + (longest_s or math.inf))
    return exactly(analysis, start_s, until_s)


def _likeness(wanted: str, said: str) -> float:
    """The share of the wanted words that a line has, in order, less a little for its others."""
    a, b = _plain_words(wanted), _plain_words(said)
    if not a or not b:
        return 0.0
    blocks = difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    shared = sum(block.size for block in blocks)
    return shared / len(a) - 0.01 * (len(b) - shared)


def _plain_words(text: str) -> list[str]:
    """Words in lower case, without accents and punctuation."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in apart if not unicodedata.combining(c))
    return re.findall(r"\w+", kept.replace("'", "").replace("’", ""))
