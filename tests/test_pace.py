"""K4: every frame keeps its own time and length, from the fingerprint to the GIF."""

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from shapes import written

from video2gif.core.config import SegmentParams
from video2gif.core.errors import ItemError
from video2gif.fingerprint import decode as fingerprint
from video2gif.fingerprint.read import read_fingerprint
from video2gif.gifs import render
from video2gif.gifs.frames import master
from video2gif.gifs.framing import WHOLE
from video2gif.gifs.pace import pace_of
from video2gif.gifs.render import GifOptions, moment_item, read_rendered, rendering
from video2gif.make.analysis import Analysis
from video2gif.make.moments import Choice, Chosen, choose, exactly
from video2gif.make.rankers import Baseline, rank
from video2gif.shots.segments import segment_video, shot_cuts

HALF_S = 0.05  # of a GIF's frame at 10 a second
PARAMS = SegmentParams(
    method="shots",
    detector="content",
    threshold=27,
    gradual=True,
    transnetv2_threshold=0.5,
    kts_penalty=1.0,
    min_shot_frames=8,
    max_len_s=3.0,
    min_len_frames=16,
)
BURST = [n / 10 for n in range(10)]
FLOW = [*BURST, *(4 + t for t in BURST[:6]), *(9 + t for t in BURST[:5])]
VFR = [
    *(n / 20 for n in range(8)),
    *(0.4 + 3 * n for n in range(8)),
    *(24.4 + n / 20 for n in range(8)),
]
IDLE = [*(n / 15 for n in range(60)), *(300 + n / 15 for n in range(60))]


def screens(path: Path, times_s: Sequence[float]) -> Path:
    """A screen recording: numbered screens, a frame only where something changes."""
    pictures = []
    for number in range(len(times_s)):
        picture = np.full((90, 160, 3), 235, np.uint8)
        cv2.putText(picture, str(number), (20, 60), 0, 1.5, (20, 20, 20), 4)
        cv2.circle(picture, (10 + number * 37 % 140, 80), 6, (200, 60, 30), -1)
        pictures.append(picture)
    times = [Fraction(round(t * 90000), 90000) for t in times_s]
    return written(path, pictures, times=times, options={"crf": "14", "bf": "0"})


def analysed(path: Path) -> Analysis:
    """As `make.analysis.analyse`, in this process."""
    out = path.with_suffix(".print")
    fingerprint.work(out=out, params={"max_bad_packets": 0.05}, path=str(path), kind="video")
    found = read_fingerprint(out.read_bytes())
    spans = np.array(segment_video(found, PARAMS), np.int64).reshape(-1, 2)
    return Analysis(path, "0" * 64, found, spans, tuple(shot_cuts(found, PARAMS)))


def chosen(analysis: Analysis, choice: Choice) -> list[Chosen]:
    return choose(analysis, rank(analysis, Baseline(), None), choice)  # type: ignore[arg-type]


def gif(analysis: Analysis, one: Chosen) -> tuple[render.Rendered, list[float], float]:
    """The GIF of a moment, the times at which it changes, and its length, seconds."""
    item = moment_item(
        "x", analysis.path, sha256="0", fingerprint=analysis.fingerprint, within=one.within
    )
    out = analysis.path.with_suffix(".gif-item")
    params = rendering(GifOptions(height=90, loop="none")).params
    render.work(out=out, params=params, **item.args)
    rendered = read_rendered(out.read_bytes())
    path = analysis.path.with_suffix(".gif")
    path.write_bytes(rendered.content)
    changes: list[float] = []
    with av.open(str(path)) as container:
        before = None
        for frame in container.decode(video=0):
            now = frame.to_ndarray(format="gray").astype(int)
            if before is not None and np.abs(now - before).mean() > 0.3:
                changes.append(float(frame.pts * frame.time_base))
            before = now
        end_s = float((frame.pts + frame.duration) * frame.time_base)
    return rendered, changes, end_s


@pytest.mark.parametrize(
    "times_s", [pytest.param(FLOW, id="flow"), pytest.param([0, 11.3], id="idle")]
)
def test_K4_a_gif_changes_when_the_recording_does(tmp_path: Path, times_s: list[float]):
    analysis = analysed(screens(tmp_path / "a.mp4", times_s))
    rendered, changes, end_s = gif(analysis, chosen(analysis, Choice(top=1))[0])
    first_s, last_s = rendered.recipe.start_s, rendered.recipe.end_s
    shown = [t - first_s for t in times_s if first_s < t < last_s - 1e-6]
    assert len(shown) >= len(times_s) - 2
    assert changes == pytest.approx(shown, abs=HALF_S)
    assert end_s == pytest.approx(last_s - first_s, abs=HALF_S)


