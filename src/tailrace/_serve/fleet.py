"""Serving in several processes: the first one supervises, each worker runs a service.

A worker says when it serves, and ends with the status of its service; of these the first process
makes its own. How workers are started, replaced and retired is in ``_cluster/serve.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from typing import Any

from .. import _running, _runtime
from .._cluster.inside import Inside
from .._cluster.primary import Primary
from .._cluster.serve import Supervisor
from .._cluster.state import cluster
from .._cluster.worker import Worker
from .._handles.selector import new_event_loop
from .._net.failing import check_policy
from .._validate import MAX_TIMEOUT
from .options import Settings
from .pid_file import PidFile
from .service import CUT, GRACE, Manager, Nobody, Service
from .signals import ENDING, Signals

__all__ = ['run_workers']

log = logging.getLogger('tailrace.serve')

#: ms that a worker has beyond the deadline, for destroying what is left and for its end.
PATIENCE = 3 * GRACE
#: The exit status if the first workers could not be started.
FAILED = 1


def run_workers(settings: Settings, on_error: Any, loop_factory: Callable[[], Any] | None) -> int:
    """Serve in ``settings.workers`` processes; the exit status of this one."""
    check_policy('on_error', on_error)
    factory = loop_factory or new_event_loop
    if isinstance(cluster, Inside):
        return _run_worker(cluster, settings, on_error, factory)
    with contextlib.ExitStack() as stack:
        fleet = Fleet(cluster, settings, stack)
        fleet.run(factory)
        return fleet.status


# -- a worker --------------------------------------------------------------------------------------


def _run_worker(
    inside: Inside, settings: Settings, on_error: Any, factory: Callable[[], Any]
) -> int:
    # A terminal sends SIGINT and SIGHUP to the whole group: here only the primary acts on them.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGHUP))
    settings.signals = False
    settings.pid_file = None
    service = Served(settings, inside)
    status: int = _running.run(service.run, factory, on_error, ends_with_main=True, patience=GRACE)
    return status


class Served(Service):
    """The service of one worker."""

    def __init__(self, settings: Settings, inside: Inside) -> None:
        super().__init__(settings, Nobody())
        self._inside = inside
        inside.on_leave = self.stop

    async def run(self) -> int:
        """Serve until the primary lets this worker go; the exit status."""
        worker = self._inside.worker
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        worker.once('disconnect', gone.set)
        loop.add_signal_handler(signal.SIGTERM, worker.disconnect)
        status = await super().run()
        worker.disconnect()
        if worker.is_connected():
            # What the primary has sent meanwhile goes back to it.
            await gone.wait()
        return status

    async def _serve(self) -> None:
        self._inside.tell({'act': 'ready'})
        await super()._serve()


# -- the primary -----------------------------------------------------------------------------------


class Fleet(Supervisor):
    """The first process: workers, the service manager, the pid file, the exit status."""

    _comes_up = 'ready'

    def __init__(self, primary: Primary, settings: Settings, stack: contextlib.ExitStack) -> None:
        limit = settings.drain_timeout
        patience = MAX_TIMEOUT if limit is None else min(limit + PATIENCE, MAX_TIMEOUT)
        super().__init__(primary, settings.workers or 1, True, 100, 10_000, patience, {})
        self._settings = settings
        self._manager = Manager()
        self._stack = stack
        self._ready: set[Worker] = set()
        self._started = False
        self._reloading = False
        self.status = 0

    def _start(self) -> None:
        settings = self._settings
        if settings.umask is not None:
            os.umask(settings.umask)
        enter = _runtime.current().enter
        signals = Signals(
            lambda number: enter(self._signal, (number,), None), (*ENDING, signal.SIGHUP)
        )
        # Left when nothing runs any more.
        self._stack.enter_context(signals)
        if settings.pid_file is not None:
            self._stack.enter_context(PidFile(settings.pid_file))
        super()._start()

    def _watch_signals(self) -> None:
        """From the very beginning, see above."""

    def _forget_signals(self) -> None:
        self._manager.close()

    def _signal(self, number: int) -> None:
        if number not in ENDING:
            self.reload()
            return
        if self._ending and not self.status:
            self.status = 128 + number
        self.stop()

    def stop(self) -> None:
        if not self._ending:
            self._manager.stopping(self._settings.drain_timeout)
        super().stop()

    # -- workers ------------------------------------------------------------------------------

    def _fork(self, slot: Any) -> Worker:
        # Until a worker can ignore them itself, what a terminal sends to all waits.
        signals = (signal.SIGINT, signal.SIGHUP)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            worker = super()._fork(slot)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        worker.once('ready', lambda: self._serves(worker))
        return worker

    def _serves(self, worker: Worker) -> None:
        self._ready.add(worker)
        if not self._started and all(slot.current in self._ready for slot in self._slots):
            self._started = True
            log.info('serving with %d workers', len(self._slots))
            if not self._ending:
                self._manager.ready('serving')
        self._look_for_reloaded()

    def _exited(self, slot: Any, worker: Worker, code: Any, name: Any) -> None:
        was_ready = worker in self._ready
        self._ready.discard(worker)
        if self._ending and self.status in (0, CUT) and (code == CUT or name == 'SIGKILL'):
            self.status = CUT
        if not self._started and not was_ready and not self._ending:
            log.error('worker %d ended (%s) before it served: giving up', worker.id, name or code)
            self.status = FAILED
            slot.current = None
            self.stop()
        super()._exited(slot, worker, code, name)
        self._look_for_reloaded()

    # -- reload -------------------------------------------------------------------------------

    def reload(self) -> None:
        if self._ending:
            return
        self._reloading = True
        self._manager.reloading()
        super().reload()

    def _look_for_reloaded(self) -> None:
        busy = any(slot.next is not None or slot.again for slot in self._slots)
        if self._reloading and self._started and not busy and not self._ending:
            self._reloading = False
            self._manager.ready('serving')
