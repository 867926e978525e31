"""K1–K3, K5–K7, K13: what players show of a file, in its shape, colours and time."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image
from shapes import RED, bars, written

from video2gif.core.errors import ItemError
from video2gif.core.store import read_arrays
from video2gif.fingerprint import decode as fingerprint
from video2gif.fingerprint.planes import Colour
from video2gif.media import probe
from video2gif.media.decode import Decoder
from video2gif.media.encode import write_avif
from video2gif.media.shown import Painter, even_width, hdr_of
from video2gif.media.sniff import sniff

LEVELS = 4  # What a lossy coding of plain colours may be off.


def seen(path: Path, height: int = 96) -> list[tuple[float, np.ndarray]]:
    """Times and pictures, uint8 (height, width, 3) RGB, as a GIF would have them."""
    painter = Painter()
    with Decoder(path) as decoder:
        return [
            (t, painter.pixels(frame, even_width(frame, height), height))
            for t, frame in decoder.frames()
        ]


def printed(path: Path) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The fingerprint's arrays and notes."""
    out = path.with_name("out")
    fingerprint.work(out=out, params={"max_bad_packets": 0.05}, path=str(path), kind="video")
    return read_arrays(out.read_bytes())


def probed(path: Path) -> dict[str, float]:
    out = path.with_name("out")
    probe.work(out=out, params={}, path=str(path), kind="video")
    return read_arrays(out.read_bytes())[1]


@pytest.fixture
def cases(realdata: Path) -> Path:
    folder = realdata / "cases"
    if not folder.is_dir():
        pytest.skip(f"the cases' files are missing: {folder}")
    return folder


def test_K1_samples_that_an_edit_list_hides_are_not_missed(tmp_path: Path):
    """A trim without coding again: 40 samples, of which the first 15 only lead in."""
    path = written(tmp_path / "a.mp4", [bars()] * 40, options={"g": "40", "bf": "0"})
    content = bytearray(path.read_bytes())
    entry = content.index(b"elst") + 12  # duration (1/1000 s), then the first time shown
    length = int.from_bytes(content[entry : entry + 4])
    assert length == 4000
    tick = int.from_bytes(content[content.index(b"mdhd") + 16 :][:4])
    content[entry : entry + 4] = (2500).to_bytes(4)
    content[entry + 4 : entry + 8] = int(1.5 * tick).to_bytes(4)
    path.write_bytes(content)
    assert probed(path)["n_frames"] == len(printed(path)[0]["pts_s"]) == 25
    assert probed(path)["duration_s"] == pytest.approx(2.5, abs=0.05)


def test_K1_empty_samples_of_an_avi_prolong_the_picture_before_them(tmp_path: Path):
    ticks = [0, 3, 6, 9, 20, 23, 29]
    times = [Fraction(tick, 10) for tick in ticks]
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        for tick in ticks:
            frame = VideoFrame.from_ndarray(bars(), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    arrays, notes = printed(path)
    np.testing.assert_allclose(arrays["pts_s"], [float(t) for t in times], atol=1e-6)
    assert probed(path)["n_frames"] == len(ticks)
    assert notes["end_s"] == pytest.approx(3.0)


SQUARE = [
    pytest.param("a.mp4", {}, (128, 96), id="square"),
    pytest.param("a.mp4", {"x264-params": "sar=4/3"}, (170, 96), id="codec-says"),
]


@pytest.mark.parametrize(("name", "options", "size"), SQUARE)
def test_K2_the_picture_has_the_shape_its_codec_declares(
    tmp_path: Path, name: str, options: dict[str, str], size: tuple[int, int]
):
    path = written(tmp_path / name, [bars()] * 3, options=options)
    assert seen(path)[0][1].shape[1::-1] == size
    assert (probed(path)["width"], probed(path)["height"]) == (round(size[0] * 1.003), 96)


def test_K2_the_container_s_shape_stands_above_the_codec_s(tmp_path: Path):
    """VP9 has no word for it: it stands in the container alone."""

    def tags(stream):  # type: ignore[no-untyped-def]
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    path = written(tmp_path / "a.mp4", [bars()] * 3, codec="libvpx-vp9", tags=tags)
    assert seen(path)[0][1].shape == (96, 170, 3)


def test_K2_a_turned_picture_has_turned_pixels(tmp_path: Path):
    path = written(
        tmp_path / "a.mp4",
        [bars()] * 3,
        options={"x264-params": "sar=4/3"},
        tags=lambda stream: stream.set_display_rotation(90),
    )
    # 128 × 4/3 wide and 96 high, turned: 9 to 16.
    assert seen(path, height=240)[0][1].shape == (240, 134, 3)


def test_K2_a_shape_that_cannot_be_is_left_alone(tmp_path: Path):
    path = written(tmp_path / "a.mp4", [bars()] * 3, options={"x264-params": "sar=60000/1"})
    assert seen(path)[0][1].shape == (96, 128, 3)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "width"), [("sar.webm", 426), ("sar_pasp.mp4", 426), ("sar_rot.mp4", 134)]
)
def test_K2_cases_of_shape(cases: Path, name: str, width: int):
    assert seen(cases / name, height=240)[0][1].shape == (240, width, 3)


