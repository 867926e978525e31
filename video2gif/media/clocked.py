"""HTTP under one deadline, which cuts off every wait; connections by `core.egress`.

A timeout for each read, as HTTP libraries have, is none for the whole: one byte now and then, or
answers 1xx without end, keep a reader for ever.
"""

import ssl
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from video2gif.core import egress

_BLOCK = 1 << 18


class Deadline:
    """Seconds that are left, of the whole and of what is done just now."""

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s
        self._sooner = self._end

    @property
    def left_s(self) -> float:
        """Of the whole; below 0 when it is over."""
        return self._end - time.monotonic()

    def within(self, seconds: float | None) -> None:
        """Allow what comes next so long, and not past the end; None: until the end."""
        self._sooner = self._end if seconds is None else min(self._end, time.monotonic() + seconds)

    def wait_s(self, timeout: float | None) -> float:
        """How long to wait now, where a library would wait `timeout`. Raises `TimeoutError`."""
        left = self._sooner - time.monotonic()
        if left <= 0:
            raise TimeoutError("out of time")
        return left if timeout is None else min(left, timeout)


class Transport(httpx.HTTPTransport):
    """One connection a request, no proxy; Host and the TLS name are the url's."""

    def __init__(self, deadline: Deadline, *, allow_private: bool) -> None:
        trusted = httpx.create_ssl_context()
        super().__init__(verify=trusted)
        # httpx has no parameter for where connections come from; its pool has.
        self._pool = httpcore.ConnectionPool(
            ssl_context=trusted,
            max_keepalive_connections=0,
            network_backend=_Network(deadline, allow_private),
        )


class _Network(httpcore.NetworkBackend):
    def __init__(self, deadline: Deadline, allow_private: bool) -> None:
        self._deadline = deadline
        self._allow_private = allow_private

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any
    ) -> httpcore.NetworkStream:
        with _as(httpcore.ConnectTimeout, httpcore.ConnectError):
            wait_s = self._deadline.wait_s(timeout)
            end = egress.connect(host, port, timeout_s=wait_s, allow_private=self._allow_private)
            return _Stream(end, self._deadline)


class _Stream(httpcore.NetworkStream):
    def __init__(self, end: Any, deadline: Deadline) -> None:
        self._end = end
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _as(httpcore.ReadTimeout, httpcore.ReadError):
            self._end.settimeout(self._deadline.wait_s(timeout))
            return bytes(self._end.recv(max_bytes))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _as(httpcore.WriteTimeout, httpcore.WriteError):
            self._end.settimeout(self._deadline.wait_s(timeout))
            self._end.sendall(buffer)

    def close(self) -> None:
        self._end.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        with _as(httpcore.ConnectTimeout, httpcore.ConnectError):
            self._end.settimeout(self._deadline.wait_s(timeout))
            end = ssl_context.wrap_socket(self._end, server_hostname=server_hostname)
            return _Stream(end, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object" and isinstance(self._end, ssl.SSLSocket):
            return self._end
        return None


@contextmanager
def _as(timeout: type[Exception], other: type[Exception]) -> Iterator[None]:
    """Errors of sockets as httpcore names them; a name without address stays what it is."""
    try:
        yield
    except egress.Unresolved:
        raise
    except TimeoutError as error:
        raise timeout(str(error)) from error
    except OSError as error:
        raise other(str(error)) from error


def inflated(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """A gzip or deflate body, a bounded block at a time.

    Raises `zlib.error` where it is broken, `EOFError` where it is cut: its length may be as
    announced, and only the encoding itself shows that the end is missing.
    """
    wanted = 31 if encoding == "gzip" else 15
    unpacker, is_begun = zlib.decompressobj(wanted), False
    for block in blocks:
        if unpacker.eof and block:
            unpacker = zlib.decompressobj(wanted)  # gzip files may stand in a row.
        while block:
            try:
                yield unpacker.decompress(block, _BLOCK)
            except zlib.error:
                if is_begun or encoding == "gzip":
                    raise
                unpacker, is_begun = zlib.decompressobj(-15), True  # Some send it without a head.
                continue
            is_begun = True
            block = unpacker.unconsumed_tail or unpacker.unused_data
            if unpacker.eof and block:
                unpacker = zlib.decompressobj(wanted)
    while not unpacker.eof:
        rest = unpacker.decompress(unpacker.unconsumed_tail, _BLOCK)
        if not rest:
            raise EOFError
        yield rest
