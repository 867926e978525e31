"""Frame differences and cuts equal PySceneDetect's own, run on the same frames."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from hypothesis import given
from hypothesis import strategies as st
from scenedetect import (
    AdaptiveDetector,
    ContentDetector,
    FrameTimecode,
    SceneManager,
    StatsManager,
    open_video,
)
from scenedetect.detector import FlashFilter, SceneDetector
from scenedetect.scene_manager import compute_downscale_factor

from video2gif.fingerprint.content import ContentMetrics, analysis_size
from video2gif.media.decode import Decoder
from video2gif.shots.cuts import Detector, cuts, scores

DETECTORS = [
    pytest.param("content", 27.0, id="content"),
    pytest.param("adaptive", 3.0, id="adaptive"),
]


def video_with_cuts(*, n_frames: int, width: int, height: int, seed: int) -> Iterator[np.ndarray]:
    """BGR frames: moving gratings, a new scene every 3 to 40 frames, flashes now and then."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    left = 0
    for frame in range(n_frames):
        if left == 0:
            left = int(rng.integers(3, 40))
            period, colour = rng.uniform(8, 60, size=3), rng.uniform(60, 255, size=3)
        left -= 1
        phase = (x[..., None] + y[..., None] / 3 + 2 * frame) / period
        image = (0.5 + 0.5 * np.sin(phase)) * colour
        if rng.random() < 0.03:
            image = image + 90  # a flash of one frame
        yield np.clip(image, 0, 255).astype(np.uint8)


def measured(frames: Iterable[np.ndarray]) -> np.ndarray:
    metrics = ContentMetrics()
    return np.array([metrics.push(frame) for frame in frames])


def scaled_as_scene_manager(frame: np.ndarray) -> np.ndarray:
    """The resize of SceneManager's decoding thread."""
    height, width = frame.shape[:2]
    factor = compute_downscale_factor(max(width, height))
    if factor <= 1:
        return frame
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)


class Oracle:
    """scenedetect's own detectors, fed frame by frame and numbered by decoded frame."""

    def __init__(self, detectors: Sequence[SceneDetector]) -> None:
        self.stats = StatsManager()
        self._detectors = detectors
        for detector in detectors:
            detector.stats_manager = self.stats
            self.stats.register_metrics(detector.get_metrics())
        self.cuts: list[set[int]] = [set() for _ in detectors]
        self._n_frames = 0

    def push(self, frame: np.ndarray) -> None:
        at = FrameTimecode(self._n_frames, fps=25.0)
        self._n_frames += 1
        image = scaled_as_scene_manager(frame)
        for detector, found in zip(self._detectors, self.cuts, strict=True):
            found |= {cut.frame_num for cut in detector.process_frame(at, image)}

    def content(self) -> np.ndarray:
        keys = ["delta_hue", "delta_sat", "delta_lum"]
        rows = [
            self.stats.get_metrics(FrameTimecode(n, fps=25.0), keys)
            for n in range(1, self._n_frames)
        ]
        return np.array([[0.0, 0.0, 0.0], *rows])


def detector_of(name: str, threshold: float, min_shot_frames: int) -> SceneDetector:
    if name == "content":
        return ContentDetector(threshold=threshold, min_scene_len=min_shot_frames)
    return AdaptiveDetector(adaptive_threshold=threshold, min_scene_len=min_shot_frames)


@pytest.mark.parametrize(
    ("width", "height"),
    [(320, 180), (100, 60), (256, 256), (90, 333), (854, 480), (1, 1)],
    ids=lambda value: str(value),
)
def test_differences_equal_pyscenedetect_to_the_last_bit(width: int, height: int) -> None:
    frames = list(video_with_cuts(n_frames=12, width=width, height=height, seed=1))
    oracle = Oracle([ContentDetector()])
    for frame in frames:
        oracle.push(frame)
    np.testing.assert_array_equal(measured(frames), oracle.content())


@given(st.integers(1, 8000), st.integers(1, 8000))
def test_analysis_size_is_that_of_scene_manager_and_idempotent(width: int, height: int) -> None:
    factor = compute_downscale_factor(max(width, height))
    expected = (
        (max(1, round(width / factor)), max(1, round(height / factor)))
        if factor > 1
        else (width, height)
    )
    assert analysis_size(width, height) == expected
    assert analysis_size(*expected) == expected


def test_a_change_of_resolution_is_measured_at_the_first_size() -> None:
    small = np.full((60, 100, 3), 80, np.uint8)
    large = np.full((120, 200, 3), 80, np.uint8)
    np.testing.assert_array_equal(measured([small, large, small]), np.zeros((3, 3)))


@pytest.mark.parametrize(("name", "threshold"), DETECTORS)
@pytest.mark.parametrize("min_shot_frames", [0, 1, 8, 15])
def test_cuts_equal_pyscenedetect_on_a_generated_video(
    name: Detector, threshold: float, min_shot_frames: int
) -> None:
    frames = list(video_with_cuts(n_frames=300, width=160, height=90, seed=2))
    oracle = Oracle([detector_of(name, threshold, min_shot_frames)])
    for frame in frames:
        oracle.push(frame)
    found = cuts(
        measured(frames), detector=name, threshold=threshold, min_shot_frames=min_shot_frames
    )
    assert found == sorted(oracle.cuts[0])
    assert len(found) >= 3, "the video must try the detector"


# Scores of a few levels only, so that ties with the threshold and short gaps are common.
levels = st.lists(st.sampled_from([0.0, 1.0, 14.9, 15.0, 26.9, 27.0, 30.0, 90.0]), max_size=120)


