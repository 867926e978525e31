"""Manifests as people write them: every id exact, every line a row or a reason."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video2gif.core.errors import Exit, UserError
from video2gif.datasets import read_manifest
from video2gif.datasets.rows import BadRow, Manifest, SourceRow

HEADER = "video_id,video_url,gif_id,gif_url"


def manifest(folder: Path, *lines: str | bytes, header: str = HEADER) -> Manifest:
    path = folder / "manifest.csv"
    encoded = [line if isinstance(line, bytes) else line.encode() for line in (header, *lines)]
    path.write_bytes(b"\n".join(encoded) + b"\n")
    return read_manifest(path)


def only(found: Manifest) -> SourceRow:
    assert not found.bad
    assert len(found.rows) == 1
    return found.rows[0]


def only_bad(found: Manifest) -> BadRow:
    assert len(found.bad) == 1
    return found.bad[0]


AWKWARD_IDS = [
    "-x",
    "_x",
    "0123456",
    "NA",
    "1e5",
    "nan",
    "None",
    "TRUE",
    "007",
    "--exec=rm",
    "$(x)",
]


@pytest.mark.parametrize(
    "id_", [*AWKWARD_IDS, "a b", " a", "🎬", "é", "e\u0301", "a:b", "a.b", "x" * 200]
)
def test_A31_ids_come_out_exactly_as_written(tmp_path: Path, id_: str) -> None:
    row = only(manifest(tmp_path, f"{id_},v.mp4,{id_},g.gif"))
    assert (row.video_id, row.gif_id) == (id_, id_)


@pytest.mark.parametrize(
    "id_",
    ["../../x", "/etc/x", "a/b", "a\\b", ".", "..", "a\0b", "a\x1b[31mb", "x" * 201, "x" * 5000],
)
def test_D6_an_id_that_is_a_path_or_unprintable_is_bad(tmp_path: Path, id_: str) -> None:
    bad = only_bad(manifest(tmp_path, "v1,v.mp4,,", f"{id_},v.mp4,,"))
    assert bad.key == ("row", "line:3")
    assert bad.reason.startswith("bad_id: video_id")
    assert "\0" not in bad.reason
    assert "\x1b" not in bad.reason
    assert len(bad.reason) < 200


def test_D8_an_id_with_a_line_break_is_bad(tmp_path: Path) -> None:
    found = manifest(tmp_path, '"a', 'b",v.mp4,,', "c,w.mp4,,")
    assert only_bad(found).reason.startswith("bad_id")
    assert [(row.line, row.video_id) for row in found.rows] == [(4, "c")]


def test_a_bad_gif_id_leaves_its_video(tmp_path: Path) -> None:
    found = manifest(tmp_path, "v1,v.mp4,../../x,g.gif")
    assert only_bad(found).key == ("row", "line:2")
    assert [(row.video_id, row.gif_id) for row in found.rows] == [("v1", "")]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        pytest.param("v1,v.mp4,g1", "3 cells", id="short"),
        pytest.param("v1,v.mp4,g1,g.gif,x", "5 cells", id="long"),
        pytest.param("v1;\tv.mp4;\tg1;\tg.gif", "1 cells", id="other-separator"),
        pytest.param("v1,v\0.mp4,g1,g.gif", "NUL", id="nul"),
        pytest.param('"v1"x,v.mp4,g1,g.gif', "csv", id="text-behind-quote"),
        pytest.param('"v1,v.mp4,g1,g.gif', "csv", id="open-quote"),
        pytest.param(f"v1,{'x' * 200_000},g1,g.gif", "limit", id="huge-cell"),
        pytest.param("v1,v.mp4,,g.gif", "without gif_id", id="gif-url-only"),
    ],
)
def test_A34_a_broken_line_is_bad_and_only_it(tmp_path: Path, line: str, word: str) -> None:
    found = manifest(tmp_path, "v0,v.mp4,g0,g.gif", line, "v2,v.mp4,g2,g.gif")
    bad = only_bad(found)
    assert bad.key == ("row", "line:3")
    assert word in bad.reason
    assert {"v0", "v2"} <= {row.video_id for row in found.rows}


def test_A34_forgotten_quotes_cost_their_own_lines_only(tmp_path: Path) -> None:
    lines = [f"v{n},v.mp4,,,{'' if n % 5 else chr(34)}title" for n in range(50)]
    found = manifest(tmp_path, *lines, header=f"{HEADER},title")
    assert [bad.line for bad in found.bad] == [2 + n for n in range(0, 50, 5)]
    assert [row.video_id for row in found.rows] == [f"v{n}" for n in range(50) if n % 5]


def test_quoted_cells_are_read(tmp_path: Path) -> None:
    header = f"{HEADER},title"
    found = manifest(tmp_path, 'v1,v.mp4,g1,g.gif,"A ""fine"", long', 'day"', header=header)
    assert only(found).title == 'A "fine", long\nday'


@pytest.mark.parametrize(
    "encode",
    [
        pytest.param(lambda text: b"\xef\xbb\xbf" + text.encode(), id="bom"),
        pytest.param(lambda text: text.replace("\n", "\r\n").encode(), id="crlf"),
        pytest.param(lambda text: text.encode("latin-1"), id="latin-1"),
        pytest.param(lambda text: text.rstrip("\n").encode(), id="no-last-line-end"),
    ],
)
def test_A34_encodings_and_line_ends_do_not_matter(tmp_path: Path, encode) -> None:
    path = tmp_path / "manifest.csv"
    path.write_bytes(encode(f"{HEADER},title\nv1,v.mp4,g1,g.gif,café\n"))
    row = only(read_manifest(path))
    assert (row.video_id, row.gif_url, row.title) == ("v1", "g.gif", "café")


@pytest.mark.parametrize(
    ("text", "value"), [("17", 17), ("1e3", 1000), ("0", 0), ("", None)], ids=repr
)
def test_views_are_read(tmp_path: Path, text: str, value: float | None) -> None:
    row = only(manifest(tmp_path, f"v1,v.mp4,g1,g.gif,{text}", header=f"{HEADER},views"))
    assert (row.views, row.notes) == (value, ())


@pytest.mark.parametrize("text", ["NaN", '"12,345"', "-1", "1e30", "inf", "1_000", "many"])
def test_A35_views_that_are_no_count_are_unknown_and_noted(tmp_path: Path, text: str) -> None:
    row = only(manifest(tmp_path, f"v1,v.mp4,g1,g.gif,{text}", header=f"{HEADER},views"))
    assert row.views is None
    assert "views" in row.notes[0]


@pytest.mark.parametrize("span", ["5,3", "3,3", "-1,3", "nan,3", "1,inf", "1,", ",2", "a,b"])
def test_A15_an_impossible_span_spoils_the_gif_not_the_video(tmp_path: Path, span: str) -> None:
    header = f"{HEADER},start_s,end_s"
    found = manifest(tmp_path, f"v1,v.mp4,g1,g.gif,{span}", header=header)
    assert only_bad(found).key == ("gif", "g1")
    assert only_bad(found).reason.startswith("label:")
    assert [(row.video_id, row.gif_id) for row in found.rows] == [("v1", "")]


def test_a_span_stands_in_for_a_gif_url(tmp_path: Path) -> None:
    row = only(manifest(tmp_path, "v1,v.mp4,g1,,1.5,3", header=f"{HEADER},start_s,end_s"))
    assert (row.start_s, row.end_s, row.gif_url) == (1.5, 3.0, "")


def test_a_split_of_no_known_name_is_bad(tmp_path: Path) -> None:
    found = manifest(tmp_path, "v1,v.mp4,g1,g.gif,dev", header=f"{HEADER},split")
    assert "'dev'" in only_bad(found).reason


def test_A33_equal_rows_are_merged(tmp_path: Path) -> None:
    row = only(manifest(tmp_path, *["v1,v.mp4,g1,g.gif"] * 3, "v1,v.mp4,,"))
    assert row.line == 2


@pytest.mark.parametrize(
    ("second", "key"),
    [
        ("v1,other.mp4,g2,h.gif", ("video", "v1")),
        ("v1,v.mp4,g1,other.gif", ("gif", "g1")),
        ("v2,v.mp4,g1,g.gif", ("gif", "g1")),
    ],
    ids=["video-url", "gif-url", "gif-of-two-videos"],
)
def test_A33_contradicting_rows_are_a_conflict(
    tmp_path: Path, second: str, key: tuple[str, str]
) -> None:
    found = manifest(tmp_path, "v1,v.mp4,g1,g.gif", second)
    assert only_bad(found).key == key
    assert "conflict: lines 2 and 3" in only_bad(found).reason
    assert key[0] == "video" or "g1" not in {row.gif_id for row in found.rows}
    assert "v1" in {row.video_id for row in found.rows}


def test_a_video_in_two_splits_is_a_conflict(tmp_path: Path) -> None:
    lines = ("v1,v.mp4,g1,g.gif,train", "v1,v.mp4,g2,h.gif,test")
    assert only_bad(manifest(tmp_path, *lines, header=f"{HEADER},split")).key == ("video", "v1")


def test_a_video_without_url_is_bad(tmp_path: Path) -> None:
    assert only_bad(manifest(tmp_path, "v1,,g1,g.gif")).key == ("video", "v1")


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("video_id,video_url,gif_id", "gif_url"),
        ("video,video_url,gif_id,gif_url", "video_id"),
        (f"{HEADER},veiws", "views"),
        (f"{HEADER},Title", "title"),
        (f"{HEADER},gif_id", "gif_id"),
        ("", "video_id"),
    ],
    ids=["missing", "renamed", "misspelt", "capital", "twice", "empty"],
)
def test_A36_a_wrong_header_is_a_usage_error(tmp_path: Path, header: str, named: str) -> None:
    with pytest.raises(UserError, match=named) as caught:
        manifest(tmp_path, header=header)
    assert caught.value.exit_code == Exit.USAGE
    assert str(tmp_path / "manifest.csv") in str(caught.value)


def test_columns_of_the_users_own_are_ignored(tmp_path: Path) -> None:
    only(manifest(tmp_path, "v1,v.mp4,g1,g.gif,mine", header=f"{HEADER},remark"))


def test_a_missing_manifest_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"download\.manifest"):
        read_manifest(tmp_path / "none.csv")


# Surrogates cannot be in a file; a lone CR or LF inside a cell comes back as LF.
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(CELL, min_size=4, max_size=4), max_size=6))
def test_whatever_the_cells_no_line_is_lost(tmp_path_factory, table: list[list[str]]) -> None:
    """Each row is either there, cell for cell, or bad by its line, or names a bad id."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([HEADER.split(","), *table])
    path = tmp_path_factory.mktemp("cells") / "manifest.csv"
    path.write_bytes(text.getvalue().encode())
    found = read_manifest(path)
    videos = {row.video_id for row in found.rows} | {bad.id for bad in found.bad}
    n_lines = sum(bad.kind == "row" for bad in found.bad)
    lost = [row for row in table if row[0] not in videos]
    assert len(lost) <= n_lines


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(tmp_path_factory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "manifest.csv"
    path.write_bytes(HEADER.encode() + b"\n" + noise)
    found = read_manifest(path)
    keys = [("video", row.video_id) for row in found.rows if not row.gif_id]
    assert len(keys) == len(set(keys))


def test_real_manifest_is_read_whole(realdata: Path) -> None:
    found = read_manifest(realdata / "manifest.csv")
    assert (len(found.rows), found.bad) == (31, [])
    assert len({row.video_id for row in found.rows}) == 11
