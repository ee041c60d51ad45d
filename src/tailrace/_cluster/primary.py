"""The cluster in the primary: forks workers and answers what they ask.

It owns the workers and the places where they listen; how a place shares its connections is in
``places.py`` and ``round_robin.py``. Events are in the order of Node 24.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import _runtime
from .._handles import DONE
from .._listeners import adapt
from .._names import Record, merge_options, node_names
from ..events import EventEmitter
from .child import FORK_OPTIONS, ChildProcess, interpreter_flags, spawn
from .ipc import PLAIN
from .places import GIVE, TOOK, Answer, Place, Reserved, Shared, bind
from .round_robin import RoundRobin
from .worker import Worker

log = logging.getLogger('tailrace.cluster')

__all__ = ['SCHED_NONE', 'SCHED_REUSEPORT', 'SCHED_RR', 'UNIQUE_ID', 'Primary']

#: Node's values.
SCHED_NONE = 1
SCHED_RR = 2
#: Ours: every worker has a socket of its own and the kernel spreads connections (Linux, FreeBSD).
SCHED_REUSEPORT = 3

#: Tells a process that it is a worker, and its number.
UNIQUE_ID = 'TAILRACE_UNIQUE_ID'

SETTINGS = (FORK_OPTIONS - {'env', 'signal', 'timeout'}) | {'args', 'exec'}


def main_program() -> list[str]:
    """What ``python -m tailrace`` is to be told to run the main program of this process again."""
    main = sys.modules.get('__main__')
    spec = getattr(main, '__spec__', None)
    if spec is not None and not spec.name.startswith('tailrace.'):
        return ['-m', spec.name.removesuffix('.__main__')]
    return [os.path.abspath(sys.argv[0])]


class PrimaryWorker(Worker):
    """A worker, as the primary sees it."""

    process: ChildProcess

    def __init__(self, number: int, process: ChildProcess, primary: Primary) -> None:
        super().__init__(number, process)
        self._primary = primary

    def disconnect(self) -> Worker:
        """Let it go: no more connections for it; see ``Worker.disconnect``."""
        self.exited_after_disconnect = True
        self.process._tell({'act': 'disconnect'})
        self._primary.retire(self)
        return self

    def kill(self, signal: Any = None) -> None:
        """Send it a signal, default 'SIGTERM'."""
        self.process.kill('SIGTERM' if signal is None else signal)

    def give(self, place: int, fds: Sequence[int], failed: Callable[[], object]) -> None:
        """Send it connections of a place."""
        channel = self.process._channel
        if channel is None:
            return  # its end is about to be told, and gives them back

        def sent(code: int) -> None:
            if code > DONE and self.process._channel is not None:
                failed()

        channel.send(PLAIN, GIVE.pack(place, len(fds)), fds, sent)


@node_names
class Primary(EventEmitter):
    """What ``cluster`` is in the primary.

    Events: 'setup' (settings), 'fork' (worker), 'online' (worker), 'listening' (worker, address),
    'message' (worker, message, handle), 'disconnect' (worker), 'exit' (worker, code, signal).
    """

    is_primary = True
    is_worker = False
    #: The worker that this process is: none.
    worker = None

    def __init__(self, policy: int) -> None:
        super().__init__()
        #: SCHED_RR, SCHED_NONE or SCHED_REUSEPORT; what counts is its value at the first fork.
        self.scheduling_policy = policy
        self.settings: Record = Record()
        self.workers: dict[int, Worker] = {}
        self._program = main_program()
        self._last_id = 0
        self._last_place = 0
        self._policy: int | None = None
        self._places: dict[str, Place] = {}
        self._by_number: dict[int, Place] = {}
        #: Workers whose channel is open.
        self._connected: set[PrimaryWorker] = set()
        self._on_all_gone: list[Callable[[], object]] = []
        self._pinned = False

    # -- settings and forking ---------------------------------------------------------------

    def setup_primary(self, options: Any = None, /, **keywords: Any) -> None:
        """Change what :meth:`fork` runs; 'setup' (settings) follows.

        Options: ``exec`` (a script; default the main program), ``args`` (its arguments, default
        this program's) and those of ``child_process.fork`` but ``env``, ``signal``, ``timeout``.
        """
        opts = merge_options('setup_primary', options, keywords, SETTINGS)
        settings = Record(
            args=list(sys.argv[1:]), exec=self._program[-1], execArgv=interpreter_flags()
        )
        settings['silent'] = False
        settings.update(self.settings)
        for name, value in opts.items():
            settings[{'exec_argv': 'execArgv', 'exec_path': 'execPath'}.get(name, name)] = value
        self.settings = settings
        if self._policy is None:
            self._policy = self.scheduling_policy
        _runtime.current().push(self.emit, ('setup', settings))

    def fork(self, env: Mapping[str, Any] | None = None, /) -> Worker:
        """Start a worker: the main program once more, ``env`` added to its environment.

        Returns the Worker at once; 'fork' and 'online' follow.
        """
        self.setup_primary()
        self._last_id += 1
        number = self._last_id
        settings = self.settings
        full = {**os.environ, **{k: str(v) for k, v in (env or {}).items()}}
        full[UNIQUE_ID] = str(number)
        opts = {
            'env': full,
            'exec_argv': settings['execArgv'],
            'exec_path': settings.get('execPath'),
        }
        for name in ('cwd', 'detached', 'silent', 'stdio', 'kill_signal'):
            opts[name] = settings.get(name)
        words = [settings['exec']]
        if settings['exec'] == self._program[-1]:
            words = list(self._program)
        child = spawn([*words, *map(str, settings['args'])], opts)
        worker = PrimaryWorker(number, child, self)
        self._watch(worker)
        self.workers[number] = worker
        _runtime.current().push(self.emit, ('fork', worker))
        return worker

    def _watch(self, worker: PrimaryWorker) -> None:
        child = worker.process
        if child.connected:
            self._connected.add(worker)

        def internal(message: dict[str, Any], fds: list[int] | None, answer: Any) -> None:
            for fd in fds or ():
                os.close(fd)
            self._internal(worker, message, answer)

        def took(message: bytes, _: list[int] | None) -> None:
            if len(message) != TOOK.size:
                child._reject()
                return
            number, accepted = TOOK.unpack(message)
            place = self._by_number.get(number)
            if isinstance(place, RoundRobin):
                place.took(worker, accepted)

        def exited(code: int | None, signal: str | None) -> None:
            if not worker.is_connected():
                self._drop(worker)
            worker.exited_after_disconnect = bool(worker.exited_after_disconnect)
            worker.state = 'dead'
            worker.emit('exit', code, signal)
            self.emit('exit', worker, code, signal)

        def disconnected() -> None:
            self._connected.discard(worker)
            self._leave_places(worker, True)
            if worker.is_dead():
                self._drop(worker)
            worker.exited_after_disconnect = bool(worker.exited_after_disconnect)
            worker.state = 'disconnected'
            worker.emit('disconnect')
            self.emit('disconnect', worker)
            self._check_all_gone()

        child._on_internal = internal
        child._on_plain = took
        child._before_disconnect = disconnected
        child.once('exit', exited)

        def said(message: Any, handle: Any) -> None:
            self.emit('message', worker, message, handle)

        worker.on('message', said)

    def _drop(self, worker: Worker) -> None:
        self.workers.pop(worker.id, None)

    def retire(self, worker: PrimaryWorker) -> None:
        """It gets no more connections; those it has been given it may still take."""
        self._leave_places(worker, False)
        self._drop(worker)

    def disconnect(self, callback: Callable[[], object] | None = None, /) -> None:
        """``disconnect()`` every worker; ``callback()`` once all are disconnected."""
        if callback is not None:
            self._on_all_gone.append(adapt(callback))
        for worker in list(self.workers.values()):
            if worker.is_connected():
                worker.disconnect()
        _runtime.current().push(self._check_all_gone, ())

    def _check_all_gone(self) -> None:
        if not self._connected:
            waiting, self._on_all_gone = self._on_all_gone, []
            for callback in waiting:
                callback()

    # -- what workers ask -------------------------------------------------------------------

    def _internal(self, worker: PrimaryWorker, message: dict[str, Any], answer: Any) -> None:
        act = message.get('act')
        if act in ('query', 'room', 'close'):
            try:
                self._about_place(act, worker, message, answer)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                # No code of the program runs in there: the worker has sent nonsense.
                log.error('worker %d is disconnected: it sent %r', worker.id, error)
                worker.process._reject()
        elif act == 'online':
            worker.state = 'online'
            worker.emit('online')
            self.emit('online', worker)
        elif act == 'listening':
            worker.state = 'listening'
            where = Record({k: message.get(k) for k in ('addressType', 'address', 'port')})
            worker.emit('listening', where)
            self.emit('listening', worker, where)
        elif act == 'ready':
            worker.emit('ready')
        elif act == 'leaving':
            worker.exited_after_disconnect = True
            self.retire(worker)

    def _about_place(
        self, act: str, worker: PrimaryWorker, message: dict[str, Any], answer: Answer
    ) -> None:
        if act == 'query':
            self._query(worker, message, answer)
            return
        place = self._by_number.get(message['place'])
        if place is None:
            return
        if act == 'close':
            place.remove(worker, False)
        elif isinstance(place, RoundRobin):
            place.room(worker)

    def _query(self, worker: PrimaryWorker, what: dict[str, Any], answer: Answer) -> None:
        names = ('address', 'port', 'family', 'fd', 'index')
        key = json.dumps([what[name] for name in names])
        place = self._places.get(key)
        if place is None:
            made = self._make_place(key, what)
            if isinstance(made, int):
                answer({'error': made}, ())
                return
            place = made
        place.add(worker, answer)

    def _make_place(self, key: str, what: dict[str, Any]) -> Place | int:
        policy = self._policy
        tcp = what['family'] != -1 and what['fd'] is None
        kind: type[Place] = RoundRobin
        if policy == SCHED_NONE:
            kind = Shared
        elif policy == SCHED_REUSEPORT and tcp:
            kind = Reserved
        handle = bind(_runtime.current(), what, kind is Reserved)
        if isinstance(handle, int):
            return handle
        self._last_place += 1
        place = kind(self._last_place, key, handle, what)
        code = place.start()
        if code != DONE:
            handle.close()
            return code
        place.pinned = self._pinned
        place.on_closed = self._place_closed
        self._places[key] = place
        self._by_number[place.number] = place
        return place

    def _place_closed(self, place: Place) -> None:
        # By its number it is found as long as workers answer for what they were sent.
        if self._places.get(place.key) is place:
            del self._places[place.key]
        if not isinstance(place, RoundRobin) or not place.unanswered:
            self._by_number.pop(place.number, None)

    def _leave_places(self, worker: PrimaryWorker, dead: bool) -> None:
        for place in list(self._by_number.values()):
            place.remove(worker, dead)
            if place.handle.fd < 0:
                self._place_closed(place)

    def pin(self, pinned: bool) -> None:
        """Whether places stay while nobody uses them: a supervisor starts workers again."""
        self._pinned = pinned
        for place in list(self._by_number.values()):
            if pinned:
                place.pinned = True
            else:
                place.unpin()

    if TYPE_CHECKING:  # Node's spellings; see node_names
        isPrimary = is_primary
        isWorker = is_worker
        setupPrimary = setup_primary
