"""The table of all methods: folds, rows, intervals, wrong labels; and where the report shows it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape
from ranking_project import N_SEGMENTS, small_params, write_project

from video2gif.ablation import methods
from video2gif.ablation import run as ablate
from video2gif.ablation import table as ablation
from video2gif.ablation.methods import REFERENCE_METHOD, Method, best_union, gif_share
from video2gif.ablation.run import Ablation
from video2gif.core.errors import UserError
from video2gif.core.layout import read_csv, read_json, write_csv, write_json
from video2gif.evaluation.bootstrap import paired_interval
from video2gif.page import results
from video2gif.page.render import ReportPage, render
from video2gif.ranking.loading import load_videos
from video2gif.ranking.videos import Video

PARAMS = small_params(epochs=4, patience=4, ensemble=1)
PAPER = {
    "joint embedding",
    "category-specific SVM",
    "domain-specific rank SVM",
    "classification",
    "rank, across videos",
    "rank, l1",
    "rank, l2",
    "rank, Huber",
    "rank, adaptive Huber",
    "+ context",
    "+ context + model averaging",
    "approximate bound",
}


def quiet(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    return load_videos(write_project(tmp_path_factory.mktemp("planted"), n_videos=15))


@pytest.fixture(scope="module")
def rows(videos: list[Video]) -> dict[str, ablation.Row]:
    found = ablation.table(
        ablation.folds(videos, 0),
        methods.methods(PARAMS.train),
        seeds=2,
        samples=200,
        seed=0,
        workers=1,
        progress=quiet,
    )
    return {row.name: row for row in found}


def test_every_row_of_the_papers_table_is_there_with_its_figure(
    rows: dict[str, ablation.Row],
) -> None:
    assert {name for name, row in rows.items() if row.paper_nmsd is not None} == PAPER
    assert rows["+ context + model averaging"].paper_nmsd == 0.4408


@pytest.mark.parametrize(
    "name",
    [
        *("category-specific SVM", "domain-specific rank SVM", "classification"),
        *("rank, across videos", "rank, l1", "rank, l2", "rank, Huber", "rank, adaptive Huber"),
        *("+ context", "+ context + model averaging", "listwise", "centred features"),
        *("step to the neighbours", "several shots", "linear", "fusion", "as in params.yaml"),
    ],
)
def test_every_method_that_learns_finds_a_planted_direction(
    rows: dict[str, ablation.Row], name: str
) -> None:
    assert rows[name].nmsd < 0.7 * rows["random"].nmsd
    assert rows[name].nmsd >= rows["approximate bound"].nmsd - 1e-12


def test_the_joint_embedding_knows_nothing_where_all_videos_have_the_same_words(
    rows: dict[str, ablation.Row],
) -> None:
    # Every segment predicts the same words: one tie, all of it watched.
    assert rows["joint embedding"].nmsd == 1


def test_the_reference_differs_from_itself_by_nothing(rows: dict[str, ablation.Row]) -> None:
    assert rows[REFERENCE_METHOD].to_reference == 0
    assert rows[REFERENCE_METHOD].to_reference_ci == (0, 0)


def test_intervals_between_rows_are_paired_by_video(rows: dict[str, ablation.Row]) -> None:
    one, other = rows["random"].nmsd_by_video, rows[REFERENCE_METHOD].nmsd_by_video
    assert rows["random"].to_reference_ci == paired_interval(one, other, samples=200, seed=0)
    assert rows["random"].nmsd == pytest.approx(np.mean(one))


@pytest.mark.slow  # Each worker imports torch anew.
def test_two_workers_measure_what_one_does(videos: list[Video]) -> None:
    chosen = [m for m in methods.methods(PARAMS.train) if m.name in {"random", REFERENCE_METHOD}]

    def measured(workers: int) -> list[ablation.Row]:
        return ablation.table(
            ablation.folds(videos, 2),
            chosen,
            seeds=2,
            samples=50,
            seed=0,
            workers=workers,
            progress=quiet,
        )

    assert measured(1) == measured(2)


# Folds


@pytest.mark.parametrize("count", [2, 4, 15, 99])
def test_folds_score_every_video_once_by_what_never_saw_it(videos: list[Video], count: int) -> None:
    parts = ablation.folds(videos, count)
    scored = [video.video_id for part in parts for video in part.score]
    assert sorted(scored) == [video.video_id for video in videos]
    for part in parts:
        learned = {video.video_id for video in part.learn}
        assert not learned & {video.video_id for video in part.score}
        assert {video.split for video in part.learn} == {"train", "validation"}
    assert len(parts) == min(count, len(videos))


def test_without_folds_the_test_split_is_scored(videos: list[Video]) -> None:
    (part,) = ablation.folds(videos, 0)
    assert {video.split for video in part.score} == {"test"}
    assert "test" not in {video.split for video in part.learn}


# Methods


def test_a_union_lends_its_mean_to_the_weaker_segment_only() -> None:
    scores, n_clips = np.array([0.0, 3.0, 1.0, np.nan, 5.0]), np.array([1, 2, 1, 0, 1])
    found = best_union(scores, n_clips)
    np.testing.assert_allclose(found, [2.0, 3.0, 7 / 3, np.nan, 5.0])


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9))
def test_a_union_never_lowers_a_score_nor_moves_the_best(values: list[float]) -> None:
    scores = np.array(values)
    found = best_union(scores, np.ones(len(scores), np.int64))
    assert (found >= scores - 1e-12).all()
    assert found.max() == pytest.approx(scores.max())


def test_the_bound_is_the_share_of_frames_inside_any_gif(videos: list[Video]) -> None:
    video = dataclasses.replace(videos[0], gifs=((0, 45), (40, 60), (235, 999)))
    expected = [
        sum(any(s <= f < e for s, e in video.gifs) for f in range(start, end)) / (end - start)
        for start, end in video.spans.tolist()
    ]
    np.testing.assert_allclose(gif_share(video), expected)


def test_an_unknown_category_is_scored_by_the_machine_of_all(videos: list[Video]) -> None:
    learn = ablation.folds(videos, 0)[0].learn
    score = methods.category_svm(learn, 0)
    stranger = dataclasses.replace(videos[0], category="Never seen")
    assert np.isfinite(score(stranger)).all()
    assert not np.array_equal(score(stranger), score(videos[0]))


def test_methods_without_seed_are_run_once(videos: list[Video]) -> None:
    calls: list[int] = []

    def learn(part: object, seed: int) -> methods.Score:
        calls.append(seed)
        return gif_share

    rows = [Method("still", learn, seeded=False), Method(REFERENCE_METHOD, learn)]
    options = {"seeds": 3, "samples": 10, "seed": 0, "workers": 1}
    ablation.table(ablation.folds(videos, 0), rows, progress=quiet, **options)  # type: ignore[arg-type]
    assert calls == [0, 0, 1, 2]


# Wrong labels


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_positives_is_wrong_and_every_pair_still_names_two_segments(
    videos: list[Video], share: float
) -> None:
    training = [video for video in videos if video.split == "train"]
    noisy = [ablation.with_noise(video, share, seed=1, tells=True) for video in training]
    wrong = [
        not np.array_equal(a.pairs[:, 0], b.pairs[:, 0])
        for a, b in zip(training, noisy, strict=True)
    ]
    assert np.mean(wrong) == pytest.approx(share, abs=0.35)
    for before, after, is_wrong in zip(training, noisy, wrong, strict=True):
        assert after.pairs.shape == (N_SEGMENTS - 1, 2)
        assert (after.pairs[:, 0] != after.pairs[:, 1]).all()
        assert len(np.unique(after.pairs[:, 1])) == N_SEGMENTS - 1
        assert (after.popularity == (0.0 if is_wrong else 0.5)).all()
        assert before.gifs == after.gifs


def test_wrong_stays_wrong_at_larger_shares_and_validation_stays_true(
    videos: list[Video],
) -> None:
    for video in videos:
        some, more = (
            ablation.with_noise(video, share, seed=3, tells=False) for share in (0.3, 0.6)
        )
        if video.split != "train":
            assert some is video
        elif not np.array_equal(some.pairs, video.pairs):
            np.testing.assert_array_equal(more.pairs, some.pairs)


# The command's work


def test_the_table_is_written_for_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"random", REFERENCE_METHOD}
    monkeypatch.setattr(
        ablate, "methods", lambda params: [m for m in methods.methods(params) if m.name in kept]
    )
    monkeypatch.setattr(ablate, "NOISE_SHARES", (0.0, 0.4))
    layout = write_project(tmp_path, n_videos=10)
    choice = Ablation(name="mine", n_folds=0, seeds=1, workers=1, noise=True)
    path = ablate.run(layout, PARAMS, choice, quiet)
    notes, lines = read_json(path.with_suffix(".json")), read_csv(path)
    assert path == layout.ablation / "mine.csv"
    assert (notes["n_videos"], notes["n_gifs"], notes["seeds"]) == (2, 2, 1)
    assert notes["random_weights"] is False
    assert set(lines[lines["noise"].isna()]["name"]) == kept
    assert lines["noise"].notna().sum() == 2 * (len(ablation.NOISE_LOSSES) + 1)
    assert sum(name.startswith("nmsd of ") for name in lines) == 2
    before = path.read_bytes()
    ablate.run(layout, PARAMS, choice, quiet)
    assert path.read_bytes() == before  # no clock, no path, no other luck


def test_without_a_video_to_score_the_remedy_is_named(tmp_path: Path) -> None:
    layout = write_project(tmp_path, n_videos=3, splits=("train",))
    choice = Ablation(name="mine", n_folds=0, seeds=1, workers=1, noise=False)
    with pytest.raises(UserError, match="--folds"):
        ablate.run(layout, PARAMS, choice, quiet)


# The report


def page(**more: object) -> str:
    return render(
        ReportPage(
            title="t",
            warnings=[],
            split="test",
            asked=[],
            answer=[],
            results=[],
            comparison=[],
            videos=[],
            distributions=[],
            statistics={},
            training=[],
            **more,  # type: ignore[arg-type]
        )
    )


def test_the_report_shows_the_table_beside_the_papers_figures(
    tmp_path: Path, rows: dict[str, ablation.Row]
) -> None:
    layout = write_project(tmp_path, n_videos=5)
    parts = ablation.folds(load_videos(layout), 0)
    noise = [
        ablation.NoiseRow(loss, share, 0.2 + share, 0, 1)
        for loss in ("l1", "l2")
        for share in (0.0, 0.4)
    ]
    ids = [f"v{number}" for number in range(len(rows["random"].nmsd_by_video))]
    choice = Ablation(name="<mine>", n_folds=0, seeds=2, workers=1, noise=True)
    write_csv(tmp_path / "mine.csv", ablation.as_frame(list(rows.values()), noise, ids))
    write_json(tmp_path / "mine.json", ablate._about(layout, PARAMS, parts, choice))
    measured = (read_json(tmp_path / "mine.json"), read_csv(tmp_path / "mine.csv"))
    html = page(method_tables=[results.method_table(*measured)])
    for name, row in rows.items():
        assert html.count(f'<th scope="row">{escape(name)}</th>') == 1
        assert f"{row.nmsd:.3f}" in html
    assert "0.441" in html  # the paper's best row
    assert "&lt;mine&gt;" in html
    assert "Losses under wrong labels" in html
    assert "All methods" not in page()
    assert html.count('class="dot ours"') == 1  # The method that the others are compared with.


def test_the_report_draws_lengths_and_ranks(videos: list[Video]) -> None:
    metrics = {
        "per_category": {"animals": {"nmsd": 0.25, "nmsd_ci": [0.125, 0.5], "n_videos": 7}},
        "per_length": [{"from_s": 9.6, "to_s": 12.0, "nmsd": 0.375, "n_videos": 7}],
        "calibration": [
            {"best_share": 0.1, "gif_share": 0.9, "n_frames": 10},
            {"best_share": 0.2, "gif_share": 0.1, "n_frames": 30},
        ],
    }
    html = page(weak_spots=results.weak_spots(metrics))
    assert "animals (7): 0.250, 95 % interval 0.125 to 0.500" in html
    assert "9.6–12.0 s (7): 0.375" in html
    assert "10: 90.0 %" in html
    assert "The line is the mean, 30 %" in html
