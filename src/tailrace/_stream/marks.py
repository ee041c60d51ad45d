"""High-water marks: the defaults and the options that set them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from .._validate import bad_value, check_int

__all__ = ['get_default_high_water_mark', 'mark_of', 'set_default_high_water_mark']

_defaults = {False: 16384 if sys.platform == 'win32' else 65536, True: 16}


def get_default_high_water_mark(object_mode: bool = False) -> int:
    """The mark of streams that are given none: 65536 bytes (16384 on Windows), or 16 objects."""
    return _defaults[bool(object_mode)]


def set_default_high_water_mark(object_mode: bool, value: int) -> None:
    """Change that default for streams made from now on.

    Raises ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE.
    """
    _defaults[bool(object_mode)] = check_int('value', value, 0, 2**53)


def mark_of(options: Mapping[str, Any], side: str, object_mode: bool) -> int:
    """The mark of one side ('readable' or 'writable') out of a stream's options.

    ``high_water_mark`` counts for both sides and comes first, as in Node. Raises
    ERR_INVALID_ARG_VALUE for whatever is no whole number, and for a negative one.
    """
    name = 'high_water_mark'
    value = options.get(name)
    if value is None:
        name = f'{side}_high_water_mark'
        value = options.get(name)
    if value is None:
        return get_default_high_water_mark(object_mode)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (whole or (isinstance(value, float) and value.is_integer())) or value < 0:
        bad_value(f'options.{name}', 'a whole number that is not negative', value)
    return int(value)
