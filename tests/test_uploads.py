"""Uploads to the review page: whole, a video, within limits, under a harmless name."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from films import film_of_shots
from review_site import MAX_UPLOAD, Site, ready_site

from video2gif.web.uploads import safe_stem


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from ready_site(tmp_path_factory.mktemp("web"))


def test_an_upload_is_kept_analysed_and_listed(site: Site, tmp_path: Path):
    content = film_of_shots(tmp_path / "x.mp4").read_bytes()
    answer = site.upload(content, "../../My holiday (1)<script>.MP4")
    assert answer.status_code == 201, answer.text
    name = answer.json()["name"]
    assert re.fullmatch(r"[\w -]+\.mp4", name), name
    assert (site.folder / name).read_bytes() == content
    assert site.settled(name)["state"] == "ready"
    again = site.upload(content, "../../My holiday (1)<script>.MP4")
    assert again.json()["name"] == name
    listed = [video["name"] for video in site.client.get("/api/videos").json()["videos"]]
    assert name in listed


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"<html><script>alert(1)</script></html>", "not_media", id="html"),
        pytest.param(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not_media", id="playlist"),
        pytest.param(b"ffconcat version 1.0\nfile /etc/passwd\n", "not_media", id="ffconcat"),
        pytest.param(os.urandom(5000), "", id="noise"),
        pytest.param(b"x" * (MAX_UPLOAD + 1), "too_large", id="large"),
    ],
)
def test_a_hostile_upload_leaves_nothing(site: Site, content: bytes, cause: str):
    before = sorted(site.folder.rglob("*"))
    answer = site.upload(content, "evil.mp4")
    assert answer.status_code in (413, 422), answer.text
    assert cause in answer.json()["detail"]
    assert str(site.folder) not in answer.text
    assert sorted(site.folder.rglob("*")) == before


def test_a_cut_upload_is_refused(site: Site, tmp_path: Path):
    content = film_of_shots(tmp_path / "x.mp4").read_bytes()
    answer = site.upload(content[: len(content) * 2 // 3], "cut.mp4")
    assert answer.status_code == 422
    assert not (site.folder / "cut.mp4").exists()


def test_an_upload_that_breaks_off_leaves_nothing(site: Site, tmp_path: Path):
    content = film_of_shots(tmp_path / "x.mp4").read_bytes()
    answer = site.upload(content, "short.mp4", **{"Content-Length": str(len(content) + 1000)})
    assert answer.status_code == 422
    assert "truncated" in answer.json()["detail"]
    assert not list(site.folder.glob(".upload-*"))


def test_an_endless_upload_is_broken_off_at_the_limit(site: Site):
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 10 * MAX_UPLOAD:
            sent += 100_000
            yield b"\0" * 100_000

    answer = site.client.put("/api/uploads/endless.mp4", content=endless())
    assert answer.status_code == 413
    assert not list(site.folder.glob(".upload-*"))


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("film.mp4", "film"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\a.mp4", "a"),
        (".hidden.mp4", "hidden"),
        ("...", "video"),
        ("", "video"),
        ("a\0b\n.mp4", "a_b"),
        ("=cmd().mp4", "cmd"),
        ("--exec=rm.mp4", "exec_rm"),
        ("Ünïcode 猫.mkv", "Ünïcode 猫"),
        ("<script>alert(1)</script>.mp4", "script"),
    ],
)
def test_names_are_made_harmless(name: str, stem: str):
    assert safe_stem(name) == stem


def test_a_long_name_is_cut_to_what_file_systems_take():
    assert len(safe_stem("猫" * 500 + ".mp4").encode()) <= 80
