"""Echo on tailrace with limits on connections, none of which is reached: what looking costs."""

import sys

import tailrace_echo

from tailrace import net

PEERS = {
    'max_connections_per_address': 1_000_000,
    'max_connections_per_network': 1_000_000,
    'max_rate_per_address': 1_000_000,
    'max_rate_per_network': 1_000_000,
}
REST = {'max_accept_rate': 1_000_000, 'max_queued_bytes': 1 << 40, 'min_read_rate': 0.001}
CHOICES = {
    'off': {},
    'count': {'max_connections_per_address': 1_000_000},
    'peers': PEERS,
    'all': PEERS | REST,
}

chosen = CHOICES[sys.argv.pop(1)]
tailrace_echo.run(
    __doc__, lambda sock: sock.on('data', sock.write), lambda: net.create_server(chosen)
)
