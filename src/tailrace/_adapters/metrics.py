"""The figures of servers and of the process as metrics of prometheus-client.

prometheus-client is imported here and nowhere else. This file refuses to know how things are
counted: it reads ``stats()`` when it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry

from .._net.counting import ClientStats, Stats, stats
from .._net.server import Server
from .._validate import bad_type, is_mapping

__all__ = ['TailraceCollector']

#: Field, name of the metric, whether it only grows, what it says.
_COMMON = (
    ('bytes_read', 'received_bytes', True, 'Bytes received.'),
    ('bytes_written', 'sent_bytes', True, 'Bytes written, what is still queued included.'),
    ('queued_bytes', 'queued_bytes', False, 'Bytes that wait in the process.'),
    ('resets', 'resets', True, 'Connections that the peer has reset.'),
    ('timeouts', 'idle_timeouts', True, 'Idle timeouts.'),
)
_SERVER = (
    ('accepted', 'accepted_connections', True, 'Connections accepted.'),
    ('open', 'open_connections', False, 'Connections that are open.'),
    ('handed_over', 'handed_over_connections', True, 'Connections sent to child processes.'),
    ('accept_failures', 'accept_failures', True, 'Episodes in which accepting failed.'),
    ('accept_queue', 'accept_queue', False, 'Connections that wait in the system.'),
    *_COMMON,
)
_CLIENT = (
    ('attempts', 'connect_attempts', True, 'Calls of connect().'),
    ('connected', 'connected', True, 'Connections that were made.'),
    ('failed', 'connect_failures', True, 'Connections that could not be made.'),
    ('open', 'open_connections', False, 'Connections that are open.'),
    *_COMMON,
)


class TailraceCollector(Collector):
    """Metrics of this process: ``TailraceCollector([registry][, servers])`` registers itself.

    ``registry`` is a CollectorRegistry (default: prometheus-client's own; None: none), ``servers``
    a mapping of names to servers, each of which is a value of the label ``server``; without it
    there is one value, ``'all'``: all servers of the process together. Figures are taken when they
    are collected, in whatever thread does it. Raises ERR_INVALID_ARG_TYPE, and ValueError if the
    registry has the metrics already.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = REGISTRY,
        servers: Mapping[str, Server] | None = None,
    ) -> None:
        if servers is not None and not is_mapping(servers):
            bad_type('servers', 'a mapping of names to servers', servers)
        for name, server in (servers or {}).items():
            if not isinstance(server, Server):
                bad_type(f'servers[{name!r}]', 'a server', server)
        self._servers = None if servers is None else dict(servers)
        if registry is not None:
            registry.register(self)

    def collect(self) -> Iterator[Any]:
        """The metrics, for the registry."""
        now = stats()
        if self._servers is None:
            of_servers = {'all': now.server}
        else:
            of_servers = {name: server.stats() for name, server in self._servers.items()}
        for field, name, grows, text in _SERVER:
            family = _family('server', name, grows, text, ['server'])
            for label, record in of_servers.items():
                value = getattr(record, field)
                if value is not None:
                    family.add_metric([label], value)
            yield family
        yield from _by_key(of_servers, 'rejected', 'rejected_connections', 'reason')
        yield from _by_key(of_servers, 'errors', 'errors', 'code')
        for field, name, grows, text in _CLIENT:
            family = _family('client', name, grows, text, [])
            family.add_metric([], getattr(now.client, field))
            yield family
        family = _family('client', 'errors', True, 'Errors by their code.', ['code'])
        for code, count in now.client.errors.items():
            family.add_metric([code], count)
        yield family
        for name, ms, text in (
            ('loop_delay_mean', now.loop_delay, 'Delay of the event loop.'),
            ('loop_delay_max', now.loop_delay_max, 'Delay of the event loop.'),
            ('accept_delay_mean', now.accept_delay, 'Time that connections wait for accept.'),
            ('accept_delay_max', now.accept_delay_max, 'Time that connections wait for accept.'),
        ):
            if ms is not None:
                yield GaugeMetricFamily(f'tailrace_{name}_seconds', text, ms / 1000)


def _family(side: str, name: str, grows: bool, text: str, labels: list[str]) -> Any:
    kind: Any = CounterMetricFamily if grows else GaugeMetricFamily
    return kind(f'tailrace_{side}_{name}', text, labels=labels)


def _by_key(
    of_servers: Mapping[str, Stats | ClientStats], field: str, name: str, label: str
) -> Iterator[Any]:
    family = _family('server', name, True, f'Connections by {label}.', ['server', label])
    for server, record in of_servers.items():
        for key, count in getattr(record, field).items():
            family.add_metric([server, key], count)
    yield family
