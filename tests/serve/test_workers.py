"""``tailrace.serve(workers=...)``: one service in several processes."""

from __future__ import annotations

import os
import pwd
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from .conftest import Program, Start, all_of, connect
from .test_serve import manager

__all__ = ['manager']

SERVICE = """
def served(sock):
    sock.resume()
    sock.on('serverClosing', lambda: sock.end('bye'))
    sock.write(f'{os.getpid()}\\n')
"""


def come_up(program: Program, count: int) -> tuple[int, set[int]]:
    """The port and the pids of so many workers."""
    said = [program.line().split() for _ in range(count)]
    assert {words[0] for words in said} == {'ready'}
    (port,) = {int(words[1]) for words in said}
    return port, {int(words[2]) for words in said}


@pytest.mark.parametrize('how', ['SIGTERM', 'SIGINT', 'group'])
def test_workers_drain_and_the_first_process_ends_last(
    start: Start, tmp_path: Path, how: str
) -> None:
    program = start(
        SERVICE
        + """
tailrace.serve(net.create_server(served), 0, '127.0.0.1', workers=2, on_ready=ready,
               pid_file='pid')
say('after')
"""
    )
    port, pids = come_up(program, 2)
    assert (tmp_path / 'pid').read_text() == f'{program.process.pid}\n'
    with connect(port) as one, connect(port) as other:
        served = {int(sock.makefile().readline()) for sock in (one, other)}
        assert served == pids
        if how == 'group':
            os.killpg(program.process.pid, signal.SIGINT)
        else:
            program.signal(signal.Signals[how])
        assert (all_of_goodbye(one), all_of_goodbye(other)) == (b'bye', b'bye')
    assert program.end() == (0, ['after'] * 3)
    assert program.errors == ''
    assert not (tmp_path / 'pid').exists()


def all_of_goodbye(sock: socket.socket) -> bytes:
    said = sock.recv(3)
    sock.shutdown(socket.SHUT_WR)
    return said + all_of(sock)


def test_the_deadline_counts_in_workers_too(start: Start) -> None:
    program = start("""
        def stubborn(sock):
            sock.resume().write('x')
        tailrace.serve(lambda: net.create_server(stubborn), 0, '127.0.0.1', workers=2,
                       on_ready=ready, drain_timeout=100)
        """)
    port, _ = come_up(program, 2)
    with connect(port) as client:
        assert client.recv(1) == b'x'
        program.signal(signal.SIGTERM)
        assert all_of(client) in (b'', b'(reset)')
    assert program.end() == (124, [])
    assert program.errors.splitlines() == ['connections that were not done in 100 ms: 1']


def test_a_handler_that_ignores_its_cancellation_holds_no_worker(start: Start) -> None:
    """It ends by itself, before the first process would kill it."""
    program = start(
        """
        async def stubborn(sock):
            async for chunk in sock:
                sock.write(chunk)
                while True:
                    try:
                        await asyncio.sleep(1000)
                    except asyncio.CancelledError:
                        pass

        tailrace.serve(
            lambda: net.create_server(stubborn), 0, '127.0.0.1', workers=1, on_ready=ready,
            drain_timeout=50,
        )
        """
    )
    sock = connect(program.ready())
    sock.sendall(b'x')
    assert sock.recv(1) == b'x'
    program.signal(signal.SIGTERM)
    sock.close()
    assert program.end()[0] == 124
    assert 'killed' not in program.errors


def test_a_second_signal_kills_the_workers(start: Start) -> None:
    program = start("""
        def stubborn(sock):
            sock.resume().on('serverClosing', lambda: say('draining'))
            sock.write('x')
        tailrace.serve(net.create_server(stubborn), 0, '127.0.0.1', workers=1,
                       on_ready=ready, drain_timeout=None)
        """)
    port, _ = come_up(program, 1)
    with connect(port) as client:
        assert client.recv(1) == b'x'
        program.signal(signal.SIGTERM)
        assert program.line() == 'draining'
        program.signal(signal.SIGTERM)
        assert all_of(client) in (b'', b'(reset)')
    assert program.end() == (143, [])


def test_a_worker_that_ends_is_started_again(start: Start, manager: Any) -> None:
    path, told = manager
    program = start(
        SERVICE
        + """
tailrace.serve(net.create_server(served), 0, '127.0.0.1', workers=1, on_ready=ready)
""",
        NOTIFY_SOCKET=path,
    )
    port, (pid,) = come_up(program, 1)
    assert told() == {'READY': '1', 'STATUS': 'serving'}
    os.kill(pid, signal.SIGKILL)
    same, (other,) = come_up(program, 1)
    assert (same, other != pid) == (port, True)
    program.signal(signal.SIGTERM)
    assert program.end() == (0, [])
    assert f'worker 1 (pid {pid}) ended: SIGKILL' in program.errors


