"""Moments in editors' files, read back by OpenTimelineIO to the frame."""

import json
import math
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import opentimelineio
import pytest

from video2gif.core.errors import UserError
from video2gif.make.editors import FilmFacts, usual_rate, written
from video2gif.make.rankers import Moment

RATES = [
    pytest.param(Fraction(24), id="24"),
    pytest.param(Fraction(24000, 1001), id="23.976"),
    pytest.param(Fraction(25), id="25"),
    pytest.param(Fraction(30000, 1001), id="29.97"),
    pytest.param(Fraction(60000, 1001), id="59.94"),
    pytest.param(Fraction(12), id="12"),
]
NAME = "a & <b> \"c\" 'd' #é.mp4"


def film(rate: Fraction) -> FilmFacts:
    return FilmFacts(Path("/films") / NAME, rate, 7200.0, 1280, 720)


def moments(rate: Fraction) -> tuple[list[Moment], list[tuple[int, int]]]:
    """Some spans of frames, late ones too, as the times of those frames."""
    spans = [(1001, 1090), (0, 24), (24, 25), (100_000, 100_071), (17, 600)]
    found = [
        Moment(n, float(a / rate), float(b / rate), 1 / n, a, b)
        for n, (a, b) in enumerate(spans, 1)
    ]
    return found, spans


def read_back(text: str, adapter: str, **options: object) -> list[tuple[int, int]]:
    found = opentimelineio.adapters.read_from_string(text, adapter, **options)
    timeline = (
        found[0]
        if isinstance(found, (list, opentimelineio.schema.SerializableCollection))
        else found
    )
    ranges = [clip.source_range for clip in timeline.find_clips()]
    return [
        (round(one.start_time.value), round(one.start_time.value + one.duration.value))
        for one in ranges
    ]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("form", ["edl", "fcpxml", "otio"])
def test_moments_round_trip_to_the_frame(form: str, rate: Fraction):
    if (form, rate) == ("edl", 12):
        pytest.skip("SMPTE time code has no such rate")
    if form == "fcpxml" and rate.denominator > 1:
        pytest.skip("the adapter takes 30000/1001 for 29 frames a second: see the next test")
    found, spans = moments(rate)
    text = written(form, film(rate), found)  # type: ignore[arg-type]
    adapter = {"edl": "cmx_3600", "fcpxml": "fcpx_xml", "otio": "otio_json"}[form]
    options = {"rate": float(rate)} if form == "edl" else {}
    assert read_back(text, adapter, **options) == spans


@pytest.mark.parametrize("rate", RATES)
def test_the_times_of_fcpxml_are_whole_frames(rate: Fraction):
    found, spans = moments(rate)
    root = ElementTree.fromstring(written("fcpxml", film(rate), found))
    assert Fraction(root.find(".//format").get("frameDuration")[:-1]) == 1 / rate  # type: ignore[union-attr,index]
    at = 0
    for clip, (start, end) in zip(root.iter("asset-clip"), spans, strict=True):
        times = [Fraction(clip.get(name)[:-1]) for name in ("offset", "start", "duration")]  # type: ignore[index]
        assert [time * rate for time in times] == [at, start, end - start]
        at += end - start
    assert root.find(".//asset").get("src") == film(rate).url  # type: ignore[union-attr]


def test_opentimelineio_writes_what_it_read_of_ours():
    found, spans = moments(Fraction(25))
    timeline = opentimelineio.adapters.read_from_string(
        written("otio", film(Fraction(25)), found), "otio_json"
    )
    (clip, *_) = timeline.find_clips()
    assert clip.media_reference.target_url == film(Fraction(25)).url
    edl = opentimelineio.adapters.write_to_string(timeline, "cmx_3600", rate=25)
    assert read_back(edl, "cmx_3600", rate=25) == spans


@pytest.mark.parametrize("rate", RATES)
def test_chapters_are_in_the_order_of_time_and_exact(rate: Fraction):
    found, spans = moments(rate)
    lines = written("chapters", film(rate), found).splitlines()
    assert lines[0] == ";FFMETADATA1"
    starts = [int(line[6:]) for line in lines if line.startswith("START=")]
    ends = [int(line[4:]) for line in lines if line.startswith("END=")]
    assert list(zip(starts, ends, strict=True)) == sorted(spans)
    assert f"TIMEBASE={rate.denominator}/{rate.numerator}" in lines


def test_losslesscut_gets_the_frames_own_times():
    found, _ = moments(Fraction(25))
    project = json.loads(written("llc", film(Fraction(25)), found))
    assert project["mediaFileName"] == NAME
    assert [(s["start"], s["end"]) for s in project["cutSegments"]] == [
        (m.start_s, m.end_s) for m in found
    ]


def test_csv_leaves_an_unknown_score_empty():
    text = written("csv", film(Fraction(25)), [Moment(1, 0.5, 1.25, math.nan, 12, 31)])
    assert text == "rank,start_s,end_s,score\n1,0.500,1.250,\n"


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (Fraction(30000, 1001), Fraction(30000, 1001)),
        (Fraction(2997, 100), Fraction(30000, 1001)),
        (Fraction(23976, 1000), Fraction(24000, 1001)),
        (Fraction(24), Fraction(24)),
        (Fraction(1374, 100), Fraction(14)),
        (Fraction(1, 10), Fraction(1)),
    ],
)
def test_a_film_s_rate_is_one_that_editors_have(said: Fraction, taken: Fraction):
    assert usual_rate(said) == taken


def test_an_edl_of_a_thousand_moments_says_what_to_do():
    many = [Moment(n, n, n + 1, 0.5, 25 * n, 25 * n + 25) for n in range(1000)]
    with pytest.raises(UserError, match="--top"):
        written("edl", film(Fraction(25)), many)
