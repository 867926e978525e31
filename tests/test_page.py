"""The page: one file, escaped, small, and drawings that say what the numbers say."""

import math
import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pandas as pd
import pytest
from markupsafe import Markup

from video2gif.page.charts import Step, bars, clock, line_chart, score_curve, time_axis
from video2gif.page.comparisons import Measured, columns, intervals
from video2gif.page.render import ClipCard, GifsPage, VideoCard, render
from video2gif.page.results import answer, by_length
from video2gif.stages.report import _failures


def _page(title: str = "a video") -> str:
    clip = ClipCard(gif="g.gif", still="g.jpg", start_s=0.0, end_s=1.0, alt=f"{title}, 0–1 s")
    card = VideoCard(title=title, facts=["1 s"], strip="", curve=Markup(""), clips=[clip])
    return render(GifsPage(title="GIFs", ranker="a test", warnings=["mind"], videos=[card]))


def test_D21_page_escapes_what_comes_from_outside():
    html = _page("<script>alert(1)</script>")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_page_needs_no_network():
    html = _page()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)
    assert "@import" not in html
    assert "url(" not in html


def test_every_picture_has_an_alternative_text():
    for tag in re.findall(r"<img[^>]*>", _page()):
        assert re.search(r'alt="[^"]+"', tag)


def test_a_film_is_played_as_a_film_and_a_gif_as_a_picture():
    clip = ClipCard(gif="g.mp4", still="g.jpg", start_s=0, end_s=1, alt="a", is_film=True)
    card = VideoCard(title="t", facts=[], strip="", curve=Markup(""), clips=[clip])
    html = render(GifsPage(title="GIFs", ranker="a test", warnings=[], videos=[card]))
    assert '<video src="g.mp4" poster="g.jpg"' in html
    assert "data-gif" not in html.partition("<script>")[0]
    assert 'data-gif="g.gif"' in _page()


def test_score_curve_height_follows_the_score():
    steps = [Step(0, 1, 0.0), Step(1, 2, 1.0), Step(2, 3, 0.5), Step(3, 4, math.nan)]
    svg = ET.fromstring(score_curve(steps, duration_s=4, truth=[(1, 2)], label="curve"))
    tops = [float(re.search(r"V([\d.]+)H", p.get("d")).group(1)) for p in svg.findall("path")]
    assert tops[1] < tops[2] < tops[0]  # y grows downwards
    kinds = [rect.get("class") for rect in svg.findall("rect")]
    assert kinds == ["truth", "unscored"]


def test_score_curve_of_equal_scores_has_no_division_by_zero():
    ET.fromstring(score_curve([Step(0, 1, 2.0), Step(1, 2, 2.0)], duration_s=2, label="flat"))


def test_line_chart_places_points_in_proportion():
    svg = line_chart({"a": [(0, 0), (1, 5), (2, 10)]}, x_label="x", y_label="y", label="l")
    points = re.search(r'points="([^"]+)"', svg).group(1).split()
    (x0, y0), (x1, y1), (x2, y2) = (map(float, p.split(",")) for p in points)
    assert math.isclose(x1 - x0, x2 - x1, abs_tol=0.2)
    assert math.isclose(y0 - y1, y1 - y2, abs_tol=0.2)
    assert y2 < y0


def test_line_chart_survives_nothing_and_gaps():
    assert "Nothing to draw" in line_chart({}, x_label="x", y_label="y", label="l")
    drawn = line_chart({"a": [(0, math.nan), (1, 2.0)]}, x_label="x", y_label="y", label="l")
    assert "nan" not in drawn


def test_bars_are_as_long_as_their_values():
    svg = ET.fromstring(bars([("a", 4), ("b", 2), ("<c>", 0)], label="l"))
    widths = [float(rect.get("width")) for rect in svg.findall("rect")]
    assert widths[0] == 2 * widths[1]
    assert widths[2] == 0


def test_drawings_have_a_name_for_screen_readers():
    svg = ET.fromstring(bars([("a", 1)], label='Videos by "category"'))
    assert svg.get("aria-label") == 'Videos by "category"'


