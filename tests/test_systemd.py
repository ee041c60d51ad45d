"""sd_notify and socket activation: against a manager made here, and systemd's own tools."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tailrace import net, systemd
from tailrace.errors import NodeError

SRC = Path(__file__).resolve().parent.parent / 'src'


class Manager:
    """The socket that a service manager listens on."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind('\0' + path[1:] if path.startswith('@') else path)
        self.sock.settimeout(20)

    def told(self) -> dict[str, str]:
        text = self.sock.recv(4096).decode()
        return dict(line.split('=', 1) for line in text.split('\n'))


@pytest.fixture(params=['file', 'abstract'])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Manager]:
    path = str(tmp_path / 'n')
    if request.param == 'abstract':
        if sys.platform != 'linux':
            pytest.skip('abstract sockets are Linux only')
        path = '@' + path
    made = Manager(path)
    monkeypatch.setenv('NOTIFY_SOCKET', path)
    yield made
    made.sock.close()


def test_what_is_told(manager: Manager) -> None:
    assert systemd.is_managed()
    assert systemd.ready('serving')
    assert manager.told() == {'READY': '1', 'STATUS': 'serving'}
    assert systemd.reloading()
    told = manager.told()
    assert told['RELOADING'] == '1'
    assert told['MONOTONIC_USEC'].isdigit()
    for call, expected in (
        (systemd.stopping, {'STOPPING': '1'}),
        (systemd.watchdog, {'WATCHDOG': '1'}),
        (lambda: systemd.status('12 open'), {'STATUS': '12 open'}),
        (lambda: systemd.extend_timeout(1500), {'EXTEND_TIMEOUT_USEC': '1500000'}),
        (lambda: systemd.notify('X_OWN=1'), {'X_OWN': '1'}),
    ):
        assert call()
        assert manager.told() == expected


def test_descriptors_are_stored(manager: Manager) -> None:
    read, write = os.pipe()
    assert systemd.store_fds('spare', [read, write])
    data, fds, _, _ = socket.recv_fds(manager.sock, 4096, 4)
    assert data == b'FDSTORE=1\nFDNAME=spare'
    assert len(fds) == 2
    for fd in (read, write, *fds):
        os.close(fd)


def test_stored_descriptors_are_given_back(manager: Manager) -> None:
    assert systemd.remove_fds('spare')
    assert manager.told() == {'FDSTOREREMOVE': '1', 'FDNAME': 'spare'}


def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('NOTIFY_SOCKET', 'WATCHDOG_USEC', 'LISTEN_PID', 'LISTEN_FDS'):
        monkeypatch.delenv(name, raising=False)
    assert not systemd.is_managed()
    assert not systemd.ready()
    assert systemd.watchdog_interval() is None
    assert systemd.listen_fds() == {}


def test_a_manager_that_is_gone_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv('NOTIFY_SOCKET', str(tmp_path / 'nothing'))
    with pytest.raises(FileNotFoundError) as caught:
        systemd.ready()
    assert caught.value.code == 'ENOENT'  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    'call',
    [
        lambda: systemd.notify(5),  # type: ignore[arg-type]
        lambda: systemd.notify({'A': 'x\ny'}),
        lambda: systemd.notify('A=1', fds=['x']),  # type: ignore[list-item]
        lambda: systemd.store_fds('a:b', []),
        lambda: systemd.remove_fds(''),
        lambda: systemd.status(None),  # type: ignore[arg-type]
        lambda: systemd.extend_timeout(-1),
        lambda: systemd.listen_fds(unset=1),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments(call: object) -> None:
    with pytest.raises(NodeError):
        call()  # type: ignore[operator]


@pytest.mark.parametrize(
    ('usec', 'pid', 'expected'),
    [
        ('2000000', None, 2000.0), ('2000000', 'own', 2000.0), ('2000000', '1', None),
        ('x', None, None), ('0', None, None),
    ],
)  # fmt: skip
def test_the_watchdog_interval(
    monkeypatch: pytest.MonkeyPatch, usec: str, pid: str | None, expected: float | None
) -> None:
    monkeypatch.setenv('WATCHDOG_USEC', usec)
    monkeypatch.delenv('WATCHDOG_PID', raising=False)
    if pid is not None:
        monkeypatch.setenv('WATCHDOG_PID', str(os.getpid()) if pid == 'own' else pid)
    assert systemd.watchdog_interval() == expected


# -- systemd's own tools --------------------------------------------------------------------------

#: Where our CI runs, ``.ci/run`` sees to it that they are installed.
REQUIRED = bool(os.environ.get('CI')) and sys.platform == 'linux'


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        shutil.which(tool) is None and not REQUIRED, reason=f'{tool} is not installed'
    )


@needs('systemd-notify')
def test_the_datagrams_are_those_of_systemd_notify(manager: Manager) -> None:
    subprocess.run(
        ['systemd-notify', '--no-block', '--ready', '--status=serving'], check=True, timeout=20
    )
    theirs = manager.told()
    systemd.ready('serving')
    assert manager.told() == theirs
    for state in ('STOPPING=1', 'WATCHDOG=1', 'X_OWN=a b'):
        subprocess.run(['systemd-notify', '--no-block', state], check=True, timeout=20)
        theirs = manager.told()
        systemd.notify(state)
        assert manager.told() == theirs


