"""Frames in presentation order with their own times, whatever the file does."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video2gif.core.errors import ItemError
from video2gif.media.clock import Clock
from video2gif.media.decode import Decoder
from video2gif.media.encode import write_gif


class Container:
    """What a clock asks of one."""

    start_time = None

    class format:
        name = "matroska,webm"


class Stream:
    """Likewise."""

    time_base = Fraction(1, 100)
    average_rate = Fraction(25)


BLOCKS = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
PICTURE = BLOCKS.repeat(16, 0).repeat(16, 1)  # (96, 128, 3)
TICK = Fraction(1, 1000)
INTERLACED = "8758c2040a07c7bc"
"""Of the three interlaced frames, as libx264 165 and libav 62 made and read them."""


def write(
    path: Path,
    *,
    pts_ms: Sequence[int] = tuple(range(0, 1200, 40)),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    time_base: Fraction = TICK,
    options: dict[str, str] | None = None,
    rotate: tuple[int, bool] | None = None,
    picture: np.ndarray = PICTURE,
) -> None:
    """A film of `picture` sliding right by 2 pixels a frame, at the given times."""
    with av.open(str(path), "w", options={"video_track_timescale": "1000"}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], pix_fmt
        stream.codec_context.time_base = time_base
        stream.options = options or {}
        if rotate:
            stream.set_display_rotation(rotate[0], hflip=rotate[1])
        for number, pts in enumerate(pts_ms):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, 2 * number, 1), format="rgb24")
            frame.pts, frame.time_base = int(pts * TICK / time_base), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def decoded(
    path: Path, *, threads: int = 1, from_s: float = 0.0
) -> tuple[list[float], list[np.ndarray], Decoder]:
    with Decoder(path, threads=threads) as decoder:
        pairs = [(t, f.to_ndarray(format="rgb24")) for t, f in decoder.frames(from_s=from_s)]
    return [t for t, _ in pairs], [f for _, f in pairs], decoder


def digests(frames: Sequence[np.ndarray]) -> list[str]:
    return [hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames]


def resembles(frame: np.ndarray, picture: np.ndarray) -> bool:
    """Equal but for what lossy coding does (measured: below 8 grey levels on average)."""
    return frame.shape == picture.shape and np.abs(frame.astype(int) - picture).mean() < 12


def test_A10_variable_frame_rate_keeps_its_own_times(tmp_path: Path) -> None:
    pts_ms = np.cumsum([0, *[33, 100, 20] * 9]).tolist()
    write(tmp_path / "a.mp4", pts_ms=pts_ms)
    times, frames, decoder = decoded(tmp_path / "a.mp4")
    np.testing.assert_allclose(times, np.array(pts_ms) / 1000, atol=1e-9)
    assert len(frames) == decoder.packets == 28
    assert (decoder.bad_packets, decoder.repaired_pts) == (0, 0)
    assert decoder.end_s > times[-1]


def test_A11_time_begins_at_the_first_frame_and_gaps_stay(tmp_path: Path) -> None:
    write(tmp_path / "a.mkv", pts_ms=[500, 540, 580, 5000, 5040])
    assert decoded(tmp_path / "a.mkv")[0] == pytest.approx([0, 0.04, 0.08, 4.5, 4.54])


def test_A13_23_976_does_not_drift_in_an_hour(tmp_path: Path) -> None:
    tick = Fraction(1001, 24000)
    path = tmp_path / "a.mp4"
    pts = [0, 24 * 1800, 24 * 3600]
    write(path, pts_ms=[float(p * tick * 1000) for p in pts], time_base=TICK)  # type: ignore[misc]
    times = decoded(path)[0]
    assert times == pytest.approx([float(p * tick) for p in pts], abs=0.001)


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_E7_threads_change_nothing(tmp_path: Path, threads: int, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    write(path, options={"bf": "3", "g": "250"})
    one, many = decoded(path), decoded(path, threads=threads)
    assert one[0] == many[0]
    assert digests(one[1]) == digests(many[1])


@pytest.mark.parametrize("extension", ["mp4", "mkv", "ts"])
def test_A12_beginning_later_gives_the_same_frames(tmp_path: Path, extension: str) -> None:
    """A12: B-frames and long groups of pictures; the sequential decode is the oracle."""
    path = tmp_path / f"a.{extension}"
    write(path, pts_ms=range(0, 4000, 40), options={"bf": "3", "g": "30", "sc_threshold": "0"})
    times, frames, _ = decoded(path)
    for from_s in (0.04, 1.2, 2.39, 3.96, 99.0):
        later_times, later_frames, decoder = decoded(path, from_s=from_s)
        n = len(later_times)
        assert later_times == times[-n:]
        assert digests(later_frames) == digests(frames[-n:])
        assert later_times[0] <= from_s
        if extension != "ts":
            assert decoder.packets <= 35 + n, "key frames are not used"


def test_A6_one_damaged_packet_costs_at_most_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write(path, codec="mpeg4", options={"g": "1"})
    content = bytearray(path.read_bytes())
    middle = content.index(b"\0\0\1\xb6", len(content) // 2)  # a picture's start code
    content[middle : middle + 400] = np.random.default_rng(1).bytes(400)
    path.write_bytes(content)
    times, _, decoder = decoded(path)
    assert decoder.bad_packets == 1
    assert decoder.packets == 30
    assert len(times) >= 29


def test_a_cut_file_gives_its_frames_and_a_bad_packet(tmp_path: Path) -> None:
    write(tmp_path / "a.flv")
    content = (tmp_path / "a.flv").read_bytes()
    (tmp_path / "a.flv").write_bytes(content[: len(content) * 7 // 10])
    times, _, decoder = decoded(tmp_path / "a.flv")
    assert 0 < len(times) < 30
    assert decoder.bad_packets == 1


@pytest.mark.parametrize("extension", ["mkv", "webm", "flv", "ts"])
def test_A7_a_header_alone_has_no_frames(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    write(path, codec="libvpx" if extension == "webm" else "libx264")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ItemError) as caught:
        decoded(path)
    assert caught.value.cause == "no_frames"


@given(st.lists(st.one_of(st.none(), st.integers(-20, 20)), min_size=1, max_size=12))
def test_A11_times_strictly_increase_whatever_the_steps(steps: list[int | None]) -> None:
    """A11: missing, repeated and backward PTS (steps of 10 ms, from frame to frame)."""
    clock = Clock(Container(), Stream())  # type: ignore[arg-type]
    times, pts = [], 0
    for step in steps:
        frame = av.VideoFrame(16, 16, "gray")
        pts += step or 0
        frame.pts = None if step is None else pts
        if step is not None and times and clock._last - pts > 100:  # a second is forgiven
            with pytest.raises(ItemError, match="jumps back"):
                clock.time_s(frame)
            break
        times.append(clock.time_s(frame))
    assert times[0] == 0.0
    assert all(a < b for a, b in pairwise(times))
    assert clock.end_s > times[-1]


def test_A11_a_long_jump_back_is_an_error() -> None:
    clock = Clock(Container(), Stream())  # type: ignore[arg-type]
    frame = av.VideoFrame(16, 16, "gray")
    frame.pts = 1000
    clock.time_s(frame)
    frame.pts = 899
    with pytest.raises(ItemError, match=r"1\.01 s"):
        clock.time_s(frame)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_A16_rotation_is_applied(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    """A16. Oracle: numpy's quarter turns, counterclockwise as libav counts them, then mirrored."""
    write(tmp_path / "a.mp4", pts_ms=[0, 40], rotate=(degrees, mirrored))
    turned = np.rot90(PICTURE, degrees // 90)
    assert resembles(decoded(tmp_path / "a.mp4")[1][0], turned[:, ::-1] if mirrored else turned)


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (2, 2), (97, 129), (16, 7680), (7680, 16)],
    ids=["one-pixel", "tiny", "odd", "7680-wide", "7680-high"],
)
def test_A17_odd_sizes_work(tmp_path: Path, height: int, width: int) -> None:
    picture = np.resize(PICTURE, (height, width, 3))
    # H.264 has an even grid behind a crop; FFV1 codes the pixels as they are.
    write(tmp_path / "a.mkv", pts_ms=[0, 40], codec="ffv1", pix_fmt="bgr0", picture=picture)
    frame = decoded(tmp_path / "a.mkv")[1][0]
    np.testing.assert_array_equal(frame, picture)
    write(tmp_path / "a.mp4", pts_ms=[0, 40], pix_fmt="yuv444p", picture=picture)
    assert decoded(tmp_path / "a.mp4")[1][0].shape == (height, width, 3)


