"""Fetch one http(s) file: whole or not at all, resumed where that is safe, within limits.

Redirects are followed by hand and every hop's address is checked (`video2gif.core.egress`).
A body is complete when it has the length that was announced, or when its chunks ended, and when
its encoding ended as well; a cut one is resumed with Range + If-Range, only if the server names a
strong validator (RFC 9110, 8.8.1), else begun anew. One deadline runs for all: names, connections,
headers, waits, body. What the bytes are is the probe's to say; only web pages are turned away here.
Messages show a url without user, password and query: those may be secrets.
"""

import hashlib
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx

from video2gif.core import config
from video2gif.core.egress import Unresolved
from video2gif.core.errors import ItemError
from video2gif.core.sandbox import Limits
from video2gif.core.work import Item, Work
from video2gif.media import pages
from video2gif.media.clocked import Deadline, Transport, inflated
from video2gif.media.headers import ByteRange, announced, part_of, retry_after, validator
from video2gif.media.partial import Partial

_MAX_REDIRECTS = 5
_ATTEMPTS = 5  # in a row without a new byte
_BACKOFF_S = 1.0
_MAX_BACKOFF_S = 60.0
_STALL_S = 30.0  # without a byte, or with fewer than _MIN_BYTES_PER_S over this long
_MIN_BYTES_PER_S = 1000
_REDIRECTS = (301, 302, 303, 307, 308)
_RETRIED = (408, 425, 429)  # and 5xx
_NO_MEDIA = ("text/html", "application/xhtml+xml", "application/json")
_ENCODINGS = ("", "identity", "gzip", "deflate")
_GRACE_S = 30.0  # The fetcher keeps its own deadline; the child is killed only if it does not.
_SLACK_BYTES = 64 << 20  # A video site's last part, beyond the limit, before it is noticed.


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What one file may cost."""

    max_bytes: int
    """Of the decoded body."""
    timeout_s: float
    """Seconds by the wall clock for everything: waits, retries and the body."""
    allow_private: bool = False
    attempts: int = _ATTEMPTS
    backoff_s: float = _BACKOFF_S
    stall_s: float = _STALL_S


class _Transient(Exception):
    """Worth another try, after `wait_s` if the server said how long."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def policy_of(params: config.DownloadParams) -> Policy:
    """What params.yaml allows."""
    return Policy(
        max_bytes=params.max_bytes,
        timeout_s=params.timeout_s,
        allow_private=params.allow_private,
    )


def fetching(policy: Policy) -> Work:
    """The work of `fetch_item`s, in a child whose connections its parent dials."""
    return Work(
        function=f"{__name__}:work",
        params={"allow_private": policy.allow_private},
        limits=Limits(
            wall_s=policy.timeout_s + _GRACE_S,
            disk_bytes=policy.max_bytes + _SLACK_BYTES,
            network="any" if policy.allow_private else "public",
        ),
        repeatable=False,
        resumes=True,
    )


def fetch_item(item_id: str, source: str, policy: Policy, *, sites: bool = True) -> Item:
    """The item of a url. It is known by its text, so it is new only once.

    `sites`: whether a page of a video site stands for its video.
    """
    digest = hashlib.sha256(source.encode()).hexdigest()
    # Limits decide whether there is a result, never what it is: they stay out of the key.
    args = {"source": source, "policy": asdict(policy), "sites": sites}
    return Item(id=item_id, inputs=(digest,), args=args)


def work(
    *,
    out: Path,
    params: Mapping[str, Any],
    source: str,
    policy: Mapping[str, Any],
    kept: str,
    sites: bool = True,
) -> None:
    """The item loop's entry: fetch `source` to `out`; what is there so far stays in `kept`.

    `policy`: the fields of `Policy`.
    """
    allowed = Policy(**policy)
    limits = pages.PageLimits(max_bytes=allowed.max_bytes, allow_private=allowed.allow_private)
    if sites and pages.is_known_site(source):
        pages.fetch_page(source, out, limits=limits)
        return
    try:
        fetch(source, out, partial=Path(kept) / "body", policy=allowed)
    except WebPage:
        if not sites or not pages.has_extractor(source):
            raise
        pages.fetch_page(source, out, limits=limits)


