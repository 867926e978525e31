"""Text on pictures: captions and subtitles, at the bottom, white with a black edge.

Pillow draws and lays out (with HarfBuzz, where its wheel has it: right-to-left and joined scripts).
The font is the first of a list that has every character; DejaVu Sans has Latin, Greek, Cyrillic,
Arabic, Hebrew and plain emoji. Without any of them, Pillow's own font has Latin.

Pillow is an extra, so only `words` imports this, and only where there is something to draw.
"""

import hashlib
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL import __version__ as version

_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/Library/Fonts"),
    Path("/System/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)
_NAMES = (
    "DejaVuSans-Bold.ttf",
    "NotoSans-Bold.ttf",
    "NotoSansCJK-Bold.ttc",
    "NotoSansArabic-Bold.ttf",
    "LiberationSans-Bold.ttf",
    "Arial Unicode.ttf",
    "arialbd.ttf",
    "DejaVuSans.ttf",
    "NotoEmoji-Regular.ttf",
)
_SIZE, _LEAST_PX = 0.105, 12  # of the height: 25 px at 240
_EDGE = 0.09  # of the size
_WIDTH = 0.94  # of the picture's, that lines may take
_MARGIN = 0.04  # of the height, below
_MOST_LINES = 4


def drawn(frame: np.ndarray, text: str) -> np.ndarray:
    """A copy of uint8 (h, w, 3) with the text at its bottom; a smaller font where it is long."""
    height, width = frame.shape[:2]
    layer = _layer(text, width, height)
    shown = Image.fromarray(frame)
    shown.paste(layer, (0, 0), layer)
    return np.asarray(shown)


def fonts_for(texts: Iterable[str]) -> str:
    """Which fonts draw these texts here: 16 hex digits."""
    paths = sorted({str(_font_for(text) or "") for text in texts})
    contents = [Path(path).read_bytes() if path else version.encode() for path in paths]
    return hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in contents)).hexdigest()[
        :16
    ]


@lru_cache(maxsize=16)
def _layer(text: str, width: int, height: int) -> Image.Image:
    """The text on nothing, RGBA."""
    layer = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(layer)
    size = max(_LEAST_PX, round(_SIZE * height))
    while True:
        font, edge = _font(_font_for(text), size), max(1, round(_EDGE * size))
        lines = _lines(draw, text, font, _WIDTH * width - 2 * edge)
        is_narrow = all(draw.textlength(line, font) <= width - 2 * edge for line in lines)
        if (len(lines) <= _MOST_LINES and is_narrow) or size <= _LEAST_PX:
            break
        size = max(_LEAST_PX, round(0.85 * size))
    draw.multiline_text(
        (width / 2, height - round(_MARGIN * height)),
        "\n".join(lines),
        fill=(255, 255, 255, 255),
        font=font,
        anchor="md",
        align="center",
        stroke_width=edge,
        stroke_fill=(0, 0, 0, 255),
    )
    return layer


def _lines(
    draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, most: float
) -> list[str]:
    """Broken where it is written so, and between words where a line is too long."""
    found: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and draw.textlength(longer, font) > most:
                found.append(line)
                longer = word
            line = longer
        found.append(line)
    return [line for line in found if line]


@lru_cache(maxsize=64)
def _font(path: Path | None, size: int) -> ImageFont.FreeTypeFont:
    if path is None:
        own = ImageFont.load_default(size)
        assert isinstance(own, ImageFont.FreeTypeFont)  # Wheels of Pillow have FreeType.
        return own
    return ImageFont.truetype(str(path), size)


@lru_cache(maxsize=64)
def _font_for(text: str) -> Path | None:
    """The font that lacks fewest of the characters; of equals the first; None: Pillow's own."""
    wanted = sorted({c for c in text if c.isprintable() and not c.isspace()})
    return min([*_fonts(), None], key=lambda path: sum(_lacks(path, c) for c in wanted))


@lru_cache(maxsize=4096)
def _lacks(path: Path | None, character: str) -> bool:
    """Whether a font draws its box for what it has not."""
    font = _font(path, 24)
    return bytes(font.getmask(character)) == bytes(font.getmask("\U0010fffe"))


@cache
def _fonts() -> tuple[Path, ...]:
    """The fonts of the list that are installed, in its order."""
    there: dict[str, Path] = {}
    for folder in _FOLDERS:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.name in _NAMES:
                there.setdefault(path.name, path)
    return tuple(there[name] for name in _NAMES if name in there)
