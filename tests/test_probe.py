"""A file is accepted only when it is whole, playable, and what it is said to be."""

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from video2gif.core.errors import ItemError
from video2gif.core.store import read_arrays
from video2gif.media import probe
from video2gif.media.encode import write_gif, write_video, write_webp

BLOCKS = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
PICTURE = BLOCKS.repeat(8, 0).repeat(8, 1)  # (48, 64, 3)
FRAMES = [np.roll(PICTURE, 2 * number, 1) for number in range(90)]


def write(path: Path, *, codec: str = "libx264", options: dict[str, str] | None = None) -> None:
    """Three seconds, 90 frames, in the container that the name asks for."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.options = {"g": "15"}
        for number, picture in enumerate(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def notes(path: Path, kind: str = "video") -> dict[str, Any]:
    out = path.with_name("out")
    probe.work(out=out, params={}, path=str(path), kind=kind)  # type: ignore[arg-type]
    return read_arrays(out.read_bytes())[1]


def cause(path: Path, kind: str = "video") -> str:
    with pytest.raises(ItemError) as caught:
        notes(path, kind)
    return caught.value.cause


CONTAINERS = [
    pytest.param("a.mp4", "libx264", {}, id="mp4"),
    pytest.param("a.mp4", "libx264", {"movflags": "+faststart"}, id="faststart"),
    pytest.param("a.mov", "mpeg4", {}, id="mov"),
    pytest.param("a.mkv", "libx264", {}, id="mkv"),
    pytest.param("a.webm", "libvpx", {}, id="webm"),
    pytest.param("a.flv", "libx264", {}, id="flv"),
    pytest.param("a.ts", "libx264", {}, id="ts"),
    pytest.param("a.avi", "mpeg4", {}, id="avi"),
]


@pytest.mark.parametrize(("name", "codec", "options"), CONTAINERS)
def test_a_whole_file_is_accepted(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    write(tmp_path / name, codec=codec, options=options)
    found = notes(tmp_path / name)
    assert (found["n_frames"], found["width"], found["height"]) == (90, 64, 48)
    assert found["duration_s"] == pytest.approx(3, abs=0.05)  # flv leaves out the last frame
    assert found["fps_num"] / found["fps_den"] == pytest.approx(30, abs=0.05)
    assert found["extension"] == name.partition(".")[2]
    assert found["as_named"]


@pytest.mark.parametrize(("name", "codec", "options"), CONTAINERS)
def test_A2_A3_A4_a_file_cut_at_70_percent_is_truncated(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    """A2–A4: most of these decode without an error."""
    write(tmp_path / name, codec=codec, options=options)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 7 // 10])
    assert cause(tmp_path / name) == "truncated"


@pytest.mark.parametrize(
    ("name", "codec", "options"), [c for c in CONTAINERS if c.id not in ("faststart",)]
)
def test_A5_a_file_whose_second_half_is_zero_is_truncated(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    """A5. (In a faststart mp4 every packet is still there: only decoding finds them bad.)"""
    write(tmp_path / name, codec=codec, options=options)
    content = (tmp_path / name).read_bytes()
    half = len(content) // 2
    (tmp_path / name).write_bytes(content[:half] + bytes(len(content) - half))
    assert cause(tmp_path / name) == "truncated"


def test_A3_the_reason_counts_frames(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", options={"movflags": "+faststart"})
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: len(content) * 7 // 10])
    with pytest.raises(ItemError, match=r"\d\d of 90 frames"):
        notes(tmp_path / "a.mp4")


def test_A38_a_short_tail_of_another_track_is_no_truncation(tmp_path: Path) -> None:
    """The video may end before the sound: the file is as long as its longest track."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        audio = container.add_stream("aac", rate=8000)
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(FRAMES[number], format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for number in range(30):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            sound.sample_rate, sound.pts = 8000, 1024 * number
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    found = notes(path)
    assert (found["n_frames"], found["duration_s"]) == (10, pytest.approx(1.0, abs=0.01))


def test_A39_a_film_trimmed_by_its_edit_list_is_whole(tmp_path: Path) -> None:
    """As phones trim: all packets are there, the edit list shows only the first half."""
    path = tmp_path / "a.mp4"
    write(path)
    content = bytearray(path.read_bytes())
    duration = content.index(b"elst") + 12  # after version and entry count; in milliseconds
    assert int.from_bytes(content[duration : duration + 4]) == 3000
    content[duration : duration + 4] = (1500).to_bytes(4)
    path.write_bytes(content)
    found = notes(path)
    assert (found["n_frames"], found["duration_s"]) == (45, pytest.approx(1.5, abs=0.05))


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><p>gone", b'{"error": "gone"}', b"gone"])
def test_A29_a_page_named_gif_is_not_a_gif(tmp_path: Path, content: bytes) -> None:
    """A29."""
    (tmp_path / "a.gif").write_bytes(content)
    with pytest.raises(
        ItemError, match=r"content is (text|application)/.*, not video or GIF"
    ) as caught:
        notes(tmp_path / "a.gif", "gif")
    assert caught.value.cause == "not_media"


def test_A30_a_film_named_gif_is_taken_by_content_and_flagged(tmp_path: Path) -> None:
    """A30."""
    path = tmp_path / "a.gif"
    write_video(path, FRAMES[:10], fps=10)
    found = notes(path, "gif")
    assert (found["extension"], found["as_named"], found["n_frames"]) == ("mp4", False, 10)
    write_webp(path, FRAMES[:10], delays_cs=[10] * 10)
    found = notes(path, "gif")
    assert (found["extension"], found["as_named"], found["n_frames"]) == ("webp", False, 10)
    write_gif(path, FRAMES[:10], delays_cs=10)
    assert notes(path, "gif")["as_named"]
    assert not notes(path, "video")["as_named"]


def test_a_gif_has_its_frames_times_and_size(tmp_path: Path) -> None:
    write_gif(tmp_path / "a.gif", FRAMES[:5], delays_cs=[5, 10, 20, 5, 60])
    found = notes(tmp_path / "a.gif", "gif")
    assert (found["n_frames"], found["duration_s"]) == (5, 1.0)
    assert (found["width"], found["height"], found["codec"]) == (64, 48, "gif")


def test_A27_a_cut_gif_is_truncated_and_a_missing_trailer_forgiven(tmp_path: Path) -> None:
    """A27."""
    path = tmp_path / "a.gif"
    write_gif(path, FRAMES[:5], delays_cs=10)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 7 // 10])
    assert cause(path, "gif") == "truncated"
    path.write_bytes(content[:-1])
    assert notes(path, "gif")["n_frames"] == 5


def test_D3_a_gif_of_too_many_pixels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gif(tmp_path / "a.gif", FRAMES[:5], delays_cs=10)
    monkeypatch.setattr(probe, "MAX_GIF_TOTAL_PIXELS", 5 * 48 * 64 - 1)
    assert cause(tmp_path / "a.gif", "gif") == "too_large"


def test_equal_files_under_other_names_give_equal_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / f"{folder}.mp4", FRAMES[:10], fps=10)
        notes(tmp_path / folder / f"{folder}.mp4")
    assert (tmp_path / "one/out").read_bytes() == (tmp_path / "two/out").read_bytes()