class WebPage(ItemError):
    """The server answered with a page about the file, or about its absence."""

    def __init__(self, message: str) -> None:
        super().__init__("not_media", message)


def fetch(url: str, target: Path, *, partial: Path, policy: Policy) -> None:
    """Fetch `url` to `target`. Raises `ItemError` (http, refused, timeout, too_large, not_media).

    `partial` survives a failure or a kill; the next call with the same url goes on from it.
    """
    partial.parent.mkdir(parents=True, exist_ok=True)
    body, deadline = Partial(partial), Deadline(policy.timeout_s)
    with _client(policy, deadline) as client:
        _Job(url, body, client, policy, deadline).run()
    os.replace(body.path, target)
    body.forget()


def display(url: str) -> str:
    """A url fit for logs and tables: no user, password, query or fragment."""
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return "(invalid url)"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.host}{port}{parts.path}"[:200]


@contextmanager
def _client(policy: Policy, deadline: Deadline) -> Iterator[httpx.Client]:
    timeout = httpx.Timeout(min(policy.stall_s, policy.timeout_s))
    headers = {"User-Agent": "video2gif", "Accept": "*/*", "Accept-Encoding": "identity"}
    transport = Transport(deadline, allow_private=policy.allow_private)
    # trust_env=False: a proxy would resolve names where we cannot check them, and a netrc
    # would send the user's passwords to whom a manifest names.
    with httpx.Client(
        transport=transport, timeout=timeout, headers=headers, trust_env=False
    ) as client:
        yield client


# --- one file --------------------------------------------------------------------------------


