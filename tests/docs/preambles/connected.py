import asyncio

import tailrace
from tailrace import net


def echo(peer):
    peer.on('error', lambda error: error)  # the block may leave before all has come back
    peer.pipe(peer)


async def main():
    server = await net.create_server(echo).listen(0, '127.0.0.1')
    port = server.address().port
    sock = await net.connect(port, '127.0.0.1')
    # BLOCK
    sock.destroy()
    server.close()


assert asyncio
tailrace.run(main)
