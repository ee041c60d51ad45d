"""Socket options that may be asked for before there is a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._addr import BlockList
from .._coerce import absent, number_of
from .._handles import StreamHandle
from .._validate import bad_type, check_int, check_number, milliseconds

__all__ = ['Settings', 'checked_block_list', 'keep_alive', 'seconds']

#: TCP_KEEPINTVL (s) and TCP_KEEPCNT that go with a delay of a second or more, as in libuv.
KEEP_INTERVAL = 1
KEEP_COUNT = 10
#: tcp(7) on Linux: no more seconds than this for TCP_KEEPIDLE and TCP_KEEPINTVL.
LONGEST = 32767


def seconds(name: str, ms: Any) -> int:
    """Whole seconds out of ms (a number, text of one, or a timedelta), at most ``LONGEST``.

    What is negative counts as 0.
    """
    if isinstance(ms, str):
        ms = number_of(ms)
    if isinstance(ms, (int, float)) and not isinstance(ms, bool):
        if ms != ms or ms < 0:
            return 0
        return LONGEST if ms >= LONGEST * 1000 else int(ms / 1000)
    return min(LONGEST, int(milliseconds(name, ms) / 1000))


def keep_alive(
    delay: Any, interval: Any = None, count: Any = None, name: str = 'initial_delay'
) -> tuple[int, int, int]:
    """Delay and interval in seconds, and the number of probes; 0 leaves the kernel's value.

    With a delay or an interval under a second all three stay the kernel's.
    """
    wait = seconds(name, 0 if delay is None else delay)
    every = KEEP_INTERVAL if interval is None else seconds('interval', interval)
    if isinstance(count, str):
        count = number_of(count)
    probes = KEEP_COUNT if count is None else check_int('count', count, 1, 127)
    return (wait, every, probes) if wait and every else (0, 0, 0)


class Settings:
    """What to set on the handle once it is connected."""

    __slots__ = ('count', 'delay', 'interval', 'keep_alive', 'no_delay', 'tos')

    def __init__(self) -> None:
        self.no_delay: bool | None = None
        self.keep_alive: bool | None = None
        #: Seconds; 0 leaves the kernel's value.
        self.delay = 0
        self.interval = 0
        self.count = 0
        self.tos: int | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any], base: Settings | None = None) -> Settings | None:
        """Settings out of socket or connect options, on top of ``base``; None if there are none.

        Raises ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE.
        """
        out = base or cls()
        given = base is not None
        delay = options.get('keep_alive_initial_delay')
        if delay is not None:
            if not hasattr(delay, 'total_seconds'):
                check_number('options.keep_alive_initial_delay', delay)
            out.delay, out.interval, out.count = keep_alive(
                delay, name='options.keep_alive_initial_delay'
            )
        if options.get('no_delay') is not None:
            out.no_delay = bool(options['no_delay'])
            given = True
        if options.get('keep_alive') is not None:
            out.keep_alive = bool(options['keep_alive'])
            given = True
        if options.get('type_of_service') is not None:
            out.tos = check_int('options.type_of_service', options['type_of_service'], 0, 255)
            given = True
        return out if given else None

    def apply(self, handle: StreamHandle) -> None:
        """Set everything that was asked for; what the platform lacks is left out."""
        if self.no_delay is not False:
            handle.set_no_delay(True)
        if self.keep_alive:
            handle.set_keep_alive(True, self.delay, self.interval, self.count)
        if self.tos is not None:
            handle.set_type_of_service(self.tos)


def checked_block_list(value: Any) -> BlockList | None:
    """``value`` if it is a BlockList, None if it is absent, else ERR_INVALID_ARG_TYPE."""
    if absent(value):
        return None
    if not isinstance(value, BlockList):
        bad_type('options.block_list', 'a BlockList', value)
    return value
