"""The machine of connecting: who is tried when, and what is said about it.

Given the addresses, it opens one handle after the other and reports (spec rows AF-01 to AF-11,
SE-03 to SE-05, CN-20 to CN-22, CN-24). Three ways of trying, all transitions in this file:

*single*
    One address or a Unix path: no attempt timeout; a failure is the plain error.
*sequential*
    Several addresses, what Node documents: one attempt at a time; a failed one is followed at once
    by the next, each but the last is given up after the attempt timeout, before the next begins.
*race*
    RFC 8305 section 5: after the same time the next attempt begins while earlier ones go on; a
    failure begins the next at once; the first to connect wins, the losers are closed.

The order of the reports is that of recorded traces. It differs in ways that look like accidents,
and programs see them: a single attempt is announced before the block list is asked, and an error
that comes back from the call itself is not a "failed attempt" there; in a series a blocked address
is a failed attempt that was never announced, and a bind that fails is only listed in the error.

This file refuses to know sockets, loops, names and event emitters: handles, clock and report are
given (``attempt_types.py``). Listeners run inside the reports and may end everything, so after each
one the machine looks whether it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._addr.ip import is_ip
from .._handles import DONE, StreamHandle
from ..errors import NodeOSError, aggregate_error, state_error, system_error
from .attempt_types import Clock, Report, Target, Waiting

__all__ = ['Attempts']

#: Codes of a path that is too long: reported at once, not as a failed attempt.
_BAD_PATH = ('EINVAL', 'ENAMETOOLONG')


class _Attempt:
    """One handle and what it is for."""

    __slots__ = ('asked', 'cancelled', 'handle', 'number', 'target', 'waiting')

    def __init__(self, number: int, target: Target, handle: StreamHandle) -> None:
        self.number = number
        self.target = target
        self.handle = handle
        #: Whether the handle was told to connect and its callback is still to come.
        self.asked = False
        #: Whether it was ended from outside, which a series reports as ECANCELED.
        self.cancelled = False
        self.waiting: Waiting | None = None


class Attempts:
    """Connect to one of ``targets``; exactly one of ``connected`` and ``gave_up`` is reported.

    Neither is reported after :meth:`abort` or :meth:`expire`. Every handle that ``open_handle``
    makes is closed here, except the connected one.

    Args:
        targets: in the order in which they are tried, without duplicates.
        port: 0 to 65535; ignored for a path.
        open_handle: makes a new, unconnected handle for a family (4, 6, or 0 for a path).
        timeout: the attempt timeout in ms, not used for a single target.
        race: overlap the attempts.
        local_address, local_port: what each handle is bound to first; ``''`` and 0: nothing.
        ended: called once right before the one final report.
    """

    __slots__ = (
        '_clock',
        '_ended',
        '_errors',
        '_live',
        '_local_address',
        '_local_port',
        '_next',
        '_open',
        '_over',
        '_port',
        '_race',
        '_report',
        '_targets',
        '_timeout',
        '_timer',
        'attempted',
    )

    def __init__(
        self,
        targets: Sequence[Target],
        port: int,
        *,
        open_handle: Callable[[int], StreamHandle],
        report: Report,
        clock: Clock,
        timeout: float = 250,
        race: bool = False,
        local_address: str = '',
        local_port: int = 0,
        ended: Callable[[], object] | None = None,
    ) -> None:
        self._targets = targets
        self._port = port
        self._open = open_handle
        self._report = report
        self._clock = clock
        self._timeout = timeout
        self._race = race
        self._local_address = local_address
        self._local_port = local_port
        self._ended = ended
        self._next = 0
        self._live: list[_Attempt] = []
        self._errors: list[tuple[int, Exception]] = []
        self._timer: Waiting | None = None
        self._over = False
        #: ``'ip:port'`` of what was tried, in order; None for a single target.
        self.attempted: list[str] | None = None if len(targets) == 1 else []

    @property
    def over(self) -> bool:
        """Whether the end was reported or asked for."""
        return self._over

    @property
    def latest(self) -> StreamHandle | None:
        """The handle of the attempt that began last and is under way."""
        return self._live[-1].handle if self._live else None

    def start(self) -> None:
        """Begin. It may end inside the call (a bind that fails, a blocked address)."""
        if len(self._targets) == 1:
            self._try_only()
        else:
            self._advance()

    def abort(self, closed: Callable[[], object] | None = None) -> bool:
        """End everything from outside: no final report any more.

        True: ``closed`` will be called once all handles are closed, after each pending attempt
        of a series was reported as failed with ECANCELED. False: no handle was open and ``closed``
        will not be called.
        """
        attempts = self._stop()
        left = len(attempts)

        def one_closed() -> None:
            nonlocal left
            left -= 1
            if not left and closed is not None:
                closed()

        for attempt in attempts:
            attempt.cancelled = True
            attempt.handle.close(one_closed)
        return bool(attempts)

    def expire(self) -> list[Exception]:
        """End everything because the time for all of it is over; gives the failures so far.

        What is under way is closed and reported as timed out.
        """
        attempts = self._stop()
        for attempt in attempts:
            attempt.handle.close()
        for attempt in attempts:
            if attempt.asked:
                self._report.timed_out(*self._where(attempt.target))
                self._record(attempt, self._error(attempt, 'ETIMEDOUT'))
        return self._failures()

    # -- one target -------------------------------------------------------------------------

    def _try_only(self) -> None:
        attempt = self._begin(0)
        error = self._bind(attempt)
        if error is not None:
            self._give_up(error)
            return
        where = self._where(attempt.target)
        self._report.attempting(*where)
        if self._over:
            return
        address, family = attempt.target
        refusal = self._report.refuse(address, family) if family else None
        if refusal is not None:
            self._give_up(refusal)
            return
        error = self._connect(attempt)
        if error is None:
            return
        if family or error.code in _BAD_PATH:
            self._give_up(error)
        else:
            # connect(2) to a Unix socket answers in the call (ENOENT, ECONNREFUSED); Node's answer
            # comes from the loop, when listeners are there to hear it.
            later = error
            attempt.waiting = self._clock.soon(lambda: self._lose(attempt, later))

    # -- several ----------------------------------------------------------------------------

    def _advance(self) -> None:
        """Start the next attempt, and the one after it as long as they fail inside the call."""
        self._stop_timer()
        while not self._over:
            if self._next == len(self._targets):
                if not self._live:
                    self._give_up(None)
                return
            self._next += 1
            if self._try_next(self._begin(self._next - 1)):
                if self._next < len(self._targets):
                    self._timer = self._clock.call_later(self._timeout, self._time_is_up)
                return

    def _try_next(self, attempt: _Attempt) -> bool:
        """Whether the attempt is under way."""
        address, family = attempt.target
        where = self._where(attempt.target)
        error: Exception | None = self._bind(attempt)
        if error is not None:
            self._drop(attempt, error)
            return False
        error = self._report.refuse(address, family)
        if error is None:
            self._report.attempting(*where)
            if self._over:
                return False
            if self.attempted is not None:
                self.attempted.append(f'{address}:{self._port}')
            error = self._connect(attempt)
            if error is None:
                return True
        self._drop(attempt, error)
        self._report.failed(*where, error)
        return False

    def _time_is_up(self) -> None:
        self._timer = None
        if not self._race:
            attempt = self._live[-1]
            self._drop(attempt, self._error(attempt, 'ETIMEDOUT'))
            self._report.timed_out(*self._where(attempt.target))
        self._advance()

    # -- both -------------------------------------------------------------------------------

    def _begin(self, number: int) -> _Attempt:
        target = self._targets[number]
        attempt = _Attempt(number, target, self._open(target[1]))
        # Known from here on: a listener that raises or aborts finds it in the list.
        self._live.append(attempt)
        return attempt

    def _bind(self, attempt: _Attempt) -> NodeOSError | None:
        family = attempt.target[1]
        if not family or not (self._local_address or self._local_port):
            return None
        address = self._local(family)
        reason: int | str = 'EINVAL'
        if is_ip(address) == family:
            reason = attempt.handle.bind(address, self._local_port, family)
            if reason == DONE:
                return None
        return system_error(reason, 'bind', address=address, port=self._local_port or None)

    def _local(self, family: int) -> str:
        return self._local_address or ('0.0.0.0' if family == 4 else '::')

    def _connect(self, attempt: _Attempt) -> NodeOSError | None:
        """The error if it failed inside the call; else its end comes through :meth:`_done`."""
        address, family = attempt.target
        if family and is_ip(address) != family:
            return self._error(attempt, 'EINVAL')
        done = self._done
        errno = attempt.handle.connect(address, self._port, family, lambda e: done(attempt, e))
        if errno > 0:
            return self._error(attempt, errno)
        if errno == DONE:
            attempt.waiting = self._clock.soon(lambda: done(attempt, DONE))
        else:
            attempt.asked = True
        return None

    def _done(self, attempt: _Attempt, errno: int) -> None:
        if attempt in self._live:
            if errno == DONE:
                self._win(attempt)
            else:
                self._lose(attempt, self._error(attempt, errno))
        elif attempt.cancelled and len(self._targets) > 1:
            error = self._error(attempt, 'ECANCELED')
            self._report.failed(*self._where(attempt.target), error)

    def _lose(self, attempt: _Attempt, error: NodeOSError) -> None:
        self._drop(attempt, error)
        self._report.failed(*self._where(attempt.target), error)
        if self._over:
            return
        if len(self._targets) == 1:
            self._give_up(error)
        else:
            self._advance()

    def _win(self, attempt: _Attempt) -> None:
        self._live.remove(attempt)
        for loser in self._stop():
            loser.handle.close()
        if self._ended is not None:
            self._ended()
        self._report.connected(attempt.handle)

    def _give_up(self, error: Exception | None) -> None:
        """The end without a connection; None: all that was recorded is the error."""
        for attempt in self._stop():
            attempt.handle.close()
        if error is None:
            errors = self._failures()
            error = (
                aggregate_error(errors) if errors else state_error('ERR_SOCKET_CONNECTION_TIMEOUT')
            )
        if self._ended is not None:
            self._ended()
        self._report.gave_up(error)

    def _drop(self, attempt: _Attempt, error: Exception) -> None:
        """``attempt`` is over with ``error``: its handle is closed, what it still says unheard."""
        self._live.remove(attempt)
        attempt.handle.close()
        self._record(attempt, error)

    def _record(self, attempt: _Attempt, error: Exception) -> None:
        self._errors.append((attempt.number, error))

    def _failures(self) -> list[Exception]:
        """What failed, in the order of the targets."""
        return [error for _, error in sorted(self._errors, key=lambda pair: pair[0])]

    def _stop(self) -> list[_Attempt]:
        """Be over; gives what is still open."""
        self._over = True
        self._stop_timer()
        attempts, self._live = self._live, []
        for attempt in attempts:
            if attempt.waiting is not None:
                attempt.waiting.close()
        return attempts

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _where(self, target: Target) -> tuple[str, int | None, int | None]:
        address, family = target
        return (address, self._port, family) if family else (address, None, None)

    def _error(self, attempt: _Attempt, reason: int | str) -> NodeOSError:
        address, family = attempt.target
        if not family:
            return system_error(reason, 'connect', address=address)
        local: dict[str, Any] = {}
        if self._local_port:
            # Named only when the port was fixed, as in Node: then it is what the user chose.
            local = {'local_address': self._local(family), 'local_port': self._local_port}
        return system_error(reason, 'connect', address=address, port=self._port or None, **local)
