"""Which requests are answered: the server's own pages, on this machine, and nobody else's.

Any web page that a person visits can send requests to 127.0.0.1. So the Host header must name this
server (else a foreign name was pointed here: DNS rebinding), whatever changes something must come
from our own page (Origin, Sec-Fetch-Site), and no answer may be framed, sniffed or kept.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from video2gif.web.connections import Message, Receive, Send, timely, timely_send

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
COOKIE = "video2gif"
UPLOADS = "/api/uploads/"
_MAX_JSON_BYTES = 10_000
_SAFE = frozenset({"GET", "HEAD"})

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: App, *, hosts: Iterable[str], token: str = "") -> None:
        """`hosts`: names without port; empty: any, then `token` must be given and shown."""
        self._app = app
        self._hosts = frozenset(hosts)
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            reason = self._refused(scope)
            if reason:
                await _refuse(reason, send)
            else:
                await self._app(
                    scope, timely(receive), self._with_headers(scope, timely_send(send))
                )
        # Websockets get no answer: there are none.

    def _refused(self, scope: Scope) -> str:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if self._hosts and re.sub(r":\d+$", "", host).lower() not in self._hosts:
            return "Host names another server"
        # The page itself may be opened from anywhere; what it shows costs time and disk to make.
        is_page = scope["method"] in _SAFE and scope["path"] == "/"
        if not is_page and headers.get(b"sec-fetch-site", "none") not in ("same-origin", "none"):
            return "the request comes from another site"
        if scope["method"] not in _SAFE:
            origin = headers.get(b"origin")
            if origin is not None and origin.lower() != f"http://{host}".lower():
                return "the request comes from another site"
            # A form cannot set this header, and a script of another site must ask first.
            if headers.get(b"x-video2gif") != "1":
                return "the header X-Video2gif: 1 is missing"
            length = headers.get(b"content-length", "")
            is_small = length.isdecimal() and int(length) <= _MAX_JSON_BYTES
            if not is_small and not scope["path"].startswith(UPLOADS):
                return f"a body of unknown length, or of more than {_MAX_JSON_BYTES} bytes"
        if self._token and not _is_equal(self._shown_token(scope, headers), self._token):
            return "open the address that was printed when the server started: it holds the token"
        return ""

    def _shown_token(self, scope: Scope, headers: dict[bytes, str]) -> str:
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if asked and scope["method"] == "GET" and scope["path"] == "/":
            return asked[0]
        try:
            cookie = SimpleCookie(headers.get(b"cookie", "")).get(COOKIE)
        except CookieError:
            return ""
        return cookie.value if cookie else ""

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", []), *_HEADERS]
                if not any(name == b"content-security-policy" for name, _ in headers):
                    headers.append((b"content-security-policy", _POLICY.encode()))
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                if self._token and scope["path"] == "/":
                    cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                    headers.append((b"set-cookie", cookie.encode()))
                message["headers"] = headers
            await send(message)

        return wrapped


def policy_of(html: str) -> str:
    """A content security policy under which just the style and script in a page of ours run."""
    style, script = (
        " ".join(f"'sha256-{_digest(part)}'" for part in re.findall(pattern, html, re.DOTALL))
        for pattern in (r"<style>(.*?)</style>", r"<script>(.*?)</script>")
    )
    return f"{_POLICY}; style-src {style}; script-src {script}"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _is_equal(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode())


async def _refuse(reason: str, send: Send) -> None:
    body = json.dumps({"detail": f"refused: {reason}"}).encode()
    headers = [(b"content-type", b"application/json"), *_HEADERS]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
