"""HDR and wide gamuts come out as the SDR picture they were made from, whoever looks at them."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from video2gif.core.store import read_arrays
from video2gif.features.clips import video_pieces
from video2gif.features.sampled import picture
from video2gif.fingerprint import decode as fingerprint
from video2gif.media.decode import Decoder
from video2gif.media.light import Light, as_sdr
from video2gif.media.shown import Painter, Scaler, Shown, even_width
from video2gif.media.strips import filmstrip_work

MOST = 3.0  # ΔE (CIE 1976) that a coded twin may be off, as a mean: just noticed side by side.
# ITU-R BT.2087: linear BT.709 → BT.2020.
TO_2020 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], np.float64
)
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
LUMA_2020, LUMA_709 = np.array([0.2627, 0.6780, 0.0593]), np.array([0.2126, 0.7152, 0.0722])
TRANSFERS = {"PQ": "smpte2084", "HLG": "arib-std-b67", "": "bt709"}


def scene(number: int = 0) -> np.ndarray:
    """Soft gradients, dark to light, as coloured as films are; uint8 (144, 256, 3)."""
    y, x = np.mgrid[:144, :256] / np.array([143, 255])[:, None, None]
    red = 0.15 + 0.6 * x + 0.1 * np.sin(6 * y + number)
    green = 0.1 + 0.6 * y + 0.15 * np.cos(5 * x + number)
    blue = 0.6 - 0.4 * x * y
    rgb = np.stack([red, green, blue], axis=-1)
    rgb = 0.4 * rgb + 0.6 * rgb.mean(axis=-1, keepdims=True)
    return (255 * rgb.clip(0, 1)).round().astype(np.uint8)


def pq(light: np.ndarray) -> np.ndarray:
    """Of multiples of white; white has 203 nits (BT.2408). SMPTE ST 2084."""
    m1, m2 = 0.1593017578125, 78.84375
    power = (light * 203 / 10000) ** m1
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** m2


def hlg(display: np.ndarray) -> np.ndarray:
    """Of multiples of white, on a display of 1,000 nits with BT.2100's OOTF: white is 75 %."""
    display = display * 203 / 1000
    luminance = np.maximum(display @ LUMA_2020, 1e-9)[..., None]
    e = display * luminance ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(e <= 1 / 12, np.sqrt(3 * e), a * np.log(np.maximum(12 * e - b, 1e-9)) + c)


def coded(rgb: np.ndarray, hdr: str, is_wide: bool) -> np.ndarray:
    """The signal, 0 to 1, of an SDR picture in another light."""
    light = (rgb / 255.0) ** 2.4
    if is_wide:
        light = (light @ TO_2020.T).clip(0)
    return {"PQ": pq, "HLG": hlg, "": lambda one: one ** (1 / 2.4)}[hdr](light)


def planes(signal: np.ndarray, luma: np.ndarray, fmt: str, is_full: bool) -> VideoFrame:
    """ITU-R BT.709 and BT.2020's own sums, chroma as means of the pixels that share it."""
    bits = 10 if "10" in fmt else 8
    y = signal @ luma
    chroma = [(signal[..., n] - y) / (2 * (1 - luma[n])) for n in (2, 0)]
    if "444" not in fmt:
        chroma = [(one[:, ::2] + one[:, 1::2]) / 2 for one in chroma]
    if "420" in fmt:
        chroma = [(one[::2] + one[1::2]) / 2 for one in chroma]
    steps, top = 2 ** (bits - 8), 2**bits - 1
    if is_full:
        levels = [y * top, *(one * top + 128 * steps for one in chroma)]
    else:
        levels = [(16 + 219 * y) * steps, *((128 + 224 * one) * steps for one in chroma)]
    frame = VideoFrame(signal.shape[1], signal.shape[0], fmt)
    for plane, level in zip(frame.planes, levels, strict=True):
        kind = np.uint16 if bits > 8 else np.uint8
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size).view(kind)
        rows[: level.shape[0], : level.shape[1]] = level.round().clip(0, top)
    frame.color_range = 2 if is_full else 1
    return frame


def film(
    path: Path,
    *,
    hdr: str = "",
    is_wide: bool = False,
    fmt: str = "yuv420p",
    is_full: bool = False,
    rgbs: list[np.ndarray] | None = None,
    tags: Callable[[av.VideoStream], object] = lambda stream: None,
    extra: str = "",
    options: dict[str, str] | None = None,
) -> Path:
    """Two frames of the scene, coded by x264 with its light said in the stream."""
    said = ("bt2020", "bt2020nc") if is_wide else ("bt709", "bt709")
    params = f"colorprim={said[0]}:transfer={TRANSFERS[hdr]}:colormatrix={said[1]}{extra}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 144, 256, fmt
        params += f":fullrange={'on' if is_full else 'off'}"
        stream.options = {"crf": "4", "x264-params": params, **(options or {})}
        tags(stream)
        for number, rgb in enumerate(rgbs or [scene(0), scene(1)]):
            luma = LUMA_2020 if is_wide else LUMA_709
            frame = planes(coded(rgb.astype(float), hdr, is_wide), luma, fmt, is_full)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def lab(rgb: np.ndarray) -> np.ndarray:
    code = rgb / 255.0
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    xyz = light @ TO_XYZ.T / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


