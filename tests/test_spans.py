"""Frames of a span: the same whether they were jumped to or read from the start."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from video2gif.core.errors import ItemError
from video2gif.core.items import Context
from video2gif.make.progress import STEPS, shares_read, watched
from video2gif.media import seek as span_frames
from video2gif.media.decode import Decoder
from video2gif.media.seek import frames_between

FPS = 20


def coded(path: Path, *, codec: str = "libx264", seconds: int = 40, gop: int = 30) -> Path:
    """A film that changes all the time, in the container that the name asks for."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 255, (96, 128 + 4 * FPS * seconds, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options={"g": str(gop), "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.thread_count = 1
        for n in range(FPS * seconds):
            frame = VideoFrame.from_ndarray(wide[:, 4 * n : 4 * n + 128].copy(), format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module", params=["h264.ts", "mpeg2.ts", "mpeg2.mpg", "h264.mp4"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    codec = "libx264" if request.param.startswith("h264") else "mpeg2video"
    return coded(tmp_path_factory.mktemp("spans") / request.param, codec=codec)


def pixels(_: int, frame: VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="rgb24")


@pytest.mark.parametrize(("start", "end"), [(0, 5), (41, 60), (333, 390), (700, 760), (795, 800)])
def test_a_span_is_the_same_as_in_a_decode_from_the_start(film: Path, start: int, end: int):
    with Decoder(film) as decoder:
        whole = [(t, f.to_ndarray(format="rgb24")) for t, f in decoder.frames()]
        end_s = decoder.end_s
    edges_s = [*(t for t, _ in whole), end_s]
    end = min(end, len(whole))
    found = frames_between(film, edges_s[start], edges_s[end], expected=end - start, keep=pixels)
    np.testing.assert_allclose(found[0], edges_s[start:end], atol=1e-9)
    for (_, expected), got in zip(whole[start:end], found[1], strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_late_span_of_a_transport_stream_is_not_read_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = coded(tmp_path / "a.ts")
    with Decoder(path) as decoder:
        edges_s = [*(t for t, _ in decoder.frames()), decoder.end_s]
    monkeypatch.setattr(span_frames, "Decoder", None)  # It would be needed for that.
    found = frames_between(
        path, edges_s[700], edges_s[720], expected=20, keep=pixels, file_end_s=edges_s[-1]
    )
    assert len(found[1]) == 20


def test_a_stream_whose_times_begin_anew_is_read_from_the_start(tmp_path: Path):
    """Two recordings in one file: a jump by time would land in the wrong one."""
    one, two = coded(tmp_path / "1.ts", seconds=12), coded(tmp_path / "2.ts", seconds=12, gop=11)
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    with Decoder(both) as decoder:
        wanted = [(t, pixels(0, f)) for t, f in decoder.frames() if 13 - 1e-6 <= t < 14 - 1e-6]
    times_s, found = frames_between(
        both, wanted[0][0], 14.0, expected=20, keep=pixels, file_end_s=24.0
    )
    assert times_s == [t for t, _ in wanted]
    np.testing.assert_array_equal(found, [f for _, f in wanted])


def test_a_span_with_other_frames_than_expected_is_refused(film: Path):
    with pytest.raises(ItemError, match="19 expected"):
        frames_between(film, 20.0, 21.0, expected=19, keep=pixels)


# Progress


def test_the_share_of_a_file_that_a_child_has_read(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    code = "import sys; f = open(sys.argv[1], 'rb', 0); f.read(250); print(flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert shares_read(path) == [0.25]
        assert shares_read(tmp_path / "b") == []
    finally:
        child.kill()
        child.wait()
    assert shares_read(path) == []


def test_progress_of_a_decode_is_told_in_thousandths(tmp_path: Path, context: Context):
    told: list[tuple[str, int, int]] = []
    told_context = Context(context.store, context.mapper, lambda *what: told.append(what))
    with watched(tmp_path / "a", told_context) as inner:
        inner.progress("decode", 0, 1)
        inner.progress("decode", 1, 1)
        inner.progress("features", 1, 2)
        inner.progress("encode", 2, 6)
    assert told[:3] == [("decode", 0, STEPS), ("decode", STEPS, STEPS), ("features", 500, STEPS)]
    assert told[-1] == ("encode", 2, 6)
