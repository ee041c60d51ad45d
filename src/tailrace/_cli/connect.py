"""``tailrace connect``: standard input and output joined to a connection."""

from __future__ import annotations

import argparse
import functools
import sys
import time
from typing import Any

from .attempts import History, ms
from .console import NO_READER
from .converse import converse
from .progress import Progress
from .standard import Input, Output
from .words import Parser, dial, dialling, reached

__all__ = ['command', 'parser', 'verdict']


def parser() -> Parser:
    """The arguments."""
    made = Parser(
        'connect',
        'PLACE',
        'Connects, sends standard input, and writes what comes to standard output. The end of '
        'standard input ends our side; the peer may go on. At a terminal, what takes long is shown '
        'as a line (with the package "rich").',
        1,
    )
    dialling(made)
    made.add_argument('-v', '--verbose', action='store_true', help='tell what happens, on stderr')
    return made


async def command(options: argparse.Namespace) -> int:
    """Runs it; the exit status."""
    [place] = options.place
    say = functools.partial(print, file=sys.stderr, flush=True) if options.verbose else _silent
    sock = dial(place, options)
    history = History(sock, place, say)
    waiting = None if options.verbose else Progress(lambda: str(history))
    try:
        await reached(sock, place, options)
    except OSError as error:
        history.failed(error)
        raise
    finally:
        if waiting is not None:
            waiting.close()
    began = time.perf_counter()
    source, sink = Input(), Output()
    moving = None
    # At a terminal what comes is to be seen, and nothing else.
    if not options.verbose and not sys.stdout.isatty():
        moving = Progress(
            lambda: f'sent {sock.bytes_written:,} bytes, received {sock.bytes_read:,}'
        )
    try:
        return await verdict(converse(sock, source, sink))
    finally:
        if moving is not None:
            moving.close()
        took = ms(time.perf_counter() - began)
        say(f'sent {sock.bytes_written} bytes, received {sock.bytes_read}, in {took}')


async def verdict(conversation: Any) -> int:
    """The exit status of a conversation whose output may lose its reader."""
    try:
        await conversation
    except BrokenPipeError as error:
        if hasattr(error, 'code'):
            raise
        return NO_READER
    return 0


def _silent(line: str) -> None:
    """Nobody has asked."""
