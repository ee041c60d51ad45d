"""The figures as metrics, read back from prometheus-client's own registry and text."""

from __future__ import annotations

from typing import Any

import pytest

prometheus = pytest.importorskip('prometheus_client')

import tailrace  # noqa: E402
from tailrace import diagnostics, errors, net  # noqa: E402
from tailrace.adapters.prometheus import TailraceCollector  # noqa: E402

from ..net.serving import client, echo, server_on, started, stopped  # noqa: E402


def test_metrics_of_named_servers(run: Any) -> None:
    async def main() -> None:
        registry = prometheus.CollectorRegistry()
        server, _ = server_on(max_connections=1)
        server.on('connection', echo)
        TailraceCollector(registry, {'echo': server})
        port = await started(server)

        def value(name: str, **labels: str) -> Any:
            return registry.get_sample_value(
                f'tailrace_server_{name}', {'server': 'echo', **labels}
            )

        async with client(port) as one:
            await one.ask(b'12345')
            async with client(port) as two:
                assert await two.rest() == b''
            assert value('accepted_connections_total') == 1
            assert value('open_connections') == 1
            assert value('rejected_connections_total', reason='maxConnections') == 1
            assert value('received_bytes_total') == 5 == value('sent_bytes_total')
            assert value('queued_bytes') == 0
            assert value('resets_total') == value('idle_timeouts_total') == 0
        await stopped(server)
        assert value('open_connections') == 0
        assert value('accept_queue') is None

    run(main)


def test_metrics_of_the_process(run: Any) -> None:
    async def main() -> None:
        registry = prometheus.CollectorRegistry()
        TailraceCollector(registry)
        server, _ = server_on()
        port = await started(server)
        sock = await net.connect(port, '127.0.0.1')
        with pytest.raises(errors.NodeOSError):
            await net.connect(port, '127.0.0.1', local_address='192.0.2.1')
        delay = diagnostics.monitor_event_loop_delay()
        delay.enable()
        waits = diagnostics.monitor_accept_delay()
        waits.enable()
        now = tailrace.stats()
        text = prometheus.generate_latest(registry).decode()
        for line in (
            f'tailrace_client_connected_total {float(now.client.connected)}',
            f'tailrace_client_connect_failures_total {float(now.client.failed)}',
            f'tailrace_server_accepted_connections_total{{server="all"}} '
            f'{float(now.server.accepted)}',
            'tailrace_client_errors_total{code="EADDRNOTAVAIL"} '
            f'{float(now.client.errors["EADDRNOTAVAIL"])}',
            'tailrace_loop_delay_mean_seconds 0.0',
            'tailrace_accept_delay_max_seconds 0.0',
            '# TYPE tailrace_client_open_connections gauge',
        ):
            assert line in text
        delay.disable()
        waits.disable()
        sock.destroy()
        for one in list(server._sockets):
            one.destroy()
        await stopped(server)

    run(main)


def test_wrong_arguments() -> None:
    for servers in ([1], {'x': 1}):
        with pytest.raises(errors.NodeError) as caught:
            TailraceCollector(None, servers)  # type: ignore[arg-type]
        assert caught.value.code == 'ERR_INVALID_ARG_TYPE'
