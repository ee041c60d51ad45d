"""Node's ``net`` module: TCP and IPC servers and clients.

``from tailrace import net`` reads like ``import net from 'node:net'``. Every name exists in both
spellings: ``net.create_server`` and ``net.createServer``.
"""

import typing as _typing

from ._addr import BlockList, SocketAddress, is_ip, is_ipv4, is_ipv6
from ._handles.facts import PeerCredentials, TcpInfo
from ._names import module_names as _module_names
from ._net import promises
from ._net.bound import BoundSocket
from ._net.connect import connect, create_connection
from ._net.defaults import (
    get_default_auto_select_family,
    get_default_auto_select_family_attempt_timeout,
    set_default_auto_select_family,
    set_default_auto_select_family_attempt_timeout,
)
from ._net.sending import FileTransfer
from ._net.server import Server, create_server
from ._net.socket import Socket

__all__ = [
    'BlockList',
    'BoundSocket',
    'FileTransfer',
    'PeerCredentials',
    'Server',
    'Socket',
    'SocketAddress',
    'TcpInfo',
    'connect',
    'create_connection',
    'create_server',
    'get_default_auto_select_family',
    'get_default_auto_select_family_attempt_timeout',
    'is_ip',
    'is_ipv4',
    'is_ipv6',
    'promises',
    'set_default_auto_select_family',
    'set_default_auto_select_family_attempt_timeout',
]

if _typing.TYPE_CHECKING:  # Node's spellings
    createConnection = create_connection
    createServer = create_server
    getDefaultAutoSelectFamily = get_default_auto_select_family
    getDefaultAutoSelectFamilyAttemptTimeout = get_default_auto_select_family_attempt_timeout
    isIP = is_ip
    isIPv4 = is_ipv4
    isIPv6 = is_ipv6
    setDefaultAutoSelectFamily = set_default_auto_select_family
    setDefaultAutoSelectFamilyAttemptTimeout = set_default_auto_select_family_attempt_timeout
else:
    # One mechanism for all; a type checker would take every name for one of these.
    __getattr__, __dir__ = _module_names(__name__, __all__, globals())
