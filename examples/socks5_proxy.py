"""A SOCKS5 proxy (RFC 1928): clients say in the protocol whom they want to be connected to.

Shows: a handshake that is read with `read_exactly`, with a deadline; what follows it goes through
`pipe` in both directions, with backpressure and half-close; a user and a password (RFC 1929); IPv4,
IPv6 and names, which the proxy looks up; the errors of connecting as codes of the protocol.

    python examples/socks5_proxy.py [--port PORT] [--user NAME:PASSWORD]... [--block CIDR]...

With --user every client must name one of them. --block names targets that nobody may reach, whether
by address or by name. Try it:

    curl --proxy socks5h://127.0.0.1:PORT https://example.org

Ctrl-C or SIGTERM ends it; connections have three seconds to end.
"""

import argparse
import asyncio
import hmac
import ipaddress
import signal

import tailrace
from tailrace import net

HANDSHAKE = 10  # s
CONNECT = 10_000  # ms
GRACE = 3_000  # ms

NO_AUTH, PASSWORD, NONE_FITS = 0, 2, 0xFF
GRANTED, FAILED, NOT_ALLOWED, NET, HOST, REFUSED, EXPIRED, NO_COMMAND, NO_TYPE = range(9)
#: The reply for an error of connecting.
REPLIES = {
    'ENETUNREACH': NET,
    'EHOSTUNREACH': HOST,
    'ENOTFOUND': HOST,
    'ECONNREFUSED': REFUSED,
    'ETIMEDOUT': EXPIRED,
    'ERR_IP_BLOCKED': NOT_ALLOWED,
}


class Refused(Exception):
    """The client gets ``answer`` and is closed."""

    def __init__(self, why, answer=b''):
        super().__init__(why)
        self.answer = answer


def reply(code, address='0.0.0.0', port=0):
    """The reply to a request; the address is the one that the target sees."""
    packed = ipaddress.ip_address(address).packed
    kind = 1 if len(packed) == 4 else 4
    return bytes([5, code, 0, kind]) + packed + port.to_bytes(2, 'big')


class Proxy:
    """What its clients may do."""

    def __init__(self, users, blocked):
        self.users = users
        self.blocked = blocked

    async def serve(self, client):
        name = f'{client.remote_address}:{client.remote_port}'
        target = None
        try:
            async with asyncio.timeout(HANDSHAKE):
                await self.greet(client)
                host, port = await self.request(client)
            target = await self.connect(host, port)
            client.write(reply(GRANTED, target.local_address, target.local_port))
            print(f'{name}: connected to {host} port {port}', flush=True)
            join(client, target)
            await client.wait_closed()
        except Refused as error:
            print(f'{name}: {error}', flush=True)
            client.end(error.answer)
        except (OSError, EOFError, TimeoutError) as error:
            print(f'{name}: {getattr(error, "code", "too slow")}', flush=True)
            client.destroy()
        finally:
            if target is not None:
                target.destroy_soon()

    async def greet(self, client):
        """Agree on how the client says who it is, and let it."""
        version, count = await client.read_exactly(2)
        if version != 5:
            raise Refused(f'version {version}')
        offered = await client.read_exactly(count)
        wanted = PASSWORD if self.users else NO_AUTH
        if wanted not in offered:
            raise Refused('no way to say who it is', bytes([5, NONE_FITS]))
        client.write(bytes([5, wanted]))
        if wanted == NO_AUTH:
            return
        version, length = await client.read_exactly(2)
        if version != 1:
            raise Refused(f'version {version} of the password protocol')
        user = await client.read_exactly(length)
        password = await client.read_exactly((await client.read_exactly(1))[0])
        known = self.users.get(bytes(user))
        # Always compared, in the same time, whether there is such a user or not.
        right = hmac.compare_digest(bytes(password), known or b'')
        if known is None or not right:
            raise Refused('wrong user or password', bytes([1, 1]))
        client.write(bytes([1, 0]))

    async def request(self, client):
        """Whom the client wants to be connected to."""
        version, command, _, kind = await client.read_exactly(4)
        if version != 5:
            raise Refused(f'version {version}', reply(FAILED))
        if kind == 1 or kind == 4:
            host = str(ipaddress.ip_address(bytes(await client.read_exactly(kind * 4))))
        elif kind == 3:
            raw = bytes(await client.read_exactly((await client.read_exactly(1))[0]))
            if not raw or not raw.isascii() or not raw.decode().isprintable():
                raise Refused('a name that cannot be', reply(HOST))
            host = raw.decode()
        else:
            raise Refused(f'address type {kind}', reply(NO_TYPE))
        port = int.from_bytes(await client.read_exactly(2), 'big')
        if command != 1:
            raise Refused(f'command {command}, not CONNECT', reply(NO_COMMAND))
        return host, port

    async def connect(self, host, port):
        try:
            return await net.connect(
                port=port,
                host=host,
                # For a name: each of its addresses, so that no name leads around it.
                block_list=self.blocked,
                allow_half_open=True,
                connect_timeout=CONNECT,
            )
        except OSError as error:
            code = REPLIES.get(error.code, FAILED)
            raise Refused(f'{host} port {port}: {error.code}', reply(code)) from None


def join(client, target):
    """Pipe both ways; the failure of one side ends both."""

    def failed():
        client.destroy()
        target.destroy()

    for sock, other in ((client, target), (target, client)):
        sock.on('error', failed)
        sock.pipe(other)
        sock.on('close', other.destroy_soon)


async def main(options):
    users = dict(word.encode().split(b':', 1) for word in options.user)
    blocked = net.BlockList()
    blocked.add_cidrs(options.block)
    server = net.create_server(Proxy(users, blocked).serve, allow_half_open=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.listen(options.port, '127.0.0.1')
    print(f'listening on {server.address().address}:{server.address().port}', flush=True)
    await stop.wait()
    await server.close_all(deadline=GRACE)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='A SOCKS5 proxy.')
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--user', action='append', default=[], metavar='NAME:PASSWORD')
    parser.add_argument('--block', action='append', default=[], metavar='CIDR')
    arguments = parser.parse_args()
    if not all(':' in word for word in arguments.user):
        parser.error('--user is NAME:PASSWORD')
    tailrace.run(main(arguments))
