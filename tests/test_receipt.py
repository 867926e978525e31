"""What a GIF says of itself, in every format, and what a hostile one may say."""

import contextlib
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving import panning, textured
from PIL import Image

from video2gif.core.errors import ItemError
from video2gif.gifs.receipt import Receipt, embed, extract, parse
from video2gif.gifs.render import RECEIPT_BYTES, Recipe
from video2gif.media.encode import write_gif, write_video

RECIPE = Recipe(
    start_s=1.0,
    end_s=2.5,
    n_frames=30,
    loop="fade",
    fade_frames=4,
    master_height=240,
    height=120,
    rate=12.5,
    hold=2,
    quality=0.0,
    format="gif",
    encoder="libav",
)


RECEIPT = Receipt(
    source="a" * 64,
    body="b" * 64,
    model="baseline",
    params="c" * 64,
    tool="video2gif 1, av 2",
    score=0.5,
    moment=(1.0, 3.0),
    recipe=RECIPE,
)


@pytest.mark.parametrize("model", ["baseline", "default", "d" * 64])
def test_every_ranker_s_receipt_can_be_read_again(model: str):
    receipt = dataclasses.replace(RECEIPT, model=model)
    assert parse(receipt.dump()) == receipt


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_a_file_plays_with_its_receipt_and_is_whole_without(tmp_path: Path, kind: str):
    from video2gif.media.encode import write_webp

    path = tmp_path / f"a.{kind}"
    frames = panning(5)
    {
        "gif": lambda: write_gif(path, frames, delays_cs=10),
        "webp": lambda: write_webp(path, frames, delays_cs=[10] * 5),
        "mp4": lambda: write_video(path, frames, fps=10),
    }[kind]()
    content = path.read_bytes()
    marked = embed(content, RECEIPT)
    assert len(marked) - len(content) <= RECEIPT_BYTES
    assert extract(marked) == (RECEIPT, content)
    path.write_bytes(marked)
    if kind == "mp4":
        import av

        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 5
    else:
        with Image.open(path) as image:
            assert image.n_frames == 5


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"x" * 5000, id="long"),
        pytest.param(b"[" * 4000, id="deep"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(RECEIPT.dump().replace(b"0.5", b"NaN"), id="NaN"),
        pytest.param(RECEIPT.dump().replace(b'"rate":12.5', b'"rate":1e400'), id="infinity"),
        pytest.param(RECEIPT.dump().replace(b'"hold":2', b'"hold":2,"hold":3'), id="twice"),
        pytest.param(RECEIPT.dump().replace(b'"hold":2', b'"hold":"2"'), id="type"),
        pytest.param(RECEIPT.dump().replace(b'"hold":2', b'"hold":true'), id="bool"),
        pytest.param(RECEIPT.dump().replace(b'"hold":2,', b""), id="missing"),
        pytest.param(RECEIPT.dump().replace(b'"hold":2', b'"hold":2,"x":1'), id="more"),
        pytest.param(RECEIPT.dump().replace(b'"height":120', b'"height":99999'), id="huge"),
        pytest.param(RECEIPT.dump().replace(b'"gif"', b'"../x"'), id="format"),
        pytest.param(RECEIPT.dump().replace(b"a" * 64, b"A" * 64), id="digest"),
        pytest.param(RECEIPT.dump().replace(b"av 2", b"\\u001b[31m"), id="escape"),
        pytest.param(RECEIPT.dump().replace(b"[1.0,3.0]", b"[1.0]"), id="moment"),
        pytest.param(RECEIPT.dump().replace(b'"end_s":2.5', b'"end_s":1e8'), id="span"),
    ],
)
def test_D31_a_hostile_receipt_is_refused(text: bytes):
    with pytest.raises(ItemError) as caught:
        parse(text)
    assert caught.value.cause == "receipt"


def test_a_receipt_survives_its_json():
    assert parse(RECEIPT.dump()) == RECEIPT


@given(st.data())
def test_a_mutated_file_gives_an_item_error_or_a_receipt(data: st.DataObject):
    content = bytearray(MARKED)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    with contextlib.suppress(ItemError):  # Nothing else may come out.
        extract(bytes(content[:cut]))


def _marked() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.gif"
        write_gif(path, [textured(height=16, width=16)] * 2, delays_cs=10)
        return embed(path.read_bytes(), RECEIPT)


MARKED = _marked()
