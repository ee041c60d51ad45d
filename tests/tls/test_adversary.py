"""Peers and wires that do what they should not: cut, slow, wrong bytes, half a handshake.

Whatever comes, the other connections go on, nothing is taken for whole that is not, and what one
peer can make the server keep or compute is bounded.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import ssl
import weakref
from typing import Any

import pytest

from tailrace import events, net, tls
from tailrace.testing import memory_pair

from .conftest import Certificates
from .test_socket import client, port_of, serving, stop

needs_openssl = pytest.mark.skipif(shutil.which('openssl') is None, reason='no openssl')
VERSIONS = ['TLSv1.2', 'TLSv1.3']


class Wire:
    """Between a client and a server: carries the server's bytes up to a place, then ends."""

    def __init__(self, port: int, least: int, most: int) -> None:
        self.port = port
        self.left = most
        self.least = least
        self.carried = 0
        self.server = net.create_server({'no_delay': True}, self.carry)

    def carry(self, near: net.Socket) -> None:
        far = net.connect(self.port, '127.0.0.1')
        for one in (near, far):
            one.on('error', lambda: None)
        near.on('data', far.write)
        near.on('end', far.end)
        near.on('close', lambda: far.destroy())

        def back(data: bytes) -> None:
            data = data[: self.left]
            self.left -= len(data)
            self.carried += len(data)
            near.write(data)
            if not self.left:
                near.end()
                far.destroy()

        far.on('data', back)
        far.on('end', near.end)


async def through(
    certs: Certificates, port: int, most: int, **options: Any
) -> tuple[list[str], int, Wire]:
    """The events of a client whose server's bytes are cut off, and the bytes of data it had."""
    wire = Wire(port, 0, most)
    await wire.server.listen(0, '127.0.0.1')
    sock = tls.connect(port_of(wire.server), '127.0.0.1', ca=certs.ca, **options)
    seen: list[str] = []
    size = 0

    def data(chunk: bytes) -> None:
        nonlocal size
        size += len(chunk)

    sock.on('data', data)
    sock.on('secureConnect', lambda: seen.append('secure'))
    sock.on('end', lambda: seen.append('end'))
    sock.on('error', lambda error: seen.append(error.code))
    await sock.wait_closed()
    await wire.server.close_all(deadline=5000)
    return seen, size, wire


@pytest.mark.parametrize('version', VERSIONS)
def test_a_stream_that_is_cut_anywhere(run: Any, certs: Certificates, version: str) -> None:
    async def main() -> None:
        def serve(sock: tls.TLSSocket) -> None:
            sock.on('error', lambda: None)
            sock.end(b'x' * 3000)

        server = await serving(certs, serve, max_version=version)
        server.on('tlsClientError', lambda: None)
        seen, size, wire = await through(certs, port_of(server), 1 << 30)
        assert (seen, size) == (['secure', 'end'], 3000)
        whole = wire.carried
        places = {*range(0, whole, 151), *range(whole - 30, whole, 3)}
        for most in sorted(places - {0}):
            seen, size, _ = await through(certs, port_of(server), most)
            if 'secure' not in seen:
                assert seen == ['ECONNRESET']
                assert size == 0
            else:
                assert seen == ['secure', 'ERR_TLS_TRUNCATED'], most
                assert size in (0, 3000)
            seen, size, _ = await through(certs, port_of(server), most, allow_truncation=True)
            assert seen in (['ECONNRESET'], ['secure', 'end'])
        await stop(server)

    run(main, timeout=60)