def delta_e(a: np.ndarray, b: np.ndarray) -> float:
    """Mean colour difference, CIE 1976."""
    return float(np.sqrt(((lab(a) - lab(b)) ** 2).sum(axis=-1)).mean())


def seen(path: Path, height: int = 144) -> list[np.ndarray]:
    painter = Painter()
    with Decoder(path) as decoder:
        return [
            painter.pixels(frame, even_width(frame, height), height)
            for _, frame in decoder.frames()
        ]


KINDS = [
    pytest.param({"fmt": "yuv420p10le"}, id="10-bit"),
    pytest.param({"fmt": "yuv422p"}, id="422"),
    pytest.param({"fmt": "yuv444p"}, id="444"),
    pytest.param({"is_full": True}, id="full-range"),
    pytest.param({"is_wide": True, "fmt": "yuv420p10le"}, id="BT.2020"),
    pytest.param({"is_wide": True, "fmt": "yuv420p"}, id="BT.2020-8-bit"),
    pytest.param({"is_wide": True, "hdr": "HLG", "fmt": "yuv420p10le"}, id="HLG"),
    pytest.param({"is_wide": True, "hdr": "HLG", "fmt": "yuv422p10le"}, id="HLG-422"),
    pytest.param({"is_wide": True, "hdr": "HLG", "fmt": "yuv420p"}, id="HLG-8-bit"),
    pytest.param({"is_wide": True, "hdr": "PQ", "fmt": "yuv420p10le"}, id="PQ"),
    pytest.param(
        {"is_wide": True, "hdr": "PQ", "fmt": "yuv444p10le", "is_full": True}, id="PQ-444-full"
    ),
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_twin_looks_like_the_sdr_picture(tmp_path: Path, kind: dict[str, object]):
    pictures = seen(film(tmp_path / "a.mkv", **kind))  # type: ignore[arg-type]
    assert max(delta_e(got, scene(n)) for n, got in enumerate(pictures)) <= MOST


HDR = {"hdr": "HLG", "is_wide": True, "fmt": "yuv420p10le"}


def test_a_turned_hdr_film_in_long_pixels_has_its_shape_and_its_colours(tmp_path: Path):
    def turned(stream: av.VideoStream) -> None:
        stream.set_display_rotation(90)  # type: ignore[attr-defined]

    path = film(tmp_path / "a.mp4", tags=turned, extra=":sar=4/3", **HDR)  # type: ignore[arg-type]
    plain = film(tmp_path / "b.mp4", tags=turned, extra=":sar=4/3")
    (got, _), (wanted, _) = seen(path, 340), seen(plain, 340)
    assert got.shape == wanted.shape == (340, 144, 3)
    assert delta_e(got, wanted) <= MOST


def test_an_interlaced_hdr_film_has_no_combs_and_its_colours(tmp_path: Path):
    interlaced = {"flags": "+ildct+ilme"}
    path = film(tmp_path / "a.mkv", extra=":tff=1", options=interlaced, **HDR)  # type: ignore[arg-type]
    with Decoder(path) as decoder:
        assert all(frame.interlaced_frame for _, frame in decoder.frames())
    assert delta_e(seen(path)[0], scene(0)) <= MOST


def test_transparent_hdr_stands_before_white():
    """HLG's code of white is 75 %; what libav's frame has of it is 8 bits of each channel."""
    rgba = np.dstack([(255 * coded(scene(), "HLG", True)).round(), np.full((144, 256), 255.0)])
    rgba[:, 128:, 3] = 0
    frame = VideoFrame.from_ndarray(rgba.astype(np.uint8), format="rgba")
    frame.color_trc, frame.color_primaries = 18, 9
    pixels = Painter().pixels(Shown(Fraction(1))(frame), 256, 144)
    assert delta_e(pixels[:, :128], scene()[:, :128]) <= MOST
    assert (pixels[:, 128:] >= 250).all()


def test_light_above_white_keeps_its_order_and_its_hue():
    nits = np.array([100, 203, 300, 400, 600, 1000])
    grey = (65535 * pq(nits / 203)).round().astype(np.uint16)[None, :, None].repeat(3, axis=2)
    shown = as_sdr(grey, Light("PQ", "BT.2020"))[0, :, 1]
    assert (np.diff(shown.astype(int)) > 0).all()
    assert shown[1] >= 245
    assert shown[-1] == 255
    orange = (65535 * pq(np.array([[[4.0, 2.0, 0.5]]]))).astype(np.uint16)
    red, green, blue = (as_sdr(orange, Light("PQ", "BT.709"))[0, 0] / 255.0) ** 2.4
    assert (green / red, blue / red) == pytest.approx((0.5, 0.125), abs=0.01)


@pytest.mark.parametrize("hdr", ["HLG", "PQ"])
def test_whoever_measures_an_hdr_film_sees_the_sdr_picture(tmp_path: Path, hdr: str):
    """Fingerprint, filmstrip and the networks' input, beside those of the SDR twin."""
    paths = [
        film(tmp_path / "hdr.mkv", **{**HDR, "hdr": hdr}),  # type: ignore[arg-type]
        film(tmp_path / "sdr.mkv"),
    ]
    prints, nets, clips, strips = [], [], [], []
    for path in paths:
        out = tmp_path / "out"
        fingerprint.work(out=out, params={"max_bad_packets": 0.05}, path=str(path), kind="video")
        prints.append(read_arrays(out.read_bytes())[0])
        filmstrip_work(out=out, params={}, path=str(path), n_frames=2)
        strips.append(out.stat().st_size)
        with Decoder(path) as decoder:
            nets.append([picture(Scaler(), f, 96, 96) for _, f in decoder.frames()])
        with Decoder(path) as decoder:
            clips.append(next(iter(video_pieces(decoder.frames(), [(0, 2)]))))
    off = np.abs(prints[0]["thumbs"].astype(int) - prints[1]["thumbs"])
    assert off.max() <= 5  # levels of luma
    assert delta_e(nets[0][0], nets[1][0]) <= MOST
    assert delta_e(clips[0][0][..., ::-1], clips[1][0][..., ::-1]) <= MOST
    assert strips[0] == pytest.approx(strips[1], rel=0.05)


@pytest.mark.parametrize("hdr", ["HLG", "PQ"])
def test_a_panel_of_an_hdr_film_is_measured_as_the_sdr_picture(tmp_path: Path, hdr: str):
    thumbs = []
    for name, kind in (("hdr.mkv", {**HDR, "hdr": hdr}), ("sdr.mkv", {})):
        path, out = film(tmp_path / name, **kind), tmp_path / "out"  # type: ignore[arg-type]
        asked = {"params": {"max_bad_packets": 0.05}, "path": str(path), "kind": "video"}
        fingerprint.work(out=out, box=(0.0, 0.0, 0.5, 1.0), **asked)  # type: ignore[arg-type]
        thumbs.append(read_arrays(out.read_bytes())[0]["thumbs"].astype(int))
    assert np.abs(thumbs[0] - thumbs[1]).max() <= 5  # levels of luma


def test_the_light_of_a_frame_is_noted_before_another_thread_scales_it(tmp_path: Path):
    """PyAV blots out transfer and primaries while it scales; what `Shown` noted stays."""
    with Decoder(film(tmp_path / "a.mkv", **HDR)) as decoder:  # type: ignore[arg-type]
        _, frame = next(decoder.frames())
        frame.color_trc, frame.color_primaries = 2, 2
        assert delta_e(Painter().pixels(frame, 256, 144), scene(0)) <= MOST


@pytest.mark.parametrize("format", ["rgb24", "bgr24", "gray8"])
def test_ordinary_frames_are_libswscale_s_own_bytes(tmp_path: Path, format: str):
    scaler, own = Scaler(), VideoReformatter()
    with Decoder(film(tmp_path / "a.mkv")) as decoder:
        for _, frame in decoder.frames():
            got = scaler(frame, 100, 50, format, interpolation=Interpolation.AREA).to_ndarray()
            wanted = own.reformat(frame, 100, 50, format, interpolation="AREA").to_ndarray()
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["hlg.mp4", "pq.mp4"])
def test_twins_made_by_zscale_look_like_their_film(realdata: Path, name: str):
    """Its HLG raises each channel to the display's gamma, not the luminance as BT.2100 does."""
    path = realdata / "cases" / name
    if not path.is_file():
        pytest.skip(f"missing: {path}")
    scaler, first = Scaler(), 150
    with Decoder(realdata / "videos" / "creatures.mp4") as decoder:
        frames = [f for n, (_, f) in zip(range(first + 30), decoder.frames(), strict=False)]
    # The recipe takes the film for BT.709.
    wanted = [
        scaler(f, 640, 360, "rgb24", matrix=Colorspace.ITU709).to_ndarray() for f in frames[first:]
    ]
    off = [delta_e(a, b) for a, b in zip(seen(path, 360), wanted, strict=False)]
    assert np.mean(off) <= MOST
