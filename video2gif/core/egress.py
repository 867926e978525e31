"""Where this project may connect to: public addresses only, and exactly those that were checked.

A manifest may come from a stranger, and a name may resolve differently from one second to the
next. `dial` therefore resolves a name itself, refuses it if any of its addresses is private, and
connects to the very address that it checked.

A child that fetches has no network of its own. It asks its parent through a `Door`, a pair of
sockets: the parent dials and hands the connected socket over. So what a child may reach is decided
in the parent, whatever happens to the child. `connect` is for both: it dials, or asks.
"""

import ipaddress
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from video2gif.core.errors import ItemError

# RFC 6052: the last four bytes are an IPv4 address, perhaps a private one.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Bytes of a question or an answer: each is one message.
_MAX_MESSAGE = 4096
# A child may ask for any time-out, and its parent waits no longer than this.
_MAX_DIAL_S = 60.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Unresolved(OSError):
    """A name has no address, for now (`temporary`) or at all."""

    def __init__(self, message: str, *, temporary: bool) -> None:
        super().__init__(message)
        self.temporary = temporary


def is_public(address: str) -> bool:
    """Whether a numeric address is on the public internet, IPv4 inside IPv6 included."""
    # In fe80::1%eth0 the part behind % names the machine's interface.
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


def dial(host: str, port: int, *, timeout_s: float, allow_private: bool) -> socket.socket:
    """A TCP connection to the first address of a host that answers.

    Raises `ItemError("refused")`, `Unresolved`, or `OSError` where no address answers in time.
    """
    deadline = time.monotonic() + timeout_s
    problem: OSError = TimeoutError("timed out")
    for address in resolve(host, port, allow_private=allow_private):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            connected = socket.create_connection((address, port), timeout=left)
        except OSError as error:
            problem = error
            continue
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    raise problem


# --- the door between a child and its parent ---


