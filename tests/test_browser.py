"""The pages in a real browser: skipped, with the reason, where no Chromium is installed.

What the server answers is tested without one in test_web.py.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from browser import Page, browser, program
from films import film_of_shots
from patience import PATIENCE_S, until

from video2gif.datasets.marks import read_marks

REPO = Path(__file__).parents[1]
AXE = "VIDEO2GIF_AXE"
"""Names axe.min.js of the npm package axe-core."""
pytestmark = pytest.mark.skipif(
    program() is None, reason="no Chromium here: apt-get install chromium, then run again"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("browser")
    for name in ("folder", "downloads", "cache"):
        (base / name).mkdir()
    film_of_shots(base / "my film.mp4")
    return base


@pytest.fixture(scope="module")
def page(base: Path) -> Iterator[Page]:
    with browser(base / "profile", base / "downloads") as page:
        yield page


@pytest.fixture(scope="module")
def url(base: Path) -> Iterator[str]:
    program = Path(sys.executable).with_name("video2gif")
    child = subprocess.Popen(
        [program, "serve", base / "folder", "--port", "0", "--ranker", "baseline", "--root", REPO],
        env={**os.environ, "VIDEO2GIF_CACHE": str(base / "cache"), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        yield re.search(r"http://\S+", child.stdout.readline())[0]  # type: ignore[index]
    finally:
        child.terminate()
        child.wait(timeout=PATIENCE_S)


MARKED = "marked film.mp4"
SHOWN = "[...document.images].filter((image) => image.offsetParent && image.id !== 'hover-still')"


def text(page: Page, selector: str) -> str:
    return page.evaluate(f"document.querySelector({selector!r}).textContent")


def seconds(page: Page, which: str) -> float:
    return float(page.evaluate(f"document.querySelector('#{which}').ariaValueNow"))


@pytest.fixture(scope="module")
def uploaded(page: Page, url: str, base: Path) -> Page:
    """The review page after an upload, its video analysed."""
    page.goto(url)
    page.choose_files("#file", [base / "my film.mp4"])
    page.wait("!document.querySelector('#results').hidden")
    return page


@pytest.fixture
def reviewed(uploaded: Page, url: str, base: Path) -> Page:
    """The review page as somebody opens it who has marked nothing, with the film chosen.

    Each test has its own, so that their order does not matter.
    """
    page = uploaded
    page.dark(False)
    for left in ("marks.csv", MARKED):
        (base / "folder" / left).unlink(missing_ok=True)
    return opened(page, url, "my film.mp4")


def opened(page: Page, url: str, name: str) -> Page:
    """The page with a film of the folder chosen, its moments and all pictures there."""
    page.goto("about:blank")
    page.goto(url)
    card = f'[data-video="{name}"]'
    page.wait(f"document.querySelector({card!r})")
    page.click(card)
    page.wait("!document.querySelector('#results').hidden")
    page.wait(f"{SHOWN}.every((image) => image.complete && image.naturalWidth)")
    return page


def test_an_uploaded_video_shows_ranked_moments(reviewed: Page, base: Path):
    assert (base / "folder" / "my film.mp4").is_file()
    assert text(reviewed, "#film-title") == "my film.mp4"
    assert reviewed.evaluate("document.querySelectorAll('#gifs figure').length") == 4
    # The liveliest shot is the last of four.
    assert reviewed.evaluate("film.gifs[0].segment") == pytest.approx([6.0, 8.0])
    assert reviewed.evaluate("document.querySelectorAll('#curve path').length") == 4
    assert text(reviewed, "#shelf .facts-line") == "0:08 · moments found"
    assert text(reviewed, "#gifs .why").startswith("The best of 4 moments. It ")


PLACE = "document.querySelector('#player').currentTime"


def settled(page: Page) -> float:
    page.wait("!document.querySelector('#player').seeking")
    return float(page.evaluate(PLACE))


def test_the_film_is_played_and_searched_by_keys(reviewed: Page):
    reviewed.wait("document.querySelector('#player').readyState >= 2")
    reviewed.evaluate("document.activeElement.blur()")
    reviewed.evaluate("goTo(2)")
    assert settled(reviewed) == pytest.approx(2.0, abs=0.01)
    reviewed.key("ArrowRight")
    assert settled(reviewed) == pytest.approx(2.05, abs=0.01)  # 20 frames a second
    reviewed.key("ArrowLeft", shift=True)
    assert settled(reviewed) == pytest.approx(1.05, abs=0.01)
    reviewed.key("l")
    reviewed.wait(f"{PLACE} > 1.2")
    reviewed.key("k")
    assert reviewed.evaluate("document.querySelector('#player').paused")
    reviewed.evaluate("goTo(3)")
    reviewed.key("j")
    reviewed.wait(f"{PLACE} < 2.7")
    reviewed.key(" ")
    assert text(reviewed, "#play") == "Play"


def test_the_part_starts_and_ends_where_the_film_stands(reviewed: Page):
    reviewed.evaluate("goTo(2)")
    settled(reviewed)
    reviewed.key("i")
    reviewed.evaluate("goTo(3)")
    settled(reviewed)
    reviewed.key("o")
    assert seconds(reviewed, "start") == pytest.approx(2.0, abs=0.01)
    assert seconds(reviewed, "end") == pytest.approx(3.05, abs=0.01)
    reviewed.key("p")
    reviewed.wait("!document.querySelector('#player').paused")
    reviewed.key("k")
    reviewed.key("1")
    assert seconds(reviewed, "start") == pytest.approx(6.0, abs=0.5)


def test_the_strip_shows_the_frame_under_the_pointer(reviewed: Page):
    reviewed.hover("#overview")
    reviewed.wait("!document.querySelector('#hover').hidden")
    reviewed.wait("Math.abs(document.querySelector('#hover-film').currentTime - 4) < 0.2")
    assert "of 4" in text(reviewed, "#hover-time")
    reviewed.hover("h1")
    reviewed.wait("document.querySelector('#hover').hidden")


def test_every_control_is_reached_by_the_tab_key(reviewed: Page):
    controls = (
        "[...document.querySelectorAll('button, a[href], input, select, summary, [tabindex]')]"
        ".filter((e) => e.getClientRects().length && !e.disabled)"
    )
    count = reviewed.evaluate(
        f"{controls}.forEach((e, i) => e.dataset.tabbed = i) ?? {controls}.length"
    )
    reviewed.evaluate("document.activeElement.blur()")
    found = set()
    for _ in range(count + 3):
        reviewed.tab()
        found.add(reviewed.evaluate("document.activeElement.dataset.tabbed ?? ''"))
    assert found >= {str(number) for number in range(count)}


def test_a_picture_plays_while_it_is_pointed_at_or_focused(reviewed: Page):
    source = "document.querySelector('#gifs img').src"
    assert reviewed.evaluate(source).endswith(".jpg")
    reviewed.evaluate("document.querySelector('#gifs .play').focus()")
    assert reviewed.evaluate(source).endswith(".gif")
    reviewed.evaluate("document.querySelector('#gifs .play').blur()")
    assert reviewed.evaluate(source).endswith(".jpg")


def test_a_dragged_boundary_is_exported_and_downloaded(reviewed: Page, base: Path):
    before = seconds(reviewed, "start"), seconds(reviewed, "end")
    reviewed.drag("#start", by_px=-90)
    start_s, end_s = seconds(reviewed, "start"), seconds(reviewed, "end")
    assert start_s < before[0] - 0.2
    assert end_s == before[1]
    reviewed.evaluate("document.querySelector('#loop').value = 'none'")
    reviewed.evaluate("document.querySelector('#name').value = 'my cat'")
    reviewed.click("#export button.main")
    reviewed.wait("document.querySelector('#exports a')")
    reviewed.click("#exports a")
    name = text(reviewed, "#exports a").removeprefix("Download ")
    assert name == "my cat.gif"
    found = base / "downloads" / name
    until(found.is_file)
    with av.open(str(found)) as container:
        shown = sum(1 for _ in container.decode(video=0))
    assert found.read_bytes()[:4] == b"GIF8"
    assert shown == pytest.approx(10 * (end_s - start_s), abs=1)  # Ten frames a second.


def test_boundaries_move_by_the_keyboard(reviewed: Page):
    reviewed.evaluate("document.querySelector('#end').focus()")
    before = seconds(reviewed, "end")
    reviewed.key("ArrowLeft")
    assert seconds(reviewed, "end") == pytest.approx(before - 1 / 20, abs=1e-3)
    reviewed.key("ArrowLeft", shift=True)
    assert seconds(reviewed, "end") == pytest.approx(before - 1 / 20 - 0.5, abs=1e-3)
    for _ in range(40):
        reviewed.key("ArrowLeft", shift=True)
    assert seconds(reviewed, "end") > seconds(reviewed, "start")


def test_marks_are_written_and_the_order_follows(reviewed: Page, url: str, base: Path):
    # Another name for the same film: its order stays changed for as long as the server runs.
    shutil.copy(base / "my film.mp4", base / "folder" / MARKED)
    opened(reviewed, url, MARKED)
    reviewed.click('figure[data-rank="1"] button.bad')
    reviewed.wait("document.querySelector('#marks-text').textContent.includes('1 bad')")
    reviewed.evaluate("document.querySelector('figure[data-rank=\"4\"] .play').focus()")
    reviewed.key("g")
    reviewed.wait("document.querySelector('#marks-text').textContent.includes('1 good')")
    marks = read_marks(base / "folder" / "marks.csv")
    assert sorted(mark.verdict for mark in marks) == ["bad", "good"]
    good = next(mark for mark in marks if mark.verdict == "good")
    reviewed.click("#personalise")
    reviewed.wait("document.querySelector('#film-facts').textContent.includes('of your marks')")
    first = reviewed.evaluate("film.gifs[0].segment[0]")
    assert first == pytest.approx(good.start_s, abs=0.002)


def test_everything_can_be_reached_and_has_a_name(reviewed: Page):
    nameless = (
        "[...document.querySelectorAll('button, [role=slider], select, input, a')]"
        ".filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).length"
    )
    assert reviewed.evaluate(nameless) == 0
    # A film's picture on the shelf says nothing that its name beside it does not.
    nameless = "[...document.images].filter((one) => !one.alt && !one.closest('.shelf, [hidden]'))"
    assert reviewed.evaluate(f"{nameless}.length") == 0
    assert reviewed.evaluate("document.querySelectorAll('[tabindex]').length") == 3


def test_a_bad_file_is_refused_with_its_reason(reviewed: Page, base: Path):
    (base / "page.mp4").write_text("<script>alert(1)</script>")
    reviewed.choose_files("#file", [base / "page.mp4"])
    reviewed.wait("document.querySelector('#uploads li.failed details')")
    assert "not a video" in text(reviewed, "#uploads li")
    assert "Choose a video" in text(reviewed, "#uploads li")
    reviewed.click("#uploads button")
    assert reviewed.evaluate("document.querySelectorAll('#uploads li').length") == 0
    assert not (base / "folder" / "page.mp4").exists()


def test_another_site_can_neither_read_nor_change(reviewed: Page, page: Page, url: str, base: Path):
    """From a page of another origin (data:), as any site that a person visits could try."""
    script = (
        f"fetch('{url}api/videos/my%20film.mp4/marks', {{method: 'POST', body: '{{}}'}})"
        ".then((answer) => answer.text(), () => 'refused')"
    )
    session = page._session
    target = page.send("Target.createTarget", url="about:blank")
    attached = page.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
    page._session = attached["sessionId"]
    try:
        assert page.evaluate(script) == "refused"
    finally:
        page._session = session
        page.send("Target.closeTarget", targetId=target["targetId"])
        page.send("Page.bringToFront")
    assert not (base / "folder" / "marks.csv").exists()


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_text_stands_out_in_light_and_dark(reviewed: Page, is_dark: bool, base: Path):
    reviewed.dark(is_dark)
    shades = reviewed.evaluate(
        "['h1', '#film-facts', '.band', '#export .main'].map((name) => {"
        " let e = document.querySelector(name); const ink = getComputedStyle(e).color;"
        " let back; do { back = getComputedStyle(e).backgroundColor; e = e.parentElement; }"
        " while (e && back === 'rgba(0, 0, 0, 0)'); return [name, ink, back]; })"
    )
    for name, ink, back in shades:
        assert contrast(ink, back) >= 4.5, (name, ink, back)  # WCAG 2.1, 1.4.3, level AA
    reviewed.screenshot(base / f"review-{is_dark}.png")


@pytest.mark.skipif(
    AXE not in os.environ, reason=f"no axe-core here: npm pack axe-core, and set {AXE}"
)
@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(reviewed: Page, is_dark: bool):
    reviewed.dark(is_dark)
    check_by_axe(reviewed)


def test_the_page_ran_without_a_complaint(reviewed: Page):
    refused = [text for text in reviewed.problems if "422" in text or "403" in text]
    assert [text for text in reviewed.problems if text not in refused] == []


def test_the_page_of_gif_plays_from_a_file(page: Page, base: Path):
    page.dark(False)
    program = Path(sys.executable).with_name("video2gif")
    subprocess.run(
        [program, "gif", base / "my film.mp4", "-o", base / "out", "--ranker", "baseline", "-q"],
        env={**os.environ, "VIDEO2GIF_CACHE": str(base / "cache")},
        cwd=base,
        check=True,
        capture_output=True,
    )
    page.goto((base / "out" / "index.html").as_uri())
    page.wait("document.querySelector('.gif img').naturalWidth")
    page.evaluate("document.querySelector('.gif button').focus()")
    page.wait("document.querySelector('.gif img').src.endsWith('.gif')")
    page.evaluate("document.activeElement.blur()")
    check_by_axe(page)
    assert (base / "out" / "index.html").stat().st_size < 200_000


def check_by_axe(page: Page) -> None:
    """No violation that axe-core calls serious or critical, on a wide and on a narrow screen."""
    if not os.environ.get(AXE):
        return
    for width in (1400, 400):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        page.send("Emulation.setDeviceMetricsOverride", **size)
        page.evaluate(Path(os.environ[AXE]).read_text(encoding="utf-8"))
        found = page.evaluate(
            "axe.run().then((done) => done.violations"
            ".filter((one) => ['serious', 'critical'].includes(one.impact))"
            ".map((one) => `${one.id}: ${one.nodes.map((node) => node.html)}`))"
        )
        assert found == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.send("Emulation.clearDeviceMetricsOverride")


def contrast(a: str, b: str) -> float:
    """WCAG contrast of two CSS colours rgb(…)."""
    lights = sorted(map(luminance, (a, b)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))
