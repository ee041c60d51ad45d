"""Servers on Unix-domain sockets: paths, files and who removes them (rows IPC, PF-09, PF-10)."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tailrace import net
from tailrace.errors import InvalidArgValueError

from .serving import Heard, client, echo, server_on, started, stopped

LINUX = sys.platform == 'linux'
ROOT = hasattr(os, 'geteuid') and os.geteuid() == 0
SOURCE = Path(net.__file__).resolve().parent.parent


def test_ipc01_ipc02_a_socket_inode_that_all_four_entry_points_reach(
    run: Any, tmp_path: Path
) -> None:
    async def main() -> None:
        path = str(tmp_path / 's')
        server, heard = server_on()
        server.on('connection', lambda sock: sock.end('hello'))
        await started(server, path)
        assert stat.S_ISSOCK(os.stat(path).st_mode)
        for make in (
            lambda: net.connect(path),
            lambda: net.create_connection({'path': path}),
            lambda: net.connect(path=path),
            lambda: net.Socket().connect(path),
        ):
            sock = make()
            assert [chunk async for chunk in sock] == [b'hello']
        await heard.until('connection', 4)
        await stopped(server)

    run(main)


def test_ipc03_relative_paths(run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    async def main() -> None:
        monkeypatch.chdir(tmp_path)
        server = net.create_server(echo)
        await started(server, 'rel.sock')
        assert server.address() == 'rel.sock'
        assert stat.S_ISSOCK((tmp_path / 'rel.sock').stat().st_mode)
        (tmp_path / 'elsewhere').mkdir()
        monkeypatch.chdir(tmp_path / 'elsewhere')
        await stopped(server)  # IPC-05, wherever the program is now
        assert not (tmp_path / 'rel.sock').exists()

    run(main)


@pytest.mark.skipif(ROOT, reason='root may write anywhere')
def test_ipc03_a_folder_that_cannot_be_written(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        tmp_path.chmod(0o555)
        server, heard = server_on()
        server.listen(str(tmp_path / 's'))
        assert (await heard.until('error')).code == 'EACCES'
        tmp_path.chmod(0o755)

    run(main)


def test_ipc03_a_folder_that_is_not_there(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, heard = server_on()
        path = str(tmp_path / 'no' / 's')
        server.listen(path)
        error = await heard.until('error')
        assert (error.code, error.syscall, error.address, error.port) == (
            'EACCES',  # as Node says
            'listen',
            path,
            -1,
        )

    run(main)


def fitting(folder: Path, length: int) -> str:
    """A path of that many bytes."""
    return f'{folder}/'.ljust(length, 'x')


@pytest.mark.parametrize('length', [120, 200, 5000])
def test_ipc04_am01_a_path_that_is_too_long(run: Any, tmp_path: Path, length: int) -> None:
    async def main() -> None:
        path = fitting(tmp_path, length)
        server, heard = server_on()
        server.listen(path)
        assert heard == []
        error = await heard.until('error')
        assert (error.code, error.syscall) == ('EINVAL', 'listen')
        sock = net.connect(path)
        told = Heard(sock, 'error', 'close')
        error = await told.until('error')
        assert (error.code, error.syscall) == ('EINVAL', 'connect')
        await told.until('close')
        assert list(tmp_path.iterdir()) == []
        await server.listen(0)
        await stopped(server)

    run(main)


@pytest.mark.skipif(not LINUX, reason='the length is that of Linux')
def test_ipc04_the_longest_path_counts_bytes(run: Any, monkeypatch: Any, tmp_path: Path) -> None:
    async def main() -> None:
        monkeypatch.chdir(tmp_path)
        server = net.create_server(echo)
        for path in ('x' * 107, 'ä' * 53 + 'x'):
            assert len(os.fsencode(path)) == 107
            await started(server, path)
            assert os.listdir('.') == [path]
            async with client(path) as one:
                assert await one.ask(b'x') == b'x'
            await stopped(server)
        told = Heard(server, 'error')
        server.listen('ä' * 60)
        assert (await told.until('error')).code == 'EINVAL'

    run(main)


def test_ipc05_the_file_goes_with_close(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.on('connection', echo)
        path = tmp_path / 's'
        await started(server, str(path))
        async with client(str(path)) as one:
            await heard.until('connection')
            server.close()
            assert not path.exists()
            assert await one.ask(b'goes on') == b'goes on'
        await heard.until('close')

    run(main)


@pytest.mark.parametrize('what', ['file', 'socket', 'link', 'folder'])
def test_ipc06_what_is_there_stays(run: Any, tmp_path: Path, what: str) -> None:
    async def main() -> None:
        path = tmp_path / 's'
        other = socket.socket(socket.AF_UNIX)
        if what == 'file':
            path.write_text('mine')
        elif what == 'socket':
            other.bind(str(path))
        elif what == 'link':
            path.symlink_to(tmp_path / 'nowhere')
        else:
            path.mkdir()
        before = path.lstat().st_ino
        server, heard = server_on()
        server.listen(str(path))
        error = await heard.until('error')
        assert (error.code, error.address) == ('EADDRINUSE', str(path))
        server.close()
        await heard.until('close')
        assert path.lstat().st_ino == before
        other.close()

    run(main)


CRASH = """
import os, signal, sys, tailrace
server = tailrace.create_server()
server.listen(sys.argv[1], lambda: os.kill(os.getpid(), signal.SIGKILL))
tailrace.run()
"""


def test_ipc07_a_crash_leaves_the_file(run: Any, tmp_path: Path) -> None:
    path = tmp_path / 's'
    done = subprocess.run(
        [sys.executable, '-c', CRASH, str(path)],
        env={**os.environ, 'PYTHONPATH': str(SOURCE)},
        timeout=20,
    )
    assert done.returncode == -signal.SIGKILL
    assert path.exists()

    async def main() -> None:
        server, heard = server_on()
        server.listen(str(path))
        assert (await heard.until('error')).code == 'EADDRINUSE'

    run(main)
    assert path.exists()


@pytest.mark.skipif(not LINUX, reason='abstract names are Linux')
def test_ipc08_abstract_names(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        name = f'\0tailrace-test-{os.getpid()}-{tmp_path.name}'
        server = net.create_server(echo)
        for _ in range(2):
            await started(server, name)
            assert server.address() == name
            async with client(name) as one:
                assert await one.ask(b'x') == b'x'
            second, told = server_on()
            second.listen(name)
            assert (await told.until('error')).code == 'EADDRINUSE'
            await stopped(server)
        assert list(tmp_path.iterdir()) == []

    run(main)


@pytest.mark.skipif(not LINUX, reason='abstract names are Linux')
@pytest.mark.parametrize('name', ['\0x', '\0' + 'x' * 106])
def test_ipc08_lengths_of_abstract_names(run: Any, name: str) -> None:
    async def main() -> None:
        server = net.create_server(echo)
        await started(server, name)
        assert server.address() == name
        await stopped(server)

    run(main)


@pytest.mark.skipif(LINUX, reason='on Linux such names work')
def test_ipc09_abstract_names_elsewhere(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.listen('\0x')
        assert (await heard.until('error')).code == 'EINVAL'

    run(main)


@pytest.mark.parametrize('option', ['readable_all', 'writableAll'])
def test_ipc10_an_abstract_name_has_no_mode(run: Any, option: str) -> None:
    async def main() -> None:
        server = net.create_server()
        with pytest.raises(InvalidArgValueError) as caught:
            server.listen({'path': '\0tailrace-x', option: True})
        assert caught.value.code == 'ERR_INVALID_ARG_VALUE'
        await server.listen(0)
        await stopped(server)

    run(main)


def test_ipc14_nul_inside_a_path(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        path = f'{tmp_path}/a\0b'
        server, heard = server_on()
        server.listen(path)
        assert (await heard.until('error')).code == 'EINVAL'
        told = Heard(net.connect(path), 'error', 'close')
        assert (await told.until('error')).code == 'EINVAL'
        await told.until('close')
        assert list(tmp_path.iterdir()) == []

    run(main)


def test_ipc15_no_ip_endpoints(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, heard = server_on()
        await started(server, str(tmp_path / 's'))
        mine = await net.connect(str(tmp_path / 's'))
        theirs = await heard.until('connection')
        for sock in (mine, theirs):
            assert sock.address() == {}
            for side in ('local', 'remote'):
                for what in ('address', 'port', 'family'):
                    assert getattr(sock, f'{side}_{what}') is None
        gone = Heard(mine, 'close')
        mine.destroy()
        theirs.destroy()
        await gone.until('close')
        await stopped(server)

    run(main)


@pytest.mark.parametrize(
    ('options', 'mode'),
    [
        ({'readable_all': True}, 0o444),
        ({'writable_all': True}, 0o222),
        ({'readable_all': True, 'writableAll': True}, 0o666),
    ],
)
def test_ls21_ls22_am45_modes_are_those_of_node(
    run: Any, tmp_path: Path, options: dict[str, Any], mode: int
) -> None:
    async def main() -> None:
        server = net.create_server()
        await started(server, path=str(tmp_path / 's'), **options)
        assert stat.S_IMODE((tmp_path / 's').stat().st_mode) == mode
        await stopped(server)

    run(main)


def test_pf09_without_options_the_mode_is_that_of_the_umask(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server = net.create_server()
        for umask in (0o022, 0o077):
            before = os.umask(umask)
            try:
                await started(
                    server, {'path': str(tmp_path / 's'), 'readableAll': False, 'writableAll': 0}
                )
            finally:
                os.umask(before)
            assert stat.S_IMODE((tmp_path / 's').stat().st_mode) == 0o777 & ~umask
            await stopped(server)

    run(main)


@pytest.mark.parametrize('by', ['socket', 'file', 'nothing'])
def test_pf10_am46_a_file_that_was_replaced_survives(run: Any, tmp_path: Path, by: str) -> None:
    async def main() -> None:
        path = tmp_path / 's'
        server = net.create_server()
        await started(server, str(path))
        moved = tmp_path / 'keeps the inode number taken'
        path.rename(moved)
        other = socket.socket(socket.AF_UNIX)
        if by == 'socket':
            other.bind(str(path))
        elif by == 'file':
            path.write_text('x')
        await stopped(server)
        assert path.exists() is (by != 'nothing')
        other.close()

    run(main)


def test_ex03_echo_over_a_path(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / 'echo.sock')
        server, heard = server_on()
        server.on('connection', echo)
        server.listen(path=path, callback=heard.to('server bound'))
        await heard.until('server bound')
        assert server.address() == path
        sock = net.create_connection(path=path)
        sock.end('over the wall')
        assert b''.join([chunk async for chunk in sock]) == b'over the wall'
        await stopped(server)
        assert not os.path.exists(path)

    run(main)
