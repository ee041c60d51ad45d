"""Echo on anyio's streams, with its asyncio backend."""

import _command_line
import anyio
from anyio.abc import SocketAttribute, SocketStream


async def serve(stream: SocketStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data)


async def main(port: int) -> None:
    listener = await anyio.create_tcp_listener(local_host='127.0.0.1', local_port=port)
    _command_line.ready(listener.extra(SocketAttribute.local_port))
    await listener.serve(serve)


anyio.run(main, _command_line.parse(__doc__).port)
