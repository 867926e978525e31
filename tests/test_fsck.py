"""Every stored byte is checked, and what is wrong comes with its remedy."""

import hashlib
import json
import random
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from video2gif.cli.__main__ import app
from video2gif.core.errors import EnvironmentProblem, ItemError
from video2gif.core.layout import Layout
from video2gif.core.store import ItemStore
from video2gif.project import fsck
from video2gif.project.dvcfiles import written_stages
from video2gif.project.fsck import Damage, Tally

STAGES = {"one": {"cmd": "make one", "outs": ["data/one", "data/media"]}, "two": {"cmd": "x"}}


def lock_text(layout: Layout) -> str:
    """A dvc.lock as DVC writes it, for two stages and what lies in data/."""

    def entry(name: str) -> dict[str, object]:
        path = layout.root / name
        if path.is_dir():
            return {"path": name, "hash": "md5", "md5": _dir(layout, path), "size": 9, "nfiles": 2}
        return {"path": name, "hash": "md5", "md5": _object(layout, path.read_bytes()), "size": 3}

    stages = {
        "one": {
            "cmd": "make one",
            "deps": [entry("dep.csv")],
            "params": {"params.yaml": {"download": {"max_bytes": 4000, "allow_private": False}}},
            "outs": [entry("data/media"), entry("data/one")],
        },
        "two": {"cmd": "x", "outs": [entry("data/two")]},
    }
    return yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)


def _object(layout: Layout, content: bytes, suffix: str = "") -> str:
    md5 = hashlib.md5(content).hexdigest()
    path = layout.root / ".dvc/cache/files/md5" / md5[:2] / (md5[2:] + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o444)
    return md5 + suffix


