"""Files have stable bytes and a strict shape."""

import hashlib
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video2gif.core.errors import EnvironmentProblem
from video2gif.core.layout import clear_folder, read_csv, read_json, write_csv, write_json
from video2gif.core.shards import ShardReader, ShardWriter, shard_of
from video2gif.core.tables import MATCHES, SEGMENTS

ROWS = [
    {
        "video_id": video_id,
        "segment_id": number,
        "start_frame": number * 10,
        "end_frame": number * 10 + 10,
        "start_s": number / 3,
        "end_s": (number + 1) / 3,
    }
    for video_id in ("-x", "0123456", "NA", "1e5", "é")
    for number in range(3)
]


def test_E3_a_tables_bytes_do_not_depend_on_the_order_of_rows(tmp_path: Path):
    shuffled = random.Random(0).sample(ROWS, len(ROWS))
    SEGMENTS.write(tmp_path / "a.parquet", ROWS)
    SEGMENTS.write(tmp_path / "b.parquet", shuffled)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_ids_make_the_exact_round_trip(tmp_path: Path):
    SEGMENTS.write(tmp_path / "a.parquet", ROWS)
    assert set(SEGMENTS.read(tmp_path / "a.parquet")["video_id"]) == {
        row["video_id"] for row in ROWS
    }


def test_an_empty_table_has_its_columns(tmp_path: Path):
    SEGMENTS.write(tmp_path / "a.parquet", [])
    assert list(SEGMENTS.read(tmp_path / "a.parquet").columns) == SEGMENTS.schema.names


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "missing"), (b"", "not a readable"), (b"PAR1garbagePAR1", "not a readable")],
    ids=["missing", "empty", "garbage"],
)
def test_a_broken_table_is_named(tmp_path: Path, content: bytes | None, says: str):
    path = tmp_path / "a.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EnvironmentProblem, match=says):
        SEGMENTS.read(path)


def test_a_table_of_another_shape_is_refused(tmp_path: Path):
    SEGMENTS.write(tmp_path / "a.parquet", ROWS)
    with pytest.raises(EnvironmentProblem, match="another version"):
        MATCHES.read(tmp_path / "a.parquet")


def test_json_has_null_for_what_is_not_finite(tmp_path: Path):
    write_json(tmp_path / "a.json", {"b": float("nan"), "a": [1.5, float("inf")]})
    assert read_json(tmp_path / "a.json") == {"a": [1.5, None], "b": None}
    assert (tmp_path / "a.json").read_text().index('"a"') < (tmp_path / "a.json").read_text().index(
        '"b"'
    )


def test_csv_has_unix_line_ends(tmp_path: Path):
    write_csv(tmp_path / "a.csv", pd.DataFrame({"x": [1 / 3]}))
    assert (tmp_path / "a.csv").read_bytes() == b"x\n0.333333333\n"


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-x", "@sum(a1)"])
def test_D21_a_plot_holds_no_formula(tmp_path: Path, text: str):
    write_csv(tmp_path / "a.csv", pd.DataFrame({"category": [text, "a-b"], "n": [1, -2]}))
    assert (tmp_path / "a.csv").read_text() == f"category,n\n'{text},1\na-b,-2\n"
    assert list(read_csv(tmp_path / "a.csv")["category"]) == [text, "a-b"]


def test_D21_a_plot_holds_no_control_character(tmp_path: Path):
    write_csv(tmp_path / "a.csv", pd.DataFrame({"category": ["\x1b[31mred\r\n"]}))
    assert (tmp_path / "a.csv").read_text() == "category\n [31mred  \n"


@given(lengths=st.dictionaries(st.text(min_size=1, max_size=6), st.integers(0, 5), max_size=20))
def test_shards_give_back_what_went_in(tmp_path_factory, lengths: dict[str, int]):
    folder = tmp_path_factory.mktemp("shards")
    arrays = {name: np.arange(n) + i * 100 for i, (name, n) in enumerate(sorted(lengths.items()))}
    writer = ShardWriter(folder)
    places = {name: writer.add(name, {"x": array}) for name, array in arrays.items()}
    writer.close()
    reader = ShardReader(folder)
    for name, (shard, row) in places.items():
        assert reader.rows(shard, "x", row, lengths[name]).tolist() == arrays[name].tolist()


def test_one_new_item_changes_one_shard(tmp_path: Path):
    def pack(folder: Path, ids: list[str]) -> dict[str, str]:
        writer = ShardWriter(folder)
        for name in sorted(ids):
            writer.add(name, {"x": np.frombuffer(name.encode(), dtype=np.uint8)})
        writer.close()
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}

    ids = [f"video{number}" for number in range(40)]
    before, after = pack(tmp_path / "a", ids), pack(tmp_path / "b", [*ids, "new"])
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {f"{shard_of('new')}.x.npy"}


def test_a_shard_is_the_file_that_numpy_would_save(tmp_path: Path):
    arrays = [np.arange(n * 6, dtype=np.float32).reshape(n, 2, 3) for n in (4, 0, 12_345)]
    writer = ShardWriter(tmp_path)
    places = [writer.add_parts("v", ({"x": part} for part in np.split(a, 2))) for a in arrays[:1]]
    places += [writer.add("v", {"x": array}) for array in arrays[1:]]
    writer.close()
    np.save(tmp_path / "all.npy", np.concatenate(arrays))
    shard = tmp_path / f"{shard_of('v')}.x.npy"
    assert shard.read_bytes() == (tmp_path / "all.npy").read_bytes()
    assert [row for _, row in places] == [0, 4, 4]


def test_rows_of_another_shape_or_type_are_refused(tmp_path: Path):
    writer = ShardWriter(tmp_path)
    writer.add("v", {"x": np.zeros((2, 3))})
    for other in (np.zeros((2, 4)), np.zeros((2, 3), np.float32)):
        with pytest.raises(ValueError, match="not float64"):
            writer.add("v", {"x": other})


def test_columns_of_different_lengths_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="different lengths"):
        ShardWriter(tmp_path).add("v", {"x": np.zeros(2), "y": np.zeros(3)})


def test_clearing_never_follows_a_link(tmp_path: Path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(precious)
    clear_folder(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "linked").symlink_to(precious)
    with pytest.raises(EnvironmentProblem, match="symbolic link"):
        clear_folder(tmp_path / "linked")
    assert (precious / "file").read_text() == "keep"
