"""The released Video2GIF head: read, checked, and scoring as a ranker of ours."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from video2gif.core.config import ExtractParams, Params
from video2gif.core.errors import UserError
from video2gif.features.registry import feature_sources
from video2gif.make.released import write_head
from video2gif.ranking.scorer import Scorer

REPO = Path(__file__).parents[1]


@pytest.fixture
def arrays() -> list[np.ndarray]:
    """h1, h2, score: W (in, out) and b in turn, double precision, as Theano trained them."""
    rng = np.random.default_rng(4)
    sizes = (4096, 512, 128, 1)
    return [
        array
        for n_in, n_out in itertools.pairwise(sizes)
        for array in (rng.normal(0, n_in**-0.5, (n_in, n_out)), rng.normal(0, 0.1, n_out))
    ]


def published(path: Path, arrays: list[np.ndarray]) -> Path:
    """As `np.savez(file, list)` writes arrays of different shapes."""
    objects = np.empty(len(arrays), object)
    objects[:] = arrays
    np.savez(path, objects)
    return path


@pytest.fixture
def extract(tmp_path: Path) -> ExtractParams:
    """Features of trained weights; only their digest matters here."""
    (tmp_path / "c3d.safetensors").write_bytes(b"trained")
    chosen = Params.load(REPO / "params.yaml").extract
    return dataclasses.replace(chosen, weights="c3d.safetensors")


def test_the_released_head_scores_as_its_formula_says(
    tmp_path: Path, arrays: list[np.ndarray], extract: ExtractParams
) -> None:
    file = published(tmp_path / "video2gif_weights.npz", arrays)
    target = tmp_path / "models" / "video2gif.safetensors"
    write_head(file, target, extract=extract, root=tmp_path, licence="BSD")

    fc6 = np.random.default_rng(5).random((5, 4096)).astype("f2")
    scorer = Scorer.load(target, target.with_suffix(".json"))
    found = scorer.model.score(
        [fc6[:3], fc6[:0], fc6[3:]],
        category="Music",
        tags=("cat",),
        spans_s=np.array([[0, 1], [1, 2], [2, 3]], float),
        duration_s=3.0,
        cues=np.zeros((3, 8)),
    )

    w1, b1, w2, b2, w3, b3 = arrays
    hidden = np.maximum(fc6.astype(float) @ w1 + b1, 0)
    clips = (np.maximum(hidden @ w2 + b2, 0) @ w3 + b3)[:, 0]
    np.testing.assert_allclose(found[[0, 2]], [clips[:3].mean(), clips[3:].mean()], rtol=1e-4)
    assert np.isnan(found[1])


def test_the_head_scores_only_the_features_it_was_imported_for(
    tmp_path: Path, arrays: list[np.ndarray], extract: ExtractParams
) -> None:
    file = published(tmp_path / "head.npz", arrays)
    card = write_head(file, tmp_path / "h.safetensors", extract=extract, root=tmp_path)
    assert card["source"]["format"] == "npz"
    scorer = Scorer.load(tmp_path / "h.safetensors", tmp_path / "h.json")
    scorer.check_features(feature_sources(extract, ["c3d"], root=tmp_path))
    (tmp_path / "c3d.safetensors").write_bytes(b"others")
    with pytest.raises(UserError, match=r"extract\.weights"):
        scorer.check_features(feature_sources(extract, ["c3d"], root=tmp_path))


def test_random_c3d_weights_are_refused(
    tmp_path: Path, arrays: list[np.ndarray], extract: ExtractParams
) -> None:
    file = published(tmp_path / "head.npz", arrays)
    untrained = dataclasses.replace(extract, weights="random:0")
    with pytest.raises(UserError, match="trained on C3D's Sports-1M"):
        write_head(file, tmp_path / "h.safetensors", extract=untrained, root=tmp_path)


def test_dense_features_are_refused_with_the_reason(
    tmp_path: Path, arrays: list[np.ndarray], extract: ExtractParams
) -> None:
    file = published(tmp_path / "head.npz", arrays)
    dense = dataclasses.replace(extract, mode="dense")
    with pytest.raises(UserError, match="trained on clips that end in zero padding"):
        write_head(file, tmp_path / "h.safetensors", extract=dense, root=tmp_path)
    write_head(file, tmp_path / "h.safetensors", extract=extract, root=tmp_path)
    scorer = Scorer.load(tmp_path / "h.safetensors", tmp_path / "h.json")
    with pytest.raises(UserError, match="dense convolutions see past the edges"):
        scorer.check_features(feature_sources(dense, ["c3d"], root=tmp_path))


@pytest.mark.parametrize(
    ("number", "wrong", "message"),
    [
        pytest.param(2, np.zeros((512, 127)), r"h2\.weight is \(127, 512\)", id="shape"),
        pytest.param(5, np.array([np.nan]), r"score\.bias holds NaN", id="nan"),
        pytest.param(0, np.zeros((512, 4096)), r"h1\.weight is \(4096, 512\)", id="transposed"),
        pytest.param(0, "nothing", "expected arr_0 with 6 arrays", id="no-array"),
    ],
)
def test_another_head_is_refused(
    number: int,
    wrong: object,
    message: str,
    tmp_path: Path,
    arrays: list[np.ndarray],
    extract: ExtractParams,
) -> None:
    arrays[number] = wrong  # type: ignore[call-overload]
    file = published(tmp_path / "head.npz", arrays)
    with pytest.raises(UserError, match=message):
        write_head(file, tmp_path / "h.safetensors", extract=extract, root=tmp_path)
    assert not (tmp_path / "h.safetensors").exists()