@given(levels, st.integers(0, 20))
def test_flash_filter_on_the_frames_that_matter_equals_flash_filter_on_all(
    score: list[float], min_shot_frames: int
) -> None:
    whole = FlashFilter(FlashFilter.Mode.MERGE, min_shot_frames)
    expected = [
        cut.frame_num
        for n, value in enumerate([0.0, *score])
        for cut in whole.filter(FrameTimecode(n, fps=25.0), value >= 27.0)
    ]
    content = np.repeat(np.array([0.0, *score])[:, None], 3, axis=1)
    found = cuts(content, detector="content", threshold=27.0, min_shot_frames=min_shot_frames)
    assert found == sorted(set(expected))


class ReplayedContent(ContentDetector):
    """ContentDetector fed with frame scores in place of frames."""

    def __init__(self, score: Sequence[float], **options: Any) -> None:
        super().__init__(**options)
        self._replay = iter(score)

    def _calculate_frame_score(self, timecode: FrameTimecode, frame_img: object) -> float:
        return next(self._replay)


class ReplayedAdaptive(AdaptiveDetector):
    """AdaptiveDetector fed with frame scores in place of frames."""

    def __init__(self, score: Sequence[float], **options: Any) -> None:
        super().__init__(**options)
        self._replay = iter(score)

    def _calculate_frame_score(self, timecode: FrameTimecode, frame_img: object) -> float:
        return next(self._replay)


def replayed_cuts(detector: SceneDetector, n_frames: int) -> list[int]:
    found = {
        cut.frame_num
        for n in range(n_frames)
        for cut in detector.process_frame(FrameTimecode(n, fps=25.0), np.empty(0))
    }
    return sorted(found)


@given(levels, st.integers(0, 20), st.sampled_from([0.5, 1.0, 2.0, 3.0]))
def test_adaptive_cuts_equal_those_of_replayed_scores(
    score: list[float], min_shot_frames: int, threshold: float
) -> None:
    content = np.repeat(np.array([0.0, *score])[:, None], 3, axis=1)
    oracle = ReplayedAdaptive(
        scores(content).tolist(), adaptive_threshold=threshold, min_scene_len=min_shot_frames
    )
    found = cuts(content, detector="adaptive", threshold=threshold, min_shot_frames=min_shot_frames)
    assert found == replayed_cuts(oracle, len(content))


@pytest.mark.parametrize("name", ["content", "adaptive"])
@pytest.mark.parametrize("n_frames", [0, 1, 2, 5])
def test_A23_a_still_or_empty_video_is_one_shot(name: Detector, n_frames: int) -> None:
    content = measured([np.full((4, 6, 3), 9, np.uint8)] * n_frames)
    assert cuts(content, detector=name, threshold=3.0, min_shot_frames=8) == []


SHORT = ("bikes.mp4", "nasa.mp4")
LONG = (
    "bunny0.mp4",
    "bunny1.mp4",
    "bunny2.mp4",
    "bunny3.mp4",
    "bunny_trailer.webm",
    "creatures.mp4",
    "dream0.mp4",
    "dream1.mp4",
    "sintel_trailer.mp4",
)
REAL = [*SHORT, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)]


def decoded(path: Path) -> Iterator[np.ndarray]:
    """BGR frames as the fingerprint sees them."""
    scaler = VideoReformatter()
    with Decoder(path) as decoder:
        for _, frame in decoder.frames():
            yield scaler.reformat(frame, format="bgr24").to_ndarray()


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_scores_and_cuts_of_real_videos_equal_pyscenedetect_on_the_same_frames(
    realdata: Path, name: str
) -> None:
    metrics, oracle = ContentMetrics(), ContentDetector()
    content, expected = [], []
    for n, frame in enumerate(decoded(realdata / "videos" / name)):
        content.append(metrics.push(frame))
        oracle.process_frame(FrameTimecode(n, fps=25.0), scaled_as_scene_manager(frame))
        expected.append(oracle._frame_score)
    found = scores(np.array(content))
    np.testing.assert_array_equal(found, expected)
    # From equal scores, PySceneDetect's detectors are replayed over many settings.
    for min_shot_frames in (0, 8, 15, 60):
        for threshold in (3.0, 8.0, 15.0, 27.0, 40.0):
            replay = ReplayedContent(expected, threshold=threshold, min_scene_len=min_shot_frames)
            assert cuts(
                np.array(content),
                detector="content",
                threshold=threshold,
                min_shot_frames=min_shot_frames,
            ) == replayed_cuts(replay, len(expected))
        for ratio in (1.5, 3.0, 6.0):
            adaptive = ReplayedAdaptive(
                expected, adaptive_threshold=ratio, min_scene_len=min_shot_frames
            )
            assert cuts(
                np.array(content),
                detector="adaptive",
                threshold=ratio,
                min_shot_frames=min_shot_frames,
            ) == replayed_cuts(adaptive, len(expected))


@pytest.mark.realdata
@pytest.mark.parametrize(("detector", "threshold"), DETECTORS)
@pytest.mark.parametrize("name", REAL)
def test_cuts_of_real_videos_equal_those_of_pyscenedetects_own_decode(
    realdata: Path, name: str, detector: Detector, threshold: float
) -> None:
    path = realdata / "videos" / name
    content = measured(decoded(path))
    manager = SceneManager()
    manager.add_detector(detector_of(detector, threshold, 8))
    manager.detect_scenes(open_video(str(path)))
    theirs = [start.frame_num for start, _ in manager.get_scene_list()][1:]
    assert cuts(content, detector=detector, threshold=threshold, min_shot_frames=8) == theirs


def test_importing_the_library_starts_no_program(tmp_path: Path) -> None:
    """scenedetect looks for ffmpeg by starting it."""
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n: > '{tmp_path}/started'\n")
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    code = "import os, video2gif.shots.cuts; print(os.environ['PATH'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith(path)  # `make` puts its environment first.
    assert not (tmp_path / "started").exists()
