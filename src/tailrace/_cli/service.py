"""A server that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Generator
from typing import Any

from .journal import Journal, who
from .places import Place, shown
from .words import where

__all__ = ['follow', 'serve', 'stopping', 'until_stopped']

#: ms that open connections have after SIGTERM.
GRACE = 3000


def follow(server: Any, journal: Journal) -> None:
    """Tell the journal whom the server refuses."""

    def refused(data: Any, reason: str) -> None:
        # None, or without addresses: on a Unix socket.
        address: str | None = getattr(data, 'remote_address', None)
        name = 'a client' if address is None else shown(address, data.remote_port)
        journal.refused(name, getattr(data, 'reason', reason))

    def dropped(data: Any) -> None:
        refused(data, 'limit')

    def rejected(data: Any) -> None:
        refused(data, 'blocked')

    def insecure(error: Any, sock: Any) -> None:
        journal.refused(who(sock), error.code)

    server.on('drop', dropped)
    server.on('reject', rejected)
    server.on('tlsClientError', insecure)


@contextlib.contextmanager
def stopping() -> Generator[asyncio.Event]:
    """Gives what SIGTERM sets; a second one ends the program as ever."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def told() -> None:
        loop.remove_signal_handler(signal.SIGTERM)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, told)
    try:
        yield stop
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def until_stopped(stop: asyncio.Event, work: asyncio.Future[Any]) -> None:
    """Wait for ``stop``, or until ``work`` is done; raises what ended that."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([stopped, work], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    if work.done():
        work.result()


async def serve(server: Any, place: Place, journal: Journal) -> int:
    """Listen, and serve until SIGTERM; then the open connections have some time to end."""
    follow(server, journal)
    no_reader = asyncio.ensure_future(_no_reader(journal))
    try:
        with stopping() as stop:
            await server.listen(place.options())
            journal.listening(where(server))
            await until_stopped(stop, no_reader)
        await server.close_all(deadline=GRACE)
    finally:
        no_reader.cancel()
        server.close()
        journal.close()
    return 0


async def _no_reader(journal: Journal) -> None:
    await journal.no_reader.wait()
    raise BrokenPipeError
