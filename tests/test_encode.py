"""What is written can be read back: same frames, same times, same bytes every run."""

import hashlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from video2gif.media.decode import Decoder
from video2gif.media.encode import Palette, delays_cs, write_gif, write_video, write_webp

LEVELS = np.random.default_rng(0).integers(0, 6, (6, 8, 3)).astype(np.uint8) * 51
PICTURE = LEVELS.repeat(16, 0).repeat(16, 1)  # (96, 128, 3), only web-safe colours


def sliding(n: int) -> list[np.ndarray]:
    return [np.roll(PICTURE, 4 * number, axis=1) for number in range(n)]


def read(path: Path) -> tuple[list[float], list[np.ndarray], float]:
    with Decoder(path) as decoder:
        pairs = [(t, f.to_ndarray(format="rgb24")) for t, f in decoder.frames()]
    return [t for t, _ in pairs], [f for _, f in pairs], decoder.end_s


def coded(number: int) -> np.ndarray:
    """A picture that tells its number: six bars, black or white, most significant bit first."""
    bits = np.array([number >> bit & 1 for bit in range(5, -1, -1)], np.uint8) * 255
    return np.broadcast_to(bits.repeat(16)[None, :, None], (72, 96, 3)).copy()


def numbers(frames: list[np.ndarray]) -> list[int]:
    """The numbers of `coded` pictures of any size."""
    found = []
    for frame in frames:
        bars = np.array_split(frame.mean(axis=(0, 2)), 6)
        found.append(sum(1 << (5 - at) for at, bar in enumerate(bars) if bar.mean() > 127))
    return found


@pytest.fixture
def counting(tmp_path: Path) -> Path:
    """Fifty frames at 25 a second, each telling its number."""
    write_video(tmp_path / "counting.mp4", (coded(n) for n in range(50)), fps=25)
    return tmp_path / "counting.mp4"


def test_a_video_keeps_its_frames_and_times(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", sliding(10), fps=Fraction(24000, 1001))
    times, frames, end_s = read(tmp_path / "a.mp4")
    assert times == pytest.approx([n * 1001 / 24000 for n in range(10)], abs=1e-4)
    assert end_s == pytest.approx(10 * 1001 / 24000, abs=1e-4)
    for frame, expected in zip(frames, sliding(10), strict=True):
        # Lossy, and colour at half the resolution: blocks of pure colours are its worst case.
        assert np.abs(frame.astype(int) - expected).mean() < 12


def test_odd_sizes_are_kept(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [PICTURE[:95, :127]] * 2, fps=10)
    assert read(tmp_path / "a.mp4")[1][0].shape == (95, 127, 3)


def test_the_index_of_a_video_stands_before_its_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", sliding(2), fps=10)
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


WRITERS: list[tuple[str, Callable[[Path], None]]] = [
    ("mp4", lambda path: write_video(path, sliding(40), fps=12)),
    ("full.gif", lambda path: write_gif(path, sliding(8), delays_cs=8)),
    ("diff.gif", lambda path: write_gif(path, sliding(8), delays_cs=8, palette="diff")),
    ("web.gif", lambda path: write_gif(path, sliding(8), delays_cs=8, palette="web")),
    ("webp", lambda path: write_webp(path, sliding(8), delays_cs=[8] * 8)),
]


@pytest.mark.parametrize(("name", "writer"), WRITERS, ids=[name for name, _ in WRITERS])
def test_the_same_frames_give_the_same_bytes(
    tmp_path: Path, name: str, writer: Callable[[Path], None]
) -> None:
    digests, ballast = set(), []
    for attempt in range(5):
        path = tmp_path / f"{attempt}.{name}"
        writer(path)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
        # Moves the next run's buffers: x264's mbtree differed only then.
        ballast.append(np.full(123_457 * (attempt + 1), 255, np.uint8))
    assert len(digests) == 1


@pytest.mark.parametrize("palette", ["full", "diff", "web"])
def test_gif_delays_are_exact_centiseconds(tmp_path: Path, palette: Palette) -> None:
    delays = [2, 3, 10, 50, 7]
    path = tmp_path / "a.gif"
    write_gif(path, sliding(5), delays_cs=delays, palette=palette)
    with Image.open(path) as image:  # An independent reader.
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append(image.info["duration"])
    assert found == [10 * delay for delay in delays]


def test_equal_gif_frames_are_not_merged(tmp_path: Path) -> None:
    write_gif(tmp_path / "a.gif", [PICTURE] * 4, delays_cs=9)
    times, _, end_s = read(tmp_path / "a.gif")
    assert times == pytest.approx([0, 0.09, 0.18, 0.27])
    assert end_s == pytest.approx(0.36)


@pytest.mark.parametrize(("loop", "expected"), [(0, 0), (3, 3), (-1, None)])
def test_gif_loops(tmp_path: Path, loop: int, expected: int | None) -> None:
    write_gif(tmp_path / "a.gif", sliding(2), delays_cs=10, loop=loop)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info.get("loop") == expected


def test_few_colours_survive_a_gif_exactly(tmp_path: Path) -> None:
    flat = [np.where(frame > 100, 255, 0).astype(np.uint8) for frame in sliding(4)]
    write_gif(tmp_path / "a.gif", flat, delays_cs=10, dither="none")
    for frame, expected in zip(read(tmp_path / "a.gif")[1], flat, strict=True):
        # palettegen averages in 5 bits a channel.
        assert np.abs(frame.astype(int) - expected).max() <= 4


def test_the_web_palette_holds_the_216_web_safe_colours(tmp_path: Path) -> None:
    write_gif(tmp_path / "a.gif", sliding(3), delays_cs=10, palette="web", dither="none")
    for frame, expected in zip(read(tmp_path / "a.gif")[1], sliding(3), strict=True):
        np.testing.assert_array_equal(frame, expected)
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    write_gif(tmp_path / "b.gif", [noise], delays_cs=10, palette="web")
    assert set(np.unique(read(tmp_path / "b.gif")[1][0])) <= set(range(0, 256, 51))


def test_nothing_to_encode_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no frames"):
        write_gif(tmp_path / "a.gif", [], delays_cs=10)


@given(st.integers(1, 50), st.integers(1, 200))
def test_delays_never_drift_from_the_frame_rate(fps: int, n_frames: int) -> None:
    delays = delays_cs(fps, n_frames)
    exact = [100 * (number + 1) / fps for number in range(n_frames)]
    assert np.abs(np.cumsum(delays) - exact).max() <= 0.5
    assert min(delays) >= 1
