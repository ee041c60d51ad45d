"""One connection joined to standard input and output, until both directions have ended."""

from __future__ import annotations

import asyncio
from typing import Any

from .standard import Input, Output

__all__ = ['converse']


async def converse(sock: Any, source: Input, sink: Output, *, last: bool = True) -> None:
    """Copy ``source`` to ``sock`` and ``sock`` to ``sink``; over when ``sock`` is closed.

    The end of ``source`` ends our side only, and the peer may go on. The end of the peer's side is
    passed on to ``sink``. It ends our side too if a person would have to: at a terminal, and where
    other connections follow (not ``last``); those get ``sink`` still open.

    Raises the connection's error, or that of ``sink``, after everything received was written.
    """
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    failures: list[Exception] = []

    def ended() -> None:
        if source.is_terminal or not last:
            source.unpipe(sock)
            sock.end()
        if last:
            sink.end()

    def closed() -> None:
        source.unpipe(sock)
        if not over.done():
            over.set_result(None)

    def no_reader(error: Exception) -> None:
        failures.insert(0, error)
        sock.destroy()

    sock.on('error', failures.append)
    sock.on('end', ended)
    sock.on('close', closed)
    sink.on('error', no_reader)
    sock.pipe(sink, end=False)
    source.pipe(sock)
    try:
        await over
        sock.unpipe(sink)
        if not sink.destroyed:
            if last and not sink.writable_ended:
                sink.end()
            await (_finished(sink) if last else _written(sink))
    finally:
        sink.off('error', no_reader)
        sock.destroy()
    if failures:
        raise failures[0]


async def _finished(sink: Output) -> None:
    """Wait until all is written; an error of ``sink`` is told to its listeners."""
    if not sink.writable_finished and not sink.destroyed:
        done = asyncio.Event()
        for event in ('finish', 'close'):
            sink.on(event, done.set)
        await done.wait()


async def _written(sink: Output) -> None:
    if sink.writable_length and not sink.destroyed:
        done = asyncio.Event()

        def written(error: Any) -> None:
            done.set()

        sink.write(b'', None, written)
        await done.wait()
