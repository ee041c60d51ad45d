"""A socket's options: idle timeout, Nagle, keep-alive, type of service, and what it holds.

What is set before there is a connection is remembered and applied to it (``settings.py``).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from .._names import node_names
from .._stream.state import L_DESTROYED
from .._validate import (
    MAX_TIMEOUT,
    bad_type,
    check_callable,
    check_int,
    is_mapping,
    milliseconds,
    shown,
)
from ..errors import system_error
from .known import Known
from .settings import Settings, keep_alive

if TYPE_CHECKING:
    from .option_types import Duration, OnConnect

__all__ = ['Tuned']


@node_names
class Tuned(Known):
    """The part of :class:`Socket` that takes its options; not used by itself."""

    def set_timeout(self, timeout: Duration, callback: OnConnect | None = None, /) -> Self:
        """Emit 'timeout' after ``timeout`` ms (or a timedelta) without activity.

        The connection is not closed. 0 switches it off, and takes ``callback`` away. ``callback``
        becomes a one-time 'timeout' listener. Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
        """
        if self._life & L_DESTROYED:
            return self
        ms = milliseconds('timeout', timeout)
        if ms > MAX_TIMEOUT:
            warnings.warn(
                f'{shown(ms)} ms is too long; 2**31 - 1 is used', RuntimeWarning, stacklevel=2
            )
        if callback is not None:
            check_callable('callback', callback)
        self._timeout = ms
        if self._idle is not None:
            self._idle.stop()
            self._idle = None
        if ms == 0:
            if callback is not None:
                self.off('timeout', callback)
        else:
            self._start_idle()
            if callback is not None:
                self.once('timeout', callback)
        return self

    def set_no_delay(self, no_delay: bool = True, /) -> Self:
        """Switch Nagle's algorithm off (True) or on (False); remembered until connected."""
        if self._handle is not None:
            self._handle.set_no_delay(bool(no_delay))
        else:
            self._remembered().no_delay = bool(no_delay)
        return self

    def set_keep_alive(
        self,
        enable: bool | Mapping[str, Any] = False,
        initial_delay: Duration | None = 0,
        interval: Duration | None = None,
        count: int | None = None,
        **options: Any,
    ) -> Self:
        """Switch keep-alive probes on or off; remembered until connected.

        ``initial_delay`` (ms): silence before the first probe; ``interval`` (ms) between probes;
        ``count`` of them. A delay of a second or more comes with an interval of 1 s and 10 probes
        unless they are given; below that, or with an interval under a second, all three stay as
        the system has them (Linux: 2 h, 75 s, 9). Also one mapping of these four.

        Raises ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE.
        """
        if options.keys() - {'initialDelay'}:
            raise TypeError(f'set_keep_alive() got an unexpected keyword: {min(options)!r}')
        initial_delay = options.get('initialDelay', initial_delay)
        if is_mapping(enable):
            given = enable
            enable = given.get('enable', False)
            initial_delay = given.get('initialDelay', given.get('initial_delay', 0))
            interval, count = given.get('interval'), given.get('count')
        delay, every, probes = keep_alive(initial_delay, interval, count)
        if self._handle is not None:
            self._handle.set_keep_alive(bool(enable), delay, every, probes)
        else:
            settings = self._remembered()
            settings.keep_alive = bool(enable)
            settings.delay, settings.interval, settings.count = delay, every, probes
        return self

    def set_type_of_service(self, tos: int, /) -> Self:
        """Set IP_TOS or IPV6_TCLASS, 0 to 255; remembered until connected.

        Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, or the system's error.
        """
        if tos != tos:
            bad_type('tos', 'a number', tos)
        value = check_int('tos', tos, 0, 255)
        self._remembered().tos = value
        if self._handle is not None and self._handle.kind == 'tcp':
            code = self._handle.set_type_of_service(value)
            if code > 0:
                raise system_error(code, 'setTypeOfService')
        return self

    def get_type_of_service(self) -> int:
        """The value in force, or the one remembered; 0 by default."""
        if self._handle is not None and self._handle.kind == 'tcp':
            value = self._handle.get_type_of_service()
            if value < 0:
                raise system_error(-value, 'getTypeOfService')
            return value
        return (self._settings.tos or 0) if self._settings is not None else 0

    def _remembered(self) -> Settings:
        if self._settings is None:
            self._settings = Settings()
        return self._settings

    def ref(self) -> Self:
        """Keep the program alive while open (the default); see ``tailrace.run``."""
        return self._set_ref(True)

    def unref(self) -> Self:
        """Let the program end although this socket is open."""
        return self._set_ref(False)

    def _set_ref(self, ref: bool) -> Self:
        handle = self._handle
        if handle is not None:
            if ref:
                handle.ref()
            else:
                handle.unref()
        elif self._under_way is None:
            self.once('connect', self.ref if ref else self.unref)
            return self
        self._refed = ref
        return self

    if TYPE_CHECKING:  # Node's spellings; see node_names
        setTimeout = set_timeout
        setNoDelay = set_no_delay
        setKeepAlive = set_keep_alive
        setTypeOfService = set_type_of_service
        getTypeOfService = get_type_of_service
