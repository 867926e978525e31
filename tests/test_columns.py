"""Columns on disk hold what whole arrays would."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from video2gif.core.store import read_arrays
from video2gif.fingerprint.columns import Columns


@pytest.mark.parametrize("sizes", [[5], [64, 64, 3], [1, 1, 1]], ids=str)
def test_an_item_of_columns_reads_as_the_arrays(tmp_path: Path, sizes: list[int]) -> None:
    rng = np.random.default_rng(1)
    blocks = [
        {
            "thumbs": rng.integers(0, 256, (n, 4, 4), np.uint8),
            "quality": rng.random(n, np.float32),
            "phash": rng.integers(0, 2**64, n, np.uint64),
            "content": rng.random((n, 3))[:, ::-1],
        }
        for n in sizes
    ]
    out = tmp_path / "item"
    with ExitStack() as files:
        columns = Columns(tmp_path, files)
        for block in blocks:
            columns.append(block)
        columns.write(out, {"end_s": 1.5})
    arrays, notes = read_arrays(out.read_bytes())
    assert notes == {"end_s": 1.5}
    assert set(arrays) == set(blocks[0])
    for name, array in arrays.items():
        expected = np.concatenate([block[name] for block in blocks])
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    assert [path.name for path in tmp_path.iterdir()] == ["item"], "nothing is left beside it"