def test_A40_pixels_that_are_not_square_are_declared_and_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", pts_ms=[0, 40], options={"x264-params": "sar=4/3"})
    _, frames, decoder = decoded(tmp_path / "a.mp4")
    assert decoder.info.sample_aspect == Fraction(4, 3)
    assert frames[0].shape == PICTURE.shape


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [
        pytest.param("libx264", "yuv420p10le", id="10-bit"),
        pytest.param("libx264", "gray", id="gray"),
        pytest.param("png", "rgba", id="alpha"),
        pytest.param("libx264", "yuv444p", id="444"),
    ],
)
def test_A20_pixel_formats_become_8_bit_rgb(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    write(tmp_path / "a.mov", pts_ms=[0, 40], codec=codec, pix_fmt=pix_fmt)
    frame = decoded(tmp_path / "a.mov")[1][0]
    expected = PICTURE
    if pix_fmt == "gray":
        expected = (PICTURE @ [0.299, 0.587, 0.114])[..., None].repeat(3, 2).astype(np.uint8)
    assert frame.dtype == np.uint8
    assert resembles(frame, expected)


def test_A19_interlaced_frames_come_whole_and_the_same_each_time(tmp_path: Path) -> None:
    """Both fields of a frame, woven as they are coded; `media.shown` takes out the combs."""
    write(tmp_path / "a.mkv", pts_ms=[0, 40, 80], options={"flags": "+ildct+ilme"})
    times, frames, _ = decoded(tmp_path / "a.mkv")
    assert len(times) == 3
    assert resembles(frames[0], PICTURE)
    many = decoded(tmp_path / "a.mkv", threads=3)
    assert digests(many[1]) == digests(frames)
    assert hashlib.sha256("".join(digests(frames)).encode()).hexdigest()[:16] == INTERLACED


def test_A18_a_resolution_change_in_mid_stream_goes_on(tmp_path: Path) -> None:
    """A18. Transport streams may be joined end to end; times go on where libav says."""
    write(tmp_path / "a.ts", pts_ms=[0, 40, 80])
    write(tmp_path / "b.ts", pts_ms=[120, 160, 200], picture=np.resize(PICTURE, (64, 96, 3)))
    joined = tmp_path / "ab.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    times, frames, _ = decoded(joined)
    assert {frame.shape for frame in frames} == {(96, 128, 3), (64, 96, 3)}
    assert all(np.diff(times) > 0)


def gif(blocks: bytes, *, width: int = 4, height: int = 4, trailer: bytes = b"\x3b") -> bytes:
    """A GIF with a palette of black, red, green, blue."""
    palette = bytes([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    screen = width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\x91\0\0"
    return b"GIF89a" + screen + palette + blocks + trailer


def gif_frame(
    pixels: Sequence[int],
    *,
    box: tuple[int, int, int, int] = (0, 0, 4, 4),
    delay_cs: int = 10,
    disposal: int = 0,
    transparent: int | None = None,
) -> bytes:
    """One image, LZW with a clear code before every pixel: no dictionary is needed."""
    flags = disposal << 2 | (transparent is not None)
    control = bytes([0x21, 0xF9, 4, flags]) + delay_cs.to_bytes(2, "little")
    control += bytes([transparent or 0, 0])
    descriptor = b"\x2c" + b"".join(number.to_bytes(2, "little") for number in box) + b"\0"
    codes = [code for pixel in pixels for code in (4, pixel)] + [5]  # clear = 4, end = 5; 3 bits
    bits = sum(code << (3 * at) for at, code in enumerate(codes))
    data = bits.to_bytes((3 * len(codes) + 7) // 8, "little")
    return control + descriptor + b"\x02" + bytes([len(data)]) + data + b"\0"


def test_A25_a_gif_delay_of_0_counts_as_10_cs_and_others_as_they_are(tmp_path: Path) -> None:
    """A25: what libav 62's reader does (browsers also take 1 cs as 10 cs)."""
    delays = [0, 1, 2, 3, 65535]
    path = tmp_path / "a.gif"
    path.write_bytes(gif(b"".join(gif_frame([1] * 16, delay_cs=d) for d in delays)))
    times, _, decoder = decoded(path)
    assert np.diff([*times, decoder.end_s]) == pytest.approx([0.10, 0.01, 0.02, 0.03, 655.35])


@pytest.mark.parametrize(
    ("disposal", "left"),
    [
        pytest.param(0, 2, id="unspecified-keeps"),
        pytest.param(1, 2, id="keep"),
        pytest.param(2, 0, id="restore-to-background"),
        pytest.param(3, 1, id="restore-to-previous"),
    ],
)
def test_A26_gif_frames_are_composited(tmp_path: Path, disposal: int, left: int) -> None:
    """A26. Red canvas; a green 2 × 2 patch with `disposal`; then a blue pixel and transparency."""
    path = tmp_path / "a.gif"
    patch = gif_frame([2] * 4, box=(0, 0, 2, 2), disposal=disposal)
    last = gif_frame([0, 3], box=(2, 3, 2, 1), transparent=0)
    path.write_bytes(gif(gif_frame([1] * 16, disposal=1) + patch + last))
    frames = decoded(path)[1]
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]])
    expected = np.full((4, 4), 1)
    np.testing.assert_array_equal(frames[0], colours[expected])
    expected[:2, :2] = 2
    np.testing.assert_array_equal(frames[1], colours[expected])
    shown = expected.copy()
    shown[:2, :2], shown[3, 3] = left, 3
    if disposal == 2:  # Background is transparent, whatever colour lies under it.
        np.testing.assert_array_equal(frames[2][2:], colours[shown][2:])
    else:
        np.testing.assert_array_equal(frames[2], colours[shown])


def test_a_gif_of_one_frame_is_one_frame(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(gif(gif_frame([1] * 16)))
    times, frames, decoder = decoded(tmp_path / "a.gif")
    assert (times, len(frames), decoder.end_s) == ([0.0], 1, 0.1)


def test_A27_a_gif_without_trailer_gives_its_complete_frames(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(gif(gif_frame([1] * 16) * 3, trailer=b""))
    assert len(decoded(tmp_path / "a.gif")[0]) == 3


def test_A28_a_gif_frame_outside_its_canvas_harms_nothing(tmp_path: Path) -> None:
    outside = gif_frame([2] * 16, box=(3, 3, 4, 4))
    (tmp_path / "a.gif").write_bytes(gif(gif_frame([1] * 16) + outside))
    frames = decoded(tmp_path / "a.gif")[1]
    assert all(frame.shape == (4, 4, 3) for frame in frames)


def test_D3_a_gif_of_too_many_pixels_in_all_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gif(tmp_path / "a.gif", [PICTURE, PICTURE[::-1], PICTURE[:, ::-1]], delays_cs=10)
    monkeypatch.setattr("video2gif.media.decode.MAX_GIF_TOTAL_PIXELS", 2 * 96 * 128)
    with pytest.raises(ItemError) as caught:
        decoded(tmp_path / "a.gif")
    assert caught.value.cause == "too_large"


@pytest.mark.realdata
def test_real_gifs_have_the_times_pillow_reads(realdata: Path) -> None:
    from PIL import Image

    for path in sorted((realdata / "gifs").glob("bikes*.gif")):
        times, frames, decoder = decoded(path)
        with Image.open(path) as image:
            delays_ms = []
            for number in range(image.n_frames):
                image.seek(number)
                delays_ms.append(image.info["duration"])
        ends = np.cumsum(delays_ms) / 1000
        np.testing.assert_allclose([*times[1:], decoder.end_s], ends, atol=1e-9)
        assert len(frames) == len(delays_ms)
