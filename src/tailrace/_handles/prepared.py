"""TCP sockets with options that must be set before bind(2), connect(2) or listen(2).

This file knows that an option is two numbers and a value, and refuses to know which there are.
"""

from __future__ import annotations

from typing import Any

from .._compiled import mypyc_attr
from .._runtime import Runtime
from .listen_tcp import TcpListener
from .tcp import Tcp, new_socket

__all__ = ['Early', 'PreparedListener', 'PreparedTcp']

#: (level, option, value) by address family.
Early = dict[int, list[tuple[int, int, Any]]]


def _prepared(family: int, early: Early) -> Any:
    sock = new_socket(family)
    try:
        for level, option, value in early[family]:
            sock.setsockopt(level, option, value)
    except OSError:
        sock.close()
        raise
    return sock


class PreparedTcp(Tcp):
    """A TCP connection to be, with options set first."""

    __slots__ = ('early',)

    def __init__(self, runtime: Runtime, early: Early) -> None:
        super().__init__(runtime)
        self.early = early

    def _make(self, family: int) -> Any:
        return _prepared(family, self.early)


@mypyc_attr(allow_interpreted_subclasses=True)
class PreparedListener(TcpListener):
    """A TCP listener to be, with options set first."""

    __slots__ = ('early',)

    def __init__(self, runtime: Runtime, early: Early) -> None:
        super().__init__(runtime)
        self.early = early

    def _make(self, family: int) -> Any:
        return _prepared(family, self.early)
