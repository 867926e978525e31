"""`weights fetch`: licence first, then the file, resumed and checked by its digest."""

import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from video2gif.cli.weights import weights_app
from video2gif.core.errors import UserError
from video2gif.features import published
from video2gif.features.published import PUBLISHED, chosen, download
from video2gif.media.fetch import Policy

BODY = hashlib.shake_256(b"weights").digest(200_000)
DIGEST = hashlib.sha256(BODY).hexdigest()
POLICY = Policy(max_bytes=1 << 20, timeout_s=20, allow_private=True, attempts=1, backoff_s=0.01)


class Handler(BaseHTTPRequestHandler):
    """Sends half of the body to who asks for all of it, the rest to who asks to go on."""

    asked: list[str]

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.asked.append(self.headers.get("Range", ""))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(BODY) - start))
        self.send_header("ETag", '"one"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        self.end_headers()
        self.wfile.write(BODY[start:] if start else BODY[: len(BODY) // 2])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def one() -> Iterator[published.Published]:
    """A published file on a loopback server that cuts the first transfer."""
    Handler.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield published.Published(
        name="test",
        url=f"http://127.0.0.1:{server.server_address[1]}/c3d_20201016-{DIGEST[:8]}.pth?dl=1",
        what="a test",
        licence="none",
        sha256=DIGEST[:8],
    )
    server.shutdown()
    server.server_close()


def test_B25_a_cut_transfer_is_resumed_and_the_digest_checked(
    one: published.Published, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"without sending complete.*weights import FILE"):
        download(one, tmp_path, policy=POLICY)
    file = download(one, tmp_path, policy=POLICY)
    assert file.name == f"c3d_20201016-{DIGEST[:8]}.pth"
    assert file.read_bytes() == BODY
    assert Handler.asked == ["", f"bytes={len(BODY) // 2}-"]
    assert download(one, tmp_path, policy=POLICY) == file  # Nothing is fetched twice.
    assert len(Handler.asked) == 2


def test_D17_a_file_with_another_digest_is_removed(
    one: published.Published, tmp_path: Path
) -> None:
    wrong = dataclasses.replace(one, sha256="00000000")
    with pytest.raises(UserError, match="without sending complete"):
        download(wrong, tmp_path, policy=POLICY)
    with pytest.raises(UserError, match=f"sha256 is {DIGEST}, expected 00000000"):
        download(wrong, tmp_path, policy=POLICY)
    assert not list(tmp_path.glob("*.pth"))


def test_without_a_digest_nothing_is_fetched(one: published.Published, tmp_path: Path) -> None:
    unpinned = dataclasses.replace(one, sha256="")
    with pytest.raises(UserError, match="--unpinned"):
        download(unpinned, tmp_path, policy=POLICY)
    with pytest.raises(UserError, match="hexadecimal"):
        download(unpinned, tmp_path, sha256="no digest", policy=POLICY)
    assert Handler.asked == []
    with pytest.raises(UserError, match="without sending complete"):
        download(unpinned, tmp_path, unpinned=True, policy=POLICY)
    assert download(unpinned, tmp_path, sha256=DIGEST, policy=POLICY).read_bytes() == BODY


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="c3d-caffe, c3d-lasagne"):
        chosen("c3d")


def test_a_prefix_stands_in_the_name_it_pins() -> None:
    for one in PUBLISHED.values():
        assert one.sha256 in one.file_name
        assert one.url.startswith("https://")
        assert one.licence


def test_the_licence_is_shown_and_must_be_accepted() -> None:
    done = CliRunner().invoke(weights_app, ["fetch", "c3d-lasagne"])
    assert "License: Not specified" in done.output
    assert isinstance(done.exception, UserError)
    assert "--accept-licence" in str(done.exception)