@pytest.mark.parametrize("most_s", [4.0, 2.0])
def test_K4_a_length_is_one_of_time_not_of_frames(tmp_path: Path, most_s: float):
    analysis = analysed(screens(tmp_path / "a.mp4", VFR))
    found = chosen(analysis, Choice(top=3, max_len_s=most_s))
    assert found
    for one in found:
        rendered, _, end_s = gif(analysis, one)
        assert end_s <= most_s + HALF_S
        assert rendered.recipe.end_s - rendered.recipe.start_s <= most_s + 1e-6
    at_least = chosen(analysis, Choice(top=1, min_len_s=3.5))[0]
    assert gif(analysis, at_least)[2] >= 3.5 - HALF_S


def test_K4_a_pause_of_minutes_makes_no_gif_of_minutes(tmp_path: Path):
    analysis = analysed(screens(tmp_path / "a.mp4", IDLE))
    for one in chosen(analysis, Choice(top=9)):
        _, changes, end_s = gif(analysis, one)
        assert end_s < 8
        assert len(changes) >= 9
    again = render.Recipe(**vars(gif(analysis, one)[0].recipe))
    out = tmp_path / "again"
    render.work_again(out=out, params=vars(again), path=str(analysis.path))
    assert read_rendered(out.read_bytes()).content == gif(analysis, one)[0].content


def test_K4_a_segment_ends_where_a_recording_pauses():
    pts_s = np.array(IDLE)
    frames = analysis_frames(pts_s, 304.0)
    spans = segment_video(frames, PARAMS)
    assert (spans[0][0], next(end for _, end in spans if end >= 60)) == (0, 60)
    assert [a[1] for a in spans[:-1]] == [b[0] for b in spans[1:]]
    slides = analysis_frames(np.arange(0, 5000, 300.0), 5100.0)
    assert segment_video(slides, PARAMS) == [(n, n + 1) for n in range(17)]


class analysis_frames:
    """Frames on which nothing but time differs."""

    def __init__(self, pts_s: np.ndarray, end_s: float) -> None:
        self.pts_s, self.end_s = pts_s, end_s
        self.content = np.zeros((len(pts_s), 3))
        self.phash = np.zeros(len(pts_s), np.uint64)
        self.thumbs = np.zeros((len(pts_s), 16, 16), np.uint8)


def test_K4_a_span_set_by_hand_may_end_within_a_pause(tmp_path: Path):
    analysis = analysed(screens(tmp_path / "a.mp4", [0, 0.5, 1.0, 61.0]))
    one = exactly(analysis, 0.5, 5.0)
    assert gif(analysis, one)[2] == pytest.approx(4.5, abs=HALF_S)
    still = exactly(analysis, 20.0, 22.0)
    assert gif(analysis, still)[2] == pytest.approx(2.0, abs=HALF_S)
    with pytest.raises(ItemError, match="no frame"):
        exactly(analysis, 70.0, 71.0)


def test_an_even_rate_is_told_from_one_that_is_none():
    rounded = np.round(np.arange(101) * 1001 / 24000, 3)  # as Matroska writes time
    pace = pace_of(rounded, (0, 100))
    assert pace.is_even
    assert pace.frame_s == pytest.approx(1001 / 24000, abs=1e-5)
    assert pace.length((10, 34), hold=math.inf) == 24
    uneven = pace_of(np.array([*FLOW, 9.5]), (0, 21))
    assert not uneven.is_even
    assert uneven.length((0, 10), hold=math.inf) * uneven.frame_s == pytest.approx(4.0)
    assert uneven.length((0, 10), hold=3 / uneven.frame_s) * uneven.frame_s == pytest.approx(3.9)


def test_S8_what_would_cost_too_much_is_refused_before_it_is_made(tmp_path: Path):
    """Ten frames that stand for 655 s each, as GIF delays of 65,535 say."""
    analysis = analysed(screens(tmp_path / "a.mp4", [655.35 * n for n in range(10)]))
    for one in chosen(analysis, Choice(top=2)):
        assert gif(analysis, one)[2] <= 3 + HALF_S
    whole = exactly(analysis, 0.0, 655.35 * 9)
    out = tmp_path / "o"
    item = moment_item(
        "x", analysis.path, sha256="0", fingerprint=analysis.fingerprint, within=whole.within
    )
    params = rendering(GifOptions(height=720, fps=50, loop="none")).params
    with pytest.raises(ItemError, match="Take a shorter span") as caught:
        render.work(out=out, params=params, **item.args)
    assert caught.value.cause == "too_large"
    with pytest.raises(ItemError, match="do not fit into memory"):
        master(params, 5_000_000, WHOLE)(720, 1280)


def test_S8_a_picture_wider_than_any_screen_is_made_lower_or_refused():
    """Of 97 kB of GIF, 65535 pixels wide, a GIF 120 pixels high took 2.3 GB."""
    params = rendering(GifOptions(height=120)).params
    assert master(params, 15, WHOLE)(240, 16_000).height == 60
    with pytest.raises(ItemError, match="65535×136 px would be 8 px high") as caught:
        master(params, 15, WHOLE)(136, 65535)
    assert caught.value.cause == "too_large"
