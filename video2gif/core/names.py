"""A name from outside in the places where it may stand, with one translation for each.

A file's name may hold anything but `/` and NUL: bytes that are no UTF-8, terminal escapes, marks
that turn text around, `#` and `%`, two hundred Chinese letters, or just dots. Nobody passes it on
as it is: it becomes a path by `file_name`, a URL by `url_path`, an id by `item_id`, and a text by
`shown` (a terminal's markup is escaped besides by `cli.terminal.plain`, a page's by jinja2).
"""

import hashlib
import os
import unicodedata
from urllib.parse import quote

MAX_FILE_NAME_BYTES = 120  # File systems allow 255, of which we need some for what we append.
_MAX_ID_CHARS = 120
_UNSHOWN = "\N{REPLACEMENT CHARACTER}"
_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # Parts of emoji and of Persian words.


def shown(text: str) -> str:
    """For terminals, pages and messages: one line, no control character, nothing that turns text.

    What UTF-8 cannot write (bytes of a file's name) is replaced as well.
    """
    return "".join(c if c.isprintable() or c in _JOINERS else _UNSHOWN for c in text)


def file_name(text: str, *, fallback: str = "video") -> str:
    """A name of a file or folder that stays where it is put; `text` itself if that is harmless."""
    plain = "".join("_" if c in "/\\" or c == _UNSHOWN else c for c in shown(text))
    name = plain.strip().lstrip(".").rstrip(". ")
    # File systems count bytes; `ignore` drops a character that was cut in two.
    return name.encode()[:MAX_FILE_NAME_BYTES].decode(errors="ignore").strip() or fallback


def url_path(relative: str) -> str:
    """The relative URL of a file beside a page, by its relative path."""
    url = quote(os.fsencode(relative), safe="/")
    # A first part with a colon would be taken for a scheme.
    return f"./{url}" if ":" in url.partition("/")[0] else url


def item_id(text: str) -> str:
    """An id for a file's name, one for each: percent-encoded but for letters, digits and spaces.

    A long one is cut and ends in `~` and half a sha256.
    """
    name = quote(os.fsencode(text), safe=" ")
    if not name.strip("."):
        # `quote` leaves dots as they are, but `.` and `..` are folders.
        return name.replace(".", "%2E")
    if len(name) <= _MAX_ID_CHARS:
        return name
    # Two long names may begin alike: the digest of the whole keeps their ids apart.
    return f"{name[:80]}~{hashlib.sha256(os.fsencode(text)).hexdigest()[:32]}"


def turns_text(text: str) -> bool:
    """Whether it has control characters, line breaks, or marks that change the order of letters."""
    return any(
        unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(c) in _TURNING
        for c in text
    )