@pytest.mark.parametrize('version', VERSIONS)
def test_a_wire_that_carries_byte_by_byte(run: Any, certs: Certificates, version: str) -> None:
    """Also the ClientHello, and records across both halves of the close."""

    async def main() -> None:
        async def serve(sock: tls.TLSSocket) -> None:
            got = b''.join([chunk async for chunk in sock.iterator(destroy_on_return=False)])
            sock.end(got[::-1])
            await sock.wait_closed()

        server = await serving(certs, serve, max_version=version, allow_half_open=True)

        def drip(near: net.Socket) -> None:
            far = net.connect(port_of(server), '127.0.0.1', no_delay=True)
            for here, there in ((near, far), (far, near)):
                here.on('error', lambda: None)
                here.on(
                    'data',
                    lambda data, there=there: [
                        there.write(data[i : i + 1]) for i in range(len(data))
                    ],
                )
                here.on('end', there.end)

        wire = await net.create_server({'no_delay': True, 'allow_half_open': True}, drip).listen(
            0, '127.0.0.1'
        )
        sock = await tls.connect(port_of(wire), '127.0.0.1', ca=certs.ca, allow_half_open=True)
        sock.end(bytes(range(256)) * 4)
        got = b''.join([chunk async for chunk in sock])
        assert got == (bytes(range(256)) * 4)[::-1]
        await wire.close_all(deadline=5000)
        assert await server.close_all(deadline=5000) == 0

    run(main, timeout=60)


WRONG = {
    'a record that is too long': b'\x17\x03\x03\x48\x01' + bytes(0x4801),
    'no record': b'GET / HTTP/1.1\r\n\r\n',
    'a record that nobody encrypted': b'\x17\x03\x03\0\x20' + bytes(32),
    'an alert in the clear': b'\x15\x03\x03\0\x02\x02\x28',
    'a hello in the clear': b'\x16\x03\x01\0\x05\x01\0\0\x01\0',
}


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('what', WRONG)
def test_wrong_bytes_after_the_handshake(
    run: Any, certs: Certificates, what: str, version: str
) -> None:
    async def main() -> None:
        got: list[bytes] = []
        errors: list[Any] = []
        accepted: list[tls.TLSSocket] = []

        def serve(sock: tls.TLSSocket) -> None:
            accepted.append(sock)
            sock.on('data', got.append)
            sock.on('error', errors.append)

        server = await serving(certs, serve, max_version=version)
        raw = await net.connect(port_of(server), '127.0.0.1')
        raw.on('error', lambda: None)
        # The handle below is kept: what is written to it goes between the records.
        sock = tls.TLSSocket(raw, ca=certs.ca, servername='localhost')
        sock.on('error', lambda: None)
        await sock
        sock.write('good')
        while not got:
            await asyncio.sleep(0)
        handle: Any = sock._handle
        handle._lower.write(WRONG[what], lambda code: None)
        await accepted[0].wait_closed()
        assert got == [b'good']
        assert [error.code.startswith('ERR_SSL_') for error in errors] == [True]
        assert isinstance(errors[0], ssl.SSLError)
        good = await client(server, certs)
        await stop(server, sock, good)

    run(main)


