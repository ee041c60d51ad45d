"""Echo on a bare asyncio Protocol, the least asyncio can do (with `--uvloop`: on uvloop)."""

import asyncio

import _command_line


class Echo(asyncio.Protocol):
    __slots__ = ('transport',)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, '127.0.0.1', port)
    _command_line.ready(server.sockets[0].getsockname()[1])
    await server.serve_forever()


options = _command_line.parse(__doc__)
if options.uvloop:
    import uvloop

    uvloop.run(main(options.port))
else:
    asyncio.run(main(options.port))
