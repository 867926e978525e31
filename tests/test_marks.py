"""Marks: written, read, learned from by the pipeline's labels, and by a ranking bent at once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from films import film_of_shots
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from video2gif.cli.__main__ import app
from video2gif.core.config import Params
from video2gif.core.errors import UserError
from video2gif.core.items import Context
from video2gif.core.layout import Layout
from video2gif.core.tables import LABELS, PAIRS, SEGMENTS
from video2gif.datasets import read_manifest
from video2gif.datasets.marks import Mark, read_marks, with_mark, without_mark, write_marks
from video2gif.make.analysis import analyse
from video2gif.make.personal import personal, personal_of_file
from video2gif.make.rankers import Baseline, rank
from video2gif.make.taste import Marked, Taste, look, standardised
from video2gif.stages import download, fingerprint, label, match, segment

REPO = Path(__file__).parents[1]
PARAMS = Params.load(REPO / "params.yaml")
NAMES = st.text(
    st.characters(exclude_characters="/\0\\", exclude_categories=("Cc", "Cs", "Zl", "Zp")),
    min_size=1,
    max_size=30,
).filter(lambda name: name not in (".", ".."))


@given(
    st.lists(
        st.tuples(NAMES, st.integers(0, 10**6), st.integers(1, 10**5), st.booleans()), max_size=8
    )
)
def test_marks_come_back_as_they_were_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("marks") / "marks.csv"
    marks: list[Mark] = []
    for name, start_ms, length_ms, is_good in rows:
        verdict = "good" if is_good else "bad"
        mark = Mark(name, start_ms / 1000, (start_ms + length_ms) / 1000, verdict)
        marks = with_mark(marks, mark)
    write_marks(path, marks)
    assert read_marks(path) == sorted(marks)


def test_a_later_verdict_replaces_an_earlier_one():
    marks = with_mark([Mark("a", 1.0, 2.0, "good")], Mark("a", 1.0, 2.0004, "bad"))
    assert [mark.verdict for mark in marks] == ["bad"]
    assert without_mark(marks, Mark("a", 1.0, 2.0, "good")) == []


def test_D21_no_cell_is_a_formula(tmp_path: Path):
    write_marks(tmp_path / "m.csv", [Mark("=cmd()|'x'.mp4", 0.0, 1.0, "good")])
    lines = (tmp_path / "m.csv").read_text().splitlines()
    for cell in lines[1].split(","):
        assert not cell.startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n",
        "video_id,video_url,gif_id,gif_url,start_s,end_s,split,verdict\nv,v,g,,x,2,train,good\n",
        "video_id,video_url,gif_id,gif_url,start_s,end_s,split,verdict\nv,v,g,,3,2,train,good\n",
        "video_id,video_url,gif_id,gif_url,start_s,end_s,split,verdict\nv,v,g,,1,2,train,ugly\n",
        "video_id,video_url,gif_id,gif_url,start_s,end_s,split,verdict\nv,v\n",
        "\udcff",
    ],
)
def test_a_broken_file_of_marks_is_named(tmp_path: Path, text: str):
    (tmp_path / "m.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=r"m\.csv"):
        read_marks(tmp_path / "m.csv")


def test_no_file_holds_no_marks(tmp_path: Path, context: Context):
    assert read_marks(tmp_path / "none.csv") == []
    with pytest.raises(UserError, match="no marks"):
        personal_of_file(Baseline(), tmp_path / "none.csv", PARAMS, context)


# The pipeline learns from them


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose manifest is a file of marks: one good, one bad, of a film of four shots."""
    root = tmp_path_factory.mktemp("project")
    (root / "review").mkdir()
    film_of_shots(root / "review" / "my film.mp4")
    good, bad = Mark("my film.mp4", 2.0, 4.0, "good"), Mark("my film.mp4", 6.0, 8.0, "bad")
    write_marks(root / "review" / "marks.csv", [good, bad])
    return root


def test_a_bad_mark_names_no_gif(folder: Path):
    manifest = read_manifest(folder / "review" / "marks.csv")
    assert not manifest.bad
    (row,) = manifest.rows
    assert (row.start_s, row.end_s, row.split) == (2.0, 4.0, "train")


def test_the_labels_follow_the_marks(folder: Path, context: Context):
    layout = Layout(folder)
    params = replace(PARAMS, download=replace(PARAMS.download, manifest="review/marks.csv"))
    for stage in (download, fingerprint, match, segment, label):
        stage.run(layout, params, context)
    segments = SEGMENTS.read(layout.segments).set_index("segment_id")
    labels = LABELS.read(layout.labels).set_index("segment_id")
    assert set(labels.split) == {"train"}
    by_start = {round(segments.start_s[i]): labels.label[i] for i in labels.index}
    assert by_start == {0: "negative", 2: "positive", 4: "negative", 6: "negative"}
    pairs = PAIRS.read(layout.pairs)
    assert {round(segments.start_s[i]) for i in pairs.positive} == {2}
    assert 6 in {round(segments.start_s[i]) for i in pairs.negative}


