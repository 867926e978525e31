"""Connections to the review page's server: none waits for ever, and none keeps others out.

A client that sends no header, or a body a byte at a time, costs a file handle as long as it likes:
1,100 of them are enough that a server answers nobody. A connection therefore has a few seconds for
each header, of many that wait the oldest goes, and a body has to keep coming.
"""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HEADER_S = 10.0
MAX_WAITING = 128
"""Connections that are open and ask for nothing: a browser keeps about six."""
BODY_GRACE_S = 30.0
MIN_BYTES_PER_S = 1000
SEND_S = 60.0
"""So long a client may take nothing of an answer: a film that is paused asks again later."""


class Connection(H11Protocol):
    """Ends if a header does not come in time, or too many wait that came later."""

    waiting_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Another client: make room for it."""
        super().connection_made(transport)
        self._wait()
        waiting = [one for one in self.connections if isinstance(one, Connection) and one.is_idle]
        if len(waiting) > MAX_WAITING:
            min(waiting, key=lambda one: one.waiting_since or 0).transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def on_response_complete(self) -> None:
        """The same connection may ask again."""
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        self.waiting_since = since = time.monotonic()
        self.loop.call_later(HEADER_S, self._end, since)

    def _end(self, since: float) -> None:
        if self.is_idle and self.waiting_since == since and not self.transport.is_closing():
            self.transport.abort()


def raise_limit_of_files() -> None:
    """Allow this process as many open files as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def timely(receive: Receive) -> Receive:
    """The same body; one that comes too slowly is broken off.

    It has `BODY_GRACE_S`, and a second more for each `MIN_BYTES_PER_S` that have come.
    """
    started, size, is_whole = time.monotonic(), 0, False

    async def received() -> Message:
        nonlocal size, is_whole
        if is_whole:
            return await receive()  # Now it only tells that the client is gone.
        left_s = started + BODY_GRACE_S + size / MIN_BYTES_PER_S - time.monotonic()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, left_s))
        except TimeoutError:
            is_whole = True
            return {"type": "http.disconnect"}
        size += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        return message

    return received


def timely_send(send: Send) -> Send:
    """The same answer; broken off when the client takes nothing of it for `SEND_S`."""

    async def sent(message: Message) -> None:
        await asyncio.wait_for(send(message), SEND_S)

    return sent
