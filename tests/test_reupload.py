"""A real video, uploaded again smaller, at half the rate and without its beginning."""

import os
from pathlib import Path

import numpy as np
import pytest

from video2gif.fingerprint.decode import work
from video2gif.fingerprint.read import Fingerprint, read_fingerprint
from video2gif.labels.duplicates import near_duplicates, pictures
from video2gif.labels.sequences import excerpt, parts_of, realign, to_track
from video2gif.media.decode import Decoder
from video2gif.media.encode import write_video

SKIPPED = 48
pytestmark = [pytest.mark.slow, pytest.mark.realdata]


def fingerprint_of(path: Path, folder: Path) -> Fingerprint:
    out = folder / f"{path.stem}.item"
    work(out=out, params={"max_bad_packets": 0.05}, path=str(path), kind="video")
    return read_fingerprint(out.read_bytes())


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fingerprint]:
    folder = tmp_path_factory.mktemp("copies")
    default = Path(__file__).parents[2] / "shared" / "realdata"
    data = Path(os.environ.get("VIDEO2GIF_REALDATA", default)) / "videos"
    if not data.is_dir():
        pytest.skip(f"real data missing: {data}")
    with Decoder(data / "bunny0.mp4") as decoder:
        frames = [f.reformat(320, 180, "rgb24").to_ndarray() for _, f in decoder.frames()]
        fps = decoder.info.fps
    write_video(folder / "copy.mp4", frames[SKIPPED::2], fps=fps / 2, crf=34)
    found = {name: fingerprint_of(data / f"{name}.mp4", folder) for name in ("bunny0", "bunny3")}
    return found | {"copy": fingerprint_of(folder / "copy.mp4", folder)}


def test_it_is_a_near_duplicate_and_another_part_of_the_film_is_none(
    copies: dict[str, Fingerprint],
) -> None:
    shown = {name: pictures(one.phash, one.quality) for name, one in copies.items()}
    groups = near_duplicates(sorted(shown), shown.__getitem__, min_share=0.5)
    assert groups == [["bunny0", "copy"]]


def test_moments_shared_as_hashes_are_found_in_it(copies: dict[str, Fingerprint]) -> None:
    video, copy = copies["bunny0"], copies["copy"]
    skipped_s = float(video.pts_s[SKIPPED])
    for start, end in [(300, 360), (622, 687), (800, 880)]:
        moment = excerpt(video.track, start, end)
        shared = to_track(
            pts_s=moment.pts_s.tolist(),
            end_s=moment.end_s,
            quality=moment.quality.tolist(),
            parts=parts_of(moment),
        )
        found = realign(shared, copy.track)
        assert found.reason == ""
        # A frame of the copy lasts 83 ms.
        expected = np.array([video.pts_s[start], video.pts_s[end]]) - skipped_s
        np.testing.assert_allclose([found.start_s, found.end_s], expected, atol=0.1)
