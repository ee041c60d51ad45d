"""The PROXY protocol, versions 1 and 2: what a balancer says before the client's first byte.

Servers and sockets speak it by options: ``create_server(proxy_protocol='required', ...)`` and
``connect(proxy_protocol=...)``. Here are the header as a value, and its bytes for other uses.
Source: ``doc/proxy-protocol.txt`` of haproxy.
"""

import typing as _typing

from ._names import module_names as _module_names
from ._proxy import MAX_HEADER, ProxyHeader, SSLInfo, TLVType, build, parse
from .errors import ProxyProtocolError

__all__ = [
    'MAX_HEADER',
    'ProxyHeader',
    'ProxyProtocolError',
    'SSLInfo',
    'TLVType',
    'build',
    'parse',
]

if not _typing.TYPE_CHECKING:
    __getattr__, __dir__ = _module_names(__name__, __all__, globals())
