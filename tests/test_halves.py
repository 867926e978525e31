"""A long video's features in two halves are those of the whole."""

from pathlib import Path

import numpy as np
import pytest
from films import film_of_shots

from video2gif.core.config import Params
from video2gif.core.items import Context, compute
from video2gif.features.extract import extraction, read_features
from video2gif.make import rankers
from video2gif.make.analysis import Analysis, analyse
from video2gif.make.rankers import TrainedRanker

REPO = Path(__file__).parents[1]


@pytest.mark.slow
def test_features_of_halves_are_those_of_the_whole(
    tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rankers, "_LONG_FRAMES", 100)
    params = Params.load(REPO / "params.yaml")
    found = analyse(film_of_shots(tmp_path / "film.mp4"), params, context)
    spans = np.array([[8, 24], [100, 116], [130, 150]])  # One clip each: C3D is slow.
    analysis = Analysis(found.path, found.sha256, found.fingerprint, spans, ())
    ranker = object.__new__(TrainedRanker)
    ranker._extraction = extraction(params.extract, root=REPO)
    counts: list[int] = []
    told = Context(context.store, context.mapper, lambda _, __, total: counts.append(total))
    halves = ranker._fc6(analysis, told)
    assert counts[-1] == 2
    (outcome,) = compute(
        "features", ranker._extraction.work, [ranker._item(analysis, spans)], context
    )
    whole = read_features(context.store.read(outcome.key)).by_segment
    assert len(halves) == len(whole) == 3
    for half, expected in zip(halves, whole, strict=True):
        np.testing.assert_allclose(
            half.astype(float),
            expected.astype(float),
            rtol=2e-3,
            atol=2e-3 * np.abs(expected).max(),
        )  # Another batch may round the last bit of a half-precision number otherwise.
    ranker._fc6(analysis, told)
    assert counts[-1] == 1  # The whole is there now.
