"""What JavaScript makes of a value where Node does not check its type, for the values of Python.

Node's functions take what JavaScript's conversions make of an argument. One table for all of
tailrace, taken from Node 24 by running it; what has no natural meaning in Python is refused with
Node's code by the checks in ``_validate.py``.

| kind | followed | refused, or read as "not given" |
|---|---|---|
| absent (options that Node tests with ``if``) | None, False, 0, NaN, '' are "not given" | |
| port | whole numbers, text of one (decimal, 0x, 0o, 0b, 1e2, blanks around) | all else |
| path, host | text; what is absent | all else |
| backlog | numbers and text of one | all else is "not given", as in Node |
| count of bytes to read | numbers (their whole part), text that begins with one | all else |
| delay | numbers, text of one | all else |
| boolean | what Python calls true | |
| callback | what can be called; surplus arguments of callbacks are left out | all else |

Pure functions; they know no option by name.
"""

from __future__ import annotations

import math
import re
from typing import Any

__all__ = ['NULL', 'absent', 'leading_int', 'number_of', 'to_number']

_leading_int = re.compile(r'\s*([+-]?[0-9]+)').match
_text_of_number = re.compile(
    r'[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|Infinity)'
).fullmatch
_bases = {'0x': 16, '0o': 8, '0b': 2}
_digits = {16: re.compile('[0-9a-fA-F]+'), 8: re.compile('[0-7]+'), 2: re.compile('[01]+')}


class _Null:
    """JavaScript's null, where None means "not given": a first argument that is None."""

    def __repr__(self) -> str:
        return 'None'


NULL = _Null()


def absent(value: Any) -> bool:
    """Whether an option counts as not given where Node writes ``if (options.x)``.

    Containers count as given, also empty ones.
    """
    if value is None or value is False:
        return True
    if isinstance(value, str):
        return not value
    return isinstance(value, (int, float)) and (value == 0 or value != value)


def number_of(value: Any) -> int | float:
    """JavaScript's ``Number(value)`` of numbers and text; NaN for everything else."""
    if isinstance(value, bool):
        return math.nan
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, str):
        return math.nan
    text = value.strip()
    if not text:
        return 0
    base = _bases.get(text[:2].lower())
    if base is not None:
        digits = text[2:]
        return int(digits, base) if _digits[base].fullmatch(digits) else math.nan
    if not text.isascii() or _text_of_number(text) is None:
        return math.nan
    number = float(text.replace('Infinity', 'inf'))
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def to_number(value: Any) -> int | float | None:
    """``number_of(value)`` if that is not negative (Node's ``toNumber``), else None."""
    number = number_of(value)
    return number if number >= 0 else None


def leading_int(value: Any) -> int | None:
    """The whole number that a number or text begins with (``parseInt``); None if there is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else None
    if isinstance(value, str):
        found = _leading_int(value)
        # More digits than any size has would only cost time (int() of text is quadratic).
        return None if found is None or len(found[1]) > 20 else int(found[1])
    return None
