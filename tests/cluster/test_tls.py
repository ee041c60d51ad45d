"""A TLS port that workers share: each does the handshakes of its own connections."""

from __future__ import annotations

import pytest

from ..tls.authorities import Certificates

SOURCE = """
from tailrace import tls
import json
certs = json.loads(os.environ['CERTS'])
SECURE = {**certs['server'], 'ca': certs['ca'], 'request_cert': True}

async def ask(port, **options):
    sock = await tls.connect(port, '127.0.0.1', servername='localhost', ca=certs['ca'], **options)
    sock.write('hello')
    said = (await sock.read_line()).decode().strip()
    sock.end()
    await sock.wait_closed()
    return said

def serve():
    def answer(sock):
        sock.once('data', lambda data: sock.end(
            f'{cluster.worker.id} {sock.authorized} {sock.get_protocol()} {data.decode()}\\n'))
    server = tls.create_server(SECURE, answer)
    server.on('tlsClientError', lambda error: say('refused', error.code))
    server.listen(0, '127.0.0.1')
    return server
"""


@pytest.fixture
def certs() -> Certificates:
    return Certificates()


def material(certs: Certificates) -> str:
    import json

    return json.dumps({'server': certs.server, 'client': certs.client, 'ca': certs.ca})


@pytest.mark.parametrize('policy', ['rr', 'none'])
def test_workers_share_a_port(program, certs, policy):
    said = program(
        SOURCE
        + """
async def main():
    ports = []
    cluster.on('listening', lambda worker, where: ports.append(where.port))
    workers = [cluster.fork(), cluster.fork()]
    while len(ports) < 2:
        await tailrace.events.once(cluster, 'listening')
    said = [await ask(ports[0], **certs['client']) for _ in range(20)]
    say(len(set(ports)), sorted({one[2:] for one in said}))
    if cluster.scheduling_policy == cluster.SCHED_RR:
        say(sorted({one[0] for one in said}))
    cluster.disconnect()

if cluster.is_primary:
    go(main)
else:
    serve()
    go()
""",
        CERTS=material(certs),
        TAILRACE_CLUSTER_SCHED_POLICY=policy,
    )
    assert said[0] == [1, ['True TLSv1.3 hello']]
    assert said[1:] == ([[['1', '2']]] if policy == 'rr' else [])


def test_a_worker_refuses_and_ends_alone(program, certs):
    """Strangers are refused by whoever gets them; a worker that is killed takes only its own."""
    said = program(
        SOURCE
        + """
async def main():
    ports = []
    cluster.on('listening', lambda worker, where: ports.append(where.port))
    first, second = cluster.fork(), cluster.fork()
    while len(ports) < 2:
        await tailrace.events.once(cluster, 'listening')
    for _ in range(4):
        try:
            await ask(ports[0])
            say('let in')
        except (tls.TLSError, ConnectionError, EOFError):
            pass
    gone = tailrace.events.once(first, 'exit')
    first.process.kill('SIGKILL')
    await gone
    for _ in range(4):
        say(await ask(ports[0], **certs['client']))
    cluster.disconnect()

if cluster.is_primary:
    go(main)
else:
    serve()
    go()
""",
        CERTS=material(certs),
    )
    assert sorted(said) == [
        *[['2 True TLSv1.3 hello']] * 4,
        *[['refused', 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE']] * 4,
    ]


def test_a_session_is_no_trouble_at_another_worker(program, certs):
    """Each worker has its own keys for tickets: a full handshake takes the place of resumption."""
    said = program(
        SOURCE
        + """
async def main():
    ports = []
    cluster.on('listening', lambda worker, where: ports.append(where.port))
    cluster.fork(), cluster.fork()
    while len(ports) < 2:
        await tailrace.events.once(cluster, 'listening')
    context = tls.create_secure_context(ca=certs['ca'], **certs['client'])
    session, seen = None, set()
    for _ in range(6):
        sock = tls.connect(ports[0], 'localhost', secure_context=context, session=session)
        got = []
        sock.on('session', got.append)
        await sock
        sock.write('x')
        worker = (await sock.read_line()).decode()[0]
        seen.add(worker)
        sock.end()
        await sock.wait_closed()
        assert sock.authorized
        session = got[-1]
    say(sorted(seen))
    cluster.disconnect()

if cluster.is_primary:
    go(main)
else:
    serve()
    go()
""",
        CERTS=material(certs),
    )
    assert said == [[['1', '2']]]