class _Job:
    """One url on its way to one partial file."""

    def __init__(
        self, url: str, body: Partial, client: httpx.Client, policy: Policy, deadline: Deadline
    ) -> None:
        self._url = url
        self._body = body
        self._client = client
        self._policy = policy
        self._deadline = deadline

    def run(self) -> None:
        """Try until the body is whole. Tries that bring new bytes are not counted."""
        self._body.load(self._url)
        best = self._body.size
        failures = 0
        while True:
            try:
                return self._attempt()
            except _Transient as problem:
                failures = 1 if self._body.size > best else failures + 1
                best = max(best, self._body.size)
                if failures >= self._policy.attempts:
                    self._fail("http", f"{problem}; gave up after {failures} tries")
                self._wait(problem, failures)

    def _wait(self, problem: _Transient, failures: int) -> None:
        wait_s = problem.wait_s
        if wait_s is None:
            seed = hashlib.sha256(f"{self._url}:{failures}".encode()).digest()[0]
            jitter = 0.5 + seed / 255  # deterministic, in [0.5, 1.5]
            wait_s = min(_MAX_BACKOFF_S, self._policy.backoff_s * 2 ** (failures - 1) * jitter)
        if wait_s > self._deadline.left_s:
            self._fail("timeout", f"{problem}; waiting {wait_s:.0f} s passes the time limit")
        time.sleep(wait_s)

    def _attempt(self) -> None:
        try:
            with self._open() as response:
                self._receive(response)
        except httpx.TimeoutException:
            raise _Transient(f"no answer for {self._policy.stall_s:g} s") from None
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                self._fail("http", f"its certificate is not valid: {error}")
            raise _Transient(f"connection failed: {error}") from None
        except httpx.InvalidURL:  # httpx reads the Location header before we do
            self._fail("refused", "redirects to no valid url")
        except zlib.error:
            self._fail("http", "its content encoding is broken")
        except Unresolved as error:
            if not error.temporary:
                self._fail("http", str(error))
            raise _Transient(str(error)) from None

    @contextmanager
    def _open(self) -> Iterator[httpx.Response]:
        """The answer behind at most five redirects."""
        url = self._checked(self._url)
        for _ in range(_MAX_REDIRECTS + 1):
            self._deadline.within(self._policy.stall_s)  # However many headers there are.
            with self._client.stream("GET", url, headers=self._range()) as response:
                self._deadline.within(None)
                if response.status_code not in _REDIRECTS:
                    yield response
                    return
                location = response.headers.get("Location", "")
            url = self._checked(location, base=url)
        self._fail("http", f"more than {_MAX_REDIRECTS} redirects")

    def _checked(self, url: str, base: httpx.URL | None = None) -> httpx.URL:
        try:
            parsed = base.join(url) if base else httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            self._fail("refused", "is no valid url" if base is None else "redirects to no url")
        if parsed.scheme not in ("http", "https") or not parsed.host:
            self._fail("refused", f"leads to scheme {parsed.scheme!r}; only http and https")
        return parsed

    def _range(self) -> dict[str, str]:
        size, validator = self._body.size, self._body.validator
        if not size or not validator:
            return {}
        return {"Range": f"bytes={size}-", "If-Range": validator}

    def _receive(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 206 and (part := self._continuing(response)):
            return self._read(response, part)
        if status == 200:
            self._require_media(response)
            self._body.restart(validator(response), self._url)
            return self._read(response, None)
        if status in (206, 416):
            # Another part than asked for, or of another version: never splice.
            self._body.restart("", self._url)
            raise _Transient(f"cannot be resumed (status {status})")
        reason = f"the server answered {status} {response.reason_phrase}".strip()
        if status in _RETRIED or status >= 500:
            raise _Transient(reason, retry_after(response))
        self._fail("http", reason)

    def _continuing(self, response: httpx.Response) -> ByteRange | None:
        """What a 206 holds, if that continues the version that we hold the beginning of."""
        part = part_of(response)
        known = self._body.validator
        is_same = bool(known) and (validator(response) or known) == known
        return part if part and is_same and part.start == self._body.size else None

    def _require_media(self, response: httpx.Response) -> None:
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind in _NO_MEDIA:
            raise WebPage(f"{display(self._url)}: the server answered with a page ({kind})")
        encoding = response.headers.get("Content-Encoding", "").lower()
        if encoding not in _ENCODINGS:
            # Only zlib's ratio (about 1000) keeps one block's expansion small.
            self._fail("refused", f"content encoding {encoding!r} was not asked for")

    def _read(self, response: httpx.Response, part: ByteRange | None) -> None:
        length = announced(response)
        if part and length not in (None, part.size):
            self._body.restart("", self._url)
            raise _Transient(f"its range has {part.size} bytes, its length is {length}")
        expected = part.size if part else length
        self._require_size(part.total if part else length or 0)
        pace = _Pace(self._policy.stall_s)
        with self._body.path.open("ab") as file:
            size = file.tell()
            for block in _blocks(response):
                size += len(block)
                self._require_size(size)
                file.write(block)
                file.flush()  # So that a killed fetch goes on from here.
                if self._deadline.left_s <= 0:
                    self._fail("timeout", f"not complete after {self._policy.timeout_s:g} s")
                if pace.too_slow(size):
                    self._fail("timeout", f"slower than {_MIN_BYTES_PER_S} bytes/s")
        if expected is not None and response.num_bytes_downloaded != expected:
            raise _Transient(f"{response.num_bytes_downloaded} of {expected} bytes came")
        if part and size != part.total:
            # A server may send less than it was asked for (RFC 9110, 14.2): ask for the rest.
            raise _Transient(f"{size} of {part.total} bytes came")

    def _require_size(self, size: int) -> None:
        if size > self._policy.max_bytes:
            self._body.forget()
            self._fail("too_large", f"more than download.max_bytes = {self._policy.max_bytes}")

    def _fail(self, cause: str, message: str) -> NoReturn:
        raise ItemError(cause, f"{display(self._url)}: {message}")


def _blocks(response: httpx.Response) -> Iterator[bytes]:
    """The body, its encoding undone. Raises `_Transient` where the encoding ends too soon."""
    encoding = response.headers.get("Content-Encoding", "").lower()
    if encoding in ("", "identity"):
        yield from response.iter_raw()
        return
    try:
        yield from inflated(response.iter_raw(), encoding)
    except EOFError:
        raise _Transient(f"its {encoding} body is cut") from None


class _Pace:
    """Watches that a body keeps coming."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._since = time.monotonic()
        self._size: int | None = None

    def too_slow(self, size: int) -> bool:
        """Whether the window that ends now brought too little; call it with each block."""
        now = time.monotonic()
        if self._size is None:
            self._size = size
        if now - self._since < self._window_s:
            return False
        rate = (size - self._size) / (now - self._since)
        self._since, self._size = now, size
        return rate < _MIN_BYTES_PER_S
