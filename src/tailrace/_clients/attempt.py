"""One connection out of a caller's function, and whether it is still good: within a time."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from .. import _runtime, _timers
from .._net.socket import Socket
from .._validate import MAX_TIMEOUT, bad_type, milliseconds, out_of_range
from ..errors import system_error

__all__ = ['duration', 'open_connection', 'passes', 'within']


def duration(name: str, value: Any) -> float | None:
    """A time in ms that a timer can wait, or None; ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE."""
    if value is None:
        return None
    ms = milliseconds(name, value)
    if ms > MAX_TIMEOUT:
        out_of_range(name, f'at most {MAX_TIMEOUT} ms', value)
    return ms


async def within(awaitable: Awaitable[Any], ms: float | None, syscall: str) -> Any:
    """What the awaitable gives; ETIMEDOUT of ``syscall`` after ``ms``, by the runtime's clock.

    Runs in a task of its own caller, which it cancels and brings back.
    """
    if ms is None:
        return await awaitable
    task: Any = _runtime.current_task()
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    timer = _timers.Timer(_runtime.current(), expire, ms, (), False)
    try:
        return await awaitable
    except BaseException as error:
        if expired and not isinstance(error, Exception) and not task.uncancel():
            raise system_error('ETIMEDOUT', syscall) from None
        raise
    finally:
        timer.close()


async def open_connection(connect: Callable[[], Any], ms: float | None) -> Socket:
    """A connected socket: with TLS, one whose handshake is complete."""
    made: Any = connect()
    if not isinstance(made, Socket) and not inspect.isawaitable(made):
        bad_type('what connect() returns', 'a socket, or an awaitable of one', made)
    try:
        sock: Any = await within(made, ms, 'connect')
    except BaseException:
        if isinstance(made, Socket):
            made.destroy()
        raise
    if not isinstance(sock, Socket):
        bad_type('what connect() gives', 'a socket', sock)
    if sock.destroyed:
        raise sock.errored or system_error('ECONNRESET', 'connect')
    return sock


async def passes(check: Callable[[Socket], Any], sock: Socket, ms: float | None) -> bool:
    """Whether ``check(sock)`` finds it good; not if it raises, or takes longer than ``ms``."""
    try:
        good = check(sock)
        if inspect.isawaitable(good):
            good = await within(good, ms, 'check')
    except Exception:
        return False  # whatever it says: the connection is not lent, and 'discard' tells of it
    return good is not False
