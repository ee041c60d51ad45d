"""``cluster.serve``: a function in n processes, kept alive, reloaded and ended in good order.

The program is run again in each worker; there ``serve`` calls the function. In the primary it
supervises. This file decides when a worker is started and ended; it refuses to know how.
"""

from __future__ import annotations

import inspect
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from .. import _running, _runtime, _timers
from .._listeners import Listener
from .._validate import check_callable, check_int, milliseconds
from ..errors import InvalidArgValueError
from .child import check_platform
from .inside import Inside
from .primary import SCHED_NONE, SCHED_REUSEPORT, SCHED_RR, Primary
from .state import cluster
from .worker import Worker

__all__ = ['serve']

log = logging.getLogger('tailrace.cluster')

_POLICIES = {'rr': SCHED_RR, 'none': SCHED_NONE, 'reuseport': SCHED_REUSEPORT}
#: A worker that lived for so long (seconds) had started well: the next delay is the first again.
STABLE = 5.0


def serve(
    target: Callable[..., Any],
    *,
    workers: int | None = None,
    restart: bool = True,
    policy: str | None = None,
    backoff: Any = 100,
    max_backoff: Any = 10_000,
    drain_timeout: Any = 10_000,
    env: Mapping[str, Any] | None = None,
    loop_factory: Callable[[], Any] | None = None,
) -> None:
    """Run ``target`` in several processes until SIGTERM or SIGINT.

    ``target(worker)``: a function or coroutine function that starts servers; it is called in each
    worker, which runs this program again up to this call. ``workers``: how many (default: one for
    each processor this program may use). ``policy``: 'rr' (default), 'none' or 'reuseport', see
    ``cluster.scheduling_policy``. ``env`` is added to the workers' environment. ``loop_factory`` as
    of ``tailrace.run``.

    ``restart``: a worker that ends is started again, at once if it lived for 5 s, else after
    ``backoff`` ms (default 100), doubled each time up to ``max_backoff`` (default 10 000).
    Meanwhile connections go to the others, or wait in the primary when there are none.

    SIGHUP: new workers are started; when they listen the old ones get no more connections and have
    ``drain_timeout`` ms (default 10 000) to finish theirs. No connection is refused, except with
    'reuseport', where the kernel gives each socket a queue of its own. If a new worker ends before
    it listens, the old one stays. SIGTERM, SIGINT: all workers finish in the same way, then this
    returns; a second one kills them.

    Returns None in both kinds of processes. Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE,
    ERR_INVALID_ARG_VALUE, ERR_FEATURE_UNAVAILABLE_ON_PLATFORM; RuntimeError inside a running loop.
    """
    check_platform()
    check_callable('target', target)
    count = len(_processors()) if workers is None else check_int('workers', workers, 1, 4096)
    if policy is not None and policy not in _POLICIES:
        raise InvalidArgValueError(f'policy must be one of {", ".join(_POLICIES)}, not {policy!r}')
    drain = milliseconds('drain_timeout', drain_timeout)
    if isinstance(cluster, Inside):
        _Served(cluster, target, drain).run(loop_factory)
        return
    if policy is not None:
        cluster.scheduling_policy = _POLICIES[policy]
    first = milliseconds('backoff', backoff)
    most = milliseconds('max_backoff', max_backoff)
    Supervisor(cluster, count, restart, first, most, drain, env or {}).run(loop_factory)


def _processors() -> Any:
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # not on macOS
        return range(os.cpu_count() or 1)


class _Served:
    """A worker that runs the target."""

    def __init__(self, inside: Inside, target: Callable[..., Any], drain: float) -> None:
        self._inside = inside
        self._target = target
        self._drain = drain
        self._task: Any = None

    def run(self, loop_factory: Callable[[], Any] | None) -> None:
        # A terminal sends SIGINT and SIGHUP to the whole group: here only the primary acts on them.
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _running.run(self._main, loop_factory)

    def _main(self) -> None:
        loop = _runtime.current().loop
        if loop is not None:
            loop.add_signal_handler(signal.SIGTERM, self._terminated)
        self._inside.worker.once('disconnect', self._disconnected)
        result = self._target(*Listener(self._target, True).fit((self._inside.worker,)))
        if inspect.iscoroutine(result):
            self._task = _runtime.spawn(result)

    def _terminated(self) -> None:
        self._inside.worker.disconnect()

    def _disconnected(self) -> None:
        """Nothing more will come: a target that waits for ever need not."""
        loop = _runtime.current().loop
        if loop is not None:
            loop.remove_signal_handler(signal.SIGTERM)
        if self._task is not None:
            self._task.cancel()


class _Slot:
    """One of the n workers: the one in place, the one that is to replace it."""

    __slots__ = ('again', 'current', 'delay', 'next', 'number', 'since', 'timer')

    def __init__(self, number: int) -> None:
        self.number = number
        self.current: Worker | None = None
        self.next: Worker | None = None
        #: Whether a reload was asked for while one is under way: what starts now may be too old.
        self.again = False
        self.delay = 0.0
        self.since = 0.0
        self.timer: Any = None


