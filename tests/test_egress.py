"""Where connections may lead: public addresses only, and just those that were checked."""

import datetime
import socket
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from fetching import BODY, Fetched, Server, fake_names, send, send_range

from video2gif.core import egress
from video2gif.core.errors import ItemError
from video2gif.core.sandbox import Limits, Worker
from video2gif.media import pages
from video2gif.media.fetch import Policy, fetch_item, fetching


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "169.254.169.254",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0x7f000001",
        "127.1",
        "2130706433",
        "017700000001",
    ],
)
def test_D12_private_addresses_are_refused(server: Server, fetched: Fetched, host: str) -> None:
    error = fetched.failure(f"http://{host}:{server.port}/", allow_private=False)
    assert error.cause == "refused"
    assert not server.requests


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert egress.is_public(address)


def connect_to(monkeypatch: pytest.MonkeyPatch, server: Server) -> list[str]:
    """Send every connection to the test's server; returns the addresses that were meant."""
    genuine, meant = socket.create_connection, []

    def connect(address: tuple[str, int], *args: object, **options: object) -> socket.socket:
        meant.append(address[0])
        return genuine(("127.0.0.1", server.port), *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", connect)
    return meant


def test_D14_the_checked_address_is_the_connected_one(
    server: Server, fetched: Fetched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second answer, a private one, is never asked for."""
    asked = fake_names(monkeypatch, {"films.example": ["93.184.216.34", "127.0.0.1"]})
    meant = connect_to(monkeypatch, server)
    server.answer = lambda handler, _: send(handler, 200, BODY)
    assert fetched("http://films.example/a.mp4", allow_private=False) == BODY
    assert (asked, meant) == (["films.example"], ["93.184.216.34"])
    assert server.requests[0]["host"] == "films.example"


@pytest.mark.parametrize(("host", "trusted"), [("films.example", True), ("other.example", False)])
def test_D27_tls_is_checked_against_the_name_not_the_pinned_address(
    server: Server,
    fetched: Fetched,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    host: str,
    trusted: bool,
) -> None:
    certificate = certify("films.example", tmp_path)
    server.use_tls(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    fake_names(monkeypatch, {host: ["93.184.216.34"]})
    connect_to(monkeypatch, server)
    server.answer = lambda handler, _: send(handler, 200, BODY)
    if trusted:
        assert fetched(f"https://{host}/a.mp4", allow_private=False) == BODY
    else:
        assert "certificate" in str(fetched.failure(f"https://{host}/a.mp4", allow_private=False))
        assert not server.requests


def certify(name: str, folder: Path) -> Path:
    """A self-signed certificate for a name, its key in the same file."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.datetime.now() - datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, start)
        .not_valid_after(start + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def test_D13_a_redirect_to_a_private_address_is_refused(
    server: Server, fetched: Fetched, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_names(monkeypatch, {"films.example": ["93.184.216.34"]})
    connect_to(monkeypatch, server)
    server.answer = lambda handler, _: send(handler, 302, location="http://127.0.0.1/secret")
    error = fetched.failure("http://films.example/a.mp4", allow_private=False)
    assert (error.cause, len(server.requests)) == ("refused", 1)


def test_D28_guarded_sockets_refuse_private_names() -> None:
    with (
        egress.guarded_sockets(allow_private=False) as refusals,
        pytest.raises(ItemError, match="not a public address"),
    ):
        socket.create_connection(("localhost", 9))
    assert [error.cause for error in refusals] == ["refused"]
    assert socket.getaddrinfo("localhost", 9)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_RAW])
def test_S1_guarded_sockets_are_for_tcp_only(kind: int) -> None:
    with egress.guarded_sockets(allow_private=True), pytest.raises(PermissionError):
        socket.socket(socket.AF_INET, kind)


def in_a_child(url: str, folder: Path, *, is_private_allowed: bool) -> bytes:
    policy = Policy(max_bytes=10_000_000, timeout_s=20, allow_private=is_private_allowed)
    work, item = fetching(policy), fetch_item("one", url, policy)
    with Worker(work.limits, root=folder) as worker:
        args = {**item.args, "params": work.params}
        worker.run(work.function, args, folder / "out", kept=folder / "partial" / "one")
    return (folder / "out").read_bytes()


def test_S2_a_child_fetches_through_its_parent(server: Server, tmp_path: Path) -> None:
    server.answer = lambda handler, n: send(
        handler, 200, BODY[: (n or 0) * 200_000 + 100_000], content_length=len(BODY)
    )
    assert in_a_child(f"{server.url}/a.mp4", tmp_path, is_private_allowed=True) == BODY
    assert not list((tmp_path / "partial").iterdir())


def test_S2_what_a_child_may_reach_is_decided_in_its_parent(server: Server, tmp_path: Path) -> None:
    """Even if the child asks for everything."""
    policy = Policy(max_bytes=10_000_000, timeout_s=20, allow_private=True)
    item = fetch_item("one", server.url, policy)
    limits = Limits(wall_s=20, network="public")
    args = {**item.args, "params": {"allow_private": True}}
    with Worker(limits, root=tmp_path) as worker, pytest.raises(ItemError) as caught:
        worker.run("video2gif.media.fetch:work", args, tmp_path / "out", kept=tmp_path / "kept")
    assert caught.value.cause == "refused"
    assert not server.requests


def test_S2_a_child_checks_certificates_through_its_parent(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certify("films.example", tmp_path)
    server.use_tls(certificate)
    fake_names(monkeypatch, {"films.example": ["93.184.216.34"], "b.example": ["93.184.216.34"]})
    connect_to(monkeypatch, server)
    server.answer = lambda handler, _: send(handler, 200, BODY)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    url = "https://films.example/a.mp4"
    assert in_a_child(url, tmp_path, is_private_allowed=False) == BODY
    with pytest.raises(ItemError, match="certificate"):
        in_a_child("https://b.example/a.mp4", tmp_path, is_private_allowed=False)


def test_B35_a_killed_child_leaves_what_came_for_the_next(server: Server, tmp_path: Path) -> None:
    policy = Policy(max_bytes=10_000_000, timeout_s=20, allow_private=True)
    item = fetch_item("one", server.url, policy)
    args = {**item.args, "params": {"allow_private": True}}
    kept = tmp_path / "partial" / "one"
    with Worker(Limits(network="any"), root=tmp_path) as worker:

        def kill(handler: BaseHTTPRequestHandler, n: int) -> None:
            send(handler, 200, BODY[:50_000], content_length=len(BODY), etag='"v1"')
            for _ in range(200):
                if sum(path.stat().st_size for path in tmp_path.rglob("body")) == 50_000:
                    break
                time.sleep(0.05)
            assert worker._child is not None
            worker._child.kill()

        server.answer = kill
        with pytest.raises(ItemError, match="SIGKILL"):
            worker.run("video2gif.media.fetch:work", args, tmp_path / "out", kept=kept)
    server.answer = lambda handler, _: send_range(handler, BODY, '"v1"')
    assert in_a_child(server.url, tmp_path, is_private_allowed=True) == BODY
    assert server.requests[-1]["range"] == "bytes=50000-"


# --- yt-dlp, which has a network of its own ---


def test_B30_yt_dlp_may_not_skip_run_or_read_anything(tmp_path: Path) -> None:
    options = pages.options(tmp_path, pages.PageLimits(max_bytes=5, allow_private=False))
    assert options["skip_unavailable_fragments"] is False
    assert options["allowed_extractors"] == ["default", "-generic"]
    assert options["postprocessors"] == []
    assert "exec_cmd" not in options
    with pytest.raises(ItemError, match="max_bytes"):
        options["progress_hooks"][0]({"downloaded_bytes": 6})


def test_D28_yt_dlp_connects_to_public_addresses_only_and_says_no_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    fake_names(monkeypatch, {"vimeo.com": ["127.0.0.1"], "player.vimeo.com": ["127.0.0.1"]})
    limits = pages.PageLimits(max_bytes=5, allow_private=False)
    with pytest.raises(ItemError) as caught:
        pages.fetch_page("https://vimeo.com/1?token=hunter2", tmp_path / "out", limits=limits)
    assert caught.value.cause == "refused"
    assert "hunter2" not in caught.value.reason + "".join(capfd.readouterr())
    assert not list(tmp_path.iterdir())


def test_only_pages_of_video_sites_go_to_yt_dlp() -> None:
    assert pages.is_known_site("https://www.youtube.com/watch?v=007f_EMcxQM")
    assert not pages.is_known_site("https://notyoutube.com/watch?v=1")
    assert pages.has_extractor("https://www.ted.com/talks/a_talk")
    assert not pages.has_extractor("https://films.example/watch.html")
