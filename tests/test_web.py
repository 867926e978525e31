"""The review page's server: who is answered, what is taken in, what is served, what is made."""

import base64
import hashlib
import json
import os
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from films import film_of_shots
from review_site import OURS, REPO, Site, ready_site

from video2gif.core.config import Params
from video2gif.core.errors import ItemError, UserError
from video2gif.core.items import Context
from video2gif.core.mappers import SerialMapper
from video2gif.datasets.marks import read_marks
from video2gif.make.rankers import Baseline
from video2gif.make.verify import verify
from video2gif.web.app import make_app, run
from video2gif.web.review import Full

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # It would rather have a successor of httpx.
    from starlette.testclient import TestClient


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from ready_site(tmp_path_factory.mktemp("web"))


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1:8642"])
def test_D22_a_foreign_host_name_is_refused(site: Site, host: str):
    answer = site.client.get("/api/videos", headers={"Host": host})
    assert answer.status_code == 403
    assert "videos" not in answer.json()


@pytest.mark.parametrize("host", ["127.0.0.1:8642", "localhost:8642", "[::1]:8642", "LOCALHOST"])
def test_loopback_names_are_answered(site: Site, host: str):
    assert site.client.get("/api/videos", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "http://evil.example"}, id="origin"),
        pytest.param({"Origin": "null"}, id="sandboxed frame"),
        pytest.param({"Origin": "http://127.0.0.1:9999"}, id="another port"),
        pytest.param({"Origin": "https://127.0.0.1:8642"}, id="another scheme"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="fetch metadata"),
        pytest.param({"X-Video2gif": ""}, id="a plain form"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/videos/film.mp4/marks"), ("PUT", "/api/uploads/a.mp4"), ("DELETE", "/")],
)
def test_D22_a_cross_origin_request_changes_nothing(site: Site, method, path, headers):
    before = sorted(site.folder.rglob("*"))
    body = json.dumps({"start_s": 0, "end_s": 1, "verdict": "good"})
    answer = site.client.request(method, path, content=body, headers=headers)
    assert answer.status_code == 403
    assert sorted(site.folder.rglob("*")) == before
    assert not site.review.marks()


def test_our_own_page_is_answered(site: Site):
    headers = {"Origin": "http://127.0.0.1:8642", "Sec-Fetch-Site": "same-origin"}
    body = {"start_s": 0.0, "end_s": 1.0, "verdict": "none"}
    answer = site.client.post("/api/videos/film.mp4/marks", json=body, headers=headers)
    assert answer.status_code == 200


def test_a_large_body_is_refused_where_none_is_due(site: Site):
    answer = site.client.post("/api/videos/film.mp4/marks", content=b"x" * 20_000)
    assert answer.status_code == 403

    def endless() -> Iterator[bytes]:
        yield b"x" * 20_000

    assert site.client.post("/api/videos/film.mp4/marks", content=endless()).status_code == 403


def test_the_page_runs_nothing_but_its_own_script(site: Site):
    answer = site.client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", answer.text)
    assert len(answer.content) < 200_000


def test_D22_binding_beyond_loopback_needs_a_flag(tmp_path: Path, site: Site):
    for host in ("0.0.0.0", "::", "192.168.0.7"):
        with pytest.raises(UserError, match="--allow-remote"):
            run(
                site.review,
                host=host,
                port=0,
                max_upload_bytes=1,
                allow_remote=False,
                tell=print,
            )


def test_beyond_loopback_only_the_token_opens(site: Site):
    app = make_app(
        site.review, max_upload_bytes=1, hosts=frozenset(), token="secret", store=site.store
    )
    client = TestClient(app, base_url="http://box.lan:8642", headers=OURS)
    assert client.get("/").status_code == 403
    assert client.get("/?token=wrong").status_code == 403
    assert client.get("/api/videos?token=secret").status_code == 403  # Only the page takes it.
    opened = client.get("/?token=secret")
    assert opened.status_code == 200
    assert "HttpOnly" in opened.headers["set-cookie"]
    assert "SameSite=Strict" in opened.headers["set-cookie"]
    assert client.get("/api/videos").status_code == 200
    assert TestClient(app, base_url="http://box.lan:8642").get("/api/videos").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/media/film.mp4/../../store",
        "/media/film.mp4/..%2f..%2fmarks.csv",
        "/media/..%2f..%2fetc/passwd",
        "/media/film.mp4/%2e%2e%2ffilm.mp4",
        "/media/film.mp4/film.mp4",
        "/media/%00/x.gif",
        "/api/videos/..%2f..%2fetc%2fpasswd",
        "/api/videos/..",
        "/docs",
        "/openapi.json",
    ],
)
def test_D22_no_path_leads_out_of_what_was_made(site: Site, path: str):
    answer = site.client.get(path)
    assert answer.status_code == 404, answer.text
    assert b"root:" not in answer.content