@needs_openssl
def test_renegotiation_is_refused(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        def serve(sock: tls.TLSSocket) -> None:
            sock.on('error', lambda: None)
            sock.pipe(sock)

        server = await serving(certs, serve, max_version='TLSv1.2')
        process = await asyncio.create_subprocess_exec(
            'openssl', 's_client', '-connect', f'127.0.0.1:{port_of(server)}', '-tls1_2',
            stdin=-1, stdout=-1, stderr=-2,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'hello\n')
        while await process.stdout.readline() != b'hello\n':
            pass
        process.stdin.write(b'R\n')  # its command for it
        out, _ = await process.communicate()
        assert b'no renegotiation' in out.lower()
        good = await client(server, certs)
        await stop(server, good)

    run(main)


# -- the ClientHello ------------------------------------------------------------------------------


def hello_of(name: str = 'localhost') -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    made = context.wrap_bio(incoming, outgoing, False, name)
    with pytest.raises(ssl.SSLWantReadError):
        made.do_handshake()
    return outgoing.read()


def in_records(message: bytes, size: int) -> bytes:
    return b''.join(
        b'\x16\x03\x01' + len(part).to_bytes(2, 'big') + part
        for part in (message[at : at + size] for at in range(0, len(message), size))
    )


@pytest.mark.parametrize('size', [1, 2, 3, 5, 100])
def test_a_hello_in_tiny_records(size: int) -> None:
    from tailrace._tls.hello import HelloReader

    message = hello_of()[5:]
    records = in_records(message, size)
    reader = HelloReader()
    for end in range(1, len(records)):
        assert reader.read(records[:end]) is None
    hello = reader.read(records)
    assert hello is not None
    assert hello.servername == 'localhost'


def test_a_hello_that_drips_costs_what_its_bytes_cost(monkeypatch: Any) -> None:
    """Bytes of records that were read are not read again with each byte that comes."""
    from tailrace._tls.hello import LONGEST, HelloReader

    class Counted(bytearray):
        asked = 0

        def __getitem__(self, at: Any) -> Any:
            Counted.asked += 1
            return super().__getitem__(at)

    records = in_records(b'\x01' + (LONGEST - 100).to_bytes(3, 'big') + bytes(20_000), 1)
    reader, data = HelloReader(), Counted()
    for at in range(0, len(records), 100):
        data += records[at : at + 100]
        assert reader.read(data) is None
    assert Counted.asked < len(records) * 3


def test_what_comes_while_a_context_is_chosen_is_bounded(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        chosen: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def choose(name: str) -> None:
            await chosen

        server = await serving(certs, sni_callback=choose)
        accepted: list[tls.TLSSocket] = []
        server.on('connection', accepted.append)
        failed = events.once(server, 'tlsClientError')
        raw = await net.connect(port_of(server), '127.0.0.1')
        raw.on('error', lambda: None)
        raw.write(hello_of())
        for _ in range(200):
            raw.write(bytes(65536))
        handle: Any = accepted[0]._handle
        # Until nothing moves any more.
        before = -1
        while handle._lower.bytes_read != before:
            before = handle._lower.bytes_read
            for _ in range(50):
                await asyncio.sleep(0)
        assert len(handle._first) < 600_000
        chosen.set_result(None)
        error, _ = await failed
        assert error.code.startswith('ERR_SSL_')
        await stop(server, raw)

    run(main)


ANSWERS: dict[str, Any] = {
    'raises': lambda certs: raising,
    'coroutine that raises': lambda certs: raising_later,
    'a wrong thing': lambda certs: lambda name: 17,
    'a mapping': lambda certs: lambda name: dict(certs.server),
    'twice': lambda certs: twice,
    'an error that is none': lambda certs: lambda name, done: done('no'),
}


def raising(name: str) -> None:
    raise KeyError(name)


async def raising_later(name: str) -> None:
    await asyncio.sleep(0)
    raise KeyError(name)


def twice(name: str, done: Any) -> None:
    done(KeyError(name))
    done(None, None)


@pytest.mark.parametrize('answer', ANSWERS)
def test_an_sni_callback_that_does_wrong(run: Any, certs: Certificates, answer: str) -> None:
    async def main() -> None:
        server = await serving(certs, sni_callback=ANSWERS[answer](certs))
        failed: list[Any] = []
        server.on('tlsClientError', failed.append)
        sock = tls.connect(port_of(server), 'localhost', ca=certs.ca)
        with pytest.raises(ssl.SSLError) as caught:
            await sock
        assert caught.value.code == 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME'  # type: ignore[attr-defined]
        assert len(failed) == 1
        # Without a name nobody is asked.
        await stop(server, await client(server, certs))

    run(main)


def test_a_client_that_leaves_while_a_context_is_chosen(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        chosen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asked = asyncio.Event()

        async def choose(name: str) -> None:
            asked.set()
            await chosen

        server = await serving(certs, sni_callback=choose)
        failed = events.once(server, 'tlsClientError')
        sock = tls.connect(port_of(server), 'localhost', ca=certs.ca)
        sock.on('error', lambda: None)
        await asked.wait()
        sock.destroy()
        error, _ = await failed
        assert error.code == 'ECONNRESET'
        chosen.set_result(None)
        await stop(server)
        assert server.handshake_failures == 1

    run(main)


@pytest.mark.parametrize('result', ['raises', 'not offered', 'wrong type'])
def test_an_alpn_callback_that_does_wrong(run: Any, certs: Certificates, result: str) -> None:
    def choose(asked: Any) -> Any:
        if result == 'raises':
            raise KeyError(result)
        return 'z' if result == 'not offered' else [1]

    async def main() -> None:
        server = await serving(certs, alpn_callback=choose)
        failed: list[Any] = []
        server.on('tlsClientError', failed.append)
        sock = tls.connect(port_of(server), 'localhost', ca=certs.ca, alpn_protocols=['a'])
        with pytest.raises(ssl.SSLError) as caught:
            await sock
        assert 'NO_APPLICATION_PROTOCOL' in caught.value.code  # type: ignore[attr-defined]
        assert len(failed) == 1
        await stop(server, await client(server, certs))

    run(main)


# -- what is left ---------------------------------------------------------------------------------


@pytest.mark.parametrize('how', ['destroy', 'end', 'refused', 'lost'])
def test_nothing_of_a_closed_connection_is_left_for_the_collector(
    run: Any, certs: Certificates, how: str
) -> None:
    """No cycles at a server: the memory is free when the last user drops the socket."""

    async def main() -> None:
        kept: list[Any] = []

        def arrived(sock: tls.TLSSocket) -> None:
            kept.append(weakref.ref(sock))
            sock.on('error', lambda: None)
            sock.resume()

        server = await serving(certs)
        server.on('connection', arrived)
        server.on('tlsClientError', lambda: None)
        gc.collect()
        gc.disable()
        try:
            options = {} if how == 'refused' else {'ca': certs.ca}
            sock = tls.connect(port_of(server), '127.0.0.1', **options)
            sock.on('error', lambda: None)
            sock.resume()
            if how != 'refused':
                await sock
                if how == 'lost':
                    handle: Any = sock._handle
                    handle._lower.shutdown(lambda code: None)
                else:
                    getattr(sock, how)()
            await sock.wait_closed()
            while server._sockets:
                await asyncio.sleep(0)
            for _ in range(5):
                await asyncio.sleep(0)
            assert [one() for one in kept] == [None]
        finally:
            gc.enable()
        await stop(server)

    run(main)


@pytest.mark.parametrize('size', [0, 1000, 300_000])
def test_both_ends_of_tls_in_tls_in_memory(run: Any, certs: Certificates, size: int) -> None:
    """The wire below is gone when the later one has said its end: there is nobody to tell."""

    async def main() -> None:
        here, there = memory_pair()
        sockets: list[tls.TLSSocket] = []
        for _ in range(2):
            here = tls.connect(socket=here, servername='localhost', ca=certs.ca)
            there = tls.TLSSocket(there, is_server=True, **certs.server)
            sockets += (await here, await there)
        got = 0

        def data(chunk: bytes) -> None:
            nonlocal got
            got += len(chunk)

        there.on('data', data)
        here.resume()
        here.end(bytes(size))
        there.end()
        for sock in (here, there):
            await sock.wait_closed()
        assert got == size
        # The outer ones end with the inner ones.
        for sock in sockets:
            await sock.wait_closed()

    run(main)


@pytest.mark.parametrize('version', VERSIONS)
def test_an_end_to_a_peer_that_is_gone_is_no_error(
    run: Any, certs: Certificates, tmp_path: Any, version: str
) -> None:
    """On a Unix socket it is known at once (EPIPE): what the peer had sent is still read."""

    async def main() -> None:
        accepted: list[tls.TLSSocket] = []
        server = tls.create_server(
            {**certs.server, 'max_version': version, 'pause_on_connect': True}, accepted.append
        )
        await server.listen(str(tmp_path / 's'))
        sock = await tls.connect(
            path=str(tmp_path / 's'), ca=certs.ca, servername='localhost', max_version=version
        )
        while not accepted:
            await asyncio.sleep(0)
        sock.write(b'x' * 50_000)
        sock.end()
        sock.destroy()
        await sock.wait_closed()
        seen: list[str] = []
        errors: list[Any] = []
        there = accepted[0]
        there.on('error', errors.append)
        for event in ('end', 'finish', 'close'):
            there.on(event, lambda *_, event=event: seen.append(event))
        there.end()
        got = b''.join([chunk async for chunk in there])
        await there.wait_closed()
        assert errors == []
        assert len(got) == 50_000
        assert set(seen) == {'end', 'finish', 'close'}
        await stop(server)

    run(main)
