"""Near-duplicate videos: found whatever was done to the copy, and nothing else."""

import numpy as np
import pytest

from video2gif.labels.duplicates import NEAR_BITS, near_duplicates, pictures, shared_share

N_FRAMES = 400


def video(seed: int, n_frames: int = N_FRAMES) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, n_frames, np.uint64)


def recoded(hashes: np.ndarray, *, seed: int, mean_bits: float) -> np.ndarray:
    """Each bit turned over with equal probability, as a new encoding does."""
    flips = np.random.default_rng(seed).random((len(hashes), 64)) < mean_bits / 64
    return hashes ^ np.packbits(flips, axis=1).view(">u8")[:, 0].astype(np.uint64)


def groups(videos: dict[str, np.ndarray], *, min_share: float = 0.5) -> list[list[str]]:
    found = {name: np.unique(hashes) for name, hashes in videos.items()}
    return near_duplicates(list(found), found.__getitem__, min_share=min_share)


def test_different_videos_are_no_group() -> None:
    assert groups({f"v{n}": video(n) for n in range(20)}) == []


@pytest.mark.parametrize("mean_bits", [0.0, 1.0, 2.0, 3.0])
def test_a_new_encoding_is_found(mean_bits: float) -> None:
    copy = recoded(video(1), seed=9, mean_bits=mean_bits)
    videos = {"a": video(0), "b": video(1), "c": copy, "d": video(2)}
    assert groups(videos) == [["b", "c"]]


@pytest.mark.parametrize("length", [100, 1000])
def test_an_excerpt_is_found(length: int) -> None:
    film = video(1, 8_000)
    excerpt = recoded(film[3000 : 3000 + length], seed=3, mean_bits=1.0)
    assert groups({"excerpt": excerpt, "film": film}) == [["excerpt", "film"]]


def test_a_common_title_is_no_duplicate() -> None:
    title = video(99, 60)
    assert groups({f"v{n}": np.r_[title, video(n)] for n in range(10)}) == []


def test_copies_of_copies_are_one_group() -> None:
    # a and c share nothing, both share half and more with b.
    a, c = video(0), video(1)
    b = np.r_[a[:200], c[:200]]
    assert groups({"a": a, "b": b, "c": c}) == [["a", "b", "c"]]


def test_frames_without_a_picture_do_not_count() -> None:
    black, quality = np.zeros(N_FRAMES, np.uint64), np.zeros(N_FRAMES, np.float32)
    assert len(pictures(black, quality)) == 0
    assert groups({"a": pictures(black, quality), "b": pictures(black, quality)}) == []


def test_the_share_is_the_larger_of_both_ways() -> None:
    one = np.unique(video(0, 100))
    other = np.unique(np.r_[one[:30], video(1, 20)])
    assert shared_share(one, other) == pytest.approx(30 / 50)
    assert shared_share(other, one) == pytest.approx(30 / 50)


def test_near_means_no_more_bits_than_said() -> None:
    near = np.zeros(1, np.uint64)
    assert shared_share(near, near | np.uint64(2**NEAR_BITS - 1)) == 1.0
    assert shared_share(near, near | np.uint64(2 ** (NEAR_BITS + 1) - 1)) == 0.0


def test_groups_and_members_stand_in_the_order_given() -> None:
    videos = {"z": video(0), "x": video(1), "b": video(0), "a": video(1)}
    assert groups(videos) == [["z", "b"], ["x", "a"]]


def test_a_hundred_copies_and_a_common_title_stay_far_from_quadratic() -> None:
    title = video(5000, 50)
    videos = {f"copy{n}": recoded(video(7), seed=n, mean_bits=1.0) for n in range(100)}
    videos |= {f"v{n}": np.r_[title, video(100 + n)] for n in range(900)}
    found = {name: np.unique(hashes) for name, hashes in videos.items()}
    calls = []

    def pictures_of(name: str) -> np.ndarray:
        calls.append(name)
        return found[name]

    result = near_duplicates(list(found), pictures_of, min_share=0.5)
    assert [len(group) for group in result] == [100]
    # All pairs would be 499,500; each calls twice.
    assert len(calls) < 40_000
