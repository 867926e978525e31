"""The review page in this process, for the tests that ask it."""

import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from films import film_of_shots
from patience import PATIENCE_S

from video2gif.core.config import Params
from video2gif.core.store import ItemStore
from video2gif.make.rankers import Baseline
from video2gif.web.app import make_app
from video2gif.web.review import Review

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # It would rather have a successor of httpx.
    from starlette.testclient import TestClient

REPO = Path(__file__).parents[1]
OURS = {"X-Video2gif": "1"}
MAX_UPLOAD = 3_000_000


class Site:
    """A server in this process, and the folder it reviews."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        self.store = ItemStore(store)
        params = Params.load(REPO / "params.yaml")
        self.review = Review(folder, params, Baseline(), self.store)
        app = make_app(self.review, max_upload_bytes=MAX_UPLOAD, store=self.store)
        self.client = TestClient(app, base_url="http://127.0.0.1:8642", headers=OURS)

    def upload(self, content: bytes, name: str = "film.mp4", **headers: str) -> httpx.Response:
        return self.client.put(
            f"/api/uploads/{quote(name, safe='')}", content=content, headers=headers
        )

    def video(self, name: str) -> dict[str, Any]:
        answer = self.client.get(f"/api/videos/{quote(name, safe='')}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def settled(self, name: str) -> dict[str, Any]:
        """The video once nothing of it waits or works any more."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = self.video(name)
            states = {found["state"], *(one["state"] for one in found["exports"])}
            if not states & {"waiting", "working"}:
                return found
            time.sleep(0.05)
        raise TimeoutError(found)


def ready_site(base: Path) -> Iterator[Site]:
    """A site with a film that is analysed; for a fixture of a module's own."""
    (base / "folder").mkdir()
    film_of_shots(base / "folder" / "film.mp4")
    site = Site(base / "folder", base / "store")
    with site.client:
        site.client.post("/api/videos/film.mp4/start")
        assert site.settled("film.mp4")["state"] == "ready"
        yield site
