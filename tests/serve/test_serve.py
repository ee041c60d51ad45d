"""``tailrace.serve`` in one process: signals in every phase, statuses, reloads, the manager."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tailrace
from tailrace import net

from ..programs import PATIENCE, first_line, running
from .conftest import Start, all_of, connect

ECHO = """
def polite(sock):
    sock.resume()
    sock.on('serverClosing', lambda: sock.end('bye'))
    say('connected')

def stubborn(sock):
    sock.resume()
    say('connected')
"""


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_connections_finish(start: Start, number: int) -> None:
    program = start(ECHO + "tailrace.serve(net.create_server(polite), 0, '127.0.0.1', "
                    "on_ready=ready, drain_timeout=None)\nsay('after')\n")  # fmt: skip
    port = program.ready()
    with connect(port) as one, connect(port) as other:
        assert [program.line(), program.line()] == ['connected'] * 2
        program.signal(number)
        # Told that the server ends: the protocol says goodbye.
        assert (one.recv(3), other.recv(3)) == (b'bye', b'bye')
        with pytest.raises(ConnectionRefusedError):
            connect(port)
        assert program.process.poll() is None
        one.shutdown(socket.SHUT_WR)
        assert all_of(one) == b''
    assert program.end() == (0, ['after'])
    assert program.errors == ''


def test_the_deadline_destroys_what_is_left_and_the_status_says_so(start: Start) -> None:
    program = start(ECHO + 'tailrace.serve(net.create_server(stubborn), port=0, on_ready=ready, '
                    "host='127.0.0.1', drain_timeout=100)\n")  # fmt: skip
    with connect(program.ready()) as client:
        assert program.line() == 'connected'
        program.signal(signal.SIGTERM)
        assert all_of(client) in (b'', b'(reset)')
    assert program.end() == (124, [])
    assert 'connections that were not done in 100 ms: 1' in program.errors


def test_what_waits_in_the_queue_is_served_too(start: Start) -> None:
    """A signal may come with many connections that nobody has accepted yet."""
    program = start("""
        import socket, threading
        whole = []
        def read_all(socks):
            for sock in socks:
                with sock:
                    whole.append(sock.makefile('rb').read() == b'hello')
        def on_ready(servers):
            tailrace.set_immediate(burst, servers[0].address().port)
        def burst(port):
            socks = [socket.create_connection(('127.0.0.1', port)) for _ in range(480)]
            global thread
            thread = threading.Thread(target=read_all, args=(socks,))
            os.kill(os.getpid(), signal.SIGTERM)
            thread.start()
        tailrace.serve(net.create_server(lambda sock: sock.resume().end('hello')),
                       0, '127.0.0.1', on_ready=on_ready)
        thread.join()
        say(len(whole), all(whole))
        """)
    assert program.end() == (0, ['480 True'])
    assert program.errors == ''


@pytest.mark.parametrize(
    ('first', 'second', 'status'),
    [(signal.SIGTERM, signal.SIGTERM, 143), (signal.SIGTERM, signal.SIGINT, 130)],
)
def test_a_second_signal_ends_at_once(start: Start, first: int, second: int, status: int) -> None:
    program = start(
        ECHO
        + """
        def stubborn(sock):
            sock.resume().on('serverClosing', lambda: say('draining'))
            say('connected')
        tailrace.serve(net.create_server(stubborn), 0, on_ready=ready, drain_timeout=None)
        """.replace('\n        ', '\n')
    )
    with connect(program.ready()) as client:
        assert program.line() == 'connected'
        program.signal(first)
        assert program.line() == 'draining'
        program.signal(second)
        assert all_of(client) in (b'', b'(reset)')
    assert program.end() == (status, [])


STUBBORN = """
async def ignores():
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            say('cancelled')

async def deaf(sock):
    sock.on('serverClosing', lambda: say('closing'))
    say('connected')
    await ignores()
