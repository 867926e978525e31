"""What the headers of an answer say: its length, version and part, and when to come back."""

import email.utils
import re
import time
from dataclasses import dataclass

import httpx

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)


@dataclass(frozen=True)
class ByteRange:
    """What a 206 says that it holds, in bytes."""

    start: int
    size: int
    total: int
    """Of the whole file."""


def part_of(response: httpx.Response) -> ByteRange | None:
    """The one part of an answer; None where it says none that can be, or in an encoding."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if not found or response.headers.get("Content-Encoding", "identity") != "identity":
        return None
    first, last, total = (int(number) for number in found.groups())
    return ByteRange(first, last + 1 - first, total) if first <= last < total else None


def announced(response: httpx.Response) -> int | None:
    """Content-Length in bytes; None for a chunked body or one that ends with the connection."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def validator(response: httpx.Response) -> str:
    """A strong ETag or Last-Modified of an answer that can be continued, or ""."""
    headers = response.headers
    if headers.get("Content-Encoding", "identity") != "identity":
        return ""
    etag = headers.get("ETag", "")
    if etag:
        return etag if etag.startswith('"') else ""
    modified, date = headers.get("Last-Modified", ""), headers.get("Date", "")
    # Strong only if it is older than the answer (RFC 9110, 8.8.2.2): else it may change unseen.
    return modified if _seconds(date) - _seconds(modified) >= 1 else ""


def _seconds(date: str) -> float:
    """An HTTP date in seconds since 1970, or NaN."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return float("nan")


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks us to wait, or None."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    wait_s = _seconds(text) - time.time()
    return max(0.0, wait_s) if wait_s == wait_s else None
