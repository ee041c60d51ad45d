"""How many connections a server has, here and in child processes, and when the last has ended.

It refuses to know what a connection is for; ``server.py`` says when one comes, ``link.py`` of the
streams when it has closed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, Self, overload

from .. import _runtime
from .._handles import ListenHandle
from .._listeners import adapt
from .._names import node_names
from .._validate import bad_type, check_number
from .counting import Counting

if TYPE_CHECKING:
    from .server_types import OnCount

__all__ = ['Holder', 'Population']


class Holder(Protocol):
    """A child process that holds connections of a server."""

    def count(self, done: Callable[[Exception | None, int], object]) -> None:
        """Call ``done(error, count)`` later: how many of them are open there."""

    def when_empty(self, done: Callable[[], object]) -> None:
        """Call ``done()`` once none is open there any more, or the child has ended."""


@node_names
class Population(Counting):
    """The part of :class:`Server` that counts its open connections; not used by itself."""

    _handle: ListenHandle | None
    _has_listened: bool = False

    def _init_population(self, limit: Any) -> None:
        self._connections = 0
        #: Child processes that were sent connections of this server, see :meth:`_handed_over`.
        self._holders: list[Holder] = []
        self._sent_to_children = False
        self._max_connections: int | float | None = None
        #: In a cluster worker: who hears that the count or the limit has changed.
        self._on_count: Callable[[], object] | None = None
        self.max_connections = limit
        self._drop_max_connection: bool | None = None

    def _has_room(self) -> bool:
        """In a cluster worker: whether a connection may come here rather than go elsewhere."""
        limit = self._max_connections
        return limit is None or self._connections < limit or bool(self._drop_max_connection)

    def _handed_over(self, holder: Holder) -> None:
        """A connection went to a child process: it counts there now."""
        self._sent_to_children = True
        if holder not in self._holders:
            self._holders.append(holder)
        self._connections -= 1
        if self._on_count is not None:
            self._on_count()
        self._emit_close_if_drained()

    def _holder_gone(self, holder: Holder) -> None:
        """That child has ended, or holds none any more and never will."""
        if holder in self._holders:
            self._holders.remove(holder)

    @overload
    def get_connections(self, callback: None = None) -> Coroutine[Any, Any, int]: ...

    @overload
    def get_connections(self, callback: OnCount) -> Self: ...

    def get_connections(self, callback: Any = None) -> Any:
        """How many connections are open: to ``callback(error, count)``, later.

        Connections that were sent to child processes are asked for there: one that ends
        meanwhile has none; one that cannot be asked gives ERR_CHILD_CLOSED_BEFORE_REPLY.
        Returns the server; without a callback an awaitable of the count.
        """
        if callback is None:
            return self._count()
        if not callable(callback):
            bad_type('callback', 'a function', callback)
        self._ask_count(adapt(callback))
        return self

    def _ask_count(self, done: Callable[[Exception | None, int | None], object]) -> None:
        total, waiting = self._connections, len(self._holders)
        if not waiting:
            _runtime.current().push(done, (None, total))
            return
        failure: Exception | None = None

        def counted(error: Exception | None, count: int) -> None:
            nonlocal total, waiting, failure
            total += count
            failure = failure or error
            waiting -= 1
            if not waiting:
                done(failure, None if failure is not None else total)

        for holder in list(self._holders):
            holder.count(counted)

    async def _count(self) -> int:
        if not self._holders:
            return self._connections
        future = _runtime.new_future()

        def done(error: Exception | None, count: int | None) -> None:
            if not future.done():
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(count)

        self._ask_count(done)
        return int(await future)

    @property
    def connections(self) -> int | None:
        """Deprecated: :meth:`get_connections`.

        None before the server has ever listened, and once a socket was sent to a child.
        """
        warnings.warn('connections: use get_connections()', DeprecationWarning, stacklevel=2)
        return self._connections if self._has_listened and not self._sent_to_children else None

    @property
    def max_connections(self) -> int | float | None:
        """Connections beyond this are dropped; None: no limit, 0: all are."""
        return self._max_connections

    @max_connections.setter
    def max_connections(self, value: int | float | None) -> None:
        if value is not None:
            value = check_number('max_connections', value)
            if value != value or value == float('inf'):
                value = None
        self._max_connections = value
        if self._on_count is not None:
            self._on_count()

    @property
    def drop_max_connection(self) -> bool | None:
        """In a cluster worker: drop what is beyond the limit instead of passing it on."""
        return self._drop_max_connection

    @drop_max_connection.setter
    def drop_max_connection(self, value: bool | None) -> None:
        self._drop_max_connection = value
        if self._on_count is not None:
            self._on_count()

    # -- 'close' ------------------------------------------------------------------------------

    def _emit_close_if_drained(self) -> None:
        if self._handle is not None or self._connections:
            return
        waiting = len(self._holders)
        if not waiting:
            _runtime.current().push(self._close_nt, ())
            return

        def empty() -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting and self._handle is None and not self._connections:
                _runtime.current().push(self._close_nt, ())

        for holder in list(self._holders):
            holder.when_empty(empty)

    def _close_nt(self) -> None:
        self._is_over()
        self.emit('close')

    if TYPE_CHECKING:  # Node's spellings; see node_names
        getConnections = get_connections
        maxConnections = max_connections
        dropMaxConnection = drop_max_connection