def test_gifs_come_with_their_type_and_download_under_their_name(site: Site):
    gif = site.video("film.mp4")["gifs"][0]
    shown = site.client.get(f"/media/film.mp4/{gif['file']}")
    assert shown.headers["content-type"] == "image/gif"
    assert shown.content[:4] == b"GIF8"
    assert "content-disposition" not in shown.headers
    kept = site.client.get(f"/media/film.mp4/{gif['file']}?download=true")
    assert gif["file"] in kept.headers["content-disposition"]
    assert kept.headers["content-disposition"].startswith("attachment")


def test_a_video_is_described_to_its_end(site: Site):
    found = site.video("film.mp4")
    assert found["duration_s"] == pytest.approx(8.0)
    segments = found["segments"]
    assert segments[0][0] == 0
    assert segments[-1][1] == pytest.approx(8.0)
    assert [a[1] for a in segments[:-1]] == [b[0] for b in segments[1:]]
    # The liveliest shot comes first.
    assert found["gifs"][0]["segment"] == pytest.approx([6.0, 8.0])
    assert re.search(r"It moves \d\.\d times as much as usual", found["gifs"][0]["why"])


def test_frames_and_strip_are_pictures(site: Site, tmp_path: Path):
    answer = site.client.get("/api/videos/film.mp4/frames.jpg?start_s=1&end_s=7&count=4&height=48")
    assert answer.status_code == 200
    (tmp_path / "f.jpg").write_bytes(answer.content)
    with av.open(str(tmp_path / "f.jpg")) as picture:
        frame = next(picture.decode(video=0))
    assert (frame.width, frame.height) == (4 * 48, 48)
    strip = site.client.get("/api/videos/film.mp4/strip.jpg")
    assert strip.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    "query",
    ["start_s=nan&end_s=1", "start_s=1", "start_s=0&end_s=1&count=1000", "start_s=-1&end_s=2"],
)
def test_senseless_windows_are_refused(site: Site, query: str):
    assert site.client.get(f"/api/videos/film.mp4/frames.jpg?{query}").status_code == 422


def test_a_mark_is_written_and_taken_back(site: Site):
    gif = site.video("film.mp4")["gifs"][-1]
    start_s, end_s = gif["segment"]
    for verdict, expected in (("good", ["good"]), ("bad", ["bad"]), ("none", [])):
        body = {"start_s": start_s, "end_s": end_s, "verdict": verdict}
        answer = site.client.post("/api/videos/film.mp4/marks", json=body)
        assert [mark["verdict"] for mark in answer.json()["marks"]] == expected
        assert [mark.verdict for mark in read_marks(site.folder / "marks.csv")] == expected


@pytest.mark.parametrize(
    "body",
    [
        {"start_s": 2.0, "end_s": 1.0, "verdict": "good"},
        {"start_s": -1.0, "end_s": 1.0, "verdict": "good"},
        {"start_s": 0.0, "end_s": 1.0, "verdict": "=cmd()"},
        {"start_s": "0", "end_s": None, "verdict": "good"},
        {"start_s": 0.0, "end_s": 1.0, "verdict": "good", "more": 1},
        [],
    ],
)
def test_senseless_marks_are_refused(site: Site, body: object):
    answer = site.client.post("/api/videos/film.mp4/marks", json=body)
    assert answer.status_code == 422
    assert not site.review.marks("film.mp4")


def test_an_export_shows_just_the_span_that_was_set(site: Site):
    body = {"start_s": 2.51, "end_s": 3.49, "loop": "none", "format": "webp", "height": 64}
    answer = site.client.post("/api/videos/film.mp4/exports", json=body)
    assert answer.status_code == 202, answer.text
    (export,) = site.settled("film.mp4")["exports"]
    assert export["state"] == "ready", export
    assert (export["start_s"], export["end_s"]) == pytest.approx((2.5, 3.5))
    content = site.client.get(f"/media/film.mp4/{export['file']}").content
    assert content[8:12] == b"WEBP"
    assert export["height"] == 64
    params = Params.load(REPO / "params.yaml")
    checks = verify(
        site.folder / "gifs" / "film.mp4" / export["file"],
        site.folder / "film.mp4",
        Baseline(),
        params,
        Context(site.store, SerialMapper()),
    )
    assert {check.state for check in checks} == {"true"}, checks


