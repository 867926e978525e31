"""A long video's features in two halves are those of the whole."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from films import film_of_shots

from video2gif.core.config import Params
from video2gif.core.items import Context, compute
from video2gif.features.clips import extraction
from video2gif.make import features
from video2gif.make.analysis import Analysis, analyse
from video2gif.make.features import film_features

REPO = Path(__file__).parents[1]


@pytest.mark.slow
def test_features_of_halves_are_those_of_the_whole(
    tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(features, "_LONG_FRAMES", 100)
    params = Params.load(REPO / "params.yaml")
    extract = dataclasses.replace(params.extract, backend="torch-fp32")
    found = analyse(film_of_shots(tmp_path / "film.mp4"), params, context)
    spans = np.array([[8, 24], [100, 116], [130, 150]])  # One clip each: C3D is slow.
    analysis = Analysis(found.path, found.sha256, found.fingerprint, spans, ())
    made = extraction(extract, root=REPO)
    counts: list[int] = []
    told = Context(context.store, context.mapper, lambda _, __, total: counts.append(total))
    halves = film_features(made, analysis, told).by_segment
    assert counts[-1] == 2
    item = made.item("video:film", sha256=found.sha256, path=found.path, spans=spans)
    (outcome,) = compute("features", made.work, [item], context)
    whole = made.read(context.store.read(outcome.key), spans).by_segment
    assert len(halves) == len(whole) == 3
    for half, expected in zip(halves, whole, strict=True):
        np.testing.assert_allclose(
            half.astype(float),
            expected.astype(float),
            rtol=2e-3,
            atol=2e-3 * np.abs(expected).max(),
        )  # Another batch may round the last bit of a half-precision number otherwise.
    film_features(made, analysis, told)
    assert counts[-1] == 1  # The whole is there now.
