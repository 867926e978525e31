"""The review page's server around a film: the film itself, its picture, stopping, the sample."""

import asyncio
import io
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from fastapi.responses import StreamingResponse
from films import film_of_shots
from moving import moving_frames
from patience import PATIENCE_S, until
from review_site import Site, ready_site

from video2gif.core.errors import ItemError
from video2gif.core.items import Context, one
from video2gif.core.sandbox import Limits, Worker
from video2gif.core.work import Item, Work
from video2gif.media import poster
from video2gif.media.encode import write_video
from video2gif.web import connections, files
from video2gif.web.film import Film
from video2gif.web.guard import Guard, Receive, Scope, Send

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from ready_site(tmp_path_factory.mktemp("watch"))


# --- the film, piece by piece ---


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-", 0, None),
        ("bytes=100-199", 100, 200),
        ("bytes=-50", -50, None),
        ("bytes=0-99999999999", 0, None),
    ],
)
def test_the_film_comes_in_the_piece_that_is_asked_for(site: Site, wanted, start, end):
    content = (site.folder / "film.mp4").read_bytes()
    answer = site.client.get("/film/film.mp4", headers={"Range": wanted})
    assert answer.status_code == 206
    assert answer.content == content[start:end]
    first = start % len(content)
    told = f"bytes {first}-{first + len(answer.content) - 1}/{len(content)}"
    assert answer.headers["content-range"] == told
    assert answer.headers["content-type"] == "video/mp4"


def test_a_piece_of_a_film_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "MAX_PIECE", 1000)
    content = (site.folder / "film.mp4").read_bytes()
    answer = site.client.get("/film/film.mp4", headers={"Range": "bytes=500-"})
    assert answer.content == content[500:1500]


@pytest.mark.parametrize("wanted", [None, "bytes=0-1,5-6", "bytes=9-3", "lines=1-2", "bytes=--1"])
def test_without_a_range_that_is_understood_the_whole_film_comes(site: Site, wanted):
    headers = {"Range": wanted} if wanted else {}
    answer = site.client.get("/film/film.mp4", headers=headers)
    assert answer.status_code == 200
    assert answer.content == (site.folder / "film.mp4").read_bytes()


