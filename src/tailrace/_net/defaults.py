"""The process-wide defaults of family autoselection, and the flags that set them at the start.

Spec rows MF-16 to MF-19, CO-01 to CO-03, AM-22, AM-23. The environment variable
``TAILRACE_OPTIONS`` is read once, when this module is imported; the setters override it.
This file does not know who asks.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._validate import MAX_TIMEOUT, bad_type, check_bool, check_int, in_ms

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = [
    'attempt_timeout',
    'get_default_auto_select_family',
    'get_default_auto_select_family_attempt_timeout',
    'parse_flags',
    'set_default_auto_select_family',
    'set_default_auto_select_family_attempt_timeout',
]

#: RFC 8305 section 5: 250 ms recommended, never below 10 ms.
_DEFAULT_TIMEOUT = 250
_LEAST_TIMEOUT = 10

_SELECT = {
    '--network-family-autoselection': True,
    '--enable-network-family-autoselection': True,
    '--no-network-family-autoselection': False,
    '--no-enable-network-family-autoselection': False,
}
_TIMEOUT = '--network-family-autoselection-attempt-timeout'

_auto_select: bool = True
_attempt_timeout: int = _DEFAULT_TIMEOUT


def get_default_auto_select_family() -> bool:
    """What ``auto_select_family`` is when a connect does not say; True at first."""
    return _auto_select


def set_default_auto_select_family(value: bool) -> None:
    """Set that default for later connects. Not a bool: ERR_INVALID_ARG_TYPE."""
    global _auto_select
    _auto_select = check_bool('value', value)


def get_default_auto_select_family_attempt_timeout() -> int:
    """Ms that one attempt gets when a connect does not say; 250 at first."""
    return _attempt_timeout


def set_default_auto_select_family_attempt_timeout(value: int | timedelta) -> None:
    """Set that default, in ms or as a timedelta. Below 10 counts as 10.

    0, negative, fractional or above 2**31-1: ERR_OUT_OF_RANGE; no number: ERR_INVALID_ARG_TYPE.
    """
    global _attempt_timeout
    _attempt_timeout = attempt_timeout('value', value)


def attempt_timeout(name: str, value: Any) -> int:
    """An attempt timeout in ms, checked and raised to at least 10."""
    value = in_ms(value)
    if value is None:
        bad_type(name, 'a number', value)
    return max(_LEAST_TIMEOUT, check_int(name, value, 1, MAX_TIMEOUT))


def parse_flags(argv: Sequence[str]) -> list[str]:
    """Apply the flags of autoselection at the start of ``argv``; gives the rest.

    Stops at the first argument that is none of them: the script, or another's flag.
    ``--network-family-autoselection-attempt-timeout`` takes its value after ``=`` or as the next
    argument; underscores count as dashes; the last of several wins. A bad value is a
    ``RuntimeWarning`` and leaves 250 ms.
    """
    global _auto_select, _attempt_timeout
    rest = list(argv)
    while rest:
        name, equals, value = rest[0].partition('=')
        name = name.replace('_', '-')
        if name in _SELECT and not equals:
            _auto_select = _SELECT[name]
        elif name == _TIMEOUT and (equals or len(rest) > 1):
            if not equals:
                value = rest.pop(1)
            _attempt_timeout = _flag_timeout(value)
        else:
            break
        del rest[0]
    return rest


def _flag_timeout(text: str) -> int:
    try:
        return attempt_timeout(_TIMEOUT, int(text))
    except ValueError:
        warnings.warn(
            f'{_TIMEOUT} needs a whole number of ms from 1 to {MAX_TIMEOUT}, not {text!r}; '
            f'{_DEFAULT_TIMEOUT} is used',
            RuntimeWarning,
            stacklevel=3,
        )
        return _DEFAULT_TIMEOUT


def _read_environment() -> None:
    text = os.environ.get('TAILRACE_OPTIONS')
    if not text:
        return
    import shlex

    try:
        flags = shlex.split(text)
    except ValueError as error:
        warnings.warn(f'TAILRACE_OPTIONS: {error}', RuntimeWarning, stacklevel=2)
        return
    rest = parse_flags(flags)
    if rest:
        warnings.warn(
            f'TAILRACE_OPTIONS: {rest[0]!r} is no option of tailrace; it and what follows it '
            'are ignored',
            RuntimeWarning,
            stacklevel=2,
        )


_read_environment()
