"""The page: one file, escaped, small, and drawings that say what the numbers say."""

import math
import re
import xml.etree.ElementTree as ET

from markupsafe import Markup

from video2gif.page.charts import Step, bars, line_chart, score_curve
from video2gif.page.render import ClipCard, GifsPage, VideoCard, render


def _page(title: str = "a video") -> str:
    clip = ClipCard(
        rank=1, gif="g.gif", still="g.jpg", start_s=0.0, end_s=1.0, score=0.5, alt=f"{title}, 0–1 s"
    )
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
    assert "nothing to draw" in line_chart({}, x_label="x", y_label="y", label="l")
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
