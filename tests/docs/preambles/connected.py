import asyncio

import tailrace
from tailrace import net


async def main():
    server = await net.create_server(lambda peer: peer.pipe(peer)).listen(0, '127.0.0.1')
    port = server.address().port
    sock = await net.connect(port, '127.0.0.1')
    # BLOCK
    sock.destroy()
    server.close()


assert asyncio
tailrace.run(main)
