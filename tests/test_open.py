"""What may be opened, and what is refused before it can do harm."""

import json
import os
import resource
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from video2gif.core.errors import ItemError
from video2gif.media import probe
from video2gif.media.decode import Decoder
from video2gif.media.encode import write_gif, write_video
from video2gif.media.open import open_container, video_stream
from video2gif.media.sniff import cut_short, sniff


def pictures(n: int, *, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """n frames of coloured blocks that slide to the right, (height, width, 3) uint8."""
    blocks = np.random.default_rng(0).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    picture = blocks.astype(np.uint8).repeat(8, 0).repeat(8, 1)[:height, :width]
    return [np.roll(picture, 2 * number, axis=1) for number in range(n)]


def write(path: Path, *, codec: str, pix_fmt: str = "yuv420p") -> None:
    """Twelve small pictures in the container that the name asks for."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for number, picture in enumerate(pictures(12)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 12)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def cause(path: Path) -> str:
    with pytest.raises(ItemError) as caught, open_container(path):
        pass
    return caught.value.cause


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    write_video(tmp_path / "clip.mp4", pictures(12), fps=12)
    return tmp_path / "clip.mp4"


def gif_header(width: int, height: int) -> bytes:
    return b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\x80\0\0"


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    assert cause(tmp_path / "none.mp4") == "missing"


def test_A1_an_empty_file_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert cause(tmp_path / "a.mp4") == "empty"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"<!DOCTYPE html><p>404", "text/html", id="html"),
        pytest.param(json.dumps({"error": 1}).encode(), "application/json", id="json"),
        pytest.param(b"Not found\n", "text/plain", id="text"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(50), "png", id="png"),
        pytest.param(os.urandom(4096), "", id="noise"),
    ],
)
def test_A29_what_is_no_media_is_named_by_its_content(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(content)
    assert sniff(path).kind == kind
    with pytest.raises(ItemError, match=kind or "unknown") as caught, open_container(path):
        pass
    assert caught.value.cause == "not_media"


def test_D9_playlists_that_name_other_files_are_refused(tmp_path: Path, clip: Path) -> None:
    lists = {
        "concat.mp4": f"ffconcat version 1.0\nfile {clip.name}\n",
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip.name}\n#EXT-X-ENDLIST\n",
        "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        assert cause(tmp_path / name) == "not_media", name


def test_playlists_would_open_without_the_whitelist(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "concat.mp4").write_text(f"ffconcat version 1.0\nfile {clip.name}\n")
    with av.open(str(tmp_path / "concat.mp4")) as container:
        assert container.format.name == "concat"  # So the test above tests something.


@pytest.mark.parametrize("name", ["a:b.mp4", "http:x.mp4", "ü 😀 .mp4", "-x.mp4", "%03d.mp4"])
def test_A32_names_are_only_names(tmp_path: Path, clip: Path, name: str) -> None:
    clip.rename(tmp_path / name)
    with open_container(tmp_path / name) as container:
        assert video_stream(container).frames == 12


def test_D3_a_gif_canvas_is_checked_before_libav_sees_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(gif_header(65535, 65535))
    assert cause(tmp_path / "a.gif") == "too_large"
    (tmp_path / "b.gif").write_bytes(gif_header(13000, 13000) + bytes(80))
    assert cause(tmp_path / "b.gif") == "too_large"


def test_D3_a_small_gif_of_many_large_frames_is_refused(tmp_path: Path) -> None:
    """9000², 200 frames in a few kB: no warning anywhere, 0.3 s a frame, 16 Gpx in all."""
    frame = b"\x21\xf9\x04\0\x0a\0\0\0" + b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    (tmp_path / "a.gif").write_bytes(gif_header(9000, 9000) + bytes(6) + frame * 200 + b"\x3b")
    assert cause(tmp_path / "a.gif") == "too_large"
    # Under the cap of one frame, the sum over all of them ends it.
    (tmp_path / "b.gif").write_bytes(gif_header(4000, 4000) + bytes(6) + frame * 200 + b"\x3b")
    out = tmp_path / "out"
    with pytest.raises(ItemError) as caught:
        probe.work(out=out, params={}, path=str(tmp_path / "b.gif"), kind="gif")
    assert caught.value.cause == "too_large"


def test_D4_a_video_frame_above_the_cap_is_refused(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video2gif.media.open.MAX_VIDEO_FRAME_PIXELS", 64 * 48)
    with open_container(clip):
        pass
    monkeypatch.setattr("video2gif.media.open.MAX_VIDEO_FRAME_PIXELS", 64 * 48 - 1)
    assert cause(clip) == "too_large"


def test_D4_a_header_of_16384_squared_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write(path, codec="mjpeg", pix_fmt="yuvj420p")
    in_jpeg = b"\x08" + struct.pack(">HH", 48, 64)
    content = path.read_bytes()
    assert in_jpeg in content
    path.write_bytes(content.replace(in_jpeg, b"\x08" + struct.pack(">HH", 16384, 16384)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ItemError) as caught, Decoder(path) as decoder:
        list(decoder.frames())
    assert caught.value.cause in ("too_large", "no_frames")
    # One such frame would take 400 MB; kibibytes here.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_A8_audio_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert cause(tmp_path / "a.mp4") == "no_video"


def test_A9_cover_art_is_not_the_video(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "with_art.mp4"
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        art = target.add_stream("mjpeg", rate=1)
        art.width, art.height, art.pix_fmt = 32, 32, "yuvj420p"
        art.disposition = Disposition.attached_pic
        stream = target.add_stream_from_template(source.streams.video[0])
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        target.mux(art.encode(frame))
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    with open_container(path) as container:
        assert len(container.streams.video) == 2
        assert video_stream(container).codec_context.name == "h264"


def test_A21_an_unknown_codec_is_named(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(clip.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(ItemError, match="zzzz") as caught, open_container(path):
        pass
    assert caught.value.cause == "codec"


def test_D10_external_data_references_are_not_followed(tmp_path: Path) -> None:
    """D10: a mov whose samples lie in another file gives none of that file's frames."""
    secret, path = tmp_path / "secret.mov", tmp_path / "a.mov"
    write(secret, codec="libx264")
    content = secret.read_bytes()
    at = content.index(b"url \0\0\0\x01") - 4  # the self-reference: size 12, type, flags 1
    content = _replaced_in_boxes(content, at, 12, _alias(os.fsencode(secret)))
    samples = content.index(b"mdat") + 4
    moov = content.index(b"moov") - 4
    path.write_bytes(content[:samples] + bytes(moov - samples) + content[moov:])

    trusting = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(str(path), options=trusting) as container:
        assert len(list(container.decode(video=0))) == 12  # So the reference is a working one.
    with pytest.raises(ItemError), Decoder(path) as decoder:
        list(decoder.frames())


def _alias(target: bytes) -> bytes:
    """A QuickTime alias record that names a file by its absolute path (item type 2)."""
    item = struct.pack(">HH", 2, len(target)) + target + bytes(len(target) % 2)
    body = bytes(4 + 150) + item + struct.pack(">hH", -1, 0)
    return struct.pack(">I4s", 8 + len(body), b"alis") + body


def _replaced_in_boxes(content: bytes, at: int, length: int, new: bytes) -> bytes:
    """Replace bytes inside an mp4 and lengthen the boxes around them."""
    out = bytearray(content)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start = content.rindex(name, 0, at) - 4
        size = int.from_bytes(out[start : start + 4]) + len(new) - length
        out[start : start + 4] = size.to_bytes(4)
    return bytes(out[:at]) + new + bytes(out[at + length :])


def test_C6_a_thousand_opens_leave_no_descriptor_open(clip: Path, record_property) -> None:
    code = f"""
import os
from pathlib import Path
from video2gif.media.decode import Decoder

def resident():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024

def look():
    with Decoder(Path({str(clip)!r})) as decoder:
        next(decoder.frames())

for _ in range(50):
    look()
before = len(os.listdir("/proc/self/fd")), resident()
for _ in range(1000):
    look()
print(len(os.listdir("/proc/self/fd")) - before[0], resident() - before[1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    descriptors, grown_bytes = map(int, done.stdout.split())
    assert descriptors == 0
    assert grown_bytes <= 20 << 20
    record_property("figure", f"{grown_bytes / 1e6:.1f} MB more after 1,000 opens")


def test_A27_cut_gifs_are_found_and_a_missing_trailer_is_forgiven(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    write_gif(path, pictures(4), delays_cs=10)
    whole = path.read_bytes()
    assert cut_short(path, "gif") == ""
    path.write_bytes(whole[:-1])
    assert cut_short(path, "gif") == ""
    for length in (len(whole) - 2, len(whole) // 2, 20):
        path.write_bytes(whole[:length])
        assert cut_short(path, "gif") != "", length
    path.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
    assert "zero bytes" in cut_short(path, "gif")
