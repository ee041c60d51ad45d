"""Which socket it was: for who reads the traceback of an 'error' that nothing listened for.

By then the descriptor is closed, so what the kernel knew is asked for when the failure comes, and
only of sockets that the program has connected itself: the failures of accepted ones are logged with
their peer (``failing.py``). This file refuses to know why a socket fails.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

__all__ = ['SHOW_ORIGIN', 'place', 'remember_ends', 'remember_origin', 'told_of']

#: Whether sockets remember where they were made: with ``-X dev``, and with asyncio's debug mode.
SHOW_ORIGIN: Final = sys.flags.dev_mode or bool(os.environ.get('PYTHONASYNCIODEBUG'))

_PACKAGE: Final = __name__.partition('.')[0]


def place(name: Any) -> str:
    """An (address, port, family) as text; of a Unix socket, its path."""
    if name is None:
        return '?'
    if isinstance(name, str):
        return name
    host, port, family = name
    return f'[{host}]:{port}' if family in ('IPv6', 6) else f'{host}:{port}'


def remember_origin(sock: Any) -> None:
    """Keep the line of the program that made the socket."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_globals.get('__name__', '').startswith(_PACKAGE + '.'):
        frame = frame.f_back
    if frame is not None:
        sock._origin = f'{frame.f_code.co_filename}:{frame.f_lineno}'


def remember_ends(sock: Any) -> None:
    """Keep the own address of a connection that is failing, before it is closed."""
    if sock._server is None:
        sock._own = sock._name(False)


def told_of(sock: Any) -> str:
    """The socket with its two ends, and where it was made if that is known."""
    found = [f'a {type(sock).__name__}']
    aim, own = getattr(sock, '_aim', None), getattr(sock, '_own', None)
    if aim is not None:
        found.append(f'to {place(aim)}')
    if own is not None:
        found.append(f'from {place(own)}')
    origin = getattr(sock, '_origin', None)
    if origin is not None:
        found.append(f'(made at {origin})')
    return ' '.join(found)
