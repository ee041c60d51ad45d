import tailrace
from tailrace import net


async def work_on(request):
    return request.upper()


async def main():
    handler = None
    server = net.create_server(lambda sock: handler(sock))
    # BLOCK
    await server.listen(0, '127.0.0.1')
    sock = await net.connect(server.address().port)
    sock.end(b'hello\n')
    assert await sock.read_line() == b'HELLO\n'
    await server.close_all()


tailrace.run(main)
