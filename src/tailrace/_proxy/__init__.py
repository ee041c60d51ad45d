"""The PROXY protocol, versions 1 and 2: its header as a value, and as bytes.

Written after ``doc/proxy-protocol.txt`` of haproxy (revision of 2020/03/05); "section" in these
files is one of that text. Nothing here knows a socket, a loop or a server: bytes come in, a
:class:`ProxyHeader` comes out, and the other way round.
"""

from .header import ProxyHeader, SSLInfo, TLVType
from .wire import MAX_HEADER, build, parse

__all__ = ['MAX_HEADER', 'ProxyHeader', 'SSLInfo', 'TLVType', 'build', 'parse']
