"""``tailrace listen``: standard input and output joined to a client, or to one after the other."""

from __future__ import annotations

import argparse
import asyncio
import functools
import sys
from typing import Any

from .connect import verdict
from .converse import converse
from .journal import Journal
from .service import follow, stopping, until_stopped
from .standard import Input, Output
from .words import Parser, server_of, serving, where

__all__ = ['command', 'parser']


def parser() -> Parser:
    """The arguments."""
    made = Parser(
        'listen',
        'PLACE',
        'Waits for a client, sends it standard input, and writes what it sends to standard '
        'output. Port 0 is any free one; where it listens is told on stderr.',
        1,
    )
    serving(made)
    made.add_argument(
        '--keep', action='store_true', help='then the next client, until a signal ends it'
    )
    made.add_argument('--json', action='store_true', help='tell it as JSON objects, in lines')
    return made


async def command(options: argparse.Namespace) -> int:
    """Runs it; the exit status."""
    [place] = options.place
    journal = Journal(sys.stderr, options.json)
    clients: asyncio.Queue[Any] = asyncio.Queue()
    server = server_of(options)
    follow(server, journal)
    server.on('connection' if options.cert is None else 'secureConnection', clients.put_nowait)
    serve = _every if options.keep else _first
    with stopping() as stop:
        await server.listen(place.options())
        journal.listening(where(server))
        work = asyncio.ensure_future(serve(server, clients, journal))
        try:
            await until_stopped(stop, work)
        finally:
            work.cancel()
            server.close()
            await asyncio.wait([work])
            _send_away(clients)
    return 0 if work.cancelled() else work.result()


def _send_away(clients: asyncio.Queue[Any]) -> None:
    while not clients.empty():
        clients.get_nowait().destroy()


async def _first(server: Any, clients: asyncio.Queue[Any], journal: Journal) -> int:
    sock = await clients.get()
    server.close()
    _send_away(clients)
    journal.opened(sock)
    return await verdict(converse(sock, Input(), Output()))


async def _every(server: Any, clients: asyncio.Queue[Any], journal: Journal) -> int:
    source, sink = Input(), Output()
    while True:
        sock = await clients.get()
        # The next ones wait in the system's queue.
        server.pause_accepting()
        journal.opened(sock)
        sock.on('error', functools.partial(journal.failed, sock))
        try:
            status = await verdict(converse(sock, source, sink, last=False))
        except OSError:
            status = 0  # this client's trouble; the journal has told it
        if status:
            return status
        server.resume_accepting()
