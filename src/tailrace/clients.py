"""Clients that last: a connection that is made again, and a pool of connections.

- :class:`Reconnecting`: one connection, made again when it is lost, with a growing, random wait.
- :class:`Pool`: several, lent to one user at a time, checked and renewed.
- :class:`Backoff`: how long to wait between attempts.

Both take a function that makes a connection, so that TLS, Unix sockets and log-ins are the
caller's: ``Pool(lambda: tls.connect(6380, 'db.example'))``.
"""

from ._clients.backoff import Backoff
from ._clients.pool import Pool, PoolCounts
from ._clients.reconnecting import Reconnecting

__all__ = ['Backoff', 'Pool', 'PoolCounts', 'Reconnecting']
