"""K8, K9, K12: names of files as paths, URLs, ids and texts; what a video is; what is said."""

import json
import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video2gif.core import names
from video2gif.core.errors import ItemError, UserError
from video2gif.datasets import own
from video2gif.datasets.marks import Mark, read_marks, write_marks
from video2gif.datasets.rows import check_id
from video2gif.make.inputs import expand, folder_names, is_video
from video2gif.media import kinds

HOSTILE = [
    "...mp4",
    "..",
    ".hidden.mp4",
    "100% #1? x.mp4",
    "\x1b[31mred\x1b[0m [/red].mp4",
    "gpj.\u202e4pm.mp4",
    os.fsdecode(b"\377\376 latin1.mp4"),
    "мои каникулы в деревне у бабушки летом.mp4",
    "東京タワーから見た夕焼けの空と富士山の写真集.mp4",
    "a" * 251 + ".mp4",
    "a:b.mp4",
    "line\nbreak.mp4",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_K8_no_name_leaves_its_folder_or_breaks_what_shows_it(tmp_path: Path, name: str):
    (folder,) = folder_names([Path(name)])
    made = tmp_path / folder
    made.mkdir()
    assert made.parent == tmp_path
    assert made.resolve().parent == tmp_path.resolve()
    assert len(os.fsencode(folder)) <= names.MAX_FILE_NAME_BYTES + 3
    text = names.shown(name)
    text.encode()
    assert "\x1b" not in text
    assert "\n" not in text
    assert "\u202e" not in text
    check_id("video_id", names.item_id(name))


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_K8_a_url_leads_back_to_its_file(name: str):
    url = names.url_path(name)
    assert urlsplit(url).scheme == ""
    assert urlsplit(url).query == urlsplit(url).fragment == ""
    path = urlsplit(url).path
    assert unquote_to_bytes(path.removeprefix("./")) == os.fsencode(name)


@given(st.text(min_size=1), st.text(min_size=1))
def test_K8_ids_differ_where_names_do(one: str, other: str):
    one, other = (text.encode("utf-8", "replace").decode() for text in (one, other))
    assert (names.item_id(one) == names.item_id(other)) == (one == other)


@given(st.text())
def test_K8_a_file_name_of_ours_stays_as_it_is(text: str):
    once = names.file_name(text)
    assert once not in ("", ".", "..")
    assert not set(once) & set("/\\\0")
    assert names.file_name(once) == once


def test_K8_a_plain_name_keeps_its_folder():
    paths = [Path("film.mp4"), Path("other/film.mkv"), Path("Ein schöner Tag (2).mov")]
    assert folder_names(paths) == ["film", "film-2", "Ein schöner Tag (2)"]


def test_K8_ids_that_turn_text_around_are_refused():
    with pytest.raises(ItemError, match="turn text"):
        check_id("video_id", "abc\u202edef")
    check_id("video_id", "עברית")  # Letters of a language that runs so are no marks.


@pytest.mark.parametrize("name", [n for n in HOSTILE if n.isprintable()])
def test_K8_marks_of_any_name_are_a_manifest_that_we_read(tmp_path: Path, name: str):
    path = tmp_path / "marks.csv"
    mark = Mark(name, 1.0, 2.5, "good")
    write_marks(path, [mark])
    assert read_marks(path) == [mark]
    found = own.read(path)
    assert not found.bad
    assert [row.video_url for row in found.rows] == [f"./{name}"]


def test_K9_one_table_says_what_a_video_is(tmp_path: Path):
    for suffix in ("MTS", "3gp", "ogv", "wmv", "mxf", "dv", "y4m", "ivf"):
        (tmp_path / f"a.{suffix}").write_bytes(b"x")
        assert is_video(tmp_path / f"a.{suffix}"), suffix
    for suffix in ("gif", "webp", "avif"):
        (tmp_path / f"b.{suffix}").write_bytes(b"x")
        assert not is_video(tmp_path / f"b.{suffix}")
        assert is_video(tmp_path / f"b.{suffix}", clips=True)
    assert len(expand([str(tmp_path)])) == 8
    for kind in kinds.KINDS:
        assert kind.is_read or kind.remedy, f"{kind.name}: neither read nor a remedy"


@pytest.mark.parametrize("files", [[], ["a.h264", "b.txt"]])
def test_K9_nothing_to_do_is_said(tmp_path: Path, files: list[str]):
    for name in files:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match="no video found") as caught:
        expand([str(tmp_path)])
    assert caught.value.exit_code == 2
    if files:
        assert "raw H.264" in str(caught.value)
        assert "ffmpeg -i" in str(caught.value)
    with pytest.raises(UserError, match="no video found"):
        expand([str(tmp_path / "*.mkv")])


def test_K8_a_page_names_its_pictures_by_url():
    assert (
        urljoin("file:///x/", names.url_path("100% #1? x/01.gif"))
        == "file:///x/100%25%20%231%3F%20x/01.gif"
    )


def test_K8_a_list_of_gifs_is_json_whatever_the_names():
    json.loads(json.dumps({"video": os.fsdecode(b"\377.mp4")}).encode("ascii"))
