"""What a program can say of its connections: figures, channels, logs, the delay of the loop.

All of it costs nothing until it is asked for. The page Observability shows how it is used.
"""

import typing as _typing

from ._names import module_names as _module_names
from ._net.accept_delay import AcceptDelay, monitor_accept_delay
from ._net.channels import Channel, channel, has_subscribers, subscribe, unsubscribe
from ._net.counting import ClientStats, ProcessStats, Stats, stats
from ._net.delay import LoopDelay, monitor_event_loop_delay
from ._net.observing import ConnectionLog, log_connections
from ._status import serve_status
from ._status_signal import StatusSignal, status_on_signal

__all__ = [
    'AcceptDelay',
    'Channel',
    'ClientStats',
    'ConnectionLog',
    'LoopDelay',
    'ProcessStats',
    'Stats',
    'StatusSignal',
    'channel',
    'has_subscribers',
    'log_connections',
    'monitor_accept_delay',
    'monitor_event_loop_delay',
    'serve_status',
    'stats',
    'status_on_signal',
    'subscribe',
    'unsubscribe',
]

if _typing.TYPE_CHECKING:  # Node's spellings
    hasSubscribers = has_subscribers
    logConnections = log_connections
    monitorAcceptDelay = monitor_accept_delay
    monitorEventLoopDelay = monitor_event_loop_delay
    serveStatus = serve_status
    statusOnSignal = status_on_signal
else:
    # One mechanism for all; a type checker would take every name for one of these.
    __getattr__, __dir__ = _module_names(__name__, __all__, globals())