def test_beyond_the_end_of_the_film_there_is_nothing(site: Site):
    size = (site.folder / "film.mp4").stat().st_size
    answer = site.client.get("/film/film.mp4", headers={"Range": f"bytes={size}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize("name", ["marks.csv", "..%2fstore", "no.mp4", "%2e%2e%2fetc%2fpasswd"])
def test_D22_nothing_but_a_film_of_the_folder_is_watched(site: Site, name: str):
    site.folder.joinpath("marks.csv").touch()
    assert site.client.get(f"/film/{name}").status_code == 404


def test_D22_what_only_has_the_name_of_a_film_is_not_sent(site: Site, tmp_path: Path):
    (tmp_path / "secret").write_text("root:x:0:0:")
    link = site.folder / "link.mp4"
    link.symlink_to(tmp_path / "secret")
    try:
        answer = site.client.get("/film/link.mp4")
    finally:
        link.unlink()
    assert answer.status_code == 422
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["/film/film.mp4", "/api/videos/film.mp4/gifs.zip"])
def test_S6_another_sites_page_cannot_have_a_film_sent(site: Site, path: str):
    answer = site.client.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_S6_only_so_many_watch_at_once(site: Site):
    def film() -> StreamingResponse:
        answer = files.film_piece(site.folder / "film.mp4", "bytes=0-")
        assert isinstance(answer, StreamingResponse)
        return answer

    async def watch() -> None:
        streams = asyncio.Semaphore(1)
        blocks = aiter(files.bounded(film(), streams).body_iterator)
        await anext(blocks)
        with pytest.raises(files.Full):
            files.bounded(film(), streams)
        async for _ in blocks:
            pass
        files.bounded(film(), streams)  # The first one has been sent, so there is room again.

    asyncio.run(watch())


def test_S6_one_more_than_may_watch_is_told_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("video2gif.web.app._MAX_STREAMS", 0)
    film_of_shots(tmp_path / "film.mp4")
    site = Site(tmp_path, tmp_path / "store")
    with site.client:
        assert site.client.get("/film/film.mp4").status_code == 429


def test_S6_an_answer_that_nobody_takes_is_broken_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "SEND_S", 0.3)
    ended = threading.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                message = {"type": "http.response.body", "body": b"x" * 65536, "more_body": True}
                await send(message)
        finally:
            ended.set()

    config = connections_config(Guard(endless, hosts={"127.0.0.1"}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=config.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        with socket.create_connection(listener.getsockname(), timeout=20) as one:
            one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert ended.wait(PATIENCE_S)
        config.should_exit = True
        thread.join(10)


def connections_config(app: Guard):
    import uvicorn

    config = uvicorn.Config(app, http=connections.Connection, log_level="critical", lifespan="off")
    return uvicorn.Server(config)


# --- picture and length ---


def test_a_film_that_nobody_has_looked_at_shows_a_picture_and_its_length(tmp_path: Path):
    film_of_shots(tmp_path / "film.mp4")
    site = Site(tmp_path, tmp_path / "store")
    with site.client:
        assert site.client.get("/api/videos").json()["videos"][0]["duration_s"] is None
        answer = site.client.get("/api/videos/film.mp4/poster.jpg")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content[:2] == b"\xff\xd8"
        (listed,) = site.client.get("/api/videos").json()["videos"]
        for file in ("strip.jpg", "share.html"):
            assert site.client.get(f"/api/videos/film.mp4/{file}").status_code == 404
    assert listed["duration_s"] == pytest.approx(8.0)
    assert listed["state"] == "new"


def test_a_file_without_a_picture_says_why_and_what_to_do(tmp_path: Path):
    (tmp_path / "film.mp4").write_bytes(b"nothing")
    site = Site(tmp_path, tmp_path / "store")
    with site.client:
        answer = site.client.get("/api/videos/film.mp4/poster.jpg")
        assert answer.status_code == 422
        assert answer.json()["why"] == "This is not a video, whatever its name says."
        assert "Choose a video" in answer.json()["remedy"]
        site.client.post("/api/videos/film.mp4/start")
        found = site.settled("film.mp4")
    assert found["why"] == answer.json()["why"]
    assert found["reason"].startswith("not_media")


def test_a_film_s_picture_is_the_one_with_most_contrast(tmp_path: Path):
    """Black, then pictures: the key frame in the black is not taken."""
    dark, bright = np.zeros((60, 108, 192, 3), np.uint8), moving_frames(60, seed=0)
    write_video(tmp_path / "film.mp4", [*dark, *bright], fps=10)
    poster.work(out=tmp_path / "out", params={}, path=str(tmp_path / "film.mp4"))
    found = poster.read_poster((tmp_path / "out").read_bytes())
    assert found.duration_s == pytest.approx(12.0)
    picture = cv2.imdecode(np.frombuffer(found.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.std() > 20  # Black has 0.


def test_the_time_that_is_left_follows_from_what_is_done(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("video2gif.web.film.time", SimpleNamespace(monotonic=lambda: 110.0))
    one = Film(Path("film.mp4"), (0, 0), state="working", share=0.25, began_s=100.0)
    assert one.left_s == pytest.approx(30.0)
    assert replace(one, share=0.02).left_s is None
    assert replace(one, began_s=109.5).left_s is None
    assert replace(one, state="ready").left_s is None


# --- stopping ---


def test_what_waits_can_be_stopped_and_started_again(tmp_path: Path):
    film_of_shots(tmp_path / "film.mp4")
    site = Site(tmp_path, tmp_path / "store")
    held = threading.Event()
    site.review._jobs.put(held.wait)  # type: ignore[arg-type]
    with site.client:
        site.client.post("/api/videos/film.mp4/start")
        assert site.video("film.mp4")["state"] == "waiting"
        assert site.client.post("/api/videos/film.mp4/stop").json()["state"] == "new"
        held.set()
        time.sleep(0.3)
        assert site.video("film.mp4")["state"] == "new"
        site.client.post("/api/videos/film.mp4/start")
        assert site.settled("film.mp4")["state"] == "ready"


def test_what_is_under_way_can_be_stopped_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    film_of_shots(tmp_path / "film.mp4")
    site = Site(tmp_path, tmp_path / "store")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setattr("video2gif.core.work.code_version", lambda _: "test")

    def endless(film: object, is_personal: bool, context: Context) -> None:
        one(
            "decode",
            Work(function="work:wait"),
            Item(id="x", inputs=(), args={"seconds": 9e4}),
            context,
        )

    with site.client:
        with monkeypatch.context() as patched:
            patched.setattr(site.review, "_ranked", endless)
            site.client.post("/api/videos/film.mp4/start")
            until(lambda: site.video("film.mp4")["stage"] == "decode")
            site.client.post("/api/videos/film.mp4/stop")
            found = site.settled("film.mp4")
        assert (found["state"], found["reason"]) == ("new", "")
        site.client.post("/api/videos/film.mp4/start")
        assert site.settled("film.mp4")["state"] == "ready"


def test_a_job_that_runs_is_killed_once_its_event_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    stop = threading.Event()
    with Worker(Limits(), root=tmp_path, stop=stop) as worker:
        threading.Timer(1.0, stop.set).start()
        with pytest.raises(ItemError) as caught:
            worker.run("work:wait", {"params": {}, "seconds": 9e4}, tmp_path / "out")
        assert caught.value.cause == "stopped"
        with pytest.raises(ItemError, match="stopped"):
            worker.run("work:wait", {"params": {}, "seconds": 0}, tmp_path / "out")


# --- the first minute, and what leaves the page ---


def test_an_empty_folder_can_have_the_sample_film(tmp_path: Path):
    site = Site(tmp_path, tmp_path / "store")
    with site.client:
        name = site.client.post("/api/sample").json()["name"]
        assert site.settled(name)["state"] == "ready"
        again = site.client.post("/api/sample").json()["name"]
        assert again == name
        assert len(site.client.get("/api/videos").json()["videos"]) == 1
        assert site.client.post("/api/sample", headers={"X-Video2gif": ""}).status_code == 403


def test_all_gifs_come_as_one_zip(site: Site):
    gifs = site.video("film.mp4")["gifs"]
    answer = site.client.get("/api/videos/film.mp4/gifs.zip")
    assert answer.headers["content-disposition"].startswith("attachment")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == [gif["file"] for gif in gifs]
        assert archive.read(gifs[0]["file"])[:4] == b"GIF8"
    assert answer.content == site.client.get("/api/videos/film.mp4/gifs.zip").content


def test_the_page_to_send_holds_all_it_shows(site: Site):
    html = site.client.get("/api/videos/film.mp4/share.html").text
    gifs = site.video("film.mp4")["gifs"]
    assert html.count("data:image/gif;base64,") == len(gifs)
    assert html.count("data:image/jpeg;base64,") == len(gifs) + 1  # With the filmstrip.
    assert 'src="/' not in html
    assert str(site.folder) not in html


def test_an_export_has_the_name_that_was_chosen(site: Site):
    names = []
    for _ in range(2):
        body = {"start_s": 2.0, "end_s": 2.5, "height": 48, "name": "../../My v1.5 <cat>"}
        assert site.client.post("/api/videos/film.mp4/exports", json=body).status_code == 202
        names.append(site.settled("film.mp4")["exports"][-1]["file"])
    assert names == ["My v1_5 _cat.gif", "My v1_5 _cat-2.gif"]
    assert (site.folder / "gifs" / "film.mp4" / names[0]).is_file()


def test_why_a_moment_was_chosen_is_a_sentence(site: Site):
    gif = site.video("film.mp4")["gifs"][0]
    assert gif["why"].startswith("The best of 4 moments. It ")
    assert all(text.endswith(".") for text in gif["details"])
