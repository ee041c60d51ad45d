"""Checks of arguments: each names the argument, says what it wants and what it got.

Pure functions; they know the error classes and nothing else. ``bool`` is never a number here,
and a duration is milliseconds or a ``datetime.timedelta``.
"""

from __future__ import annotations

import math
import reprlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeGuard

from ._coerce import number_of
from .errors import InvalidArgTypeError, InvalidArgValueError, OutOfRangeError, SocketBadPortError

__all__ = [
    'MAX_TIMEOUT',
    'bad_type',
    'bad_value',
    'bad_value_because',
    'check_bool',
    'check_callable',
    'check_int',
    'check_number',
    'check_port',
    'check_str',
    'is_mapping',
    'milliseconds',
    'out_of_range',
    'shown',
]

#: The longest timer: 2**31 - 1 ms, a little under 25 days.
MAX_TIMEOUT = 2**31 - 1


def shown(value: object) -> str:
    """A short text of a value for an error message: its type and, if short, the value."""
    if value is None:
        return 'None'
    return f'{type(value).__name__} {_short.repr(value)}'


class _Short(reprlib.Repr):
    """Texts of at most 60 characters, without building the whole text of a large value."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxstring = self.maxother = self.maxlong = 60

    def repr(self, x: object) -> str:
        text = super().repr(x)
        return text if len(text) <= 60 else text[:57] + '...'

    def repr_str(self, x: str, level: int) -> str:
        return repr(x) if len(x) <= 60 else repr(x[:60])

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x) if len(x) <= 60 else repr(x[:60])

    def repr_bytearray(self, x: bytearray, level: int) -> str:
        return repr(x) if len(x) <= 60 else repr(x[:60])

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write more than 4300 digits.
        return repr(x) if -(10**60) < x < 10**60 else f'of {x.bit_length()} bits'

    def repr_instance(self, x: object, level: int) -> str:
        try:
            return repr(x)
        except Exception as error:  # what a user's __repr__ raises must not replace our error
            return f'(its repr raised {type(error).__name__})'


_short = _Short()


def bad_type(name: str, wanted: str, value: object) -> NoReturn:
    """Raise ERR_INVALID_ARG_TYPE: ``name`` must be ``wanted``."""
    raise InvalidArgTypeError(f'{name} must be {wanted}, not {shown(value)}')


def bad_value(name: str, wanted: str, value: object) -> NoReturn:
    """Raise ERR_INVALID_ARG_VALUE: ``name`` must be ``wanted``."""
    raise InvalidArgValueError(f'{name} must be {wanted}, not {shown(value)}')


def bad_value_because(text: str) -> NoReturn:
    """Raise ERR_INVALID_ARG_VALUE with ``text``, where the value itself would not help a reader."""
    raise InvalidArgValueError(text)


def out_of_range(name: str, wanted: str, value: object) -> NoReturn:
    """Raise ERR_OUT_OF_RANGE: ``name`` must be ``wanted``."""
    raise OutOfRangeError(f'{name} must be {wanted}, not {shown(value)}')


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether ``value`` can be an options mapping; its keys are looked at when they are used."""
    return isinstance(value, Mapping)


def check_callable(name: str, value: Any) -> Callable[..., Any]:
    """``value`` if it can be called, else ERR_INVALID_ARG_TYPE."""
    if not callable(value):
        bad_type(name, 'a function', value)
    return value  # type: ignore[no-any-return]


def check_str(name: str, value: Any) -> str:
    """``value`` if it is text, else ERR_INVALID_ARG_TYPE."""
    if not isinstance(value, str):
        bad_type(name, 'a string', value)
    return value


def check_bool(name: str, value: Any) -> bool:
    """``value`` if it is True or False, else ERR_INVALID_ARG_TYPE."""
    if not isinstance(value, bool):
        bad_type(name, 'True or False', value)
    return value


def check_number(name: str, value: Any) -> int | float:
    """``value`` if it is an int or float (no bool), else ERR_INVALID_ARG_TYPE."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        bad_type(name, 'a number', value)
    return value


def check_int(name: str, value: Any, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``.

    Not a number: ERR_INVALID_ARG_TYPE; a fraction or outside the range: ERR_OUT_OF_RANGE.
    """
    number = check_number(name, value)
    if isinstance(number, float):
        if not number.is_integer():
            out_of_range(name, 'a whole number', value)
        number = int(number)
    if not low <= number <= high:
        out_of_range(name, f'from {low} to {high}', value)
    return number


def check_port(name: str, value: Any) -> int:
    """A port: a whole number from 0 to 65535, or text of one; ERR_SOCKET_BAD_PORT.

    Other types are ERR_SOCKET_BAD_PORT too; callers that must tell types apart check first.
    """
    number = number_of(value)
    if (isinstance(value, str) and not value.strip()) or not (
        0 <= number <= 65535 and number == int(number)
    ):
        raise SocketBadPortError(f'{name} must be a port from 0 to 65535, not {shown(value)}')
    return int(number)


def in_ms(value: Any) -> Any:
    """A ``timedelta`` as a number of ms; anything else as it is."""
    # Who has one has imported the module, which takes a millisecond.
    kind: Any = getattr(sys.modules.get('datetime'), 'timedelta', None)
    return value / kind(milliseconds=1) if kind is not None and isinstance(value, kind) else value


def milliseconds(name: str, value: Any) -> int | float:
    """A duration in ms out of a number or a ``timedelta``: finite and not negative."""
    value = in_ms(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        bad_type(name, 'a number of milliseconds or a datetime.timedelta', value)
    number: int | float = value
    if number < 0 or (isinstance(number, float) and not math.isfinite(number)):
        out_of_range(name, 'a duration in ms that is finite and not negative', value)
    return number