HEAD = """
import os, sys
import tailrace
from tailrace import net, systemd

def say(*words):
    os.write(1, (' '.join(map(str, words)) + '\\n').encode())
"""


@contextlib.contextmanager
def activated(
    folder: Path, program: str, names: str, places: list[str]
) -> Iterator[subprocess.Popen[str]]:
    """systemd-socket-activate, listening at these places; it becomes the program."""
    path = folder / 'service.py'
    path.write_text(HEAD + program)
    words = ['systemd-socket-activate', '-E', 'PYTHONPATH', f'--fdname={names}']
    for place in places:
        words += ['-l', place]
    with subprocess.Popen(
        [*words, sys.executable, str(path)],
        env={**os.environ, 'PYTHONPATH': str(SRC)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stderr is not None
            for _ in places:
                while 'Listening on' not in process.stderr.readline():
                    assert process.poll() is None
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def ask(path: Path) -> str:
    """All that a server at a path sends."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        out = b''
        while chunk := client.recv(100):
            out += chunk
        return out.decode()


@needs('systemd-socket-activate')
def test_socket_activation_by_systemd(tmp_path: Path) -> None:
    program = """
async def main():
    fds = systemd.listen_fds(unset=True)
    say(sorted((name, len(some)) for name, some in fds.items()))
    server = net.create_server(lambda sock: sock.end('served'))
    await server.listen(fd=fds['http'][0])
    systemd.ready()
    await server.wait_closed()

tailrace.run(main)
"""
    path = tmp_path / 's'
    with activated(tmp_path, program, 'http', [str(path)]) as process:
        assert ask(path) == 'served'
        assert process.stdout is not None
        assert process.stdout.readline() == "[('http', 1)]\n"


@needs('systemd-socket-activate')
@pytest.mark.parametrize('workers', ['', ', workers=2'])
def test_several_sockets_by_name(tmp_path: Path, workers: str) -> None:
    """Two of one name are taken one after the other; a worker asks the first process for them."""
    program = f"""
def start():
    servers = []
    for name in ('http', 'admin', 'http'):
        def served(sock, name=name, number=len(servers)):
            sock.end(f'{{name}} {{number}}')
        servers.append(net.create_server(served).listen(8124, from_systemd=name))
    try:
        net.create_server().listen(from_systemd='http')
    except ValueError as error:
        say(error.code, "'http': 2" in str(error), "'admin': 1" in str(error))
    return servers

tailrace.serve(start{workers})
"""
    paths = [tmp_path / name for name in 'abc']
    with activated(tmp_path, program, 'http:admin:http', list(map(str, paths))) as process:
        assert [ask(path) for path in paths] == ['http 0', 'admin 1', 'http 2']
        assert process.stdout is not None
        for _ in range(2 if workers else 1):
            assert process.stdout.readline() == 'ERR_INVALID_ARG_VALUE True True\n'
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert all(path.exists() for path in paths)  # they are the manager's


@needs('systemd-socket-activate')
def test_any_socket(tmp_path: Path) -> None:
    program = """
tailrace.serve(net.create_server(lambda sock: sock.end('served')), from_systemd=True)
"""
    path = tmp_path / 's'
    with activated(tmp_path, program, 'whatever', [str(path)]) as process:
        assert ask(path) == 'served'
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_without_a_manager_the_rest_counts(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('LISTEN_FDS', raising=False)

    async def main() -> None:
        server = await net.create_server().listen(0, '127.0.0.1', from_systemd='http')
        assert server.address().port
        await server.async_dispose()
        for name in ('http', True):
            with pytest.raises(ValueError, match='usable port'):
                net.create_server().listen(from_systemd=name)
        with pytest.raises(TypeError, match=r'options\.from_systemd') as caught:
            net.create_server().listen(0, from_systemd=5)  # type: ignore[arg-type]
        assert caught.value.code == 'ERR_INVALID_ARG_TYPE'  # type: ignore[attr-defined]

    run(main)


# -- other supervisors ----------------------------------------------------------------------------


def test_a_descriptor_by_its_number(tmp_path: Path) -> None:
    """As Circus, Einhorn and s6 hand sockets over: inherited, the number in the arguments."""
    program = tmp_path / 'service.py'
    program.write_text(
        HEAD
        + "tailrace.serve(net.create_server(lambda sock: sock.end('served')), fd=int(sys.argv[1]))"
    )
    with socket.create_server(('127.0.0.1', 0)) as listener:
        fd = listener.fileno()
        with subprocess.Popen(
            [sys.executable, program, str(fd)],
            env={**os.environ, 'PYTHONPATH': str(SRC)},
            pass_fds=[fd],
        ) as process:
            # It waits in the queue of the socket until the program accepts.
            with socket.create_connection(listener.getsockname(), 20) as client:
                assert client.recv(100) == b'served'
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert listener.getsockname()[1]
