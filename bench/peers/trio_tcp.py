"""Echo on trio's streams."""

import _command_line
import trio


async def serve(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)


async def main(port: int) -> None:
    listeners = await trio.open_tcp_listeners(port, host='127.0.0.1')
    _command_line.ready(listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(serve, listeners)


trio.run(main, _command_line.parse(__doc__).port)
