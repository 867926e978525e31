"""The strip of a GIF above its video: aligned frames, in the GIF's order."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from moving import moving_frames
from test_align import START, cut, find, track, video

from video2gif.core.config import Params
from video2gif.core.errors import UserError
from video2gif.core.items import Context
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore
from video2gif.make.match import Found, match_files
from video2gif.make.preview import aligned, write_preview
from video2gif.matching.confidence import Match
from video2gif.media.encode import write_gif, write_video

PARAMS = Params.load(Path(__file__).parents[1] / "params.yaml")


@pytest.mark.parametrize("play", ["forwards", "backwards", "ping-pong"])
def test_each_frame_stands_above_the_one_it_was_cut_from(play: str) -> None:
    frames, source = cut(), START + np.arange(24) * 2.5
    if play == "backwards":
        frames, source = frames[::-1], source[::-1]
    if play == "ping-pong":
        frames, source = frames + frames[-2:0:-1], np.append(source, source[-2:0:-1])
    gif = track(frames, 0.1)
    pairs = aligned(gif, video(), find(gif))
    true = source[pairs.gif_frames]
    # A GIF frame lasts 2.5 video frames.
    assert np.abs(np.array(pairs.video_frames) - true).max() <= 3


def test_what_was_not_found_cannot_be_shown(tmp_path: Path) -> None:
    nothing = Match(status="unmatched", reason="distance")
    with pytest.raises(ValueError, match="nothing was found"):
        aligned(video(), video(), nothing)
    context = Context(ItemStore(tmp_path), SerialMapper())
    with pytest.raises(UserError, match="found in none of the videos"):
        write_preview(
            tmp_path / "p.png", Path("g.gif"), [Found(Path("v"), nothing)], PARAMS, context
        )


def test_the_strip_shows_the_same_pictures_in_both_rows(tmp_path: Path) -> None:
    film = moving_frames(160, seed=1)
    write_video(tmp_path / "v.mp4", film, fps=25)
    mirrored = [np.ascontiguousarray(frame[:, ::-1]) for frame in film[90:150:2]]
    write_gif(tmp_path / "g.gif", mirrored, delays_cs=8)
    context = Context(ItemStore(tmp_path / "store"), SerialMapper())
    found = match_files(tmp_path / "g.gif", [tmp_path / "v.mp4"], PARAMS, context)
    assert found[0].match is not None
    assert found[0].match.mirror
    write_preview(tmp_path / "p.png", tmp_path / "g.gif", found, PARAMS, context)
    strip = cv2.imread(str(tmp_path / "p.png"), cv2.IMREAD_GRAYSCALE)
    assert strip is not None
    above, below = np.split(strip.astype(float), 2)
    assert np.corrcoef(above[:120].ravel(), below[:120].ravel())[0, 1] > 0.97
    # The test can fail: the rows of an unmirrored video differ.
    wrong = replace(found[0], match=replace(found[0].match, mirror=False))
    write_preview(tmp_path / "w.png", tmp_path / "g.gif", [wrong], PARAMS, context)
    other = cv2.imread(str(tmp_path / "w.png"), cv2.IMREAD_GRAYSCALE)
    assert other is not None
    above, below = np.split(other.astype(float), 2)
    assert np.corrcoef(above[:120].ravel(), below[:120].ravel())[0, 1] < 0.97