# A ranking bent by marks


def test_without_marks_nothing_is_bent():
    prior = np.array([1.0, -1.0, np.nan])
    empty = Taste.of([Marked(np.zeros((0, 2)), np.zeros(0), np.zeros(0, bool))])
    np.testing.assert_array_equal(empty.rerank(np.zeros((3, 2)), prior), prior)


def test_a_marked_segment_moves_to_its_verdict_and_its_like_follow():
    features = np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 9.0]])
    prior = np.zeros(3)
    taste = Taste.of([Marked(features[:1], prior[:1], np.array([True]))])
    found = taste.rerank(features, prior)
    assert found[0] == pytest.approx(1.5 / 1.3)  # wanted / (k + noise), k(x, x) = 1
    assert 0.9 * found[0] < found[1] < found[0]
    assert abs(found[2]) < 1e-6  # Nothing is known of what looks otherwise.


def test_a_good_mark_lowers_nothing_and_a_bad_one_raises_nothing():
    features, prior = np.array([[0.0], [0.1]]), np.array([3.0, -3.0])
    for good, sign in ((True, 1), (False, -1)):
        found = Taste.of([Marked(features, prior, np.array([good, good]))]).rerank(features, prior)
        assert (sign * (found - prior) >= -1e-9).all()


def test_the_kernel_equals_one_written_from_its_definition():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 4)), rng.normal(size=(3, 4))
    good, prior = np.array([True, False, True]), rng.normal(size=3)
    kernel = lambda a, b: np.exp(-((a - b) ** 2).sum() / 4)  # noqa: E731
    k_xy = np.array([[kernel(a, b) for b in y] for a in x])
    k_yy = np.array([[kernel(a, b) for b in y] for a in y])
    wanted = np.array(
        [max(p, 1.5) if g else min(p, -1.5) for g, p in zip(good, prior, strict=True)]
    )
    wanted -= prior
    expected = k_xy @ np.linalg.inv(k_yy + 0.3 * np.eye(3)) @ wanted
    found = Taste.of([Marked(y, prior, good)]).rerank(x, np.zeros(5))
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_standardised_columns_have_no_scale_and_keep_what_is_unknown():
    values = np.array([[1.0, 5.0], [3.0, 5.0], [np.nan, 5.0]])
    found = standardised(values)
    np.testing.assert_allclose(found[:2, 0], [-1, 1])
    np.testing.assert_array_equal(found[:, 1], [0, 0, 0])
    assert np.isnan(found[2, 0])


def test_the_look_of_a_segment_is_finite_for_one_frame():
    found = look(np.zeros((2, 3)), np.zeros((2, 16, 16), np.uint8), np.array([[0, 1], [1, 2]]))
    assert found.shape[0] == 2
    assert np.isfinite(found).all()


def test_marks_of_one_video_bend_its_ranking(folder: Path, context: Context):
    path = folder / "review" / "my film.mp4"
    analysis = analyse(path, PARAMS, context)
    before = rank(analysis, Baseline(), context)
    marks = read_marks(path.with_name("marks.csv"))
    bent = personal(Baseline(), marks, folder=path.parent, params=PARAMS, context=context)
    after = rank(analysis, bent, context)
    assert before[0].start_s == pytest.approx(6.0)
    assert after[0].start_s == pytest.approx(2.0)
    assert bent.digest != Baseline().digest


def test_marks_of_videos_that_are_gone_teach_nothing(folder: Path, context: Context):
    for name in ("gone.mp4", "../../etc/passwd"):
        marks = [Mark(name, 0.0, 1.0, "good")]
        base = Baseline()
        assert personal(base, marks, folder=folder, params=PARAMS, context=context) is base


# The commands


def test_personalise_and_rank_follow_a_file_of_marks(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("VIDEO2GIF_CACHE", str(tmp_path))
    monkeypatch.setenv("VIDEO2GIF_EXECUTOR", "serial")
    film, marks = folder / "review" / "my film.mp4", folder / "review" / "marks.csv"
    common = ["--marks", str(marks), "--ranker", "baseline", "--root", str(REPO), "--quiet"]
    shown = CliRunner().invoke(app, ["personalise", str(film), *common])
    assert shown.exit_code == 0, shown.output
    assert "re-ranked by 2 marks" in shown.output
    ranked = CliRunner().invoke(app, ["rank", str(film), "--csv", *common])
    first = ranked.stdout.splitlines()[1].split(",")
    assert (first[0], float(first[1])) == ("1", pytest.approx(2.0))
