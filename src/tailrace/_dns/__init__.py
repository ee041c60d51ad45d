"""Host names: the system's resolver off the loop, and asking a resolver that the user gave.

It refuses to know sockets and connections.
"""

from .lookup import (
    ADDRCONFIG,
    ALL,
    V4MAPPED,
    LookupRequest,
    get_default_result_order,
    lookup,
    set_default_result_order,
)

__all__ = [
    'ADDRCONFIG',
    'ALL',
    'V4MAPPED',
    'LookupRequest',
    'get_default_result_order',
    'lookup',
    'set_default_result_order',
]
