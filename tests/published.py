"""A synthetic metadata.txt of the Video2GIF release, with a known fault in a known line."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from video2gif.datasets.release import RELEASE_COLUMNS, SEPARATOR

FPS, N_FRAMES = 25, 5000


def row(video_id: str, gif_id: str, **changed: str) -> dict[str, str]:
    """A good row: frames 250 to 325 are seconds 10 to 13."""
    cell = dict.fromkeys(RELEASE_COLUMNS, "x")
    cell |= {
        "youtube_id": video_id,
        "gif_id": gif_id,
        "gif_url": f"https://example.org/{gif_id}.gif",
        "gif_start_frame": "250",
        "gif_end_frame": "325",
        "gif_start_sec": "10.0",
        "gif_end_sec": "13.0",
        "gif_views": "1234",
        "gif_age": "300",
        "video_title": 'A "fine" title; with a semicolon, and 🎬 é e\u0301',
        "video_duration": str(N_FRAMES / FPS),
        "video_frame_count": str(N_FRAMES),
        "video_category": "Entertainment",
        "video_description": "What a description says. " * 20,
    }
    return cell | changed


def line(cell: dict[str, str]) -> bytes:
    return SEPARATOR.join(cell.values()).encode()


def changed(**cells: str) -> Callable[[dict[str, str]], bytes]:
    """The line of a row with some cells replaced."""
    return lambda cell: line(cell | cells)


BROKEN: dict[str, Callable[[dict[str, str]], bytes]] = {
    "short": lambda cell: line(cell).rsplit(SEPARATOR.encode(), 1)[0],
    "long": lambda cell: line(cell) + b";\tmore",
    "title-with-separator": changed(video_title="half;\tother half"),
    "quoted": lambda cell: SEPARATOR.join(f'"{text}"' for text in cell.values()).encode(),
    "commas": lambda cell: ",".join(cell.values()).encode(),
    "nul": changed(video_title="a\0b"),
    "bom": lambda cell: b"\xef\xbb\xbf" + line(cell),
    "utf-16": lambda cell: line(cell).decode().encode("utf-16").replace(b"\n", b"").strip(),
    "path-id": changed(youtube_id="../../x"),
    "no-id": changed(youtube_id=""),
    "5000-characters-id": changed(youtube_id="x" * 5000),
    "id-with-escape": changed(youtube_id="a\x1b[31m"),
    "gif-id-path": changed(gif_id="/etc/x"),
    "frame-second-apart": changed(gif_start_frame="264"),
    "end-frame-too-late": changed(gif_end_frame="5001", gif_end_sec="200.0"),
    "end-second-too-late": changed(gif_end_frame="5000", gif_end_sec="200.6"),
    "start-after-end": changed(gif_start_frame="325", gif_end_frame="250"),
    "empty-span": changed(gif_start_sec="13.0"),
    "negative": changed(gif_start_frame="-25", gif_start_sec="-1"),
    "no-number": changed(gif_end_sec="NaN"),
}
TOLERATED: dict[str, Callable[[dict[str, str]], bytes]] = {
    "crlf": lambda cell: line(cell) + b"\r",
    "latin-1": lambda cell: SEPARATOR.join((cell | {"video_title": "café"}).values()).encode(
        "latin-1"
    ),
    "half-a-second-apart": changed(gif_start_frame="262"),
    "rounded-frame": changed(gif_start_frame="250.4"),
}
UNKNOWN_VIEWS = ("NaN", "12,345", "-1", "1e30", "")
AWKWARD_IDS = ("-x", "_x", "0123456", "NA", "1e5", "nan", "None", "TRUE")


@dataclass(frozen=True)
class Expected:
    """What a reader must make of the file."""

    bad_lines: set[int]
    merged_lines: set[int]
    unknown_views: set[int]


def write(path: Path, *, n_rows: int, seed: int = 0) -> Expected:
    """`n_rows` rows, one in a hundred broken, every kind of fault in turn."""
    source = random.Random(seed)
    # The first hundred are good: conflicts and repeats refer to them.
    faults = dict(zip(source.sample(range(100, n_rows), n_rows // 100), _kinds(), strict=False))
    found = Expected(set(), set(), set())
    with path.open("wb") as file:
        file.write(b"\xef\xbb\xbf" + SEPARATOR.join(RELEASE_COLUMNS).encode() + b"\r\n")
        for n in range(n_rows):
            file.write(_line(n, faults.get(n, ""), source, found) + b"\n")
    return found


def _kinds() -> Iterator[str]:
    while True:
        yield from [*BROKEN, "conflict"]


def _line(n: int, fault: str, source: random.Random, found: Expected) -> bytes:
    video = AWKWARD_IDS[n] if n < len(AWKWARD_IDS) else f"v{n // 3:09d}"
    cell = row(video, f"g{n}")
    if fault:
        found.bad_lines.add(n + 2)
    if fault == "conflict":
        # Of a GIF of the first hundred: neither of the two can be believed.
        first = 10 + sum(number < 100 for number in found.merged_lines)
        found.merged_lines.add(first + 2)
        return line(row(f"v{first // 3:09d}", f"g{first}", gif_views="77"))
    if fault:
        return BROKEN[fault](cell)
    if n % 1000 == 999:
        found.merged_lines.add(n + 2)
        return line(row(AWKWARD_IDS[5], "g5"))
    if n % 50 == 48:
        cell["gif_views"] = source.choice(UNKNOWN_VIEWS)
        found.unknown_views.add(n + 2)
    if n % 40 == 7:
        return source.choice(list(TOLERATED.values()))(cell)
    return line(cell)