class Supervisor:
    """Keeps n workers."""

    #: The event of a worker that takes the place of an old one from then on.
    _comes_up = 'listening'

    def __init__(
        self,
        primary: Primary,
        count: int,
        restart: bool,
        first: float,
        most: float,
        drain: float,
        env: Mapping[str, Any],
    ) -> None:
        self._primary = primary
        self._slots = [_Slot(i) for i in range(count)]
        self._restart = restart
        self._first = first
        self._most = most
        self._drain = drain
        self._env = env
        self._ending = False
        #: Workers that are on their way out, and the timer that ends their patience.
        self._leaving: dict[Worker, Any] = {}

    def run(self, loop_factory: Callable[[], Any] | None) -> None:
        """Start, and return when all is ended."""
        _running.run(self._start, loop_factory)

    def _start(self) -> None:
        self._watch_signals()
        self._primary.pin(True)
        for slot in self._slots:
            slot.current = self._fork(slot)

    def _watch_signals(self) -> None:
        loop = _runtime.current().loop
        if loop is None:
            raise RuntimeError('no event loop')
        enter = _runtime.current().enter
        for number, act in (
            (signal.SIGTERM, self.stop),
            (signal.SIGINT, self.stop),
            (signal.SIGHUP, self.reload),
        ):
            loop.add_signal_handler(number, enter, act, (), None)

    def _forget_signals(self) -> None:
        loop = _runtime.current().loop
        if loop is not None:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _fork(self, slot: _Slot) -> Worker:
        slot.since = time.monotonic()
        slot.timer = None
        worker = self._primary.fork(self._env)

        def exited(code: Any, name: Any) -> None:
            self._exited(slot, worker, code, name)

        def failed(error: Any) -> None:
            self._trouble(slot, worker, error)

        worker.once('exit', exited)
        worker.on('error', failed)
        worker.process.once('close', lambda: self._closed(slot, worker))
        return worker

    def _trouble(self, slot: _Slot, worker: Worker, error: Any) -> None:
        log.warning('worker %d: %s', worker.id, error)

    def _closed(self, slot: _Slot, worker: Worker) -> None:
        if worker.process.pid is None:  # it could not even be started: there is no 'exit'
            self._primary.workers.pop(worker.id, None)
            self._exited(slot, worker, worker.process.exit_code, None)

    # -- ends that were not asked for -------------------------------------------------------

    def _exited(self, slot: _Slot, worker: Worker, code: Any, name: Any) -> None:
        timer = self._leaving.pop(worker, None)
        if timer is not None:
            timer.close()
        if slot.next is worker:
            slot.next = None
            log.error(
                'new worker %d ended (%s) before it listened; the old one stays',
                worker.id,
                name or code,
            )
            self._maybe_again(slot)
        elif slot.current is worker:
            slot.current = None
            if not self._ending:
                log.warning(
                    'worker %d (pid %s) ended: %s', worker.id, worker.process.pid, name or code
                )
                self._replace(slot)
        self._maybe_end()

    def _replace(self, slot: _Slot) -> None:
        if slot.next is not None:
            slot.current, slot.next = slot.next, None
            self._maybe_again(slot)
            return
        if not self._restart:
            return
        if time.monotonic() - slot.since >= STABLE:
            slot.delay = 0.0
        wait, slot.delay = slot.delay, min(max(slot.delay * 2, self._first), self._most)

        def again() -> None:
            slot.current = self._fork(slot)

        slot.timer = _timers.set_timeout(again, wait)

    # -- reload -----------------------------------------------------------------------------

    def reload(self) -> None:
        """Replace every worker by a new one, without a gap."""
        if self._ending:
            return
        for slot in self._slots:
            if slot.timer is not None:
                slot.timer.close()
                slot.timer = None
            slot.delay = 0.0
            if slot.current is None:
                slot.current = self._fork(slot)
            elif slot.next is None:
                self._fork_next(slot)
            else:
                slot.again = True

    def _fork_next(self, slot: _Slot) -> None:
        worker = slot.next = self._fork(slot)

        def ready() -> None:
            if slot.next is worker:
                old, slot.current, slot.next = slot.current, worker, None
                if old is not None:
                    self._retire(old)
                self._maybe_again(slot)

        worker.once(self._comes_up, ready)

    def _maybe_again(self, slot: _Slot) -> None:
        again, slot.again = slot.again, False
        if again and not self._ending:
            self._fork_next(slot)

    def _retire(self, worker: Worker) -> None:
        if worker.is_dead() or worker in self._leaving:
            return

        def out_of_patience() -> None:
            log.warning('worker %d was not done in %g ms: killed', worker.id, self._drain)
            worker.process.kill('SIGKILL')

        self._leaving[worker] = _timers.set_timeout(out_of_patience, max(1, self._drain))
        worker.disconnect()

    # -- the end ----------------------------------------------------------------------------

    def stop(self) -> None:
        """Let all workers finish; the second time kill them."""
        workers = [w for slot in self._slots for w in (slot.current, slot.next) if w is not None]
        if self._ending:
            for worker in {*workers, *self._leaving}:
                worker.process.kill('SIGKILL')
            return
        self._ending = True
        for slot in self._slots:
            if slot.timer is not None:
                slot.timer.close()
                slot.timer = None
        self._primary.pin(False)
        for worker in workers:
            self._retire(worker)
        self._maybe_end()

    def _maybe_end(self) -> None:
        if self._leaving or any(s.current or s.next or s.timer for s in self._slots):
            return
        self._ending = True
        self._primary.pin(False)
        self._forget_signals()
