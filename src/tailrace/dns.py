"""Names to addresses, as the operating system resolves them: the ``lookup`` of Node's ``dns``."""

from __future__ import annotations

import typing as _typing

from ._dns import (
    ADDRCONFIG,
    ALL,
    V4MAPPED,
    get_default_result_order,
    lookup,
    set_default_result_order,
)
from ._names import module_names as _module_names

__all__ = [
    'ADDRCONFIG',
    'ALL',
    'V4MAPPED',
    'get_default_result_order',
    'lookup',
    'set_default_result_order',
]

if _typing.TYPE_CHECKING:  # Node's spellings
    getDefaultResultOrder = get_default_result_order
    setDefaultResultOrder = set_default_result_order
else:
    # One mechanism for all; a type checker would take every name for one of these.
    __getattr__, __dir__ = _module_names(__name__, __all__, globals())
