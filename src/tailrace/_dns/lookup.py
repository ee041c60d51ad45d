"""Resolving a host name as the system does: getaddrinfo off the loop.

A :class:`LookupRequest` is one question: it holds its runtime until it is answered or abandoned.
This file knows getaddrinfo; it refuses to know sockets, and who asks.
"""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from .. import _runtime
from .._addr.ip import is_ip
from .._listeners import adapt
from .._names import Record, merge_options
from .._validate import (
    bad_type,
    bad_value,
    check_bool,
    check_callable,
    check_number,
    check_str,
    is_mapping,
)
from ..errors import NodeError, NodeOSError, resolution_error, system_error
from .pool import Pool

if TYPE_CHECKING:
    import asyncio

__all__ = [
    'ADDRCONFIG',
    'ALL',
    'V4MAPPED',
    'LookupRequest',
    'Resolver',
    'check_family',
    'check_hints',
    'check_hostname',
    'get_default_result_order',
    'lookup',
    'lookup_error',
    'request',
    'set_default_result_order',
]

#: Hint: only families that the host itself has an address of.
ADDRCONFIG: int = socket.AI_ADDRCONFIG
#: Hint: with family 6, IPv4-mapped addresses if there is no IPv6 address.
V4MAPPED: int = getattr(socket, 'AI_V4MAPPED', 0)
#: Hint: with V4MAPPED, both the IPv6 and the mapped addresses.
ALL: int = getattr(socket, 'AI_ALL', 0)

_ORDERS = ('verbatim', 'ipv4first', 'ipv6first')
_OPTIONS = ('family', 'hints', 'all', 'order', 'verbatim')
_AF = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}
_FAMILY: dict[int, int] = {socket.AF_INET: 4, socket.AF_INET6: 6}

_default_order = 'verbatim'
_pool = Pool()
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_pool.renew)

#: What asks the system: (host name, family 0/4/6, hints) → (address, family) pairs, or OSError.
Resolver = Callable[[str, int, int], list[tuple[str, int]]]


def system_resolver(hostname: str, family: int, hints: int) -> list[tuple[str, int]]:
    """getaddrinfo(3) for stream sockets; blocks."""
    # ASCII goes to libc as it is: Python's idna codec refuses names that libc only does not find.
    # Others are encoded by that codec (IDNA 2003; Node follows UTS 46, which differs for ß and ς).
    name = hostname.encode('ascii' if hostname.isascii() else 'idna')
    found = socket.getaddrinfo(name, None, _AF[family], socket.SOCK_STREAM, 0, hints)
    return [(str(one[4][0]), _FAMILY[one[0]]) for one in found if one[0] in _FAMILY]


def check_family(name: str, value: Any) -> int:
    """0, 4 or 6 out of 0, 4, 6, 'IPv4', 'IPv6' or None; else ERR_INVALID_ARG_VALUE."""
    if value is None:
        return 0
    if value == 'IPv4':
        return 4
    if value == 'IPv6':
        return 6
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value not in _AF:
        bad_value(name, "0, 4, 6, 'IPv4' or 'IPv6'", value)
    return int(value)


def check_hints(name: str, value: Any) -> int:
    """A mask of ADDRCONFIG, V4MAPPED and ALL, or None for 0.

    No number: ERR_INVALID_ARG_TYPE; other bits: ERR_INVALID_ARG_VALUE.
    """
    if value is None:
        return 0
    number = check_number(name, value)
    known = ADDRCONFIG | V4MAPPED | ALL
    if (
        number != number
        or number != number // 1
        or not 0 <= number <= known
        or int(number) & ~known
    ):
        bad_value(name, 'a mask of ADDRCONFIG, V4MAPPED and ALL', value)
    return int(number)


def check_hostname(name: str, value: Any) -> str:
    """Text without NUL; ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE."""
    text = check_str(name, value)
    if '\0' in text:
        bad_value(name, 'a string without NUL', value)
    return text


def set_default_result_order(order: str) -> None:
    """Set what ``order`` is when a lookup does not say.

    ``'verbatim'`` (the system's order, at first), ``'ipv4first'`` or ``'ipv6first'``; else
    ERR_INVALID_ARG_VALUE.
    """
    global _default_order
    _default_order = _check_order('order', order)


