"""Connections as spans, read back from OpenTelemetry's own exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('opentelemetry.sdk')

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)
from opentelemetry.trace import SpanKind, StatusCode

from tailrace import net
from tailrace._tally import observers
from tailrace.adapters.opentelemetry import instrument

from ..net.serving import free_port, server_on, started, stopped, turns


@pytest.fixture
def exported() -> tuple[Any, Any]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter, provider


def test_a_connection_from_both_sides(run: Any, exported: tuple[Any, Any]) -> None:
    exporter, provider = exported

    async def main() -> None:
        server, _ = server_on()
        server.on('connection', lambda sock: sock.end(b'hello'))
        port = await started(server)
        with (
            instrument(provider),
            provider.get_tracer('test').start_as_current_span('request') as request,
        ):
            sock = await net.connect(port, '127.0.0.1')
            assert await sock.read_exactly(5) == b'hello'
            sock.end()
            await sock.wait_closed()
            while server.stats().open:
                await turns()
            spans = {(one.name, one.kind): one for one in exporter.get_finished_spans()}
            connect = spans['connect', SpanKind.CLIENT]
            ours = spans['connection', SpanKind.CLIENT]
            theirs = spans['connection', SpanKind.SERVER]
            at = connect.attributes
            assert at['network.transport'] == 'tcp'
            assert at['network.type'] == 'ipv4'
            assert (at['server.address'], at['server.port']) == ('127.0.0.1', port)
            assert (at['network.peer.address'], at['network.peer.port']) == ('127.0.0.1', port)
            assert at['network.local.port'] == theirs.attributes['network.peer.port']
            assert theirs.attributes['client.port'] == at['network.local.port']
            assert theirs.attributes['network.local.port'] == port
            assert ours.attributes['tailrace.bytes_read'] == 5
            assert theirs.attributes['tailrace.bytes_written'] == 5
            assert (
                connect.parent.span_id == ours.parent.span_id == request.get_span_context().span_id
            )
            assert theirs.parent is None
            assert {one.status.status_code for one in spans.values()} == {StatusCode.UNSET}
        await stopped(server)

    run(main)
    assert observers.closed is None


def test_what_fails(run: Any, exported: tuple[Any, Any], tmp_path: Path) -> None:
    exporter, provider = exported

    async def main() -> None:
        port, taken = free_port()
        taken.close()
        with instrument(provider):
            with pytest.raises(ConnectionRefusedError):
                await net.connect(port, '127.0.0.1')
            sock = net.connect(port, '127.0.0.1')
            sock.destroy()
            await sock.wait_closed()
            with pytest.raises(FileNotFoundError):
                await net.connect(path=str(tmp_path / 'none'))

    run(main)
    refused, aborted, missing = exporter.get_finished_spans()
    assert refused.attributes['error.type'] == 'ECONNREFUSED'
    assert refused.status.status_code is StatusCode.ERROR
    assert refused.events[0].name == 'exception'
    assert aborted.attributes['error.type'] == 'aborted'
    assert missing.attributes['network.transport'] == 'unix'
    assert missing.attributes['server.address'] == str(tmp_path / 'none')
    assert missing.attributes['error.type'] == 'ENOENT'


def test_spans_that_are_open_end_with_it(run: Any, exported: tuple[Any, Any]) -> None:
    exporter, provider = exported

    async def main() -> None:
        server, _ = server_on()
        port = await started(server)
        told = instrument(provider)
        sock = await net.connect(port, '127.0.0.1')
        other = net.connect(port, '127.0.0.1')
        told.close()
        told.close()
        names = sorted(one.name for one in exporter.get_finished_spans())
        assert names.count('connect') == 2
        assert 'connection' in names
        before = len(names)
        await other
        for one in (sock, other, *server._sockets):
            one.destroy()
        await stopped(server)
        assert len(exporter.get_finished_spans()) == before

    run(main)
