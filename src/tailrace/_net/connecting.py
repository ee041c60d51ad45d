"""One connect from its options to a connected handle: checks, resolving, attempts, deadline.

:func:`check_plan` turns options into a :class:`Plan` or raises; :class:`Connecting` carries it out
and tells a :class:`ConnectReport`. Spec rows CN-05 to CN-24, AF-01, AF-02, SE-10.

This file refuses to know sockets, streams and event emitters, and leaves the order of attempts to
``attempts.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from .._addr.ip import is_ip
from .._coerce import NULL, absent
from .._dns.lookup import ADDRCONFIG, check_family, check_hints, check_hostname
from .._dns.resolve import Resolution, entries
from .._handles import StreamHandle
from .._validate import (
    MAX_TIMEOUT,
    bad_type,
    check_callable,
    check_number,
    check_port,
    check_str,
    milliseconds,
    out_of_range,
    shown,
)
from ..errors import (
    InvalidAddressFamilyError,
    InvalidIPAddressError,
    MissingArgsError,
    NodeOSError,
    system_error,
)
from . import defaults
from .attempt_types import Clock, Report, Target, interleave
from .attempts import Attempts

__all__ = ['PLAN_OPTIONS', 'ConnectReport', 'Connecting', 'Plan', 'check_plan']


class Plan(NamedTuple):
    """The checked options of one connect."""

    path: str | None
    host: str
    #: 4 or 6 if host is an IP address: then there is nothing to resolve.
    literal: int
    port: int
    #: None: not given, which a lookup function sees.
    family: Any
    hints: Any
    lookup: Callable[..., Any] | None
    local_address: str
    local_port: int
    #: Whether to ask for all addresses and try several.
    select: bool
    race: bool
    attempt_timeout: int
    #: Ms for all of it, resolving included; 0: no limit.
    connect_timeout: float


#: The options that :func:`check_plan` reads, for ``merge_options``.
PLAN_OPTIONS = (
    'path',
    'host',
    'port',
    'family',
    'hints',
    'lookup',
    'local_address',
    'local_port',
    'auto_select_family',
    'auto_select_family_attempt_timeout',
    'connect_timeout',
)


def check_plan(options: Mapping[str, Any]) -> Plan:
    """Check the options of a connect (snake_case keys, others ignored; None: not given).

    Raises ERR_MISSING_ARGS without port and path, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE,
    ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT, ERR_INVALID_IP_ADDRESS as rows CN-05 to CN-23 say.
    """
    get = options.get
    limit = get('connect_timeout')
    limit = 0 if limit is None else milliseconds('options.connect_timeout', limit)
    if limit > MAX_TIMEOUT:
        out_of_range('options.connect_timeout', f'at most {MAX_TIMEOUT} ms', limit)
    if not absent(get('path')):
        path = check_str('options.path', get('path'))
        return Plan(path, '', 0, 0, None, 0, None, '', 0, False, False, 0, limit)
    port = get('port')
    if port is None:
        if get('path') is None:
            raise MissingArgsError('connect() needs a port or a path: connect(PORT, HOST)')
        port = 0  # a path that is absent to JavaScript is no path, and no port is port 0
    if isinstance(port, bool) or not isinstance(port, (int, float, str)):
        bad_type('options.port', 'a number or its text', None if port is NULL else port)
    local_address, local_port = get('local_address'), get('local_port')
    if absent(local_address):
        local_address = ''
    elif not is_ip(local_address):
        raise InvalidIPAddressError(
            f'options.local_address must be an IP address, not {shown(local_address)}'
        )
    if absent(local_port):
        local_port = 0
    else:
        check_number('options.local_port', local_port)
        local_port = check_port('options.local_port', local_port)
    port = check_port('options.port', port)
    select, race = get('auto_select_family'), False
    if select is None:
        select = defaults.get_default_auto_select_family()
    elif isinstance(select, str) and select == 'race':
        select = race = True
    elif not isinstance(select, bool):
        bad_type('options.auto_select_family', "True, False or 'race'", select)
    timeout = get('auto_select_family_attempt_timeout')
    if timeout is None:
        timeout = defaults.get_default_auto_select_family_attempt_timeout()
    else:
        timeout = defaults.attempt_timeout('options.auto_select_family_attempt_timeout', timeout)
    host = get('host')
    host = 'localhost' if absent(host) else check_hostname('options.host', host)
    literal = is_ip(host)
    family, hints, lookup = get('family'), get('hints'), get('lookup')
    if literal:
        # Nothing is resolved, so these do not count and are not looked at.
        family, hints, lookup = None, 0, None
    else:
        hints = 0 if absent(hints) else hints
        if isinstance(family, str):
            family = {'IPv4': 4, 'IPv6': 6}.get(family, family)
        if lookup is not None:
            # It gets them as they are, and is the one to judge them.
            check_callable('options.lookup', lookup)
        else:
            family = None if family is None else check_family('options.family', family)
            hints = check_hints('options.hints', hints)
        if family not in (4, 6) and hints == 0 and sys.platform != 'win32':
            hints = ADDRCONFIG
    return Plan(
        None,
        host,
        literal,
        port,
        family,
        hints,
        lookup,
        local_address or '',
        local_port or 0,
        bool(select and family not in (4, 6) and not local_address and not literal),
        race,
        timeout,
        limit,
    )


class ConnectReport(Report, Protocol):
    """Who is told about a whole connect."""

    def lookup(self, error: Exception | None, address: Any, family: Any, host: str) -> object:
        """'lookup': once for each answer, or once with the error."""


class Connecting:
    """Carries out a plan; exactly one ``connected`` or ``gave_up``, unless aborted.

    ``open_handle(family)`` makes an unconnected handle for family 4 or 6, or for 0 a pipe.
    ``bound`` is one that is there already, for the first attempt; it is closed if it comes to none.
    ``owner`` is blamed for what listeners raise (see ``Runtime.uncaught``).
    """

    __slots__ = (
        '_attempts',
        '_bound',
        '_clock',
        '_deadline',
        '_open',
        '_over',
        '_owner',
        '_plan',
        '_report',
        '_resolution',
    )

    def __init__(
        self,
        plan: Plan,
        report: ConnectReport,
        clock: Clock,
        open_handle: Callable[[int], StreamHandle],
        owner: object = None,
        bound: StreamHandle | None = None,
    ) -> None:
        self._owner = owner
        self._bound = bound
        self._plan = plan
        self._report = report
        self._clock = clock
        self._open = open_handle
        self._resolution: Resolution | None = None
        self._attempts: Attempts | None = None
        self._deadline: Any = None
        self._over = False

    @property
    def attempted(self) -> list[str] | None:
        """SK-14: ``'ip:port'`` of each address tried; None unless there were several to try."""
        return None if self._attempts is None else self._attempts.attempted

    @property
    def trying(self) -> StreamHandle | None:
        """The handle of the latest attempt that is under way."""
        return None if self._attempts is None else self._attempts.latest

    @property
    def to_path(self) -> bool:
        """Whether it connects to a Unix socket."""
        return self._plan.path is not None

    def start(self) -> None:
        """Begin. A path is tried, and a host asked for, inside the call; reports may come in it.

        What a callback-style ``lookup`` raises comes out.
        """
        plan = self._plan
        if plan.connect_timeout:
            self._deadline = self._clock.call_later(plan.connect_timeout, self._time_is_up)
        if plan.path is not None:
            self._attempt([(plan.path, 0)])
        elif plan.literal:
            # The caller adds its listeners first.
            self._clock.tick(lambda: self._attempt([(plan.host, plan.literal)]))
        else:
            self._resolve()

    def abort(self, closed: Callable[[], object] | None = None) -> bool:
        """End it, in any phase; nothing is connected or given up after this.

        A lookup for a single address that answers later still has its 'lookup', as in Node.

        True: ``closed`` will be called when the open handles are closed, after the failed
        attempts of a series (ECANCELED). False: nothing was open, ``closed`` will not be called.
        """
        resolution = self._resolution
        if resolution is not None and not self._plan.select and resolution.goes_on:
            self._resolution = None
        self._end()
        return self._attempts is not None and self._attempts.abort(closed)

    # -- phases -----------------------------------------------------------------------------

    def _resolve(self) -> None:
        plan = self._plan
        try:
            resolution = Resolution(
                plan.lookup,
                plan.host,
                family=plan.family,
                hints=plan.hints,
                every=plan.select,
                answer=self._answered,
                owner=self._owner,
            )
        except BaseException:
            # Raised to the caller of connect(): nothing may go on behind its back.
            self.abort()
            raise
        if self._over:
            resolution.abandon()
        elif self._attempts is None:
            self._resolution = resolution

    def _answered(self, error: Exception | None, address: Any, family: Any) -> None:
        plan, report = self._plan, self._report
        self._resolution = None
        if error is not None or not plan.select:
            answers = [(address, family)]
        else:
            # No answer, or no list of them: a lookup that breaks its contract.
            answers = entries(address) or [(None, None)]
        for address, family in answers:
            report.lookup(error, address, family, plan.host)
            if self._over:
                return
        if error is not None:
            self._give_up_later(error)
            return
        targets: list[Target] = [(a, f) for a, f in answers if _usable(a, f)]
        if targets:
            self._attempt(interleave(targets))
        else:
            self._give_up_later(self._unusable(*answers[0]))

    def _attempt(self, targets: list[Target]) -> None:
        if self._over:
            return
        plan = self._plan
        self._attempts = Attempts(
            targets,
            plan.port,
            open_handle=self._next_handle,
            report=self._report,
            clock=self._clock,
            timeout=plan.attempt_timeout,
            race=plan.race,
            local_address=plan.local_address,
            local_port=plan.local_port,
            ended=self._end,
        )
        self._attempts.start()

    def _next_handle(self, family: int) -> StreamHandle:
        bound, self._bound = self._bound, None
        return self._open(family) if bound is None else bound

    def _give_up_later(self, error: Exception) -> None:
        """As in Node: a lookup may answer inside connect(), whose caller still adds listeners."""
        self._clock.tick(lambda: self._give_up(error))

    def _give_up(self, error: Exception) -> None:
        if not self._over:
            self._end()
            self._report.gave_up(error)

    def _end(self) -> None:
        self._over = True
        if self._deadline is not None:
            self._deadline.close()
            self._deadline = None
        if self._resolution is not None:
            self._resolution.abandon()
            self._resolution = None
        if self._bound is not None:
            self._bound.close()
            self._bound = None

    # -- errors -----------------------------------------------------------------------------

    def _unusable(self, address: Any, family: Any) -> Exception:
        plan = self._plan
        if not is_ip(address):
            return InvalidIPAddressError(
                f'the lookup of {plan.host} gave {shown(address)}, which is no IP address'
            )
        error = InvalidAddressFamilyError(
            f'the lookup of {plan.host}:{plan.port} gave the address family {shown(family)}; '
            'it must be 4 or 6'
        )
        error.host, error.port = plan.host, plan.port
        return error

    def _time_is_up(self) -> None:
        self._deadline = None
        failures = [] if self._attempts is None else self._attempts.expire()
        if self._over:
            return
        self._give_up(_deadline_error(self._plan, failures))


def _usable(address: Any, family: Any) -> bool:
    return type(family) is int and family in (4, 6) and bool(is_ip(address))


def _deadline_error(plan: Plan, failures: list[Exception]) -> NodeOSError:
    """ETIMEDOUT of a whole connect; what failed on the way is its cause."""
    address = plan.host if plan.path is None else plan.path
    port = plan.port or None if plan.path is None else None
    error = system_error('ETIMEDOUT', 'connect', address=address, port=port)
    error.strerror = f'{error.strerror}: not connected within {plan.connect_timeout:g} ms'
    if failures:
        error.__cause__ = ExceptionGroup('connection attempts', failures)
    return error
