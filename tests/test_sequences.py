"""Moments as hash sequences: hexadecimal there and back, and found again in another copy."""

import imagehash
import numpy as np
import pytest
from PIL import Image

from video2gif.fingerprint.phash import WINDOWS, phash
from video2gif.fingerprint.track import Track
from video2gif.labels.sequences import excerpt, from_hex, parts_of, realign, to_hex, to_track

FPS = 25.0


def film(seed: int, n_frames: int = 1000, *, cut_every: int = 100) -> Track:
    """Shots whose hashes move by three bits a frame."""
    rng = np.random.default_rng(seed)
    hashes = np.zeros((n_frames, 1 + len(WINDOWS)), np.uint64)
    for frame in range(n_frames):
        if frame % cut_every == 0:
            hashes[frame] = rng.integers(0, 2**64, hashes.shape[1], np.uint64)
            continue
        flips = np.bitwise_or.reduce(
            np.uint64(1) << rng.integers(0, 64, (3, hashes.shape[1]), np.uint64), axis=0
        )
        hashes[frame] = hashes[frame - 1] ^ flips
    return track(np.arange(n_frames) / FPS, hashes)


def track(pts_s: np.ndarray, hashes: np.ndarray) -> Track:
    n_frames = len(pts_s)
    thumbs = np.zeros((n_frames, 16, 16), np.uint8)
    end_s = float(pts_s[-1] + 1 / FPS)
    return Track(pts_s, end_s, hashes, np.ones(n_frames, np.float32), thumbs)


def reuploaded(video: Track, *, from_frame: int, step: int, bits: float, seed: int) -> Track:
    """Without its beginning, at a lower rate, each hash some bits off."""
    rng = np.random.default_rng(seed)
    kept = slice(from_frame, None, step)
    hashes = video.hashes[kept].copy()
    flips = rng.random((*hashes.shape, 64)) < bits / 64
    hashes ^= np.packbits(flips, axis=-1).view(">u8")[..., 0].astype(np.uint64)
    return track(video.pts_s[kept] - video.pts_s[from_frame], hashes)


def shared(moment: Track) -> Track:
    """As another project reads it."""
    return to_track(
        pts_s=moment.pts_s.tolist(),
        end_s=moment.end_s,
        quality=moment.quality.tolist(),
        parts=parts_of(moment),
    )


def test_hexadecimal_is_imagehashs_own() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 32, 32), np.uint8)
    theirs = [imagehash.phash(Image.fromarray(image)) for image in images]
    assert to_hex(phash(images)) == [str(one) for one in theirs]
    np.testing.assert_array_equal(from_hex([str(one) for one in theirs]), phash(images))


@pytest.mark.parametrize("digits", ["", "12", "g" * 16, "0" * 17, "-" + "1" * 15])
def test_what_is_no_hash_is_refused(digits: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        from_hex([digits])


@pytest.mark.parametrize(("step", "bits"), [(1, 0.0), (1, 3.0), (2, 2.0), (3, 2.0)])
def test_a_moment_is_found_again_in_another_copy(step: int, bits: float) -> None:
    video = film(1)
    copy = reuploaded(video, from_frame=60, step=step, bits=bits, seed=5)
    for start, end in [(300, 375), (510, 560), (700, 990)]:
        found = realign(shared(excerpt(video, start, end)), copy)
        assert found.reason == ""
        # Half a frame of the copy, and what the noise may move the best place by.
        tolerance_s = 0.5 * step / FPS + 0.02
        assert found.start_s == pytest.approx((start - 60) / FPS, abs=tolerance_s)
        assert found.end_s == pytest.approx((end - 60) / FPS, abs=tolerance_s)


def test_a_moment_that_was_cut_out_is_not_found() -> None:
    video = film(1)
    copy = reuploaded(video, from_frame=500, step=1, bits=1.0, seed=5)
    found = realign(shared(excerpt(video, 100, 175)), copy)
    assert found.reason.startswith("unmatched")


def test_another_video_is_not_mistaken_for_it() -> None:
    found = realign(shared(excerpt(film(1), 100, 175)), film(2))
    assert found.reason.startswith("unmatched")


def test_a_moment_that_occurs_twice_is_ambiguous() -> None:
    once = film(1, 500)
    twice = track(np.arange(1000) / FPS, np.concatenate([once.hashes, once.hashes]))
    found = realign(shared(excerpt(once, 200, 275)), twice)
    assert found.reason.startswith("ambiguous")


def test_long_moments_are_thinned_and_keep_their_length() -> None:
    moment = excerpt(film(1), 10, 910)
    assert len(moment) == 100
    assert (moment.pts_s[0], moment.end_s) == (0.0, pytest.approx(36.0))


@pytest.mark.parametrize(
    "fault",
    [
        {"pts_s": [0.0, 0.0]},
        {"pts_s": [0.1, 0.2]},
        {"pts_s": []},
        {"end_s": 0.04},
        {"quality": [1.0]},
        {"parts": {"whole": ["0" * 16] * 2}},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_a_sequence_that_is_not_whole_is_refused(fault: dict) -> None:
    moment = excerpt(film(1, 10), 0, 2)
    whole = {
        "pts_s": moment.pts_s.tolist(),
        "end_s": moment.end_s,
        "quality": moment.quality.tolist(),
        "parts": parts_of(moment),
    }
    to_track(**whole)
    with pytest.raises((ValueError, KeyError)):
        to_track(**(whole | fault))
