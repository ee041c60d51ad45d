"""The layers of the package, as data: ``test_layers.py`` holds the code to them, and the picture on
the design page is drawn from them (``docs/diagrams.py``).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ['ASYNCIO', 'LAYERS', 'REFUSES', 'Layer']


class Layer(NamedTuple):
    """What it is for, and its units: files or folders directly inside the package."""

    about: str
    units: tuple[str, ...]


#: From the top down.
LAYERS = (
    Layer(
        'what a user or the interpreter calls: names, nothing else',
        (
            *('__init__', '__main__', '_demo', '_program', '_cli', 'net', 'stream', 'dns'),
            *('cluster', 'child_process', 'process', 'testing', 'tls', 'systemd', 'framing'),
            *('proxy_protocol', 'clients', 'pytest_plugin', 'diagnostics'),
            'adapters',
        ),
    ),
    Layer('a running process seen from outside', ('_status', '_status_signal')),
    Layer('one call that serves: signals, readiness, reloads, the end', ('_serve',)),
    Layer(
        "sockets as asyncio and anyio know them; what users' tests need", ('_adapters', '_testing')
    ),
    Layer('TLS between a socket and its handle', ('_tls',)),
    Layer('one server in many processes, and the channels between them', ('_cluster',)),
    Layer('connections made again, connections shared', ('_clients',)),
    Layer('options, sockets, connecting, servers', ('_net',)),
    Layer('messages out of bytes, and back', ('_framing',)),
    Layer('reading and writing states, pipes, destruction', ('_stream',)),
    Layer('a non-blocking descriptor, and the loop that watches it', ('_handles',)),
    Layer(
        'asking the resolver; addresses and proxy headers as values', ('_dns', '_addr', '_proxy')
    ),
    Layer(
        'listeners, failures, the order of callbacks, what keeps a program alive',
        (
            *('events', '_event_series', '_event_sources', 'errors', '_errors', '_abort'),
            *('_listeners', '_waiting'),
            *('_pause', '_tick', '_collected', '_runtime', '_timers', '_running', '_resources'),
            *('_names', '_validate', '_coerce', '_compiled', '_systemd', '_tally'),
        ),
    ),
)

_LOOPS = {'_runtime', '_timers', '_tick', 'asyncio', 'select', 'selectors'}

#: What a unit refuses to know beyond that: units of the package, and modules of the library.
REFUSES = {
    '_net': {'select', 'selectors', 'errno'},
    '_stream': {'_handles', '_dns', '_addr', 'asyncio', 'socket', 'select', 'selectors', 'errno'},
    '_framing': {'_handles', '_dns', '_addr', '_runtime', '_timers', 'asyncio', 'socket', 'errno'},
    '_handles': {'events'},
    '_addr': {
        '_dns',
        'events',
        '_runtime',
        '_timers',
        '_tick',
        'asyncio',
        'select',
        'selectors',
        'errno',
    },
    '_proxy': {
        '_dns',
        'events',
        '_runtime',
        '_timers',
        '_tick',
        'asyncio',
        'select',
        'selectors',
        'errno',
    },
    '_cli': {'_net', '_stream', '_handles', '_tls', '_proxy', '_addr', '_dns', 'socket', 'errno'},
    '_tick': {'_runtime', '_timers', 'events', 'asyncio'},
    '_errors': {'events', '_runtime', '_timers', 'asyncio'},
    'errors': {'events', '_runtime', '_timers', 'asyncio'},
}

#: The modules that may import asyncio (prefixes of the name inside the package).
ASYNCIO = (
    *('_runtime', '_running', '_pause', '_collected', '_program', '_demo', '_event_series', '_cli'),
    *('_handles.engine', '_handles.selector', '_dns'),
    '_adapters',
    'adapters',
    '_serve',
    '_testing',
)