def get_default_result_order() -> str:
    """What ``order`` is when a lookup does not say."""
    return _default_order


def _check_order(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in _ORDERS:
        bad_value(name, f'one of {", ".join(map(repr, _ORDERS))}', value)
    return value


def lookup(hostname: Any, options: Any = None, callback: Any = None, /, **kw: Any) -> LookupRequest:
    """Resolve a host name as the operating system does.

    Options, in a mapping or as keywords: ``family`` 0, 4, 6, 'IPv4', 'IPv6' (0: both); ``hints``,
    a mask of :data:`ADDRCONFIG`, :data:`V4MAPPED`, :data:`ALL` (0); ``all`` (False); ``order``
    'verbatim', 'ipv4first', 'ipv6first' or ``verbatim`` True or False. Instead of options a
    family; the callback may come in their place.

    ``callback(error, address, family)``, or with ``all`` ``callback(error, [{address, family}])``,
    is called later, never inside the call. Without a callback await the request: it gives
    ``{address, family}``, or with ``all`` the list. An IP address is answered without asking
    the system; an empty name with None (deprecated in Node, hence a DeprecationWarning).

    Errors: ENOTFOUND, EAI_AGAIN, EAI_FAIL … with ``syscall`` 'getaddrinfo' and ``hostname``.
    Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE.
    """
    return request(hostname, options, callback, kw, system_resolver, _pool)


def request(
    hostname: Any,
    options: Any,
    callback: Any,
    keywords: Mapping[str, Any],
    resolver: Resolver,
    pool: Pool,
) -> LookupRequest:
    """:func:`lookup` with a given resolver and pool."""
    name = check_hostname('hostname', '' if hostname is None else hostname)
    if not name:
        warnings.warn(
            'an empty host name is no host name; it is answered with None',
            DeprecationWarning,
            stacklevel=3,
        )
    callback = keywords.get('callback', callback)
    keywords = {key: value for key, value in keywords.items() if key != 'callback'}
    if callable(options) and callback is None:
        options, callback = None, options
    if isinstance(options, (int, float)) and not isinstance(options, bool):
        options = {'family': options}
    elif options is not None and not is_mapping(options):
        bad_type('options', 'a mapping or a family', options)
    if callback is not None:
        callback = adapt(check_callable('callback', callback))
    given = merge_options('lookup', options, keywords, _OPTIONS)
    order = get_default_result_order()
    if given.get('verbatim') is not None:
        order = 'verbatim' if check_bool('options.verbatim', given['verbatim']) else 'ipv4first'
    if given.get('order') is not None:
        order = _check_order('options.order', given['order'])
    every = given.get('all')
    return LookupRequest(
        name,
        check_family('options.family', given.get('family')),
        check_hints('options.hints', given.get('hints')),
        False if every is None else check_bool('options.all', every),
        order,
        callback,
        resolver,
        pool,
    )


def lookup_error(error: Exception, hostname: str) -> Exception:
    """A failure of a resolver as DN-09 wants it; what is no OSError stays as it is."""
    if isinstance(error, NodeError) or not isinstance(error, (OSError, UnicodeError)):
        return error
    out: NodeOSError
    if isinstance(error, socket.gaierror):
        out = resolution_error(error.errno or socket.EAI_NONAME, hostname)
    elif isinstance(error, OSError):
        # EAI_SYSTEM comes as the OSError of errno.
        out = system_error(error, 'getaddrinfo')
        out.hostname = hostname
    else:
        # A label that is too long or empty, or a lone surrogate: no name can be that.
        out = resolution_error(socket.EAI_NONAME, hostname)
    out.__cause__ = error
    return out


class LookupRequest:
    """A lookup under way: awaitable, and it can be abandoned."""

    __slots__ = (
        '__weakref__',
        '_all',
        '_answered',
        '_callback',
        '_family',
        '_future',
        '_hints',
        '_job',
        '_loop',
        '_order',
        '_pool',
        '_resolver',
        '_runtime',
        'hostname',
    )

    def __init__(
        self,
        hostname: str,
        family: int,
        hints: int,
        every: bool,
        order: str,
        callback: Callable[..., object] | None,
        resolver: Resolver,
        pool: Pool,
    ) -> None:
        self.hostname: str = hostname
        self._family = family
        self._hints = hints
        self._all = every
        self._order = order
        self._callback = callback
        self._resolver = resolver
        self._pool = pool
        self._answered = False
        self._future: asyncio.Future[Any] | None = None
        self._job: Callable[[], object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runtime = _runtime.current()
        self._ask(self._runtime)

    @property
    def pending(self) -> bool:
        """Whether the answer is still to come."""
        return not self._answered

    def abandon(self) -> None:
        """Never call back; the request no longer holds the program. Who awaits it is cancelled."""
        if self._answered:
            return
        self._answered = True
        self._runtime.release(self)
        if self._job is not None:
            self._pool.discard(self._job)
        if self._future is not None:
            self._future.cancel()

    def describe(self) -> tuple[str, str]:
        return 'lookup', self.hostname

    def __await__(self) -> Generator[Any, None, Any]:
        if self._future is None:
            if self._callback is not None:
                raise TypeError('a lookup that has a callback cannot be awaited')
            # Asked for before there was a loop, and awaited in another one than the thread's.
            self._runtime.release(self)
            self._runtime = _runtime.current()
            self._ask(self._runtime)
        future = self._future
        assert future is not None
        try:
            return (yield from future.__await__())
        finally:
            # Cancelled: asyncio cancels the future that is awaited.
            self.abandon()

    def __repr__(self) -> str:
        state = 'pending' if self.pending else 'done'
        return f'<LookupRequest {self.hostname!r} family={self._family} {state}>'

    # -- asking -----------------------------------------------------------------------------

    def _ask(self, runtime: _runtime.Runtime) -> None:
        runtime.hold(self)
        runtime.with_loop(self._start)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._answered or self._loop is not None:
            return
        self._loop = loop
        if self._callback is None:
            self._future = loop.create_future()
        family = is_ip(self.hostname)
        if family:
            self._runtime.push(self._answer, ([(self.hostname, family)],))
        elif not self.hostname:
            self._runtime.push(self._answer, ([],))
        else:
            self._job = self._work
            try:
                self._pool.submit(self._job)
            except RuntimeError:
                error = resolution_error(socket.EAI_AGAIN, self.hostname)
                self._runtime.push(self._answer, (error,))

    def _work(self) -> None:
        """In a thread: ask the system and hand the answer to the loop."""
        found: list[tuple[str, int]] | Exception
        try:
            found = self._resolver(self.hostname, self._family, self._hints)
        except Exception as error:
            found = error
        loop = self._loop
        assert loop is not None
        try:
            loop.call_soon_threadsafe(self._arrived, found)
        except RuntimeError:
            pass  # the loop was closed meanwhile: nobody waits

    def _arrived(self, found: list[tuple[str, int]] | Exception) -> None:
        if isinstance(found, Exception):
            found = lookup_error(found, self.hostname)
        elif not found:
            found = resolution_error(socket.EAI_NONAME, self.hostname)
        self._runtime.enter(self._answer, (found,), None)

    def _answer(self, found: list[tuple[str, int]] | Exception) -> None:
        if self._answered:
            return
        self._answered = True
        self._runtime.release(self)
        if isinstance(found, Exception):
            self._fail(found)
            return
        if self._order != 'verbatim':
            first = 4 if self._order == 'ipv4first' else 6
            found = sorted(found, key=lambda one: one[1] != first)
        records = [Record(address=address, family=family) for address, family in found]
        if self._all:
            self._succeed(records, (None, records))
            return
        one = records[0] if records else Record(address=None, family=self._family or 4)
        self._succeed(one, (None, one['address'], one['family']))

    def _succeed(self, result: Any, args: tuple[Any, ...]) -> None:
        if self._callback is not None:
            self._callback(*args)
        elif self._future is not None and not self._future.done():
            self._future.set_result(result)

    def _fail(self, error: Exception) -> None:
        if self._callback is not None:
            self._callback(error)
        elif self._future is not None and not self._future.done():
            self._future.set_exception(error)
