"""What a video is, said once: names, content, whether it is read, and what to do if it is not.

Folders and globs go by suffix; whether a file is taken goes by its content (`media.sniff`), and
libav opens just the demuxers that stand here. Everybody asks this table: the command line, the
watcher, the review page, the pipeline.
"""

from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class FileKind:
    """One kind of file."""

    name: str
    """By content; also the extension that a file of this kind gets from us."""
    title: str
    """As people call it."""
    suffixes: tuple[str, ...]
    """Lower case, without a dot."""
    demuxers: tuple[str, ...] = ()
    """libav's names of the formats that read it; none: it is not read."""
    is_clip: bool = False
    """Short and without sound: it is taken when it is named, not from a folder of videos."""
    remedy: str = ""
    """What to do with it if it is not read."""

    @property
    def is_read(self) -> bool:
        return bool(self.demuxers)


_MOV = ("mov,mp4,m4a,3gp,3g2,mj2",)
_WRAP = "wrap it first: ffmpeg -i FILE -c copy FILE.mp4"
_CONVERT = "convert it first: ffmpeg -i FILE FILE.mp4"
_STILL = "it is a still picture; nothing moves in it"

KINDS = (
    FileKind("mp4", "MP4", ("mp4", "m4v", "3gp", "3g2", "f4v"), _MOV),
    FileKind("mov", "QuickTime", ("mov", "qt"), _MOV),
    FileKind("mkv", "Matroska", ("mkv",), ("matroska,webm",)),
    FileKind("webm", "WebM", ("webm",), ("matroska,webm",)),
    FileKind("avi", "AVI", ("avi", "divx"), ("avi",)),
    FileKind("flv", "Flash video", ("flv",), ("flv",)),
    FileKind("ts", "MPEG transport stream", ("ts", "m2ts", "mts", "m2t"), ("mpegts",)),
    FileKind("mpg", "MPEG", ("mpg", "mpeg", "mpe", "vob", "m2v"), ("mpeg", "mpegvideo")),
    FileKind("ogv", "Ogg", ("ogv", "ogm"), ("ogg",)),
    FileKind("wmv", "Windows Media", ("wmv", "asf"), ("asf",)),
    FileKind("mxf", "MXF", ("mxf",), ("mxf",)),
    FileKind("dv", "DV", ("dv", "dif"), ("dv",)),
    FileKind("y4m", "YUV4MPEG", ("y4m",), ("yuv4mpegpipe",)),
    FileKind("ivf", "IVF", ("ivf",), ("ivf",)),
    # libav reads still WebPs only: `media.webp` makes a film of a moving one.
    FileKind("gif", "GIF", ("gif",), ("gif",), is_clip=True),
    FileKind("webp", "WebP", ("webp",), _MOV, is_clip=True),
    FileKind("avif", "AVIF", ("avif", "avifs"), _MOV, is_clip=True),
    FileKind("apng", "animated PNG", ("apng",), ("apng",), is_clip=True),
    FileKind("h264", "raw H.264", ("h264", "264", "avc"), remedy=f"it has no times; {_WRAP}"),
    FileKind("hevc", "raw H.265", ("h265", "265", "hevc"), remedy=f"it has no times; {_WRAP}"),
    FileKind("rm", "RealMedia", ("rm", "rmvb"), remedy=_CONVERT),
    FileKind("swf", "Flash", ("swf",), remedy="it is a program, not a film"),
    FileKind("png", "PNG", ("png",), remedy=_STILL),
    FileKind("jpg", "JPEG", ("jpg", "jpeg"), remedy=_STILL),
    FileKind("bmp", "BMP", ("bmp",), remedy=_STILL),
    FileKind("tiff", "TIFF", ("tif", "tiff"), remedy=_STILL),
    FileKind("pdf", "PDF", ("pdf",), remedy="name the video itself"),
    FileKind("zip", "ZIP archive", ("zip",), remedy="unpack it first"),
    FileKind("text/html", "web page", (), remedy="the address leads to a page, not to a file"),
    FileKind("application/json", "JSON", (), remedy="name the video itself"),
    FileKind("text/plain", "text", (), remedy="name the video itself"),
)

BY_NAME = {kind.name: kind for kind in KINDS}
DEMUXERS = tuple(dict.fromkeys(name for kind in KINDS for name in kind.demuxers))
_BY_SUFFIX = {suffix: kind for kind in KINDS for suffix in kind.suffixes}


def named(path: PurePath) -> FileKind | None:
    """What a file's name says it is; None for a name that says nothing known here."""
    return _BY_SUFFIX.get(path.suffix.lower().removeprefix("."))


def suffixes(*, clips: bool) -> list[str]:
    """Of what is read, sorted; with or without GIFs and their like."""
    wanted = [kind for kind in KINDS if kind.is_read and (clips or not kind.is_clip)]
    return sorted(suffix for kind in wanted for suffix in kind.suffixes)


def refusal(name: str) -> str:
    """Why content of this kind (`Content.kind`) is not taken, and what to do."""
    kind = BY_NAME.get(name)
    if kind is None:
        return "content is unknown, not video or GIF; if it plays elsewhere, " + _CONVERT
    return f"content is {kind.name} ({kind.title}), not video or GIF: {kind.remedy}"


def of_demuxer(name: str) -> str:
    """The extension for what libav has opened with this demuxer though its head told nothing."""
    return next((kind.name for kind in KINDS if name in kind.demuxers), "bin")
