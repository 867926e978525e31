"""The Python API: `video2gif.rank`, `make` and `match`, and that nothing is imported too early."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from films import film_of_shots

import video2gif


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_of_shots(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture(autouse=True)
def _store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO2GIF_CACHE", str(tmp_path_factory.getbasetemp() / "api-cache"))


def test_rank_gives_all_moments_best_first(film: Path):
    ranking = video2gif.rank(film, ranker="baseline")
    assert ranking.video == film
    assert [moment.rank for moment in ranking.moments] == [*range(1, len(ranking.moments) + 1)]
    scores = [moment.score for moment in ranking.moments]
    assert scores == sorted(scores, reverse=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ranking.moments[0].score = 1.0  # type: ignore[misc]


def test_make_writes_what_it_says_and_match_finds_where_it_is_from(film: Path, tmp_path: Path):
    options = video2gif.GifOptions(height=120, loop="none")
    made = video2gif.make(film, tmp_path, top=1, options=options, ranker="baseline")
    (gif,) = made.gifs
    assert (gif.path.stat().st_size, gif.height) == (gif.bytes, 120)
    assert made.page == tmp_path / "index.html"
    assert gif.moment == video2gif.rank(film, ranker="baseline").moments[0]
    (place,) = video2gif.match(gif.path, film)
    # The shots of this film hardly move, so that several spans may fit equally well.
    assert place.status in ("matched", "ambiguous")
    assert place.video == film
    assert gif.start_s - 0.5 <= place.start_s < place.end_s <= gif.end_s + 0.5


def test_the_command_line_says_the_same(film: Path):
    command = [
        sys.executable,
        "-m",
        "video2gif",
        "rank",
        str(film),
        "--json",
        "--ranker",
        "baseline",
    ]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    moments = video2gif.rank(film, ranker="baseline").moments
    assert [row["score"] for row in told["segments"]] == [moment.score for moment in moments]


def test_a_bad_film_is_an_item_error_in_rank_and_a_row_in_match(film: Path, tmp_path: Path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no film")
    with pytest.raises(video2gif.ItemError):
        video2gif.rank(bad)
    with pytest.raises(video2gif.ItemError):
        video2gif.make(bad, tmp_path / "gifs")
    places = video2gif.match(film_of_shots(tmp_path / "a.mp4"), [bad, film])
    assert places[-1].status == "quarantined"
    assert math.isnan(places[-1].start_s)


def test_about_and_ranker_exclude_each_other(film: Path):
    with pytest.raises(video2gif.UserError, match="not both"):
        video2gif.rank(film, about="dog", ranker="baseline")


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("", id="nothing-imported"),
        pytest.param("import video2gif.make.run", id="its-room-imported"),
        pytest.param("from video2gif import make", id="imported-from"),
    ],
)
def test_make_can_be_called_whatever_was_imported_before(before: str):
    code = f"import video2gif; {before}\ntry: video2gif.make('none.mp4')\n"
    code += "except video2gif.ItemError as error: print(error.cause)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "missing"


def test_every_name_of_the_api_is_there_and_documented():
    for name in set(video2gif.__all__) - {"__version__"}:
        assert getattr(video2gif, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        video2gif.nothing  # noqa: B018


def test_importing_the_package_imports_nothing_else_of_it():
    code = (
        "import sys; before = set(sys.modules); import video2gif; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {n for n in done.stdout.split() if n.startswith("video2gif")} == {"video2gif"}
