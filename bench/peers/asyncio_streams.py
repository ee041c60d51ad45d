"""Echo on asyncio's streams, the form the documents teach (with `--uvloop`: on uvloop)."""

import asyncio

import _command_line


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, '127.0.0.1', port)
    _command_line.ready(server.sockets[0].getsockname()[1])
    await server.serve_forever()


options = _command_line.parse(__doc__)
if options.uvloop:
    import uvloop

    uvloop.run(main(options.port))
else:
    asyncio.run(main(options.port))
