"""Captions and subtitles: legible, at the right time, provable; a line finds its moment."""

import contextlib
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from moving import moving_frames
from PIL import Image, features
from typer.testing import CliRunner

from video2gif.cli.__main__ import app
from video2gif.core.config import Params
from video2gif.core.errors import ItemError, UserError
from video2gif.core.items import Context
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore
from video2gif.gifs.receipt import extract
from video2gif.gifs.render import GifOptions
from video2gif.gifs.words import MOST_CHARS, text_at, with_words
from video2gif.make.moments import Choice
from video2gif.make.rankers import Baseline
from video2gif.make.run import Run
from video2gif.make.spoken import Said, _likeness
from video2gif.make.verify import verify
from video2gif.media import subtitles
from video2gif.media.encode import write_video

PARAMS = Params.load(Path(__file__).parents[1] / "params.yaml")
SRT = """1
00:00:01,000 --> 00:00:02,000
<i>I will be back</i>,
my friend.

2
00:00:03,000 --> 00:00:04,500
Nobody's perfect!

3
00:00:05,000 --> 00:00:06,000
You can't handle
"""
LINES = [
    (1.0, 2.0, "I will be back,\nmy friend."),
    (3.0, 4.5, "Nobody's perfect!"),
    (5.0, 6.0, "You can't handle"),
]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return Context(ItemStore(tmp_path_factory.mktemp("store")), SerialMapper())


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds, with subtitles in the film and beside it."""
    folder = tmp_path_factory.mktemp("film")
    write_video(folder / "silent.mp4", moving_frames(80, seed=0), fps=10)
    (folder / "film.srt").write_text(SRT)
    path = folder / "film.mkv"
    with (
        av.open(str(folder / "silent.mp4")) as picture,
        av.open(str(folder / "film.srt")) as text,
        av.open(str(path), "w") as out,
    ):
        sources = picture.streams.video[0], text.streams.subtitles[0]
        streams = [out.add_stream_from_template(source) for source in sources]
        for container, source, stream in zip((picture, text), sources, streams, strict=True):
            for packet in container.demux(source):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
    return path


def read(path: Path, *, embedded: bool) -> list[subtitles.Subtitle]:
    out = path.with_name("out")
    subtitles.work(out=out, params={}, path=str(path), embedded=embedded)
    return subtitles.read_subtitles(out.read_bytes())


def test_subtitles_are_the_same_inside_a_film_and_beside_it(film: Path):
    assert read(film.with_suffix(".srt"), embedded=False) == LINES
    assert read(film, embedded=True) == LINES


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_file_of_another_encoding_is_read(tmp_path: Path, encoding: str):
    path = tmp_path / "a.srt"
    path.write_bytes("1\r\n00:00:01,5 --> 00:00:02,000\r\nÄrger, café\r\n".encode(encoding))
    assert read(path, embedded=False) == [(1.5, 2.0, "Ärger, café")]


@pytest.mark.parametrize("text", ["", "1\n00:00:02,000 --> 00:00:01,000\nbackwards\n", "\x00" * 99])
def test_a_file_without_a_line_says_so(tmp_path: Path, text: str):
    path = tmp_path / "a.srt"
    path.write_text(text)
    with pytest.raises(ItemError) as caught:
        read(path, embedded=False)
    assert caught.value.cause == "subtitles"


def test_markup_and_control_characters_do_not_reach_a_picture():
    assert subtitles.plain("<font color=red>a</font>\x1b[31m{\\an8}b\\Nc") == "a[31mb\nc"


OPTIONS = GifOptions(height=120, loop="none")


def run(
    film: Path,
    said: Said,
    folder: Path,
    context: Context,
    options: GifOptions = OPTIONS,
    **choice: float,
) -> Run:
    done = Run(PARAMS, Baseline(), options, Choice(top=1, **choice), folder, context, said)  # type: ignore[arg-type]
    assert done.all([str(film)], skip=contextlib.nullcontext) == 0
    return done


@pytest.mark.parametrize(
    ("line", "from_s", "to_s"),
    [
        pytest.param("I'll... I will be BACK", 0.8, 2.2, id="case"),
        pytest.param("nobodys perfect", 2.8, 4.7, id="apostrophe"),
        pytest.param("nobody's perfect you can't", 2.8, 6.2, id="two-lines"),
    ],
)
def test_a_line_of_the_film_finds_its_moment(
    film: Path,
    context: Context,
    tmp_path: Path,
    line: str,
    from_s: float,
    to_s: float,
):
    (gif,) = run(film, Said(line=line), tmp_path, context).done[0].gifs
    assert gif.recipe.start_s == pytest.approx(from_s, abs=0.06)
    assert gif.recipe.end_s == pytest.approx(to_s, abs=0.06)
    assert {c.state for c in verify(gif.path, film, Baseline(), PARAMS, context)} == {"true"}


def test_a_line_that_nobody_says_is_an_error(film: Path, context: Context, tmp_path: Path):
    with pytest.raises(ItemError, match="frankly my dear") as caught:
        run(film, Said(line="frankly my dear"), tmp_path, context)
    assert caught.value.cause == "not_said"
    assert _likeness("frankly my dear", "Nobody's perfect!") <= 0
    assert _likeness("be back", "I will be back") > 0.9


def pixels(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append(np.asarray(image.convert("RGB"), int))
        return found


def white_below(picture: np.ndarray) -> int:
    return int((picture[picture.shape[0] // 2 :] > 240).all(axis=2).sum())


def test_subtitles_stand_on_the_frames_they_belong_to_and_the_receipt_is_true(
    film: Path,
    context: Context,
    tmp_path: Path,
):
    said = Said(subtitles=str(film.with_suffix(".srt")))
    done = run(film, said, tmp_path, context, from_s=0.0, to_s=4.0, min_len_s=3.9)
    (gif,) = done.done[0].gifs
    plain = run(film, Said(), tmp_path / "b", context, from_s=0.0, to_s=4.0, min_len_s=3.9)
    for n, (with_text, without) in enumerate(
        zip(pixels(gif.path), pixels(plain.done[0].gifs[0].path), strict=True)
    ):
        is_said = bool(text_at(LINES, gif.recipe.start_s + (n + 0.5) / 10))
        assert (white_below(with_text) > white_below(without) + 60) == is_said, n
    receipt, _ = extract(gif.path.read_bytes())
    assert [text for *_, text in receipt.recipe.words] == [text for *_, text in LINES[:2]]
    assert {c.state for c in verify(gif.path, film, Baseline(), PARAMS, context)} == {"true"}


def test_the_budget_holds_the_caption_in_the_receipt(
    film: Path,
    context: Context,
    tmp_path: Path,
):
    said = Said(caption="ש" * 380)  # Six bytes a letter there.
    options = replace(OPTIONS, max_bytes=20_000)
    (gif,) = run(film, said, tmp_path, context, options, max_len_s=1.0).done[0].gifs
    assert gif.bytes <= 20_000


def test_a_caption_is_on_every_frame(
    film: Path,
    context: Context,
    tmp_path: Path,
):
    gif = run(film, Said(caption="Monday 😀 שלום"), tmp_path, context).done[0].gifs[0]
    assert min(white_below(one) for one in pixels(gif.path)) > 60
    assert {c.state for c in verify(gif.path, film, Baseline(), PARAMS, context)} == {"true"}


@pytest.mark.parametrize("size", [(240, 426), (240, 136), (128, 128)])
@pytest.mark.parametrize("text", ["Hi", "A rather long caption " * 5, "W" * 60])
def test_text_stays_inside_the_picture(size: tuple[int, int], text: str):
    """Of one word that is wider than the picture the smallest letters are cut at its sides."""
    picture = np.full((*size, 3), 100, np.uint8)
    drawn = np.flatnonzero((with_words(picture, text) != 100).any(axis=2).any(axis=1))
    assert drawn[0] > 0
    assert drawn[-1] < size[0] - 1
    if text == "Hi" and size[0] == 240:
        assert drawn[-1] - drawn[0] >= 18  # px: capitals that one can read


@pytest.mark.skipif(not features.check("raqm"), reason="this Pillow lays out no scripts")
def test_right_to_left_text_runs_from_the_right():
    picture = np.zeros((60, 400, 3), np.uint8)
    one, both = (with_words(picture, text).max(axis=2) for text in ("ש", "שiiiiii"))
    columns = np.flatnonzero(one.max(axis=0))
    letter = one[:, columns[0] : columns[-1] + 1]
    last = np.flatnonzero(both.max(axis=0))[-1] + 1
    # Letters are set at parts of a pixel, so the edges differ.
    off = np.abs(letter.astype(int) - both[:, last - letter.shape[1] : last])
    assert off.mean() < 0.1 * letter.mean(), off.mean() / letter.mean()


def test_too_much_text_and_a_missing_file_are_named(tmp_path: Path):
    with pytest.raises(UserError, match=str(MOST_CHARS)):
        Said(caption="x" * (MOST_CHARS + 1))
    with pytest.raises(UserError, match="--subtitles none"):
        Said(subtitles="none.srt")
    result = CliRunner().invoke(app, ["gif", "x.mp4", "--subtitles", "none.srt"])
    assert isinstance(result.exception, UserError)
