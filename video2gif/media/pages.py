"""Videos behind the pages of video sites, by yt-dlp; never its generic extractor.

Held to: one video, no fragment skipped, no size above the limit, no config file, plugin or cache;
its own downloaders only, no external program; and connections by way of `core.egress`. Where this
runs, in a child, the kernel refuses programs and other connections, whatever yt-dlp tries.
Not verified against a real site: the machine this was written on reaches none.
"""

import importlib
import os
import tempfile
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from video2gif.core.egress import guarded_sockets
from video2gif.core.errors import ItemError

_KNOWN_SITES = ("youtube.com", "youtu.be", "vimeo.com", "dailymotion.com")

# What yt-dlp fetches itself. The others (rtmp, rtsp, mms, live chats) need a program.
_NATIVE = "[protocol~='^(https?|m3u8|m3u8_native|http_dash_segments|ism|f4m)$']"
# Pictures are read at 128×171 and GIFs are 240 high: more lines only cost bytes. No sound.
_FORMAT = "/".join(
    f"{kind}{_NATIVE}{height}" for height in ("[height<=720]", "") for kind in ("bv*", "b")
)
_NOWHERE = "/nonexistent"


class _Silent:
    """Takes yt-dlp's log, which repeats whole urls: their queries may be signed.

    What matters comes as an exception. No logger of Python's: whoever configures logging may switch
    a disabled one on again (`logging.config.dictConfig` does).
    """

    def debug(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def error(self, message: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class PageLimits:
    """What a page's video may cost, and where it may come from."""

    max_bytes: int
    allow_private: bool


def is_known_site(url: str) -> bool:
    """Whether the host is a site whose urls are always pages."""
    try:
        host = urllib.parse.urlsplit(url).hostname or ""
    except ValueError:
        return False
    return any(host == site or host.endswith(f".{site}") for site in _KNOWN_SITES)


def has_extractor(url: str) -> bool:
    """Whether yt-dlp knows this very kind of page (its generic extractor does not count)."""
    extractors = _yt_dlp().extractor.list_extractor_classes()
    return any(one.suitable(url) for one in extractors if one.IE_NAME != "generic")


def fetch_page(url: str, target: Path, *, limits: PageLimits) -> None:
    """Fetch the page's video to `target`, by way of a folder beside it.

    Raises `ItemError` (http, refused, too_large).
    """
    yt_dlp = _yt_dlp()
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        with guarded_sockets(allow_private=limits.allow_private) as refusals:
            try:
                # Its HLS downloader looks for ffmpeg without its options.
                yt_dlp.postprocessor.FFmpegPostProcessor._ffmpeg_location.set(_NOWHERE)
                with yt_dlp.YoutubeDL(options(Path(folder), limits)) as downloader:
                    downloader.extract_info(url, download=True)
            except yt_dlp.utils.YoutubeDLError as error:
                raise (refusals[0] if refusals else _as_item_error(error)) from None
        _take_only_file(Path(folder), target, limits)


def options(folder: Path, limits: PageLimits) -> dict[str, Any]:
    """yt-dlp's options; its Python interface reads no config file."""

    def stop_when_too_large(progress: dict[str, Any]) -> None:
        # Not what yt-dlp says alone: it forgets fragments, and parts that it has put aside.
        on_disk = sum(path.stat().st_size for path in folder.iterdir())
        if max(progress.get("downloaded_bytes") or 0, on_disk) > limits.max_bytes:
            raise ItemError("too_large", f"more than download.max_bytes = {limits.max_bytes}")

    return {
        "format": _FORMAT,
        "outtmpl": str(folder / "video.%(ext)s"),
        "allowed_extractors": ["default", "-generic"],
        "noplaylist": True,
        "playlist_items": "1",
        "retries": 5,
        "extractor_retries": 3,
        "fragment_retries": 5,
        "skip_unavailable_fragments": False,
        "max_filesize": limits.max_bytes,
        "progress_hooks": [stop_when_too_large],
        "external_downloader": "native",
        "hls_prefer_native": True,
        "ffmpeg_location": _NOWHERE,
        "js_runtimes": {},
        "match_filter": _refuse_live,
        "updatetime": False,
        "fixup": "never",
        "postprocessors": [],
        "proxy": "",
        "cachedir": False,
        "socket_timeout": 30,
        "logger": _Silent(),
        "noprogress": True,
    }


def _refuse_live(info: dict[str, Any], *, incomplete: bool = False) -> str | None:
    """Why yt-dlp is to leave a video alone: a live one has no end, and needs a program."""
    return "it is live" if info.get("is_live") else None


def _yt_dlp() -> Any:
    # Read when yt-dlp is imported, which costs a second: therefore both here.
    os.environ["YTDLP_NO_PLUGINS"] = "1"
    return importlib.import_module("yt_dlp")


def _as_item_error(error: Exception) -> ItemError:
    cause = getattr(error, "exc_info", None)
    inner = cause[1] if cause else None
    if isinstance(inner, ItemError):
        return inner
    # Not its message: see _Silent.
    return ItemError("http", f"the site gave no video ({type(inner or error).__name__})")


def _take_only_file(folder: Path, target: Path, limits: PageLimits) -> None:
    files = sorted(folder.iterdir())
    if len(files) != 1:
        # Above max_filesize yt-dlp declines without an error.
        raise ItemError("http", f"{len(files)} files came of the page, not one; too large?")
    if files[0].stat().st_size > limits.max_bytes:
        raise ItemError("too_large", f"more than download.max_bytes = {limits.max_bytes}")
    os.replace(files[0], target)
