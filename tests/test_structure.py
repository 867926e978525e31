"""S8: real files whose structure lies about how much there is, the whole way to a GIF."""

import json
from pathlib import Path

import pytest
from fuzz import BAD, MAX_BYTES, forget_peak
from patience import PATIENCE_S
from structure import damaged
from work import whole_way

from video2gif.core.errors import ItemError
from video2gif.core.sandbox import Limits, Worker

MAX_CPU_S = 45.0


@pytest.mark.realdata
@pytest.mark.parametrize(
    "count", [pytest.param(20, id="few"), pytest.param(2500, id="2500", marks=pytest.mark.slow)]
)
def test_S8_a_structure_that_lies_gives_a_typed_error(
    realdata: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
):
    """A header that asks for more memory than the child may have is the typed cause `oom`.

    Few do, and none of the first 20; more would be a fault of ours.
    """
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    files = sorted((realdata / "cases").glob("*.*")) + sorted((realdata / "gifs").glob("*.gif"))
    seeds = [f for f in files if f.suffix not in (".md", ".py") and f.stat().st_size < 1_000_000]
    faults, refused = [], 0
    with Worker(Limits(wall_s=PATIENCE_S)) as worker:
        for number in range(count):
            seed = seeds[number % len(seeds)]
            path = tmp_path / f"a{seed.suffix}"
            path.write_bytes(damaged(seed.read_bytes(), number))
            forget_peak(worker)
            try:
                worker.run("work:measured_way", {"path": str(path)}, tmp_path / "out")
            except ItemError as error:
                refused += error.cause == "oom"
                if error.cause in BAD:
                    faults.append((number, seed.name, error.reason[:200]))
                continue
            took = json.loads((tmp_path / "out").read_text())
            refused += took["cause"] == "oom"
            if took["cause"] in BAD or took["cpu_s"] > MAX_CPU_S or took["peak_bytes"] > MAX_BYTES:
                faults.append((number, seed.name, took))
    assert not faults
    assert refused <= count // 300


@pytest.mark.realdata
def test_S8_a_damaged_index_is_a_typed_error(realdata: Path, tmp_path: Path):
    """libav refuses to seek in this one with EPERM, which came out as a crash."""
    path = tmp_path / "a.mp4"
    path.write_bytes(damaged((realdata / "cases" / "sar_pasp.mp4").read_bytes(), 727))
    with pytest.raises(ItemError, match="its index is damaged"):
        whole_way(out=tmp_path / "out", path=str(path))


@pytest.mark.realdata
@pytest.mark.parametrize("number", [354, 999])
def test_S8_a_stream_that_appears_later_is_no_crash(realdata: Path, tmp_path: Path, number: int):
    """PyAV did not find it when it ended, wherever packets are read."""
    path = tmp_path / "a.ts"
    path.write_bytes(damaged((realdata / "cases" / "joined_reset.ts").read_bytes(), number))
    with pytest.raises(ItemError, match="a part is missing"):
        whole_way(out=tmp_path / "out", path=str(path))