@pytest.mark.parametrize("seed", range(3))
def test_D1_D2_mutated_files_give_only_typed_errors(tmp_path: Path, seed: int) -> None:
    """D1, D2 in small; 2,500 of each kind were run by hand."""
    rng = np.random.default_rng(seed)
    write_gif(tmp_path / "seed.gif", FRAMES[:4], delays_cs=10)
    write_video(tmp_path / "seed.mp4", FRAMES[:4], fps=10)
    for number in range(40):
        path = tmp_path / ("seed.gif" if number % 2 else "seed.mp4")
        content = bytearray(path.read_bytes())
        for at in rng.integers(0, len(content), rng.integers(1, 20)):
            content[at] = rng.integers(256)
        mutated = tmp_path / f"mutated{path.suffix}"
        mutated.write_bytes(content)
        with contextlib.suppress(ItemError):
            notes(mutated, path.suffix[1:].replace("mp4", "video"))


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.webp"])
def test_reasons_name_no_folder(tmp_path: Path, name: str) -> None:
    """They stand in tables, which must be equal in every clone."""
    heads = {"a.mp4": b"\0\0\0\x18ftypisom", "a.gif": b"GIF89a", "a.webp": b"RIFF\0\0\0\0WEBP"}
    (tmp_path / name).write_bytes(heads[name] + bytes(40))
    with pytest.raises(ItemError) as caught:
        notes(tmp_path / name)
    assert str(tmp_path) not in caught.value.reason


@pytest.mark.realdata
def test_every_real_file_is_accepted(realdata: Path) -> None:
    refused = {}
    for folder, kind in (("videos", "video"), ("odd", "video"), ("gifs", "gif")):
        for path in sorted((realdata / folder).iterdir()):
            try:
                probe.work(out=Path("/dev/null"), params={}, path=str(path), kind=kind)  # type: ignore[arg-type]
            except ItemError as error:
                refused[path.name] = error.reason
    assert refused == {}


def test_D35_whoever_probes_a_file_does_it_in_a_confined_child() -> None:
    """One definition for the pipeline's downloads and the review page's uploads."""
    named = [
        path.name
        for path in sorted(Path(probe.__file__).parents[1].rglob("*.py"))
        if "media.probe:work" in path.read_text()
    ]
    assert named == []  # And no work has a child that is not confined: see test_confine.