"""


@pytest.mark.parametrize(('signals', 'limit', 'status'), [(1, 50, 124), (2, 60_000, 143)])
def test_a_handler_that_ignores_its_cancellation_is_left_behind(
    start: Start, signals: int, limit: int, status: int
) -> None:
    call = f'tailrace.serve(net.create_server(deaf), 0, on_ready=ready, drain_timeout={limit})'
    program = start(STUBBORN + call)
    sock = connect(program.ready())
    assert program.line() == 'connected'
    program.signal(signal.SIGTERM)
    assert program.line() == 'closing'
    if signals == 2:
        program.signal(signal.SIGTERM)
    assert all_of(sock) in (b'', b'(reset)')
    sock.close()
    assert program.end()[0] == status
    assert 'ignores its cancellation' in program.errors


@pytest.mark.parametrize(('signals', 'limit', 'status'), [(1, 50, 124), (2, 60_000, 143)])
def test_a_start_that_ignores_its_cancellation_is_left_behind(
    start: Start, signals: int, limit: int, status: int
) -> None:
    call = f'tailrace.serve(make, drain_timeout={limit})'
    program = start(
        f"{STUBBORN}async def make():\n    say('starting')\n    await ignores()\n{call}"
    )
    assert program.line() == 'starting'
    program.signal(signal.SIGTERM)
    assert program.line() == 'cancelled'
    if signals == 2:
        program.signal(signal.SIGTERM)
    assert program.end()[0] == status


def test_a_second_signal_ends_a_program_whose_loop_hangs(start: Start) -> None:
    program = start("""
        def hang(sock):
            say('hanging')
            while True:
                pass
        tailrace.serve(net.create_server(hang), 0, on_ready=ready)
        """)
    with connect(program.ready()):
        assert program.line() == 'hanging'
        program.signal(signal.SIGTERM)
        program.signal(signal.SIGINT)
        status, _ = program.end()
    assert status in (130, 143)  # the kernel may deliver them in either order


START = """
async def target():
    say('starting')
    try:
        await asyncio.Event().wait()
    finally:
        say('cleaned up')

async def slow(servers):
    say('starting')
    await asyncio.Event().wait()