COLOURS = [
    pytest.param((720, 1280), None, id="hd-untagged"),
    pytest.param((720, 1280), "bt709", id="hd-709"),
    pytest.param((720, 1280), "smpte170m", id="hd-601"),
    pytest.param((96, 128), None, id="sd-untagged"),
    pytest.param((96, 128), "bt709", id="sd-709"),
]


@pytest.mark.parametrize(("size", "matrix"), COLOURS)
def test_K3_colours_come_out_as_players_show_them(
    tmp_path: Path, size: tuple[int, int], matrix: str | None
):
    """Where nothing is said, HD is BT.709 and the rest BT.601."""
    by_709 = matrix == "bt709" or (matrix is None and size[0] > 576)
    coded = VideoFrame.from_ndarray(bars(*size), format="rgb24").reformat(
        format="yuv420p", dst_colorspace="ITU709" if by_709 else "ITU601"
    )
    coded.colorspace = 2
    options = {"x264-params": f"colormatrix={matrix}"} if matrix else {}
    path = written(tmp_path / "a.mp4", [coded] * 2, options={"crf": "4", **options})
    pixels = seen(path, height=size[0])[0][1]
    assert np.abs(pixels[size[0] // 2, size[1] // 8].astype(int) - RED).max() <= LEVELS


@pytest.mark.realdata
def test_K3_the_case_of_an_untagged_film_in_hd(cases: Path):
    pixels = seen(cases / "709_untagged_hd.mp4", height=240)[0][1]
    assert np.abs(pixels[2, 2].astype(int) - RED).max() <= LEVELS


def clear(colour: tuple[int, int, int]) -> np.ndarray:
    """Bars of which the right half is transparent, over a colour nobody sees; uint8 RGBA."""
    picture = np.dstack([bars(), np.full((96, 128), 255, np.uint8)])
    picture[:, 64:] = (*colour, 0)
    return picture


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        pytest.param("a.webm", "libvpx-vp9", "yuva420p", id="vp9"),
        pytest.param("a.webm", "libvpx", "yuva420p", id="vp8"),
        pytest.param("a.mov", "png", "rgba", id="png"),
        pytest.param("a.mov", "qtrle", "argb", id="animation"),
    ],
)
def test_K3_what_is_transparent_shows_white_and_is_measured_so(
    tmp_path: Path, name: str, codec: str, pix_fmt: str
):
    options = {"auto-alt-ref": "0"} if codec.startswith("libvpx") else {}
    pictures = [clear((0, 255, 0)), clear((255, 0, 0)), clear((0, 0, 255))]
    path = written(
        tmp_path / name,
        pictures,
        codec=codec,
        pix_fmt=pix_fmt,
        options=options,
        tags=lambda stream: stream.metadata.update({"alpha_mode": "1"}),
    )
    for _, pixels in seen(path):
        assert np.abs(pixels[48, 100].astype(int) - 255).max() <= LEVELS
        assert np.abs(pixels[48, 8].astype(int) - RED).max() <= 6 * LEVELS  # at the default rate
    assert printed(path)[0]["content"].max() < 3, "a hidden colour was measured"