def _dir(layout: Layout, folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    listing = [{"md5": _object(layout, (folder / n).read_bytes()), "relpath": n} for n in names]
    return _object(layout, json.dumps(listing).encode(), ".dir")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A project of two stages whose outputs are in DVC's cache and in the workspace."""
    layout = Layout(tmp_path / "project")
    (layout.media).mkdir(parents=True)
    (layout.root / ".dvc/tmp").mkdir(parents=True)
    for name, content in {"dep.csv": b"dep", "data/one": b"one", "data/two": b"two"}.items():
        (layout.root / name).write_bytes(content)
    (layout.media / "a.mp4").write_bytes(b"first film")
    (layout.media / "b.mp4").write_bytes(b"second film")
    (layout.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    (layout.root / "dvc.lock").write_text(lock_text(layout))
    return layout


@pytest.fixture
def filled(store: ItemStore) -> ItemStore:
    """A store of twenty items and five failures."""
    for number in range(25):
        key = hashlib.sha256(bytes([number])).hexdigest()
        if number % 5:
            with store.writing(key) as out:
                out.write_bytes(bytes([number]) * (1 << number))
        else:
            store.remember(key, ItemError("empty", "the file has 0 bytes"))
    return store


def found(layout: Layout, store: ItemStore) -> list[Damage]:
    return list(fsck.check(layout, store, Tally()))


def flip(path: Path, seed: object) -> None:
    """Change one bit anywhere in a file."""
    content, rng = bytearray(path.read_bytes()), random.Random(str(seed))
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.chmod(0o644)
    path.write_bytes(content)


def objects(layout: Layout) -> list[Path]:
    return sorted((layout.root / ".dvc/cache/files/md5").glob("??/*"))


def test_what_is_whole_is_found_whole(layout: Layout, filled: ItemStore):
    tally = Tally()
    assert list(fsck.check(layout, filled, tally)) == []
    assert (
        (tally.items, tally.failures, tally.objects) == (25, 5, len(objects(layout))) == (25, 5, 6)
    )


@pytest.mark.parametrize("seed", range(20))
def test_B7_a_flipped_bit_in_any_object_of_the_cache_is_found(
    layout: Layout, store: ItemStore, seed: int, record_property
):
    for path in objects(layout):
        flip(path, f"{seed}:{path.name}")
    damaged = found(layout, store)
    assert [damage.path for damage in damaged] == objects(layout)
    record_property("figure", f"{len(damaged)} of {len(objects(layout))} found")


def test_B7_a_flipped_bit_in_any_item_of_the_store_is_found(layout: Layout, filled: ItemStore):
    paths = sorted(filled.root.glob("??/*"))
    for path in paths:
        flip(path, path.name)
    assert [damage.path for damage in found(layout, filled)] == paths


def test_B7_the_command_exits_5_mends_what_it_can_and_tells_the_rest(
    layout: Layout, filled: ItemStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("VIDEO2GIF_CACHE", str(filled.root))
    run = lambda *args: CliRunner().invoke(app, ["fsck", "--root", str(layout.root), *args])  # noqa: E731
    assert run().exit_code == 0
    before = {path: path.read_bytes() for path in objects(layout)}
    for path in [*objects(layout), next(filled.root.glob("??/*"))]:
        flip(path, path.name)
    assert run().exit_code == 5
    told = run("--repair")
    # Outputs come back from the workspace. What none of them holds (here a dependency) cannot:
    # it is removed, and it is said how to have it again.
    assert told.exit_code == 5
    assert "1 left to you" in told.output
    assert "dvc repro --force" in told.output
    kept = {path: path.read_bytes() for path in objects(layout)}
    assert len(kept) == len(before) - 1
    assert kept.items() <= before.items()
    assert run().exit_code == 0


def test_B32_repair_removes_damaged_items_only(layout: Layout, filled: ItemStore):
    paths = sorted(filled.root.glob("??/*"))
    for path in paths[:3]:
        flip(path, path.name)
    for damage in found(layout, filled):
        assert damage.repair is not None
        assert damage.repair()
    assert sorted(filled.root.glob("??/*")) == paths[3:]


def test_failures_can_be_forgotten(filled: ItemStore):
    assert fsck.forget_failures(filled) == 5
    assert len(list(filled.root.glob("??/*"))) == 20


def test_B5_a_dvc_lock_cut_anywhere_is_diagnosed(layout: Layout, store: ItemStore, record_property):
    path = layout.root / "dvc.lock"
    whole = path.read_bytes()
    stages_end = whole.index(b"  two:")
    for length in range(0, len(whole), 10):
        path.write_bytes(whole[:length])
        # Cut exactly behind a whole stage, it is the lock of a project that ran so far.
        if length == stages_end:
            continue
        (damage,) = found(layout, store)
        assert damage.path == path
        assert "git checkout dvc.lock" in damage.remedy
        with pytest.raises(EnvironmentProblem, match="git checkout"):
            fsck.require_locks(layout)
    record_property("figure", f"{-(-len(whole) // 10)} cuts, each named")


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"[]",
        b"stages: 3\n",
        b"stages:\n  one: x\n",
        b"stages:\n  one: {cmd: x, outs: 5}\n",
        b"stages:\n  one: {cmd: x, outs: [{path: {}}]}\n",
        b"stages:\n  1: {cmd: x, deps: {a: b}}\n",
        b"a: !!python/object:os.x {}\n",
        b"[" * 200_000,
    ],
)
def test_B5_a_dvc_lock_of_something_else_is_diagnosed(
    layout: Layout, store: ItemStore, content: bytes
):
    (layout.root / "dvc.lock").write_bytes(content)
    assert len(found(layout, store)) == 1


@pytest.mark.parametrize(
    "content", ["", "5", "stages: []", "stages: {one: x}", "stages: {one: {outs: {a: b}}}", "{"]
)
def test_S4_a_dvc_yaml_of_something_else_is_named(tmp_path: Path, content: str):
    (tmp_path / "dvc.yaml").write_text(content)
    with pytest.raises(EnvironmentProblem, match=r"dvc\.yaml: \S+"):
        written_stages(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"write": 3}', b'{"other": {}}', b"\xff"])
def test_B6_a_corrupt_rwlock_is_diagnosed_and_mended(
    layout: Layout, store: ItemStore, content: bytes
):
    path = layout.root / ".dvc/tmp/rwlock"
    path.write_bytes(content)
    (damage,) = found(layout, store)
    assert damage.path == path
    assert "remove it: no dvc process is running" in damage.remedy
    assert damage.repair is not None
    assert damage.repair()
    assert found(layout, store) == []


def test_B6_a_rwlock_in_use_is_left_alone(layout: Layout, store: ItemStore):
    import fcntl

    (layout.root / ".dvc/tmp/rwlock").write_bytes(b"{")
    with (layout.root / ".dvc/tmp/lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (damage,) = found(layout, store)
    assert damage.repair is None
    assert "wait" in damage.remedy


def test_a_good_rwlock_is_good(layout: Layout, store: ItemStore):
    (layout.root / ".dvc/tmp/rwlock").write_text('{"write": {}, "read": {"a": []}}')
    assert found(layout, store) == []


def test_a_cache_elsewhere_is_found(layout: Layout, store: ItemStore, tmp_path: Path):
    (layout.root / ".dvc/cache").rename(tmp_path / "elsewhere")
    (layout.root / ".dvc/config").write_text(
        f"[core]\n    x = y\n[cache]\n    dir = {tmp_path}/elsewhere\n"
    )
    flip(next((tmp_path / "elsewhere").glob("files/md5/??/*")), 0)
    assert len(found(layout, store)) == 1


def test_a_damaged_run_cache_is_found(layout: Layout, store: ItemStore):
    path = layout.root / ".dvc/cache/runs/ab/abc/def"
    path.parent.mkdir(parents=True)
    path.write_text("cmd: [")
    assert [damage.path for damage in found(layout, store)] == [path]