"""


@pytest.mark.parametrize(
    ('call', 'said'),
    [
        ('tailrace.serve(target)', ['cleaned up', 'after']),
        ('tailrace.serve(net.create_server(), 0, on_ready=slow)', ['after']),
    ],
)
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_it(
    start: Start, call: str, said: list[str], number: int
) -> None:
    program = start(START + call + "\nsay('after')\n")
    assert program.line() == 'starting'
    program.signal(number)
    assert program.end() == (0, said)
    assert program.errors == ''


def test_a_second_signal_ends_a_start_that_hangs(start: Start) -> None:
    program = start("""
        async def target():
            say('starting')
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                say('cancelled')
                await asyncio.Event().wait()
        tailrace.serve(target)
        """)
    assert program.line() == 'starting'
    program.signal(signal.SIGTERM)
    assert program.line() == 'cancelled'
    program.signal(signal.SIGTERM)
    assert program.end()[0] == 143


def test_it_ends_when_the_program_closes_its_servers(start: Start) -> None:
    """Whatever else would keep a program alive; other tasks are cancelled."""
    program = start("""
        async def other():
            try:
                await asyncio.Event().wait()
            finally:
                say('other cancelled')

        async def target():
            tailrace.set_interval(lambda: None, 10)
            asyncio.current_task().other = asyncio.create_task(other())
            def served(sock):
                sock.end('last')
                for server in servers:
                    server.close()
            servers = [await net.create_server(served).listen(0, '127.0.0.1') for _ in range(2)]
            return servers
        tailrace.serve(target, on_ready=ready)
        say('after')
        """)
    with connect(program.ready()) as client:
        assert all_of(client) == b'last'
    assert program.end() == (0, ['other cancelled', 'after'])


def test_sighup_reloads_once_for_all_that_come_meanwhile(start: Start) -> None:
    program = start("""
        async def reload():
            say('reloading')
            await gate.wait()
            gate.clear()
            say('reloaded')

        async def target():
            global gate
            gate = asyncio.Event()
            return await net.create_server(lambda sock: (gate.set(), sock.end())).listen(0)
        tailrace.serve(target, on_ready=ready, reload=reload)
        """)
    port = program.ready()
    program.signal(signal.SIGHUP)
    assert program.line() == 'reloading'
    program.signal(signal.SIGHUP)
    with connect(port) as client:
        assert all_of(client) == b''
    assert [program.line(), program.line()] == ['reloaded', 'reloading']
    with connect(port) as client:
        assert all_of(client) == b''
    assert program.line() == 'reloaded'
    program.signal(signal.SIGTERM)
    assert program.end() == (0, [])


def test_a_reload_that_fails_is_logged_and_the_server_goes_on(start: Start) -> None:
    program = start("""
        def reload():
            say('reloading')
            raise ValueError('bad configuration')
        tailrace.serve(net.create_server(lambda sock: sock.end('here')), 0,
                       on_ready=ready, reload=reload)
        """)
    port = program.ready()
    for _ in range(2):
        program.signal(signal.SIGHUP)
        assert program.line() == 'reloading'
        with connect(port) as client:
            assert all_of(client) == b'here'
    program.signal(signal.SIGTERM)
    assert program.end() == (0, [])
    assert program.errors.count('ValueError: bad configuration') == 2


def test_a_script_of_the_command_may_serve(tmp_path: Path) -> None:
    path = tmp_path / 'program.py'
    path.write_text(
        'import tailrace\nfrom tailrace import net\n'
        'tailrace.serve(net.create_server(lambda sock: sock.write("x")), 0, drain_timeout=50,\n'
        '    on_ready=lambda servers: print(servers[0].address().port, flush=True))\n'
    )
    with running(['-m', 'tailrace', path]) as process, connect(int(first_line(process))) as client:
        assert client.recv(1) == b'x'
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 124


def test_without_a_reload_sighup_is_left_alone(start: Start) -> None:
    program = start('tailrace.serve(net.create_server(), 0, on_ready=ready)\n')
    program.ready()
    program.signal(signal.SIGHUP)
    assert program.end() == (-signal.SIGHUP, [])


# -- the service manager ---------------------------------------------------------------------------


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[str, Callable[[], dict[str, str]]]]:
    path = tmp_path / 'notify'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(30)

        def told() -> dict[str, str]:
            while True:
                text = sock.recv(4096).decode()
                if text != 'WATCHDOG=1':
                    return dict(line.split('=', 1) for line in text.splitlines())

        told.sock = sock  # type: ignore[attr-defined]
        yield str(path), told


def test_the_manager_is_told_of_everything(start: Start, manager: Any) -> None:
    path, told = manager
    program = start(
        'tailrace.serve(net.create_server(), 0, on_ready=ready, reload=lambda: None)\n',
        NOTIFY_SOCKET=path,
        WATCHDOG_USEC='20000',
    )
    program.ready()
    assert told() == {'READY': '1', 'STATUS': 'serving'}
    while told.sock.recv(4096) != b'WATCHDOG=1':
        pass
    program.signal(signal.SIGHUP)
    assert told()['RELOADING'] == '1'
    assert told() == {'READY': '1', 'STATUS': 'serving'}
    program.signal(signal.SIGTERM)
    assert told() == {'STOPPING': '1', 'STATUS': 'draining'}
    assert told() == {'EXTEND_TIMEOUT_USEC': '11000000'}
    assert program.end() == (0, [])


def test_it_is_not_ready_before_on_ready_has_returned(start: Start, manager: Any) -> None:
    path, told = manager
    program = start(
        """
        async def warm_up(servers):
            ready(servers)
            await tailrace.once(servers[0], 'connection')
            tailrace.systemd.status('warm')
        import tailrace.systemd
        tailrace.serve(net.create_server(lambda sock: sock.end()), 0, on_ready=warm_up)
        """,
        NOTIFY_SOCKET=path,
    )
    with connect(program.ready()):
        assert told() == {'STATUS': 'warm'}
        assert told() == {'READY': '1', 'STATUS': 'serving'}
    program.signal(signal.SIGTERM)
    assert program.end()[0] == 0


def test_a_manager_that_does_not_answer_is_no_reason_to_end(start: Start, tmp_path: Path) -> None:
    program = start(
        'tailrace.serve(net.create_server(), 0, on_ready=ready)\n',
        NOTIFY_SOCKET=str(tmp_path / 'nothing'),
    )
    program.ready()
    program.signal(signal.SIGTERM)
    assert program.end() == (0, [])
    assert 'the service manager was not told' in program.errors


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('call', 'error'),
    [
        ('tailrace.serve(net.create_server())', 'ERR_SERVER_NOT_RUNNING'),
        ('tailrace.serve([net.create_server(), net.create_server()], 0)', 'ERR_INVALID_ARG_VALUE'),
        ('tailrace.serve(lambda: None)', 'ERR_INVALID_ARG_TYPE'),
        ('tailrace.serve(lambda: [])', 'ERR_INVALID_ARG_VALUE'),
        ('tailrace.serve(net.create_server(), 0, "192.0.2.1")', 'EADDRNOTAVAIL'),
        ('tailrace.serve(net.create_server().listen(0, "192.0.2.1"))', 'EADDRNOTAVAIL'),
        ('tailrace.serve(net.create_server(), 0, pid_file="no/such/folder")', 'ENOENT'),
    ],
)
def test_what_cannot_be_served_is_raised(start: Start, call: str, error: str) -> None:
    program = start(f'try:\n    {call}\nexcept tailrace.NodeError as error:\n    say(error.code)\n')
    assert program.end() == (0, [error])
    assert program.errors == ''


def test_what_a_start_raises_comes_out_and_closes_its_servers(start: Start) -> None:
    program = start("""
        def fail(servers):
            raise ValueError('mine')
        try:
            tailrace.serve(net.create_server(), 0, on_ready=fail, pid_file='pid')
        except ValueError as error:
            say(error, os.path.exists('pid'))
        """)
    assert program.end() == (0, ['mine False'])
    assert program.errors == ''


@pytest.mark.parametrize(
    ('call', 'kind'),
    [
        (lambda: tailrace.serve(5), TypeError),  # type: ignore[arg-type]
        (lambda: tailrace.serve('x'), TypeError),  # type: ignore[arg-type]
        (lambda: tailrace.serve([]), ValueError),
        (lambda: tailrace.serve(net.create_server(), prot=5), TypeError),  # type: ignore[call-arg]
        (lambda: tailrace.serve(net.create_server(), drain_timeout='x'), TypeError),  # type: ignore[arg-type]
        (lambda: tailrace.serve(net.create_server(), drain_timeout=-1), ValueError),
        (lambda: tailrace.serve(net.create_server(), drain_timeout=2**31), ValueError),
        (lambda: tailrace.serve(net.create_server(), reload=5), TypeError),  # type: ignore[arg-type]
        (lambda: tailrace.serve(net.create_server(), on_ready=5), TypeError),  # type: ignore[arg-type]
        (lambda: tailrace.serve(net.create_server(), umask=0o1000), ValueError),
        (lambda: tailrace.serve(net.create_server(), umask='022'), TypeError),  # type: ignore[arg-type]
        (lambda: tailrace.serve(net.create_server(), pid_file=5), TypeError),  # type: ignore[arg-type]
        (lambda: tailrace.serve(net.create_server(), workers=0), ValueError),
        (lambda: tailrace.serve(net.create_server(), workers=True), TypeError),
        (lambda: tailrace.serve(net.create_server(), run_as='no such user'), ValueError),
        (lambda: tailrace.serve(net.create_server(), run_as=2**32), ValueError),
        (lambda: tailrace.serve(net.create_server(), run_as_group=True), TypeError),
        (lambda: tailrace.serve(net.create_server(), on_error='x'), ValueError),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_at_once(call: Callable[[], None], kind: type) -> None:
    with pytest.raises(kind) as caught:
        call()
    if 'prot' not in str(caught.value):
        assert caught.value.code.startswith('ERR_')  # type: ignore[attr-defined]


def test_not_in_a_running_loop(run: Any) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match='running event loop'):
            tailrace.serve(net.create_server(), 0)

    run(main)


def test_umask_counts_for_the_socket_file(start: Start, tmp_path: Path) -> None:
    path = tmp_path / 's'
    program = start(f"""
        tailrace.serve(net.create_server(), {str(path)!r}, umask=0o077,
                       on_ready=lambda: say('ready 0'))
        """)
    program.ready()
    assert path.stat().st_mode & 0o777 == 0o700
    program.signal(signal.SIGTERM)
    assert program.end() == (0, [])


# -- the async form --------------------------------------------------------------------------------


def test_the_async_form_returns_the_status(start: Start) -> None:
    program = start("""
        async def main():
            status = await tailrace.serve_async(
                net.create_server(lambda sock: say('connected')), 0, on_ready=ready,
                drain_timeout=50)
            say('status', status)
        asyncio.run(main())
        """)
    with connect(program.ready()):
        assert program.line() == 'connected'
        program.signal(signal.SIGTERM)
        assert program.end() == (0, ['status 124'])


def test_the_async_form_without_signals_ends_with_its_servers(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(lambda sock: sock.end('x'))
        ready = asyncio.Event()
        serving = asyncio.create_task(
            tailrace.serve_async(
                server, 0, '127.0.0.1', signals=False, on_ready=ready.set,
                drain_timeout=timedelta(seconds=5),
            )
        )  # fmt: skip
        await ready.wait()
        before = signal.getsignal(signal.SIGTERM)
        sock = await net.connect(server.address().port, '127.0.0.1')
        assert [chunk async for chunk in sock] == [b'x']
        assert await server.close_all() == 0
        assert await serving == 0
        assert signal.getsignal(signal.SIGTERM) is before

    run(main)


def test_cancelling_the_async_form_destroys_connections(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(lambda sock: sock.resume())
        ready = asyncio.Event()
        serving = asyncio.create_task(
            tailrace.serve_async(server, 0, '127.0.0.1', on_ready=ready.set)
        )
        await ready.wait()
        sock = await net.connect(server.address().port, '127.0.0.1')
        sock.resume()
        await connections(server, 1)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        await sock.wait_closed()
        await server.wait_closed()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    run(main)


async def connections(server: net.Server, count: int) -> None:
    while await server.get_connections() < count:
        await tailrace.once(server, 'connection')


def test_close_all_tells_clients(run: Any) -> None:
    async def main() -> None:
        told: list[Any] = []

        def serve(sock: net.Socket) -> None:
            sock.resume().on('serverClosing', lambda: (told.append(sock), sock.end('bye')))

        server = await net.create_server(serve).listen(0, '127.0.0.1')
        sock = await net.connect(server.address().port, '127.0.0.1')
        await connections(server, 1)
        closing = asyncio.create_task(server.close_all())
        assert [chunk async for chunk in sock] == [b'bye']
        assert await closing == 0
        assert len(told) == 1

    run(main)


def test_a_listener_that_fails_there_ends_its_connection_alone(run: Any) -> None:
    async def main() -> None:
        failures: list[BaseException] = []

        def serve(sock: net.Socket) -> None:
            def fail() -> None:
                raise ValueError('mine')

            sock.resume().on('serverClosing', fail)

        server = net.create_server(serve, on_error=lambda error, sock: failures.append(error))
        await server.listen(0, '127.0.0.1')
        socks = [await net.connect(server.address().port, '127.0.0.1') for _ in range(2)]
        await connections(server, 2)
        assert await server.close_all() == 0
        assert [str(error) for error in failures] == ['mine', 'mine']
        for sock in socks:
            sock.resume()
            await sock.wait_closed()

    run(main)
