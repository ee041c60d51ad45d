"""One process that serves: start, serve, reload, drain.

The order of these, and what the service manager hears of them. This file refuses to know how a
server listens and how a connection finishes (``_net``), and where a signal comes from.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from typing import Any

from .. import _running, _runtime, _systemd, _timers
from .._handles.listen import Listener
from .._handles.selector import new_event_loop
from .._listeners import Listener as Callback
from .._names import Record
from .._net.failing import check_policy
from .._net.guarded import PRIVILEGES
from .._net.server import Server
from .._validate import bad_value
from ..errors import state_error
from .options import Settings, checked_servers, is_bound
from .pid_file import PidFile
from .privileges import become
from .signals import ENDING, Signals

__all__ = ['CUT', 'GRACE', 'Manager', 'Service', 'run']

log = logging.getLogger('tailrace.serve')

#: The exit status if the deadline has destroyed connections: that of timeout(1).
CUT = 124
#: ms that handlers have for their end when the deadline has destroyed their connections, and after
#: that other tasks. Together they are what a fleet gives a worker beyond the deadline.
GRACE = 1000
#: Each accepts up to MAX_ACCEPT connections; in between nothing else runs.
MAX_LOOKS = 256


def run(settings: Settings, on_error: Any, loop_factory: Callable[[], Any] | None) -> int:
    """Serve in this process; the exit status."""
    check_policy('on_error', on_error)
    service = Service(settings)
    status: int = _running.run(
        service.run,
        loop_factory or new_event_loop,
        on_error,
        ends_with_main=True,
        patience=GRACE,
    )
    return status


class Manager:
    """What the service manager is told; that it cannot be told is no reason to end."""

    def __init__(self) -> None:
        self._watchdog: Any = None

    def tell(self, say: Callable[..., object], *args: Any) -> None:
        try:
            say(*args)
        except OSError as error:
            log.warning('the service manager was not told: %s', error)

    def ready(self, text: str) -> None:
        """Serving, or reloaded."""
        self.tell(_systemd.ready, text)
        interval = _systemd.watchdog_interval()
        if interval is not None and self._watchdog is None and _systemd.is_managed():
            ms = max(1, interval / 2)
            self._watchdog = _timers.set_interval(self.tell, ms, _systemd.watchdog).unref()

    def reloading(self) -> None:
        self.tell(_systemd.reloading)

    def stopping(self, limit: int | float | None) -> None:
        """The drain begins, and takes at most so many ms."""
        self.tell(_systemd.stopping, 'draining')
        if limit:
            self.tell(_systemd.extend_timeout, limit + 1000)

    def close(self) -> None:
        """No watchdog any more."""
        _timers.clear_interval(self._watchdog)


class Nobody(Manager):
    """In a worker: the primary tells."""

    def tell(self, say: Callable[..., object], *args: Any) -> None:
        pass


class Service:
    """What ``serve`` does in one process; used once."""

    def __init__(self, settings: Settings, manager: Manager | None = None) -> None:
        self._settings = settings
        self._manager = manager or Manager()
        self._servers = settings.servers
        #: The signal that ended it first, and the one that ended it at once.
        self._stopped: asyncio.Future[int] | None = None
        self._forced: asyncio.Future[int] | None = None
        self._serving = False
        self._reloading: asyncio.Future[None] | None = None
        self._again = False
        #: Whether something was left behind that has not ended in time.
        self._cut = False

    async def run(self) -> int:
        """Serve until told to stop; the exit status."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        self._stopped, self._forced = loop.create_future(), loop.create_future()
        with contextlib.ExitStack() as stack:
            if settings.signals:
                hangup = (signal.SIGHUP,) if settings.reload is not None else ()
                stack.enter_context(Signals(self.signal, (*ENDING, *hangup)))
            if settings.umask is not None:
                os.umask(settings.umask)
            if settings.pid_file is not None:
                stack.enter_context(PidFile(settings.pid_file))
            stack.callback(self._manager.close)
            try:
                await self._start()
                if not self._stopped.done():
                    await self._serve()
                return await self._drain()
            except BaseException:
                self._destroy()
                raise
            finally:
                if self._reloading is not None:
                    self._reloading.cancel()

    # -- what it is told ----------------------------------------------------------------------

    def signal(self, number: int) -> None:
        """A signal has come."""
        if number in ENDING:
            self.stop(number)
        else:
            self.reload()

    def stop(self, number: int = 0) -> None:
        """Drain; the second time end at once."""
        for future in (self._stopped, self._forced):
            if future is not None and not future.done():
                future.set_result(number)
                return

    def reload(self) -> None:
        """Call the program's ``reload``, once more if it is running."""
        if self._reloading is not None or not self._serving:
            self._again = True
        else:
            self._reloading = asyncio.ensure_future(self._reload())

    # -- starting -----------------------------------------------------------------------------

    async def _start(self) -> None:
        """Raises what goes wrong. A stop meanwhile ends it early."""
        assert self._stopped is not None
        assert self._forced is not None
        start = asyncio.ensure_future(self._listen())
        try:
            await asyncio.wait((start, self._stopped), return_when=asyncio.FIRST_COMPLETED)
            if not start.done():
                log.info('stopped while starting')
                start.cancel()
                await asyncio.wait(
                    (start, self._forced),
                    timeout=_seconds(self._settings.drain_timeout),
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            start.cancel()
        if start.done() and not start.cancelled():
            start.result()
        elif not start.done():
            log.warning('the start ignores that it was cancelled')
            self._cut = True

    async def _listen(self) -> None:
        settings = self._settings
        if settings.make is not None:
            made = settings.make()
            if _runtime.is_coroutine(made) or asyncio.isfuture(made):
                made = await made
            self._servers = checked_servers('what target returns', made)
        servers = self._servers
        if settings.identity is not None:
            for server in servers:
                server._hold_back(PRIVILEGES, True)
        idle = [server for server in servers if not is_bound(server)]
        if settings.where or settings.listen:
            if len(idle) != 1:
                bad_value('target', 'one server that does not listen yet, for the address', servers)
            idle[0].listen(*settings.where, **settings.listen)
        elif idle:
            raise state_error(
                'ERR_SERVER_NOT_RUNNING', f'{idle[0]!r}: give serve() a port, or call listen()'
            )
        for server in servers:
            await server
        if settings.identity is not None:
            become(settings.identity)
            for server in servers:
                server._hold_back(PRIVILEGES, False)
        if settings.on_ready is not None:
            result = settings.on_ready(*Callback(settings.on_ready, True).fit((servers,)))
            if _runtime.is_coroutine(result) or asyncio.isfuture(result):
                await result

    # -- serving ------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Until a stop, or until the program has closed all servers itself."""
        assert self._stopped is not None
        self._serving = True
        log.info('serving on %s', ', '.join(map(_place, self._servers)))
        self._manager.ready('serving')
        if self._again:
            self.reload()
        while not self._stopped.done():
            closed = asyncio.ensure_future(self._all_closed())
            try:
                await asyncio.wait((closed, self._stopped), return_when=asyncio.FIRST_COMPLETED)
            finally:
                closed.cancel()
            if self._reloading is not None and not self._stopped.done():
                # It may be about to listen again.
                await asyncio.wait(
                    (self._reloading, self._stopped), return_when=asyncio.FIRST_COMPLETED
                )
            if not any(map(is_bound, self._servers)):
                break
        self._serving = False

    async def _all_closed(self) -> None:
        for server in self._servers:
            await server.wait_closed()

    async def _reload(self) -> None:
        reload = self._settings.reload
        while reload is not None and self._serving:
            self._again = False
            self._manager.reloading()
            text = 'serving'
            try:
                result: Any = reload()
                if _runtime.is_coroutine(result) or asyncio.isfuture(result):
                    await result
            except Exception:
                log.exception('the reload has failed; the server goes on as before')
                text = 'serving; the last reload failed'
            if self._serving:
                self._manager.ready(text)
            if not self._again:
                break
        self._reloading = None

    # -- the end ------------------------------------------------------------------------------

    async def _drain(self) -> int:
        assert self._stopped is not None
        assert self._forced is not None
        limit = self._settings.drain_timeout
        if self._stopped.done():
            self._manager.stopping(limit)
            for server in self._servers:
                _last_look(server)
            log.info('draining; open connections: %d', sum(len(s._sockets) for s in self._servers))
        closing = asyncio.ensure_future(self._close_all(limit))
        try:
            await asyncio.wait(
                (closing, self._forced),
                timeout=_seconds(limit, GRACE),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            closing.cancel()
        if not closing.done() and not self._forced.done():
            running = sum(len(server._handlers) for server in self._servers)
            log.warning('handlers that go on after their connections were destroyed: %d', running)
            self._destroy()
            return CUT
        if self._forced.done():
            log.warning('ended at once')
            self._destroy()
            return 128 + self._forced.result()
        destroyed = closing.result()
        if destroyed:
            log.warning('connections that were not done in %g ms: %d', limit or 0, destroyed)
        return CUT if destroyed or self._cut else 0

    async def _close_all(self, limit: int | float | None) -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(server.close_all(limit)) for server in self._servers]
        return sum(task.result() for task in tasks)

    def _destroy(self) -> None:
        """Close everything now."""
        for server in self._servers:
            if is_bound(server):
                server.close()
            for sock in list(server._sockets):
                sock.destroy()


def _seconds(ms: float | None, more: float = 0) -> float | None:
    return None if ms is None else (ms + more) / 1000


def _place(server: Server) -> str:
    address = server.address()
    if isinstance(address, Record):
        host = f'[{address.address}]' if address.family == 'IPv6' else address.address
        return f'{host}:{address.port}'
    return str(address)


def _last_look(server: Server) -> None:
    """Accept what waits in the kernel's queue: close(2) would reset it."""
    handle: Any = server._handle
    if not isinstance(handle, Listener):
        return  # in a cluster worker: what the primary has goes to others
    for _ in range(MAX_LOOKS):
        if not handle.watching or handle.waiting() == 0:
            break
        handle.ready_to_read()