def test_an_export_beyond_the_video_is_refused(site: Site):
    body = {"start_s": 100.0, "end_s": 101.0}
    answer = site.client.post("/api/videos/film.mp4/exports", json=body)
    assert answer.status_code == 422
    assert "no_frames" in answer.json()["detail"]


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """For a test that changes what others see."""
    yield from ready_site(tmp_path)


def test_marks_change_the_order(own_site: Site):
    site = own_site
    before = site.video("film.mp4")
    best, worst = before["gifs"][0]["segment"], before["gifs"][-1]["segment"]
    for span, verdict in ((best, "bad"), (worst, "good")):
        body = {"start_s": span[0], "end_s": span[1], "verdict": verdict}
        site.client.post("/api/videos/film.mp4/marks", json=body)
    assert site.client.post("/api/videos/film.mp4/personalise").status_code == 202
    after = site.settled("film.mp4")
    assert after["is_personal"]
    ranks = {tuple(gif["segment"]): gif["rank"] for gif in after["gifs"]}
    assert ranks[tuple(worst)] < ranks[tuple(best)]


def test_a_video_that_cannot_be_used_says_why(site: Site):
    (site.folder / "broken.mp4").write_bytes(b"nothing")
    try:
        site.client.post("/api/videos/broken.mp4/start")
        found = site.settled("broken.mp4")
    finally:
        (site.folder / "broken.mp4").unlink()
    assert found["state"] == "failed"
    assert "not_media" in found["reason"]


def test_names_that_cannot_be_shown_are_left_out(tmp_path: Path):
    film_of_shots(tmp_path / "good.mp4")
    for name in (b"bad\xff.mp4", b"line\nbreak.mp4"):
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_bytes(b"x")
    site = Site(tmp_path, tmp_path / "store")
    with site.client:
        videos = site.client.get("/api/videos").json()["videos"]
    assert [video["name"] for video in videos] == ["good.mp4"]


def test_another_file_under_the_same_name_is_looked_at_anew(tmp_path: Path):
    (tmp_path / "film.mp4").write_bytes(b"nothing")
    site = Site(tmp_path, tmp_path / "store")
    with site.client:
        site.client.post("/api/videos/film.mp4/start")
        assert site.settled("film.mp4")["state"] == "failed"
        film_of_shots(tmp_path / "film.mp4")
        site.client.get("/api/videos")
        assert site.video("film.mp4")["state"] == "new"


def test_too_many_jobs_are_turned_away(tmp_path: Path):
    for number in range(40):
        (tmp_path / f"{number}.mp4").write_bytes(b"nothing")
    site = Site(tmp_path, tmp_path / "store")
    held = threading.Event()
    site.review._jobs.put(held.wait)  # type: ignore[arg-type]
    with site.client:
        codes = [site.client.post(f"/api/videos/{n}.mp4/start").status_code for n in range(40)]
        held.set()
    assert set(codes) == {202, 429}


def test_an_unknown_video_is_404(site: Site):
    assert site.client.get("/api/videos/no.mp4").status_code == 404
    with pytest.raises(ItemError):
        site.review.film("no.mp4")


def test_S6_an_export_that_finds_no_room_is_not_listed(site: Site, monkeypatch: pytest.MonkeyPatch):
    before = site.video("film.mp4")["exports"]

    def full(*_: object) -> None:
        raise Full("too many jobs are waiting; try again later")

    monkeypatch.setattr(site.review, "_enqueue", full)
    for _ in range(3):
        answer = site.client.post(
            "/api/videos/film.mp4/exports", json={"start_s": 0.0, "end_s": 1.0}
        )
        assert answer.status_code == 429
    assert site.video("film.mp4")["exports"] == before


def test_S6_the_list_of_exports_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("video2gif.web.review._MAX_EXPORTS", 3)
    monkeypatch.setattr(site.review, "_enqueue", lambda *_: None)
    before = list(site.review.film("film.mp4").exports)
    for _ in range(5):
        site.client.post("/api/videos/film.mp4/exports", json={"start_s": 0.0, "end_s": 1.0})
    numbers = [one["number"] for one in site.video("film.mp4")["exports"]]
    assert len(numbers) == len(set(numbers)) == 3
    site.review.film("film.mp4").exports = before