def test_K3_a_moving_webp_shows_white_behind_what_is_transparent(tmp_path: Path):
    path = tmp_path / "a.webp"
    images = [Image.fromarray(clear(colour)) for colour in ((0, 255, 0), (255, 0, 1))]
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=100, lossless=True, exact=True
    )
    assert [pixels[48, 100].tolist() for _, pixels in seen(path)] == [[255] * 3] * 2


@pytest.mark.parametrize(("trc", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG"), ("", "")])
def test_K3_high_dynamic_range_is_named(tmp_path: Path, trc: str, name: str):
    params = f"colorprim=bt2020:transfer={trc}:colormatrix=bt2020nc" if trc else "keyint=5"
    path = written(
        tmp_path / "a.mp4",
        [bars()] * 2,
        pix_fmt="yuv420p10le",
        options={"x264-params": params},
    )
    with Decoder(path) as decoder:
        assert {hdr_of(frame) for _, frame in decoder.frames()} == {name}


def test_K5_side_data_that_pyav_cannot_name_hides_nothing(tmp_path: Path):
    """JPEGs of a camera: their Exif block is of kind 31, and says how they are to be turned."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuvj420p"
        for number in range(5):
            exif, file = Image.Exif(), io.BytesIO()
            exif[0x0112] = 6  # Turn it clockwise.
            Image.fromarray(bars()).save(file, "JPEG", exif=exif, quality=95)
            packet = av.Packet(file.getvalue())
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 10), stream, True
            container.mux(packet)
    arrays, notes = printed(path)
    assert len(arrays["pts_s"]) == 5
    assert (notes["width"], notes["height"]) == (96, 128)
    assert np.abs(seen(path, height=128)[0][1][8, 48].astype(int) - RED).max() <= 3 * LEVELS


def test_K6_our_own_avif_is_read_as_the_clip_it_is(tmp_path: Path):
    path = tmp_path / "a.avif"
    pictures = [np.roll(bars(), 8 * n, axis=1) for n in range(12)]
    write_avif(path, pictures, delays_cs=[10] * 12)
    assert sniff(path).kind == "avif"
    found = seen(path)
    assert len(found) == probed(path)["n_frames"] == 12
    assert [t for t, _ in found] == pytest.approx([n / 10 for n in range(12)], abs=0.005)
    assert np.abs(found[5][1].astype(int) - pictures[5]).mean() < LEVELS


def test_K6_an_animated_png_is_read_and_a_still_one_named(tmp_path: Path):
    path = tmp_path / "a.png"
    images = [Image.fromarray(np.roll(bars(), 8 * n, axis=1)) for n in range(6)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=[50, 100] * 3)
    times, pictures = zip(*seen(path), strict=True)
    assert times == pytest.approx([0, 0.05, 0.15, 0.2, 0.3, 0.35])
    np.testing.assert_array_equal(pictures[3], np.asarray(images[3]))
    images[0].save(path)
    with pytest.raises(ItemError, match="still picture"):
        seen(path)


def test_K7_joined_recordings_go_on_where_the_last_one_ended(tmp_path: Path):
    parts = [
        written(
            tmp_path / f"{n}.ts",
            [np.roll(bars(), 4 * i, axis=n) for i in range(count)],
            options={"g": "5", "bf": "2"},
        )
        for n, count in enumerate((20, 35))
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    times = [t for t, _ in seen(path)]
    np.testing.assert_allclose(times, np.arange(55) / 10, atol=0.05)  # half a frame
    assert probed(path)["n_frames"] == 55
    assert probed(path)["duration_s"] == pytest.approx(5.5, abs=0.05)
    assert printed(path)[1]["end_s"] == pytest.approx(5.5, abs=0.05)


def late(path: Path, late_s: float) -> Path:
    """Two seconds of picture that begin `late_s` after the sound."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        video = container.add_stream("libx264", rate=10, options={"bf": "0"})
        video.height, video.width, video.pix_fmt = 96, 128, "yuv420p"
        for number in range(int((late_s + 2) * 8)):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), "fltp", "mono")
            silence.sample_rate, silence.pts = 8000, 1000 * number
            container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
        for number in range(20):
            frame = VideoFrame.from_ndarray(bars(), format="rgb24")
            frame.pts, frame.time_base = round(10 * late_s) + number, Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_K7_a_late_picture_keeps_the_players_clock(tmp_path: Path, name: str):
    path = late(tmp_path / name, 3.0)
    # A transport stream cannot hide the 1,024 samples with which AAC begins.
    begins_s = 3.128 if name == "a.ts" else 3.0
    arrays, notes = printed(path)
    half_a_frame_s = 0.05
    wanted = begins_s + np.arange(20) / 10
    np.testing.assert_allclose(arrays["pts_s"], wanted, atol=half_a_frame_s)
    assert notes["end_s"] == pytest.approx(begins_s + 2, abs=half_a_frame_s)
    assert probed(path)["duration_s"] == pytest.approx(notes["end_s"], abs=half_a_frame_s)
    with Decoder(path) as decoder:
        times = [t for t, _ in decoder.frames(from_s=4.0)]
    assert times[-1] == pytest.approx(arrays["pts_s"][-1])