def test_a_worker_that_is_stopped_alone_drains_and_is_replaced(start: Start) -> None:
    program = start(
        SERVICE
        + """
tailrace.serve(net.create_server(served), 0, '127.0.0.1', workers=1, on_ready=ready)
"""
    )
    port, (pid,) = come_up(program, 1)
    with connect(port) as client:
        assert int(client.makefile().readline()) == pid
        os.kill(pid, signal.SIGTERM)
        assert all_of_goodbye(client) == b'bye'
    same, (other,) = come_up(program, 1)
    assert (same, other != pid) == (port, True)
    program.signal(signal.SIGTERM)
    assert program.end()[0] == 0


def test_sighup_replaces_the_workers_and_the_manager_hears_of_it(
    start: Start, manager: Any, tmp_path: Path
) -> None:
    path, told = manager
    program = start(
        SERVICE
        + """
def reload():
    say('never called')
tailrace.serve(net.create_server(served), 0, '127.0.0.1', workers=2, on_ready=ready, reload=reload)
""",
        NOTIFY_SOCKET=path,
    )
    port, pids = come_up(program, 2)
    assert told() == {'READY': '1', 'STATUS': 'serving'}
    with connect(port) as client:
        assert int(client.makefile().readline()) in pids
        program.signal(signal.SIGHUP)
        assert told()['RELOADING'] == '1'
        same, others = come_up(program, 2)
        assert (same, others & pids) == (port, set())
        # The old worker is told that it ends, as by SIGTERM.
        assert all_of_goodbye(client) == b'bye'
    assert told() == {'READY': '1', 'STATUS': 'serving'}
    program.signal(signal.SIGTERM)
    assert told() == {'STOPPING': '1', 'STATUS': 'draining'}
    assert program.end() == (0, [])


@pytest.mark.parametrize(
    ('call', 'why'),
    [
        ("tailrace.serve(broken, workers=2)", 'ValueError: bad configuration'),
        ("tailrace.serve(net.create_server(), 0, '192.0.2.1', workers=2)", 'EADDRNOTAVAIL'),
        ("tailrace.serve(net.create_server(), 0, workers=1, on_ready=broken)", 'ValueError: bad'),
    ],
)  # fmt: skip
def test_a_first_start_that_fails_ends_with_status_1(start: Start, call: str, why: str) -> None:
    program = start(
        f"""
        def broken(*_):
            raise ValueError('bad configuration')
        {call}
        from tailrace import cluster
        if cluster.is_primary:
            say('after')
        """
    )
    status, said = program.end()
    assert (status, said) == (1, []), program.errors
    assert why in program.errors
    assert 'before it served: giving up' in program.errors


def test_a_server_that_listens_already_is_refused(start: Start) -> None:
    program = start("""
        server = net.create_server().listen(0)
        try:
            tailrace.serve(server, workers=2)
        except tailrace.NodeError as error:
            say(error.code)
        server.close()
        """)
    assert program.end() == (0, ['ERR_INVALID_ARG_VALUE'])


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can become somebody else')
def test_workers_drop_their_privileges_and_the_first_process_keeps_its_own(start: Start) -> None:
    program = start("""
        def served(sock):
            sock.end(str(os.getuid()))
        tailrace.serve(net.create_server(served), 0, '127.0.0.1', workers=2, run_as='nobody',
                       on_ready=ready)
        from tailrace import cluster
        if cluster.is_primary:
            say(os.getuid())
        """)
    port, pids = come_up(program, 2)
    for _ in range(2):
        with connect(port) as client:
            assert int(all_of(client)) == pwd.getpwnam('nobody').pw_uid
    # Those that come later bind nothing new, and drop as well.
    program.signal(signal.SIGHUP)
    same, others = come_up(program, 2)
    assert (same, others & pids) == (port, set())
    with connect(port) as client:
        assert int(all_of(client)) == pwd.getpwnam('nobody').pw_uid
    program.signal(signal.SIGTERM)
    assert program.end() == (0, ['0'])


def test_a_signal_while_the_workers_start(start: Start) -> None:
    """A worker that has not begun to listen yet goes too; what a terminal sends finds it deaf."""
    program = start("""
        from tailrace import cluster
        if cluster.is_worker:
            say('imported')
            while not os.path.exists('go'):
                pass
        tailrace.serve(net.create_server(), 0, '127.0.0.1', workers=1)
        """)
    assert program.line() == 'imported'
    os.killpg(program.process.pid, signal.SIGINT)
    Path(program.process.args[-1]).with_name('go').touch()  # type: ignore[index]
    assert program.end() == (0, [])
    assert program.errors == ''
