"""Items are computed once, never half, and the same wherever they run."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from patience import PATIENCE_S

from video2gif.core.errors import EnvironmentProblem, ItemError, TooManyFailed
from video2gif.core.items import Context, Counts, check_failed_fraction, compute
from video2gif.core.mappers import Mapper, ProcessMapper, SerialMapper, default_mapper
from video2gif.core.sandbox import Limits
from video2gif.core.store import ItemStore, atomic_path, read_arrays, write_arrays
from video2gif.core.work import LASTING, Item, Work


@pytest.fixture(autouse=True)
def _children_find_the_work(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    # Work of the tests is no module of the package: it has no import closure to digest.
    monkeypatch.setattr("video2gif.core.work.code_version", lambda module: "test")


ECHO = Work(function="work:echo", limits=Limits(wall_s=30))


def echoes(texts: list[str]) -> list[Item]:
    return [Item(id=f"item:{text}", inputs=(text,), args={"text": text}) for text in texts]


def test_a_second_run_reuses_every_item(context: Context):
    first = compute("echo", ECHO, echoes(["a", "b"]), context)
    second = compute("echo", ECHO, echoes(["a", "b"]), context)
    assert Counts.of(first) == Counts(computed=2)
    assert Counts.of(second) == Counts(reused=2)
    assert context.store.read(second[1].key) == b"b "


def test_one_new_item_computes_one(context: Context):
    compute("echo", ECHO, echoes(["a", "b"]), context)
    assert Counts.of(compute("echo", ECHO, echoes(["a", "c", "b"]), context)) == Counts(1, 2, 0)


def test_equal_inputs_are_computed_once(context: Context):
    twins = [Item(id=name, inputs=("same",), args={"text": "x"}) for name in ("one", "two")]
    outcomes = compute("echo", ECHO, twins, context)
    assert [outcome.id for outcome in outcomes] == ["one", "two"]
    assert len(list(context.store.root.rglob("??/*"))) == 1


def bad(cause: str, *, repeatable: bool = True) -> tuple[Work, list[Item]]:
    work = Work(
        function="work:refuse_once", limits=Limits(wall_s=30), repeatable=repeatable, resumes=True
    )
    return work, [Item(id="bad", inputs=(cause,), args={"cause": cause})]


def n_tries(context: Context) -> int:
    (tries,) = (context.store.root / "partial").glob("*/tries")
    return tries.stat().st_size


@pytest.mark.parametrize("cause", sorted(LASTING))
def test_B33_a_bad_input_is_quarantined_once_and_never_tried_again(context: Context, cause: str):
    work, items = bad(cause)
    for tries in (1, 1):
        (outcome,) = compute("refuse", work, items, context)
        assert (outcome.status, outcome.reason) == ("quarantined", f"{cause}: as told")
        assert Counts.of([outcome]) == Counts(quarantined=1)
        assert n_tries(context) == tries
    assert not context.store.has(outcome.key)


@pytest.mark.parametrize("cause", ["oom", "timeout", "crash", "http", "missing", "refused"])
def test_B34_bad_luck_is_tried_again(context: Context, cause: str):
    work, items = bad(cause)
    for tries in (1, 2):
        (outcome,) = compute("refuse", work, items, context)
        assert outcome.reason == f"{cause}: as told"
        assert n_tries(context) == tries


def test_what_a_server_decides_is_tried_again(context: Context):
    work, items = bad("too_large", repeatable=False)
    for tries in (1, 2):
        compute("refuse", work, items, context)
        assert n_tries(context) == tries


def test_a_damaged_failure_is_tried_again(context: Context):
    work, items = bad("empty")
    (outcome,) = compute("refuse", work, items, context)
    path = context.store.path(outcome.key)
    path.write_bytes(b"E" + path.read_bytes()[1:])
    compute("refuse", work, items, context)
    assert n_tries(context) == 2
    failure = context.store.failure(outcome.key)
    assert failure is not None
    assert failure.reason == "empty: as told"


def test_S5_an_item_in_the_place_of_another_is_damage_not_a_result(context: Context):
    one, other = compute("echo", ECHO, echoes(["one", "other"]), context)
    store = context.store
    store.path(other.key).write_bytes(store.path(one.key).read_bytes())
    assert store.check(other.key) == "damaged"
    with pytest.raises(EnvironmentProblem, match="damaged and has been removed"):
        store.read(other.key)
    assert [o.status for o in compute("echo", ECHO, echoes(["one", "other"]), context)] == [
        "reused",
        "computed",
    ]
    assert store.read(other.key) == b"other "


def test_S5_a_failure_in_the_place_of_another_is_not_believed(context: Context):
    store = context.store
    store.remember("a" * 64, ItemError("empty", "as told"))
    store.path("b" * 64).parent.mkdir(parents=True)
    store.path("b" * 64).write_bytes(store.path("a" * 64).read_bytes())
    assert store.failure("a" * 64) is not None
    assert store.failure("b" * 64) is None


def test_every_item_has_one_outcome_in_the_order_given(context: Context):
    texts = [f"{n}" for n in range(23)]
    outcomes = compute("echo", ECHO, echoes(texts), context)
    assert [outcome.id for outcome in outcomes] == [f"item:{text}" for text in texts]


@pytest.mark.parametrize("mapper", [SerialMapper(), ProcessMapper(3)], ids=["serial", "process"])
def test_results_do_not_depend_on_where_they_run(mapper: Mapper, tmp_path: Path):
    store = ItemStore(tmp_path / "other")
    outcomes = compute("echo", ECHO, echoes(["a", "b", "c", "d"]), Context(store, mapper))
    assert [store.read(outcome.key) for outcome in outcomes] == [b"a ", b"b ", b"c ", b"d "]


def test_progress_ends_at_the_total(store: ItemStore):
    seen: list[tuple[str, int, int]] = []
    context = Context(store, SerialMapper(), lambda *step: seen.append(step))
    compute("echo", ECHO, echoes(["a", "b"]), context)
    assert seen[0] == ("echo", 0, 2)
    assert seen[-1] == ("echo", 2, 2)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Work(function="work:pid"), id="function"),
        pytest.param(Work(function="work:echo", params={"suffix": "!"}), id="params"),
        pytest.param(Work(function="work:echo", libraries=("numpy",)), id="libraries"),
    ],
)
def test_the_key_holds_all_that_decides_a_result(other: Work):
    assert ECHO.key(["a"]) != other.key(["a"])
    assert ECHO.key(["a"]) != ECHO.key(["b"])
    assert ECHO.key(["a", "b"]) != ECHO.key(["ab"])


@pytest.mark.parametrize("kept", [0, 1, 39, -1], ids=["empty", "byte", "footer", "cut"])
def test_B9_a_cut_item_is_absent(store: ItemStore, kept: int):
    with store.writing("k" * 64) as out:
        out.write_bytes(b"payload" * 10)
    path = store.path("k" * 64)
    path.write_bytes(path.read_bytes()[:kept])
    assert not store.has("k" * 64)


def test_B32_a_flipped_bit_is_found_and_the_item_removed(store: ItemStore):
    with store.writing("k" * 64) as out:
        out.write_bytes(b"payload")
    path = store.path("k" * 64)
    damaged = bytearray(path.read_bytes())
    damaged[3] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(EnvironmentProblem, match="run again"):
        store.read("k" * 64)
    assert not store.has("k" * 64)


def test_a_failing_writer_leaves_nothing(store: ItemStore):
    def fail() -> None:
        with store.writing("k" * 64) as out:
            out.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not [path for path in store.root.rglob("*") if path.is_file()]


def test_B10_what_a_killed_writer_left_is_swept(store: ItemStore):
    child = os.fork()
    if child == 0:
        with store.writing("k" * 64) as out:
            out.write_bytes(b"half")
            os._exit(1)
    os.waitpid(child, 0)
    assert len(list(store.root.rglob("*.tmp"))) == 1
    with store.writing("k" * 64) as out:
        out.write_bytes(b"whole")
    assert not list(store.root.rglob("*.tmp"))
    assert store.read("k" * 64) == b"whole"


def test_two_threads_may_write_the_same_file(tmp_path: Path):
    barrier = threading.Barrier(2, timeout=PATIENCE_S)
    failures: list[BaseException] = []

    def write(text: str) -> None:
        try:
            with atomic_path(tmp_path / "file") as temporary:
                barrier.wait()
                temporary.write_text(text)
                barrier.wait()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in ("aa", "bb")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert (tmp_path / "file").read_text() in {"aa", "bb"}


@given(
    array=npst.arrays(
        dtype=st.sampled_from([np.uint8, np.int64, np.float32, np.float16, np.uint64]),
        shape=npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
    ),
    notes=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)),
)
def test_arrays_and_notes_make_the_round_trip(tmp_path_factory, array, notes):
    path = tmp_path_factory.getbasetemp() / "arrays"
    write_arrays(path, {"x": array}, notes)
    arrays, read_notes = read_arrays(path.read_bytes())
    assert arrays["x"].dtype == array.dtype
    assert arrays["x"].tobytes() == np.ascontiguousarray(array).tobytes()
    assert arrays["x"].shape == array.shape
    assert read_notes == notes


@pytest.mark.parametrize(("failed", "stops"), [(5, False), (6, True)], ids=["limit", "above"])
def test_a_stage_fails_above_its_fraction_only(failed: int, stops: bool):
    if not stops:
        check_failed_fraction("download", failed=failed, total=10, limit=0.5)
        return
    with pytest.raises(TooManyFailed, match=r"download: 6 of 10 items failed \(60%\)"):
        check_failed_fraction("download", failed=failed, total=10, limit=0.5)


def test_an_unknown_executor_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VIDEO2GIF_EXECUTOR", "cloud")
    with pytest.raises(EnvironmentProblem, match="cloud"):
        default_mapper()


@pytest.mark.parametrize("text", ["many", "-1", "1.5"])
def test_a_senseless_number_of_workers_is_named(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("VIDEO2GIF_WORKERS", text)
    with pytest.raises(EnvironmentProblem, match="VIDEO2GIF_WORKERS"):
        default_mapper()
