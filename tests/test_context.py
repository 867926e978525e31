"""Category, tags and position as numbers."""

import hashlib

import numpy as np
import pytest

from video2gif.core.errors import UserError
from video2gif.ranking.context import ContextEncoder, hashed_tags

SPANS_S = np.array([[0.0, 2.0], [2.0, 5.0], [5.0, 10.0]])


def encoder(*parts: str) -> ContextEncoder:
    categories = ["Sports", "", "Animals", "Sports"]
    return ContextEncoder.fit(parts=parts, categories=categories, tag_buckets=8)


def encode(one: ContextEncoder, category: str = "Sports", tags: tuple[str, ...] = ()) -> np.ndarray:
    return one.encode(category=category, tags=tags, spans_s=SPANS_S, duration_s=10)


def test_the_vocabulary_is_sorted_and_leaves_out_the_unknown() -> None:
    assert encoder("category").categories == ("Animals", "Sports")


def test_a_known_category_is_one_hot_and_another_is_zeros() -> None:
    assert encode(encoder("category"))[0].tolist() == [0, 1]
    assert encode(encoder("category"), "Music")[0].tolist() == [0, 0]
    assert encode(encoder("category"), "")[0].tolist() == [0, 0]


def test_tags_fall_into_the_bucket_of_their_sha256() -> None:
    bucket = int(hashlib.sha256(b"cat").hexdigest()[:16], 16) % 8
    expected = np.zeros(8)
    expected[bucket] = 1
    np.testing.assert_array_equal(hashed_tags([" Cat "], 8), expected)


def test_tags_have_length_one_and_missing_tags_are_zeros() -> None:
    assert np.linalg.norm(hashed_tags(["a", "b", "c", "a"], 64)) == pytest.approx(1)
    assert not hashed_tags([], 64).any()
    assert not hashed_tags(["", "  "], 64).any()


def test_the_order_of_tags_makes_no_difference() -> None:
    np.testing.assert_array_equal(hashed_tags(["a", "b"], 8), hashed_tags(["b", "a"], 8))


def test_positions_are_start_rank_and_centre_relative_to_the_video() -> None:
    expected = [[0, 0, 0.1], [0.2, 1 / 3, 0.35], [0.5, 2 / 3, 0.75]]
    np.testing.assert_allclose(encode(encoder("position")), expected, rtol=1e-6)


def test_parts_stand_side_by_side_in_a_fixed_order() -> None:
    every = encoder("position", "tags", "category")
    assert every.parts == ("category", "tags", "position")
    encoded = encode(every, tags=("x",))
    assert encoded.shape == (3, every.size) == (3, 2 + 8 + 3)
    assert encoded.dtype == np.float32


def test_without_context_there_are_no_columns() -> None:
    assert encode(encoder()).shape == (3, 0)


def test_an_unknown_part_is_an_error_that_names_the_choices() -> None:
    with pytest.raises(UserError, match=r"titles.*category, tags, position"):
        encoder("titles")


def test_the_card_restores_the_encoder() -> None:
    one = encoder("category", "tags")
    assert ContextEncoder.from_card(one.to_card()) == one
