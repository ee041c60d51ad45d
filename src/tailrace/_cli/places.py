"""Where to connect to or to listen, as it is written on a command line.

``HOST PORT``, ``HOST:PORT``, ``[IPV6]:PORT``, a port alone, or the path of a Unix socket, which is
a word with a ``/`` in it. This file refuses to know sockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import net

__all__ = ['Place', 'places', 'shown']


class Place(NamedTuple):
    """A host and a port, or a path. ``host`` is None where none was given."""

    host: str | None = None
    port: int = 0
    path: str | None = None

    def options(self) -> dict[str, Any]:
        """As options of ``connect`` and ``listen``."""
        if self.path is not None:
            return {'path': self.path}
        return {'port': self.port} if self.host is None else {'port': self.port, 'host': self.host}

    def __str__(self) -> str:
        return self.path or shown(self.host or 'localhost', self.port)


def shown(host: str | None, port: int | None) -> str:
    """``host:port``, with an IPv6 address in brackets; a path if there is no port."""
    if port is None:
        return host or 'a Unix socket'
    return f'[{host}]:{port}' if ':' in (host or '') else f'{host}:{port}'


def places(words: Sequence[str], keep_host: bool = False) -> list[Place]:
    """The places that these words name, in order.

    With ``keep_host`` a port belongs to the host named last, else only to the word before it.
    Raises ValueError with what is wrong.
    """
    out: list[Place] = []
    host: str | None = None
    used = True
    for word in words:
        if not used and not word.isdecimal():
            raise ValueError(f'a port must follow {host!r}, not {word!r}')
        if word.isdecimal():
            out.append(Place(host, _port(word)))
            used = True
            host = host if keep_host else None
        elif '/' in word:
            out.append(Place(path=word))
            host = None
        elif (both := _split(word)) is not None:
            out.append(both)
            host = None
        elif not word:
            raise ValueError('a host must not be empty')
        else:
            host, used = word, False
    if not used:
        raise ValueError(f'a port must follow {host!r} (a path has a / in it)')
    return out


def _split(word: str) -> Place | None:
    """``HOST:PORT`` as a place; None if it is a host alone."""
    host, colon, port = word.rpartition(':')
    if not colon or net.is_ipv6(word):
        return None
    if host.startswith('[') and host.endswith(']'):
        host = host[1:-1]
    elif ':' in host:
        raise ValueError(f'an IPv6 address with a port needs brackets: {word!r}')
    if not port.isdecimal():
        raise ValueError(f'no port: {port!r} in {word!r}')
    return Place(host or None, _port(port))


def _port(word: str) -> int:
    port = int(word)
    if port > 65535:
        raise ValueError(f'a port is 0 to 65535, not {word}')
    return port
