"""Which moments become GIFs."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from video2gif.fingerprint.read import Fingerprint
from video2gif.make.analysis import Analysis
from video2gif.make.moments import Choice, choose, why
from video2gif.make.rankers import Moment
from video2gif.make.words import sentence

# A bright, crisp frame that moves: no defect.
GOOD = np.array([0, 120, 50, 240, 0.2, 0.4, 5, 4, 3], np.float32)


def analysis_of(*, shots: Sequence[int], fps: float = 20, same: bool = False) -> Analysis:
    """Shots of these numbers of frames, each of one picture, cut into segments of two seconds."""
    n = sum(shots)
    numbers = np.repeat(np.arange(len(shots)), shots)
    pictures = np.random.default_rng(0).integers(0, 2**63, len(shots), np.uint64)
    found = Fingerprint(
        pts_s=np.arange(n) / fps,
        end_s=n / fps,
        phash=pictures[numbers * (not same)],
        windows=np.zeros((n, 1), np.uint64),
        quality=np.ones(n, np.float32),
        thumbs=np.zeros((n, 16, 16), np.uint8),
        content=np.ones((n, 3)),
        cues=np.tile(GOOD, (n, 1)),
        width=64,
        height=48,
        bad_packets=0,
    )
    starts = np.cumsum([0, *shots])
    spans = np.array(
        [(a, min(a + 40, e)) for s, e in itertools.pairwise(starts) for a in range(s, e, 40)]
    )
    return Analysis(Path("film.mp4"), "0" * 64, found, spans, tuple(map(int, starts[1:-1])))


def ranked(analysis: Analysis) -> list[Moment]:
    edges = analysis.edges_s
    return [
        Moment(i + 1, float(edges[a]), float(edges[b]), 1.0 / (i + 1), int(a), int(b))
        for i, (a, b) in enumerate(analysis.spans)
    ]


def test_the_window_asked_for_bounds_the_room():
    analysis = analysis_of(shots=[80, 80])
    found = choose(analysis, ranked(analysis), Choice(from_s=3.0, to_s=5.5, alike=True))
    assert [one.moment.rank for one in found] == [2, 3]
    assert found[0].within.room == (60, 80)
    assert found[0].within.core == (60, 80)
    assert found[1].within.room == (80, 110)


def test_a_moment_grows_to_the_least_length_but_not_past_its_shot():
    analysis = analysis_of(shots=[80, 40])
    found = choose(analysis, ranked(analysis), Choice(min_len_s=3.0, alike=True))
    assert [one.within.core for one in found] == [
        (0, 60)
    ]  # 80 frames hold no second one; 40 are too few
    shorter = choose(analysis, ranked(analysis), Choice(max_len_s=1.0, alike=True))
    assert [one.within.max_frames for one in shorter] == [20, 20, 20]


def test_a_scene_that_comes_back_is_taken_once():
    analysis = analysis_of(shots=[80, 80, 40])
    found = choose(analysis, ranked(analysis), Choice())
    assert [one.moment.start_frame for one in found] == [0, 80, 160]
    six_times = analysis_of(shots=[40] * 6, same=True)
    assert len(choose(six_times, ranked(six_times), Choice())) == 1
    assert len(choose(six_times, ranked(six_times), Choice(alike=True))) == 6


def test_a_film_of_one_shot_has_no_other_picture_to_offer():
    analysis = analysis_of(shots=[240])
    assert len(choose(analysis, ranked(analysis), Choice())) == 6


def test_a_moment_is_explained_in_a_sentence_and_its_figures_apart():
    analysis = analysis_of(shots=[40, 40])
    moments = [
        replace(one, why=("an animal (rabbit)", "moves much", "crisp")) for one in ranked(analysis)
    ]
    found = why(analysis, moments, moments[0])
    assert found.sentence == (
        "The best of 2 moments. It shows an animal (rabbit), moves a lot and is sharp."
    )
    assert "Score 1.00; the part after it has 0.50." in found.details
    assert sentence((), 4.5) == "It moves 4.5 times as much as usual."
    assert sentence(("nothing stands out",), 1.0) == "Nothing in it stands out."


def test_the_worst_moments_come_last():
    analysis = analysis_of(shots=[80, 80])
    found = choose(analysis, ranked(analysis), Choice(top=1, bottom=2, alike=True))
    assert [one.moment.rank for one in found] == [1, 3, 4]
