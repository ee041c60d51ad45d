"""Cancelling what TLS waits for leaves nothing behind; see ``tests/cancelling.py``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from tailrace import net, tls

from ..cancelling import WAYS, Case, drive, settle
from .conftest import Certificates
from .test_socket import port_of, serving

Making = Callable[[Certificates, int], Awaitable[Any]]


async def connecting(certs: Certificates, port: int) -> None:
    (await tls.connect(port, '127.0.0.1', ca=certs.ca)).destroy()


async def refused(certs: Certificates, port: int) -> None:
    with pytest.raises(tls.TLSCertificateError):
        await tls.connect(port, '127.0.0.1', ca=certs.stranger.cert_pem.bytes())


async def starting(certs: Certificates, port: int) -> None:
    sock = await net.connect(port, '127.0.0.1')
    try:
        sock = await sock.start_tls(server_hostname='localhost', ca=certs.ca)
    finally:
        sock.destroy()


async def talking(certs: Certificates, port: int) -> None:
    async with tls.connect(port, '127.0.0.1', ca=certs.ca) as sock:
        sock.write('x\n')
        assert await sock.read_line() == b'x\n'
        sock.end()
        assert await sock.read_exactly(1) == b'y'


@asynccontextmanager
async def dialling(certs: Certificates, call: Making) -> AsyncIterator[Case]:
    def serve(sock: tls.TLSSocket) -> None:
        sock.on('error', lambda: None)
        sock.on('data', sock.write)
        sock.on('end', lambda: sock.end('y'))

    server = await serving(certs, serve, allow_half_open=True)
    server.on('tlsClientError', lambda: None)
    patient = call is talking  # it waits for the close
    yield Case(lambda: call(certs, port_of(server)), lambda: None, patient=patient)
    await settle()
    await server.close_all(0)


@asynccontextmanager
async def accepting(certs: Certificates) -> AsyncIterator[Case]:
    """A server's side that begins TLS in the middle."""
    arrived: list[net.Socket] = []
    server = await net.create_server(arrived.append).listen(0, '127.0.0.1')
    raw = await net.connect(port_of(server), '127.0.0.1')
    client = tls.TLSSocket(raw, ca=certs.ca, servername='localhost')
    client.on('error', lambda: None)
    client.resume()
    while not arrived:
        await settle(1)

    async def call() -> None:
        secured: Any = await arrived[0].start_tls(server_side=True, **certs.server)
        secured.end()
        await secured.wait_closed()

    yield Case(call, lambda: None)
    for sock in (client, arrived[0]):
        sock.destroy()
    await client.wait_closed()
    await server.close_all(0)


CASES: dict[str, Callable[[Certificates], Any]] = {
    'connect': lambda certs: dialling(certs, connecting),
    'connect, refused': lambda certs: dialling(certs, refused),
    'start_tls': lambda certs: dialling(certs, starting),
    'start_tls, server': accepting,
    'reading': lambda certs: dialling(certs, talking),
}


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('name', CASES)
def test_cancelling_leaves_nothing_behind(
    run: Any, certs: Certificates, name: str, way: str
) -> None:
    assert run(drive, partial(CASES[name], certs), way, run.unhandled, timeout=30)
