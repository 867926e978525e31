"""The download stage: each id exactly once, and nothing outside the project's folders."""

import hashlib
import string
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from downloading import HEADER, InlineMapper, Project, make_clip
from hypothesis import given
from hypothesis import strategies as st

from video2gif.core.errors import EnvironmentProblem, TooManyFailed
from video2gif.core.items import Context, Counts
from video2gif.core.mappers import ProcessMapper
from video2gif.core.store import ItemStore
from video2gif.core.tables import DOWNLOADS, SOURCES
from video2gif.stages import download


@pytest.fixture
def project(tmp_path: Path, store: ItemStore) -> Project:
    made = Project(tmp_path, Context(store, InlineMapper()))
    make_clip(made.inputs / "v.mp4")
    make_clip(made.inputs / "g.gif", n_frames=12)
    return made


@pytest.fixture
def served(project: Project) -> Iterator[str]:
    """The url of a server of the project's inputs."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(project.inputs))
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


def test_a_good_file_is_there_as_its_row_says(project: Project) -> None:
    assert project.run("v1,v.mp4,g1,g.gif") == Counts(computed=2)
    row = project.rows.loc["video:v1"]
    content = (project.inputs / "v.mp4").read_bytes()
    assert (project.layout.media / row["path"]).read_bytes() == content
    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    assert row["path"] == "videos/v1.mp4"
    assert (row["bytes"], row["n_frames"], row["width"], row["height"]) == (
        len(content),
        30,
        64,
        48,
    )
    assert (row["fps_num"], row["fps_den"], row["status"], row["reason"]) == (10, 1, "ok", "")
    assert row["duration_s"] == pytest.approx(3.0)
    assert project.rows.loc["gif:g1", "n_frames"] == 12


def test_A1_A4_A29_D6_five_bad_inputs_become_five_rows_with_reasons(
    project: Project, context: Context
) -> None:
    project.context = context  # real children
    (project.inputs / "empty.mp4").touch()
    (project.inputs / "page.gif").write_text("<!doctype html><html><body>gone</body></html>")
    whole = make_clip(project.inputs / "whole.mkv", n_frames=200).read_bytes()
    (project.inputs / "cut.mkv").write_bytes(whole[: len(whole) * 7 // 10])
    counts = project.run(
        "good,v.mp4,good-g,g.gif",
        "empty,empty.mp4,,",
        "good,v.mp4,page,page.gif",
        "cut,cut.mkv,,",
        "../../x,v.mp4,,",
        "absent,absent.mp4,,",
    )
    assert counts == Counts(computed=2, quarantined=5)
    failed = project.rows[project.rows["status"] != "ok"]
    causes = {name: reason.partition(":")[0] for name, reason in failed["reason"].items()}
    assert causes == {
        "video:empty": "empty",
        "gif:page": "not_media",
        "video:cut": "truncated",
        "row:line:6": "bad_id",
        "video:absent": "missing",
    }
    assert failed.loc["video:absent", "status"] == "missing"


def test_a_second_run_computes_nothing_and_gives_the_same_bytes(project: Project) -> None:
    lines = ("v1,v.mp4,g1,g.gif", "v2,none.mp4,,")
    project.run(*lines)
    first = project.layout.downloads.read_bytes(), project.layout.sources.read_bytes()
    assert project.run(*lines) == Counts(reused=2, quarantined=1)
    assert first == (project.layout.downloads.read_bytes(), project.layout.sources.read_bytes())


def test_one_new_video_is_one_item(project: Project) -> None:
    for number in range(4):
        make_clip(project.inputs / f"v{number}.mp4", seed=number)
    lines = [f"v{number},v{number}.mp4,," for number in range(4)]
    project.run(*lines[:3])
    assert project.run(*lines) == Counts(computed=1, reused=3)


def test_a_changed_file_is_a_new_item(project: Project) -> None:
    project.run("v1,v.mp4,,")
    make_clip(project.inputs / "v.mp4", n_frames=20, seed=1)
    assert project.run("v1,v.mp4,,") == Counts(computed=1)
    assert project.rows.loc["video:v1", "n_frames"] == 20


def test_no_file_of_an_earlier_run_survives(project: Project) -> None:
    project.run("old,v.mp4,,")
    project.run("new,v.mp4,,")
    assert list(project.rows["path"]) == ["videos/new.mp4"]


AWKWARD = ["-x", "_x", "0123456", "NA", "1e5", "a b", "🎬", "é", "e\u0301", "a:b", "a.b", "a~b"]


def test_A31_A32_D8_awkward_ids_round_trip_and_get_a_file_each(project: Project) -> None:
    ids = [*AWKWARD, "--exec=touch pwned", "$(touch pwned)", "x" * 200, "x" * 199, "é" * 200]
    project.run(*(f"{id_},v.mp4,," for id_ in ids))
    assert set(project.rows["id"]) == set(ids)
    assert set(project.rows["status"]) == {"ok"}
    assert project.rows["path"].is_unique
    assert set(SOURCES.read(project.layout.sources)["video_id"]) == set(ids)
    assert not Path("pwned").exists()


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@given(IDS, IDS)
def test_safe_names_are_plain_short_and_one_for_each_id(one: str, other: str) -> None:
    name = download.safe_name(one)
    assert set(name) <= set(string.ascii_letters + string.digits + "-_%~")
    assert len(name) <= 120
    assert (name == download.safe_name(other)) == (one == other)


@pytest.mark.parametrize("id_", ["../../x", "/etc/x", "a\0b", "x" * 5000])
def test_D6_hostile_ids_leave_no_file(project: Project, id_: str) -> None:
    before = set(project.layout.root.parent.rglob("*"))
    project.run(f"{id_},v.mp4,,")
    made = {path for path in set(project.layout.root.parent.rglob("*")) - before if path.is_file()}
    tables = {project.layout.downloads, project.layout.sources}
    assert made == tables | {project.inputs / "manifest.csv"}
    assert project.reason("row:line:2").startswith("bad_id")


@pytest.mark.parametrize(
    "url",
    ["../secret.mp4", "sub/../../secret.mp4", "link.mp4", "{absolute}", ".", "folder"],
)
def test_D26_a_path_out_of_the_manifests_folder_is_refused(project: Project, url: str) -> None:
    secret = make_clip(project.inputs.parent / "secret.mp4")
    (project.inputs / "link.mp4").symlink_to(secret)
    (project.inputs / "folder").mkdir()
    project.run(f"v1,{url.format(absolute=secret)},,")
    assert project.reason("video:v1").startswith("refused")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a/b", "data:video/mp4;base64", "gopher://a/", "FILE:/x"]
)
def test_D11_other_schemes_are_refused(project: Project, url: str) -> None:
    project.run(f"v1,{url},,")
    assert project.reason("video:v1").startswith("refused: scheme")


def test_A32_a_file_name_may_hold_a_colon(project: Project) -> None:
    make_clip(project.inputs / "a:b.mp4")
    make_clip(project.inputs / "été: 🎬 1.mp4")
    project.run("v1,a:b.mp4,,", "v2,./été: 🎬 1.mp4,,")
    assert set(project.rows["status"]) == {"ok"}


def test_A30_D25_the_extension_follows_the_content(project: Project) -> None:
    (project.inputs / "v.desktop").write_bytes((project.inputs / "v.mp4").read_bytes())
    (project.inputs / "really-mp4.gif").write_bytes((project.inputs / "v.mp4").read_bytes())
    project.run("v1,v.desktop,g1,really-mp4.gif")
    assert list(project.rows["path"]) == ["gifs/g1.mp4", "videos/v1.mp4"]
    assert "by content mp4" in project.rows.loc["gif:g1", "reason"]


def test_a_url_is_fetched_once(project: Project, served: str) -> None:
    project.set(allow_private=True)
    lines = (f"v1,{served}/v.mp4,g1,{served}/g.gif", f"v2,{served}/none.mp4,,")
    assert project.run(*lines) == Counts(computed=2, quarantined=1)
    assert project.reason("video:v2").startswith("http:")
    (project.inputs / "v.mp4").unlink()
    assert project.run(*lines) == Counts(reused=2, quarantined=1)
    assert project.rows.loc["video:v1", "path"] == "videos/v1.mp4"


def test_D12_private_addresses_are_refused_even_if_fetched_before(
    project: Project, served: str
) -> None:
    line = f"v1,{served}/v.mp4?token=hunter2,,"
    project.run(line)
    reason = project.reason("video:v1")
    assert reason.startswith("refused")
    assert "hunter2" not in reason
    project.set(allow_private=True)
    assert project.run(line) == Counts(computed=1)
    project.set(allow_private=False)
    assert project.run(line) == Counts(quarantined=1)


def test_A29_a_page_named_gif_from_a_server_is_not_media(project: Project, served: str) -> None:
    (project.inputs / "page.html").write_text("<html>")
    project.set(allow_private=True)
    project.run(f"v1,v.mp4,g1,{served}/page.html")
    assert project.reason("gif:g1").startswith("not_media")


def test_D15_files_above_the_limit_are_refused(project: Project, served: str) -> None:
    project.set(allow_private=True)
    project.run("v1,v.mp4,,", f"v2,{served}/v.mp4,,")
    project.set(max_bytes=1000)
    project.run("v1,v.mp4,,", f"v2,{served}/v.mp4,,")
    assert project.reason("video:v1").startswith("too_large")
    assert project.reason("video:v2").startswith("too_large")


def test_A33_gifs_without_a_usable_file_are_accounted_for(project: Project) -> None:
    make_clip(project.inputs / "h.gif", n_frames=5)
    counts = project.run(
        "v1,v.mp4,g1,g.gif,,",
        "v1,v.mp4,g1,h.gif,,",
        "v1,v.mp4,g2,h.gif,5,3",
        "v1,v.mp4,g3,,1,2",
        header=f"{HEADER},start_s,end_s",
    )
    assert project.reason("gif:g1").startswith("conflict: lines 2 and 3")
    assert project.reason("gif:g2").startswith("label:")
    assert project.rows.loc["gif:g3", "status"] == "missing"
    assert counts == Counts(computed=1, reused=1, quarantined=2)  # a span alone is no fault
    found = SOURCES.read(project.layout.sources)
    assert list(found["gif_id"]) == ["g3"]
    assert (found["start_s"][0], found["end_s"][0]) == (1.0, 2.0)


def test_sources_hold_what_the_manifest_says(project: Project) -> None:
    header = f"{HEADER},views,category,title,tags,split"
    project.run(
        "v1,v.mp4,g1,g.gif,17,sports,The goal,a|b,train",
        'v2,v.mp4,g2,g.gif,"12,345",,,,',
        header=header,
    )
    table = SOURCES.read(project.layout.sources).set_index("gif_id")
    assert list(table.loc["g1", ["views", "category", "title", "tags", "split"]]) == [
        17.0,
        "sports",
        "The goal",
        "a|b",
        "train",
    ]
    assert np.isnan(table.loc["g2", "views"])
    assert "views" in project.rows.loc["gif:g2", "reason"]
    assert project.rows.loc["gif:g2", "status"] == "ok"


def test_too_many_failures_end_the_stage_after_its_tables(project: Project) -> None:
    project.set(max_failed_fraction=0.4)
    with pytest.raises(TooManyFailed, match="1 of 2"):
        project.run("v1,v.mp4,,", "v2,none.mp4,,")
    assert len(project.rows) == 2


def test_D7_a_media_folder_that_is_a_link_is_refused(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").touch()
    project.layout.media.parent.mkdir()
    project.layout.media.symlink_to(elsewhere)
    with pytest.raises(EnvironmentProblem, match="symbolic link"):
        project.run("v1,v.mp4,,")
    assert (elsewhere / "mine").exists()


def test_D21_what_a_stranger_writes_reaches_no_terminal_as_it_is(
    project: Project, capfd: pytest.CaptureFixture
) -> None:
    lines = [
        "\x1b[31mid,v.mp4,,",
        "v1,\x1b]0;x\x07.mp4,,",
        "v2,http\x1b://a,,",
        "v3,v.mp4,g3,\x9b.gif",
    ]
    project.run(*lines, "v4,v.mp4,\x1b[2J,g.gif")
    table = DOWNLOADS.read(project.layout.downloads)
    assert len(table) >= 5
    assert all(map(str.isprintable, table["reason"]))
    assert all(map(str.isprintable, table["id"]))
    assert not [char for char in "".join(capfd.readouterr()) if char in "\x1b\x07\x9b"]


def test_an_empty_manifest_gives_empty_tables(project: Project) -> None:
    assert project.run() == Counts()
    assert project.rows.empty


@pytest.mark.parametrize("name", ["sample:video/none", "sample:x"])
def test_a_sample_that_is_not_there_is_missing(project: Project, name: str) -> None:
    project.run(f"v1,{name},,")
    assert project.rows.loc["video:v1", "status"] == "missing"


def test_E3_two_workers_give_the_same_tables(project: Project, tmp_path: Path) -> None:
    lines = [f"{id_},v.mp4,," for id_ in AWKWARD]
    project.run(*lines)
    first = project.layout.downloads.read_bytes()
    project.context = Context(ItemStore(tmp_path / "other"), ProcessMapper(2))
    project.run(*lines)
    assert project.layout.downloads.read_bytes() == first


@pytest.mark.realdata
def test_every_real_file_is_accounted_for(realdata: Path, project: Project) -> None:
    project.set(manifest=str(realdata / "manifest.csv"))
    counts = download.run(project.layout, project.params, project.context)
    assert (counts.total, counts.quarantined) == (42, 0)
    assert list(project.rows["kind"].value_counts()) == [31, 11]
