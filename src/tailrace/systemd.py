"""Talking to the service manager: readiness, reloads, the watchdog, and sockets it has opened.

systemd's protocols without a library; other managers that speak them work too. Without a manager
every function does nothing and says so, so that a program need not ask first.
"""

from ._systemd import (
    extend_timeout,
    is_managed,
    listen_fds,
    notify,
    ready,
    reloading,
    remove_fds,
    status,
    stopping,
    store_fds,
    watchdog,
    watchdog_interval,
)

__all__ = [
    'extend_timeout',
    'is_managed',
    'listen_fds',
    'notify',
    'ready',
    'reloading',
    'remove_fds',
    'status',
    'stopping',
    'store_fds',
    'watchdog',
    'watchdog_interval',
]