def test_figures_and_their_intervals_lie_on_one_axis():
    rows = [Measured("ours", 0.2, 0.1, 0.3, is_ours=True), Measured("<other>", 0.4)]
    svg = ET.fromstring(intervals(rows, x_label="x", label="l"))
    dots = {dot.get("class"): float(dot.get("cx")) for dot in svg.iter("circle")}
    (line,) = [path for path in svg.iter("path") if path.get("class") == "interval ours"]
    low, high = map(float, re.fullmatch(r"M([\d.]+) [\d.]+H([\d.]+)", line.get("d")).groups())
    assert math.isclose(dots["dot ours"], (low + high) / 2, abs_tol=0.2)
    zero = 2 * low - dots["dot ours"]  # 0.1 lies in the middle between 0 and 0.2.
    assert math.isclose(dots["dot other"] - zero, 2 * (dots["dot ours"] - zero), abs_tol=0.5)
    assert "<other>" in "".join(svg.itertext())


def test_a_share_of_nothing_is_still_a_column():
    svg = ET.fromstring(
        columns([("10", 0.5), ("20", 0.0)], usual=0.25, usual_name="u", x_label="x", label="l")
    )
    heights = [float(bar.get("height")) for bar in svg.iter("rect")]
    assert heights[0] > 50
    assert 0 < heights[1] < 3


def test_films_of_similar_length_are_joined_until_their_names_differ():
    groups = [
        {"from_s": 9.6, "to_s": 12.0, "nmsd": 0.2, "n_videos": 3},
        {"from_s": 12.0, "to_s": 12.0, "nmsd": 0.5, "n_videos": 1},
        {"from_s": 16.7, "to_s": 16.7, "nmsd": 0.1, "n_videos": 2},
        {"from_s": 16.7, "to_s": 17.0, "nmsd": 0.4, "n_videos": 1},
        {"from_s": 30.0, "to_s": 31.0, "nmsd": None, "n_videos": 0},
        {"from_s": 40.0, "to_s": 41.0, "nmsd": 0.8, "n_videos": 1},
    ]
    found = by_length(groups)
    assert [name for name, _ in found] == ["9.6–12.0 s (4)", "16.7–41.0 s (4)"]
    assert [round(value, 6) for _, value in found] == [0.275, 0.35]


def test_times_below_a_curve_are_few_and_as_people_write_them():
    for duration_s in (0.0, 3.0, 17.5, 95.0, 1800.0, 30_000.0):
        texts = ET.fromstring(time_axis(duration_s)).findall("text")
        assert 1 <= len(texts) <= 7
    assert [clock(time_s) for time_s in (7, 61, 3723.9)] == ["0:07", "1:01", "1:02:03"]


@pytest.mark.parametrize(
    ("difference", "bounds", "said"),
    [
        (-0.05, (-0.08, -0.02), "It is better than motion alone by 0.050 (95 % interval"),
        (0.05, (0.02, 0.08), "It is worse than motion alone by 0.050 (95 % interval"),
        (-0.05, (-0.11, 0.01), "0.010), which may be chance."),
        (None, None, "There are too few films to say"),
    ],
)
def test_the_answer_says_better_only_of_what_is_no_chance(difference, bounds, said):
    motion = {"nmsd": 0.3, "ranker_less_baseline": {"nmsd": difference, "nmsd_ci": bounds}}
    rankers = {"random": {"nmsd": 0.5}, "motion": motion}
    found = answer({"nmsd": 0.25, "recall_at_5": 0.6, "baselines": rankers})
    assert found[0].startswith("On average 25 % of a film is ranked above")
    assert found[1] == "A random order has 50 %, a ranking by motion alone 30 %."
    assert said in found[2]
    assert found[3] == "The five best parts of a film show 60 % of its GIFs."


def test_the_films_that_failed_come_worst_first_and_lead_to_their_cards():
    rows = [("a", 0.29, 1), ("b", 0.5, 1), ("c/1", 0.9, 2), ("d", math.nan, 1)]
    data = SimpleNamespace(
        by_video=pd.DataFrame(rows, columns=["video_id", "nmsd", "n_gifs"]).assign(motion_nmsd=0.4),
        sources=pd.DataFrame({"video_id": ["b", "b", "c/1"], "title": ["A walk", "A walk", ""]}),
    )
    found = _failures(data, {"video-c%2F1"})
    assert [(one.title, one.anchor) for one in found] == [("c/1", "video-c%2F1"), ("A walk", "")]
    assert found[0].text.startswith("90 % of it is ranked above its 2 GIFs; by motion alone")
    assert found[1].text.startswith("50 % of it is ranked above its GIF; by motion alone")
