"""The GIF maker: loops that close, budgets that are filled, receipts that can be checked."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from moving import panning, swinging
from patience import PATIENCE_S, until

from video2gif.core.config import Params
from video2gif.core.errors import ItemError, UserError
from video2gif.core.items import Context
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore
from video2gif.gifs.receipt import embed, extract
from video2gif.gifs.render import RECEIPT_BYTES, GifOptions
from video2gif.gifs.shape import FILL
from video2gif.make import inputs as sources
from video2gif.make.moments import Choice
from video2gif.make.rankers import Baseline
from video2gif.make.run import Run
from video2gif.make.verify import verify
from video2gif.make.write import remove_stale
from video2gif.media.encode import write_video

REPO = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for number, name in enumerate(("a/film.mp4", "b/film.mp4")):
        (folder / name).parent.mkdir()
        shots = [*swinging(30, period=20, seed=number), *panning(36, seed=number + 5)]
        write_video(folder / name, shots, fps=20)
    return folder


@pytest.fixture(scope="module")
def params() -> Params:
    return Params.load(REPO / "params.yaml")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return Context(ItemStore(tmp_path_factory.mktemp("store")), SerialMapper())


class Skipped(list[str]):
    """Notes which videos were skipped, and why."""

    def __call__(self, name: str):  # type: ignore[no-untyped-def]
        @contextlib.contextmanager
        def skipping():  # type: ignore[no-untyped-def]
            try:
                yield
            except ItemError as error:
                self.append(f"{name} {error.reason}")

        return skipping()


def run_of(params: Params, context: Context, output: Path, **options: object) -> Run:
    choice = Choice(top=2, alike=True)  # Scenes of noise are too much alike.
    return Run(params, Baseline(), GifOptions(**options), choice, output, context)  # type: ignore[arg-type]


def test_equal_stems_get_folders_of_their_own(films, params, shared, tmp_path):
    run, skipped = run_of(params, shared, tmp_path, height=48), Skipped()
    assert run.all([f"{films}/*/film.mp4", str(films / "none.mp4")], skip=skipped) == 1
    assert "none.mp4" in skipped[0]
    assert len(list((tmp_path / "film").glob("*.gif"))) == 2
    assert len(list((tmp_path / "film-2").glob("*.gif"))) == 2
    listing = json.loads((tmp_path / "gifs.json").read_text())
    for video in listing["videos"]:
        for gif in video["gifs"]:
            assert (tmp_path / gif["file"]).is_file()
            assert 0 < gif["loop"]["score"] <= 1


def test_a_new_run_removes_what_the_last_one_made_and_nothing_else(films, params, shared, tmp_path):
    film = [str(films / "a" / "film.mp4")]
    run_of(params, shared, tmp_path, height=48).all(film, skip=Skipped())
    own = tmp_path / "01_0m00s_0.50.gif"
    own.write_bytes(b"not listed")
    run = dataclasses.replace(run_of(params, shared, tmp_path, height=48), choice=Choice(top=1))
    run.all(film, skip=Skipped())
    assert len(list(tmp_path.glob("*.gif"))) == 1 + 1
    assert len(list(tmp_path.glob("*.jpg"))) == 1 + 1  # The filmstrip.
    assert own.exists()


@pytest.mark.parametrize(
    "name", ["../x/01_0m00s_1.00.gif", "/etc/passwd", "a/b/01_0m00s_1.00.gif", "film.mp4", ""]
)
def test_an_edited_list_deletes_nothing_of_others(tmp_path: Path, name: str):
    victim = (tmp_path / "out" / name) if name else tmp_path / "out" / "x"
    (tmp_path / "out").mkdir()
    if not Path(name).is_absolute():
        victim.parent.mkdir(parents=True, exist_ok=True)
        victim.touch()
    remove_stale(tmp_path / "out", [name], [])
    assert victim.exists()


def test_a_budget_is_filled_and_the_receipt_is_true(films, params, shared, tmp_path):
    film = films / "b" / "film.mp4"
    run = run_of(params, shared, tmp_path, max_bytes=60_000)
    assert run.all([str(film)], skip=Skipped()) == 0
    (made,) = run.done
    for gif in made.gifs:
        assert gif.path.stat().st_size <= 60_000
        is_full = gif.recipe.height == 96 and gif.recipe.rate == 20
        assert gif.path.stat().st_size >= FILL * 60_000 - RECEIPT_BYTES or is_full
    gif = made.gifs[0].path
    checks = verify(gif, film, Baseline(), params, shared)
    assert {check.state for check in checks} == {"true"}
    other = verify(gif, films / "a" / "film.mp4", Baseline(), params, shared)
    assert [check.state for check in other] == ["true", "false"]
    altered = bytearray(gif.read_bytes())
    altered[400] ^= 1
    (tmp_path / "altered.gif").write_bytes(altered)
    states = {
        c.what: c.state for c in verify(tmp_path / "altered.gif", film, Baseline(), params, shared)
    }
    assert states["not altered since"] == "false"


def test_a_lie_about_the_span_or_the_score_is_found(films, params, shared, tmp_path):
    film = films / "b" / "film.mp4"
    run = run_of(params, shared, tmp_path, height=48)
    run.all([str(film)], skip=Skipped())
    receipt, body = extract(run.done[0].gifs[0].path.read_bytes())
    shift_s = 0.15 if receipt.recipe.start_s < 1 else -0.15
    moved = dataclasses.replace(
        receipt.recipe,
        start_s=receipt.recipe.start_s + shift_s,
        end_s=receipt.recipe.end_s + shift_s,
    )
    lies = {
        "span": dataclasses.replace(receipt, recipe=moved),
        "score": dataclasses.replace(receipt, score=0.123),
        "model": dataclasses.replace(receipt, model="0" * 64),
        "parameters": dataclasses.replace(receipt, params="0" * 64),
    }
    for what, lie in lies.items():
        (tmp_path / "lie.gif").write_bytes(embed(body, lie))
        checks = verify(tmp_path / "lie.gif", film, Baseline(), params, shared)
        states = {check.what.split()[0]: check.state for check in checks}
        assert states.pop(what) != "true", what
        if what == "score":
            assert set(states.values()) == {"true"}


def test_gifski_is_used_when_it_is_there(films, params, tmp_path, monkeypatch):
    """A stand-in of the same command line: gifski itself is in no Debian release."""
    program = tmp_path / "bin" / "gifski"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\nfrom PIL import Image\n"
        "a = sys.argv[1:]\n"
        "if a == ['--version']: print('gifski 9.9'); raise SystemExit\n"
        "names = [x for x in a if x.endswith('.png')]\n"
        "first, *rest = [Image.open(x) for x in names]\n"
        "first.save(a[a.index('--output') + 1], save_all=True, append_images=rest)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    context = Context(ItemStore(tmp_path / "store"), SerialMapper())
    run = run_of(params, context, tmp_path / "out", height=48, encoder="gifski")
    assert run.all([str(films / "a" / "film.mp4")], skip=Skipped()) == 0
    with pytest.raises(UserError):
        GifOptions(encoder="gifski", format="webp")


def test_arguments_may_be_files_folders_globs_and_urls(films: Path):
    found = sources.expand(
        [str(films / "a"), f"{films}/b/*", "https://x.test/v.mp4?token=1", "-x.mp4"]
    )
    assert found == [
        str(films / "a" / "film.mp4"),
        str(films / "b" / "film.mp4"),
        "https://x.test/v.mp4?token=1",
        "-x.mp4",
    ]
    assert sources.folder_names([Path("a/x.mp4"), Path("b/X.mkv"), Path("x-2.mp4")]) == [
        "x",
        "X-2",
        "x-2-2",
    ]


def test_ctrl_c_leaves_only_whole_files(films: Path, tmp_path: Path):
    process = subprocess.Popen(
        [
            *(Path(sys.executable).with_name("video2gif"), "gif", f"{films}/*/*.mp4"),
            *("-o", "out", "--ranker", "baseline", "--height", "480", "--root", str(REPO)),
        ],
        cwd=tmp_path,
        env={**os.environ, "VIDEO2GIF_CACHE": str(tmp_path / "cache")},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    until(lambda: list(tmp_path.glob("out/*/*.gif")) or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode in (0, 130)  # 0: it was done before the signal came
    assert not list(tmp_path.glob("out/**/*.tmp"))
    for path in tmp_path.glob("out/**/*.gif"):
        assert path.read_bytes().endswith(b";")
