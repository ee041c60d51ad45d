"""Options that the kernel wants before bind, connect or listen; and whose a socket file is.

Each is checked here and becomes numbers; what the system does not have is refused at once.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

from .._handles.facts import early_options
from .._handles.prepared import Early
from .._validate import bad_type, bad_value, check_bool, check_int, check_str, milliseconds
from ..errors import state_error

__all__ = ['check_early', 'check_owner']

#: How many connections may wait whose handshake is not complete, if no number is given.
FAST_OPEN_QUEUE = 256


def check_early(options: Mapping[str, Any], listening: bool) -> Early | None:
    """The options in the kernel's numbers; None if none is given.

    Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, and
    ERR_FEATURE_UNAVAILABLE_ON_PLATFORM for what this system does not have.
    """
    device, mark = options.get('bind_to_device'), options.get('mark')
    fast, defer = options.get('fast_open'), options.get('defer_accept')
    transparent = options.get('transparent')
    if device is None and mark is None and fast is None and defer is None and transparent is None:
        return None
    if device is not None:
        check_str('options.bind_to_device', device)
        if not device or len(device) > 15 or '\0' in device:  # IFNAMSIZ
            bad_value('options.bind_to_device', 'the name of an interface', device)
    if mark is not None:
        mark = check_int('options.mark', mark, 0, 2**32 - 1)
    if isinstance(fast, int) and not isinstance(fast, bool) and listening:
        fast = check_int('options.fast_open', fast, 0, 2**31 - 1)
    elif fast is not None:
        fast = check_bool('options.fast_open', fast) and (FAST_OPEN_QUEUE if listening else 1)
    if defer is not None:
        defer = math.ceil(milliseconds('options.defer_accept', defer) / 1000)
    if transparent is not None:
        check_bool('options.transparent', transparent)
    found = early_options(
        listening=listening,
        fast_open=fast or 0,
        defer_accept=defer or 0,
        device=device or '',
        mark=mark,
        transparent=bool(transparent),
    )
    if isinstance(found, str):
        raise state_error(
            'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', f'options.{found} is not available here'
        )
    return found


def check_owner(options: Mapping[str, Any]) -> tuple[int, int]:
    """The numbers of ``user`` and ``group``; -1: stays.

    Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, and ERR_INVALID_ARG_VALUE for an unknown name.
    """
    return _number(options, 'user', 'pwd'), _number(options, 'group', 'grp')


def _number(options: Mapping[str, Any], name: str, module: str) -> int:
    value = options.get(name)
    if value is None:
        return -1
    if isinstance(value, str):
        try:
            entries = importlib.import_module(module)
            found: int = (
                entries.getpwnam(value).pw_uid if name == 'user' else entries.getgrnam(value).gr_gid
            )
        except (ImportError, KeyError):
            bad_value(f'options.{name}', f'a {name} of this system', value)
        return found
    if isinstance(value, bool) or not isinstance(value, int):
        bad_type(f'options.{name}', 'a name or a number', value)
    return check_int(f'options.{name}', value, 0, 2**32 - 2)
