"""K11, S4: what people and programs hand us is read within bounds, and refused in one line."""

import time
from pathlib import Path

import pytest

from video2gif.core.config import Params
from video2gif.core.errors import UserError
from video2gif.core.readers import MAX_DEPTH, Unreadable, parsed_json, parsed_yaml, read_table
from video2gif.datasets import own
from video2gif.datasets.marks import Mark, read_marks, write_marks
from video2gif.evaluation import tables


def aliases(levels: int = 9) -> str:
    """A kilobyte that would be a thousand million items."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_S4_aliases_nesting_and_size_are_refused_in_one_line(tmp_path: Path):
    path = tmp_path / "params.yaml"
    for text, said in ((aliases(), "write it out"), ("[" * 200_000, "nested"), ("a: [", "YAML")):
        path.write_text(text)
        with pytest.raises(UserError) as caught:
            Params.load(path)
        assert said in str(caught.value)
        assert len(str(caught.value)) < 1000
    for text in ("[" * 200_000, '{"a":' * 200_000):
        with pytest.raises(Unreadable, match="nested"):
            parsed_json(text)
        with pytest.raises(Unreadable):
            parsed_yaml(text)
    assert parsed_json('{"a": ["[[[[", {"b": "\\"["}]}') == {"a": ["[[[[", {"b": '"['}]}
    assert parsed_yaml("a: [1, {b: 2}]") == {"a": [1, {"b": 2}]}
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parsed_json(deep) == parsed_yaml(deep)


@pytest.mark.parametrize("text", ["NaN", '{"a": Infinity}', "[-Infinity]"])
def test_K11_json_has_no_nan(text: str):
    with pytest.raises(Unreadable, match="no number"):
        parsed_json(text)


MARKS = [Mark("a.mp4", 1.0, 2.5, "good"), Mark("Übung.mp4", 3.0, 4.0, "bad")]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda b: b"\xef\xbb\xbf" + b, id="bom"),
        pytest.param(lambda b: b.replace(b"\n", b"\r\n"), id="crlf"),
        pytest.param(lambda b: b.replace(b"\n", b"\r"), id="cr"),
        pytest.param(lambda b: b.decode().encode("latin-1"), id="latin-1"),
    ],
)
def test_K11_marks_that_a_spreadsheet_saved_are_read(tmp_path: Path, change):
    path = tmp_path / "marks.csv"
    write_marks(path, MARKS)
    path.write_bytes(change(path.read_bytes()))
    assert read_marks(path) == sorted(MARKS)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"1.000", b"1e308", "marks.csv:2"),
        (b"good", b"g" * 200_000, "limit"),
        (b"good", b'"good', "csv"),
        (b"1.000", b"nan", "no span"),
    ],
)
def test_K11_a_bad_mark_is_named_with_file_and_line(tmp_path: Path, old, new, said: str):
    path = tmp_path / "marks.csv"
    write_marks(path, MARKS)
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(UserError, match=said):
        read_marks(path)


def test_K11_a_video_may_be_called_NA(tmp_path: Path):
    (tmp_path / "p.csv").write_text(
        "video_id,start_s,end_s,score\nNA,0,1,0.5\nNA,1,2,0.1\nnull,0,1,1\nnull,1,2,\n"
    )
    (tmp_path / "l.csv").write_bytes(
        b"\xef\xbb\xbfvideo_id,start_s,end_s,category\r\nNA,0,1,None\r\nnull,0,1,NA\r\n"
    )
    found = tables.read(tmp_path / "p.csv", tmp_path / "l.csv")
    assert [video.video_id for video in found.videos] == ["NA", "null"]
    assert [video.category for video in found.videos] == ["None", "NA"]


@pytest.mark.parametrize(("cell", "said"), [("1e308", "is no number"), ("x", "is no number")])
def test_K11_a_bad_number_is_named_with_its_line(tmp_path: Path, cell: str, said: str):
    (tmp_path / "l.csv").write_text("video_id,start_s,end_s\na,0,1\n")
    (tmp_path / "p.csv").write_text(f"video_id,start_s,end_s,score\na,0,1,1\n\na,1,{cell},1\n")
    with pytest.raises(UserError, match=rf"p\.csv:4: end_s = {cell} {said}"):
        tables.read(tmp_path / "p.csv", tmp_path / "l.csv")


def test_K11_a_header_of_20000_columns_is_refused_at_once(tmp_path: Path):
    path = tmp_path / "m.csv"
    path.write_text(",".join(f"c{n}" for n in range(20_000)) + "\n")
    started = time.process_time()
    for read in (own.read, lambda p: read_table(p, ())):
        with pytest.raises(UserError, match="20000 columns; the limit"):
            read(path)
    assert time.process_time() - started < 30  # It was minutes: quadratic.
