"""Where this project may connect to: public addresses only, and exactly those that were checked.

A manifest may come from a stranger, and a name may resolve differently from one second to the
next. `PinnedTransport` therefore resolves a name itself, refuses it if any of its addresses is
private, and connects to the very address that it checked, with the name kept for TLS and Host.
"""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from video2gif.core.errors import ItemError

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Unresolved(Exception):
    """A name has no address, for now (`temporary`) or at all."""

    def __init__(self, message: str, *, temporary: bool) -> None:
        super().__init__(message)
        self.temporary = temporary


def is_public(address: str) -> bool:
    """Whether a numeric address is on the public internet, IPv4 inside IPv6 included."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return all(part.is_global and not part.is_multicast for part in (ip, *_embedded(ip)))


def _embedded(ip: Address) -> list[Address]:
    """IPv4 addresses that an IPv6 address leads to (mapped, 6to4, Teredo, NAT64)."""
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    found = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in _NAT64:
        found.append(ipaddress.IPv4Address(ip.packed[-4:]))
    return [part for part in found if part is not None]


def resolve(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a host, every one checked.

    Odd spellings (0x7f000001, 127.1) are the resolver's to read: what counts is what it answers.
    Raises `ItemError("refused")` if any address is private, `Unresolved` if there is none.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        temporary = error.errno == socket.EAI_AGAIN
        raise Unresolved(f"{host}: {error.strerror}", temporary=temporary) from None
    except UnicodeError:
        raise ItemError("refused", f"{host!r} is no host name") from None
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    if not allow_private:
        for address in addresses:
            _require_public(host, address)
    return addresses


def _require_public(host: str, address: str) -> None:
    if not is_public(address):
        raise ItemError(
            "refused",
            f"{host} is {address}, not a public address;"
            " set download.allow_private in params.yaml to allow it",
        )


class PinnedTransport(httpx.BaseTransport):
    """Connects to checked addresses only; one connection a request, no proxy."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        # Kept connections would be pooled by address, and reused for another name's TLS.
        self._inner = httpx.HTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        host = url.raw_host.decode("ascii")
        addresses = resolve(host, port, allow_private=self._allow_private)
        for address in addresses[:-1]:
            try:
                return self._inner.handle_request(_to_address(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return self._inner.handle_request(_to_address(request, addresses[-1]))

    def close(self) -> None:
        self._inner.close()


def _to_address(request: httpx.Request, address: str) -> httpx.Request:
    """The same request, sent to a numeric address; Host and the TLS name stay the url's."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
    )


@contextmanager
def guarded_sockets(*, allow_private: bool) -> Iterator[list[ItemError]]:
    """Have every name that this process resolves checked, for libraries with their own network.

    Their connection is made to what this very call answers, so that it is pinned as well. Yields
    the refusals so far, since such a library may swallow or wrap what it was refused with.
    """
    genuine = socket.getaddrinfo
    refusals: list[ItemError] = []

    def checked(host: Any, *args: Any, **options: Any) -> Any:
        answers = genuine(host, *args, **options)
        try:
            for answer in answers:
                _require_public(str(host), str(answer[4][0]))
        except ItemError as error:
            refusals.append(error)
            raise
        return answers

    socket.getaddrinfo = genuine if allow_private else checked
    try:
        yield refusals
    finally:
        socket.getaddrinfo = genuine
