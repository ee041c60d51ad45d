"""tailrace: Node.js's net module for Python, on asyncio.

Everything of :mod:`tailrace.net` is here too, so ``import tailrace as net`` works. Siblings:
:mod:`tailrace.events`, :mod:`tailrace.stream`, :mod:`tailrace.dns`, :mod:`tailrace.errors`.
"""

import typing as _typing

from . import dns, errors, events, net, stream
from ._abort import AbortController, AbortSignal
from ._compiled import compiled_parts as _compiled_parts
from ._compiled import version as _version
from ._names import module_names as _module_names
from ._net.channels import channel
from ._net.connect import connect, create_connection
from ._net.counting import stats
from ._net.observing import trace_if_asked as _trace_if_asked
from ._program import run
from ._resources import active_resources
from ._runtime import next_tick
from ._serve.face import serve, serve_async
from ._timers import (
    clear_immediate,
    clear_interval,
    clear_timeout,
    set_immediate,
    set_interval,
    set_timeout,
)
from .errors import AbortError, AggregateError, NodeError
from .events import EventEmitter, error_monitor, once
from .net import (
    BlockList,
    BoundSocket,
    FileTransfer,
    PeerCredentials,
    Server,
    Socket,
    SocketAddress,
    TcpInfo,
    create_server,
    get_default_auto_select_family,
    get_default_auto_select_family_attempt_timeout,
    is_ip,
    is_ipv4,
    is_ipv6,
    set_default_auto_select_family,
    set_default_auto_select_family_attempt_timeout,
)
from .stream import Duplex, PassThrough, Readable, Transform, Writable

__all__ = [
    'AbortController',
    'AbortError',
    'AbortSignal',
    'AggregateError',
    'BlockList',
    'BoundSocket',
    'Duplex',
    'EventEmitter',
    'FileTransfer',
    'NodeError',
    'PassThrough',
    'PeerCredentials',
    'Readable',
    'Server',
    'Socket',
    'SocketAddress',
    'TcpInfo',
    'Transform',
    'Writable',
    'active_resources',
    'channel',
    'clear_immediate',
    'clear_interval',
    'clear_timeout',
    'compiled',
    'connect',
    'create_connection',
    'create_server',
    'dns',
    'error_monitor',
    'errors',
    'events',
    'get_default_auto_select_family',
    'get_default_auto_select_family_attempt_timeout',
    'is_ip',
    'is_ipv4',
    'is_ipv6',
    'net',
    'next_tick',
    'once',
    'run',
    'serve',
    'serve_async',
    'set_default_auto_select_family',
    'set_default_auto_select_family_attempt_timeout',
    'set_immediate',
    'set_interval',
    'set_timeout',
    'stats',
    'stream',
]

_trace_if_asked()

#: Which modules of this installation are compiled; empty for pure Python.
compiled: tuple[str, ...] = _compiled_parts()

if _typing.TYPE_CHECKING:
    #: The version that is installed.
    __version__: str

    # Node's spellings
    activeResources = active_resources
    clearImmediate = clear_immediate
    clearInterval = clear_interval
    clearTimeout = clear_timeout
    createConnection = create_connection
    createServer = create_server
    errorMonitor = error_monitor
    getDefaultAutoSelectFamily = get_default_auto_select_family
    getDefaultAutoSelectFamilyAttemptTimeout = get_default_auto_select_family_attempt_timeout
    isIP = is_ip
    isIPv4 = is_ipv4
    isIPv6 = is_ipv6
    nextTick = next_tick
    serveAsync = serve_async
    setDefaultAutoSelectFamily = set_default_auto_select_family
    setDefaultAutoSelectFamilyAttemptTimeout = set_default_auto_select_family_attempt_timeout
    setImmediate = set_immediate
    setInterval = set_interval
    setTimeout = set_timeout
else:
    # One mechanism for all; a type checker would take every name for one of these.
    _getattr, __dir__ = _module_names(__name__, __all__, globals())

    def __getattr__(name):
        # Asked for when it is wanted: reading the metadata takes 10 ms.
        return _version() if name == '__version__' else _getattr(name)
