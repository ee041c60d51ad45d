"""The PROXY protocol and several processes."""

from __future__ import annotations

import sys

import pytest

HEADER = """
    from tailrace.proxy_protocol import ProxyHeader
    HEADER = ProxyHeader(
        source_address='192.0.2.7', source_port=51234,
        destination_address='203.0.113.1', destination_port=443, tlvs=[(1, b'h2')],
    )
    HERE = {'proxy_protocol': 'required', 'proxy_from': '127.0.0.1'}
"""

POLICIES = pytest.mark.parametrize(
    'policy', ['rr', 'none', 'reuseport'] if sys.platform == 'linux' else ['rr', 'none']
)


@POLICIES
def test_workers_read_the_header(program, policy):
    said = program(
        HEADER
        + """
    if cluster.is_primary:
        answers = []
        def listening(worker, where):
            ports.append(where.port)
            if len(ports) == 2:
                for _ in range(10):
                    ask()
        def ask():
            sock = net.connect(ports[0], '127.0.0.1', proxy_protocol=HEADER)
            got = []
            sock.on('data', got.append)
            sock.on('close', lambda: answered(b''.join(got).decode()))
        def answered(text):
            answers.append(text)
            if len(answers) == 10:
                say(sorted(set(answers)))
                cluster.disconnect(lambda: say('gone'))
        ports = []
        cluster.on('listening', listening)
        cluster.fork()
        cluster.fork()
    else:
        server = net.create_server(HERE, lambda sock: sock.end(
            f'{sock.remote_address}:{sock.remote_port} {sock.proxy_header.alpn}'))
        server.listen(0, '127.0.0.1')
    go()
    """,
        TAILRACE_CLUSTER_SCHED_POLICY=policy,
    )
    assert said == [[['192.0.2.7:51234 h2']], ['gone']]


def test_a_socket_that_is_sent_on_takes_its_header_along(program):
    said = program(
        HEADER
        + """
    if len(sys.argv) > 1:
        def message(m, sock):
            sock.end(f'{sock.remote_address} {sock.local_port} {sock.proxy_header.alpn}')
        process.on('message', message)
        process.send('up')
    else:
        child = child_process.fork(__file__, ['child'])
        def serve(sock):
            child.send('yours', sock)
        server = net.create_server({**HERE, 'pause_on_connect': True}, serve)
        def up():
            sock = net.connect(server.address().port, '127.0.0.1', proxy_protocol=HEADER)
            got = []
            sock.on('data', got.append)
            def closed():
                say(b''.join(got).decode())
                child.disconnect()
                server.close(lambda: say('closed'))
            sock.on('close', closed)
        child.once('message', lambda *_: up())
        server.listen(0, '127.0.0.1')
    go()
    """
    )
    assert said == [['192.0.2.7 443 h2'], ['closed']]
