"""sd_notify and socket activation: against a manager made here, and systemd's own tools."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailrace import systemd
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


SERVICE = """
import sys
import tailrace
from tailrace import net, systemd

async def main():
    fds = systemd.listen_fds(unset=True)
    print(sorted((name, len(some)) for name, some in fds.items()), flush=True)
    server = net.create_server(lambda sock: sock.end('served'))
    await server.listen(fd=fds['http'][0])
    systemd.ready()
    await server.wait_closed()

tailrace.run(main)
"""


@pytest.mark.skipif(
    shutil.which('systemd-socket-activate') is None, reason='systemd is not installed'
)
def test_socket_activation_by_systemd(tmp_path: Path) -> None:
    path = tmp_path / 's'
    program = tmp_path / 'service.py'
    program.write_text(SERVICE)
    with subprocess.Popen(
        ['systemd-socket-activate', '-l', str(path), '--fdname=http', sys.executable, program],
        env={**os.environ, 'PYTHONPATH': str(SRC)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        while 'Listening on' not in process.stderr.readline():
            assert process.poll() is None
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(path))
            assert client.recv(100) == b'served'
        assert process.stdout.readline() == "[('http', 1)]\n"
        process.send_signal(signal.SIGKILL)