class Door:
    """The child's end: it asks for connections, one at a time."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._asked = 0
        self._lock = threading.Lock()

    def connect(self, host: str, port: int, *, timeout_s: float) -> socket.socket:
        """What `dial` gives and raises in the parent."""
        # One question at a time: answers to all of them come over one socket.
        with self._lock:
            self._asked += 1
            asked = {"number": self._asked, "host": host, "port": port, "timeout_s": timeout_s}
            # A second more than the parent has, so that its answer comes before we give up.
            self._end.settimeout(timeout_s + 1)
            self._end.send(json.dumps(asked).encode())
            while True:
                content, handles, _, _ = socket.recv_fds(self._end, _MAX_MESSAGE, 1)
                answer = json.loads(content)
                if answer["number"] == self._asked:
                    break
                for handle in handles:  # Of a question that was given up.
                    socket.close(handle)
        if handles:
            return socket.socket(fileno=handles[0])
        raise _error_of(answer)


def _error_of(answer: dict[str, Any]) -> Exception:
    if answer["kind"] == "refused":
        return ItemError("refused", answer["message"])
    if answer["kind"] == "timeout":
        return TimeoutError(answer["message"])
    if answer["kind"] == "failed":
        return ConnectionError(answer["message"])
    return Unresolved(answer["message"], temporary=answer["kind"] == "temporary")


def open_door(*, allow_private: bool) -> socket.socket:
    """The end for a child; a thread of this process serves the other until the child is gone."""
    # SEQPACKET keeps messages apart and reports an end that is gone.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    threading.Thread(target=_serve, args=(ours, allow_private), name="egress", daemon=True).start()
    return theirs


def _serve(end: socket.socket, allow_private: bool) -> None:
    with end, suppress(OSError):  # A child that is gone.
        while question := end.recv(_MAX_MESSAGE):
            _answer(end, question, allow_private)


def _answer(end: socket.socket, question: bytes, allow_private: bool) -> None:
    """Dial for a child, which may be under foreign control: nothing that it says is trusted."""
    number = -1
    try:
        asked = json.loads(question)
        number, host, port = int(asked["number"]), str(asked["host"]), int(asked["port"])
        timeout_s = min(float(asked["timeout_s"]), _MAX_DIAL_S)
        connected = dial(host, port, timeout_s=timeout_s, allow_private=allow_private)
    except ItemError as error:
        kind, message = "refused", str(error)
    except Unresolved as error:
        kind, message = "temporary" if error.temporary else "unresolved", str(error)
    except TimeoutError as error:
        kind, message = "timeout", str(error)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        kind, message = "failed", str(error)
    else:
        with connected:
            socket.send_fds(end, [json.dumps({"number": number}).encode()], [connected.fileno()])
        return
    end.send(json.dumps({"number": number, "kind": kind, "message": message[:500]}).encode())


_door: Door | None = None
# A confined child makes no sockets, but may copy one that it made before.
_blank: socket.socket | None = None


def go_through(end: int) -> None:
    """From now on `connect` in this process asks the parent, at the other end of a socket.

    Call it before the confinement: no socket is made afterwards.
    """
    global _door, _blank
    _door, _blank = (
        Door(socket.socket(fileno=end)),
        socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    )


def connect(host: str, port: int, *, timeout_s: float, allow_private: bool) -> socket.socket:
    """A TCP connection, by the parent where this is a child. Raises what `dial` raises."""
    if _door is not None:
        return _door.connect(host, port, timeout_s=timeout_s)
    return dial(host, port, timeout_s=timeout_s, allow_private=allow_private)


# --- for libraries with their own network ---


@contextmanager
def guarded_sockets(*, allow_private: bool) -> Iterator[list[ItemError]]:
    """Have every socket that a library of this process makes connect through `connect`.

    Names are not resolved here: they go to `connect` as they are. For a process with one thread.
    Yields the refusals so far, since a library may swallow or wrap what it was refused with.
    """
    refusals: list[ItemError] = []
    genuine = _Sockets(socket.socket, socket.getaddrinfo)

    def dialled(host: str, port: int, timeout_s: float) -> socket.socket:
        # To connect takes the genuine functions; the library must find the guarded ones afterwards.
        genuine.put_back()
        try:
            return connect(host, port, timeout_s=timeout_s, allow_private=allow_private)
        except ItemError as error:
            refusals.append(error)
            raise
        finally:
            guarded.put_back()

    guarded = _Sockets(_guarded(genuine.kind, dialled), _unresolved)
    guarded.put_back()
    try:
        yield refusals
    finally:
        genuine.put_back()


@dataclass(frozen=True)
class _Sockets:
    """What the module `socket` makes sockets and addresses with."""

    kind: Any
    getaddrinfo: Any

    def put_back(self) -> None:
        socket.socket, socket.getaddrinfo = self.kind, self.getaddrinfo  # type: ignore[misc]


def _unresolved(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
    """In the shape of `socket.getaddrinfo`, the name itself in place of its addresses."""
    name = host.decode() if isinstance(host, bytes) else host
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (name, int(port or 0)))]


def _guarded(genuine: Any, dialled: Callable[[str, int, float], socket.socket]) -> Any:
    """A class of TCP sockets that connect through `dialled`."""
    blank = _blank or genuine(socket.AF_INET, socket.SOCK_STREAM)

    class Guarded(genuine):
        """A TCP socket; what it is connected to comes from `dialled`."""

        def __init__(
            self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None
        ) -> None:
            if fileno is None:
                is_tcp = family in (-1, socket.AF_INET, socket.AF_INET6) and type in (-1, 1)
                if not is_tcp:
                    raise PermissionError("only TCP is allowed here")
                fileno = os.dup(blank.fileno())
            super().__init__(family, type, proto, fileno)

        def connect(self, address: Any) -> None:
            timeout_s = self.gettimeout()
            with dialled(address[0], address[1], timeout_s or _MAX_DIAL_S) as connected:
                os.dup2(connected.fileno(), self.fileno(), inheritable=False)
            self.settimeout(timeout_s)  # It belongs to the connection, not to its number.

    return Guarded