def test_K7_a_picture_that_is_hardly_late_begins_at_0(tmp_path: Path):
    assert printed(late(tmp_path / "a.mkv", 0.2))[0]["pts_s"][0] == 0.0


def test_S8_a_frame_that_appears_after_a_day_is_refused_before_it_costs(tmp_path: Path):
    """12 kB with a gap in its edit list: 2,147,483 s."""
    path = written(
        tmp_path / "a.mkv", [bars()] * 3, times=[Fraction(0), Fraction(1), Fraction(60 * 60 * 13)]
    )
    for look in (probed, printed):
        with pytest.raises(ItemError) as caught:
            look(path)
        assert caught.value.cause == "too_large"


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_K13_an_interlaced_picture_has_no_combs(tmp_path: Path, codec: str):
    """Rows of two moments, woven: a bar that moves by 16 pixels from field to field."""
    options = {"flags": "+ildct+ilme", "b": "8000000"}
    if codec == "libx264":
        options["x264-params"] = "tff=1"
    woven = []
    for number in range(4):
        picture = np.full((96, 256, 3), 30, np.uint8)
        picture[0::2, 32 * number + 16 : 32 * number + 80] = 220
        picture[1::2, 32 * number + 32 : 32 * number + 96] = 220
        woven.append(picture)
    frames = []
    for picture in woven:
        frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frames.append(frame)
    path = written(tmp_path / "a.mkv", frames, codec=codec, options=options)
    with Decoder(path) as decoder:
        assert all(frame.interlaced_frame for _, frame in decoder.frames())
    for number, (_, pixels) in enumerate(seen(path)):
        luma = pixels[8:-8, :, 1].astype(int)
        combs = np.abs(luma[2::2] - 2 * luma[1:-1:2] + luma[:-2:2]).mean()
        plain = np.abs(woven[number][8:-8, :, 1].astype(int))
        before = np.abs(plain[2::2] - 2 * plain[1:-1:2] + plain[:-2:2]).mean()
        assert combs < before / 10


def test_shot_metrics_do_not_depend_on_what_lay_in_memory():
    """libswscale's fast BGRA leaves out columns at widths of 1 to 4 above a multiple of 16."""
    rng = np.random.default_rng(0)
    coded = VideoFrame.from_ndarray(rng.integers(0, 255, (96, 340, 3), np.uint8), format="rgb24")
    frame = coded.reformat(format="yuv420p")
    found = []
    for level in (0, 90, 200):
        litter = [np.full(340 * 96 * 4 + 64 * n, level, np.uint8) for n in range(16)]
        del litter
        found.append(Colour()(frame, (256, 72))[..., :3].copy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
