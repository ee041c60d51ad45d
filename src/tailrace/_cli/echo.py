"""``tailrace echo``: sends everything back."""

from __future__ import annotations

import argparse
import functools
import sys
from typing import Any

from .journal import Journal
from .service import serve
from .words import Parser, count, server_of, serving

__all__ = ['command', 'parser']


def parser() -> Parser:
    """The arguments."""
    made = Parser('echo', 'PLACE', 'Sends every client back what it sends.', 1)
    serving(made)
    made.add_argument('--max', type=count, metavar='N', help='connections at a time')
    made.add_argument('--json', action='store_true', help='tell it as JSON objects, in lines')
    return made


async def command(options: argparse.Namespace) -> int:
    """Runs it; the exit status."""
    [place] = options.place
    journal = Journal(sys.stdout, options.json)
    server = server_of(options, max_connections=options.max)

    def echo(sock: Any) -> None:
        journal.opened(sock)
        sock.on('error', functools.partial(journal.failed, sock))
        sock.pipe(sock)

    server.on('connection' if options.cert is None else 'secureConnection', echo)
    return await serve(server, place, journal)
