"""A process seen from outside: the control socket and the command."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

import tailrace
from tailrace import _status, diagnostics, errors, net
from tailrace._net import counting

from .net.serving import Heard, client, server_on, started, stopped


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests of this process have left for the garbage collector is not shown."""
    monkeypatch.setattr(counting, '_servers', weakref.WeakSet())
    monkeypatch.setattr(counting.clients, 'sockets', weakref.WeakSet())


async def ask(path: str, *more: str) -> tuple[int, str, str]:
    where = str(Path(tailrace.__file__).parent.parent)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, '-m', 'tailrace', 'status', path, *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, 'PYTHONPATH': where},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def test_connections_as_a_table_and_as_json(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / 'control')
        control = await diagnostics.serve_status(path)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        server, heard = server_on(max_connections=1)
        server.on('connection', lambda sock: sock.pipe(sock))
        port = await started(server)
        async with client(port) as one:
            await one.ask(b'x' * 1234)
            async with client(port) as two:
                assert await two.rest() == b''
            code, out, err = await ask(path)
            assert (code, err) == (0, '')
            accepted = heard.all('connection')[0]
            lines = out.splitlines()
            assert lines[0] == f'process {os.getpid()}, tailrace {tailrace.__version__}'
            assert lines[1].startswith(
                f'server 127.0.0.1:{port}: 1 open, 1 accepted, 1 turned away'
            )
            assert lines[2].split() == [
                *('id', 'side', 'peer', 'local', 'state', 'age', 's'),
                *('read', 'written', 'queued', 'unread'),
            ]
            row = lines[3].split()
            assert row[:5] == [
                *(str(accepted.connection_id), 'server', f'127.0.0.1:{one.port}'),
                *(f'127.0.0.1:{port}', 'reading'),
            ]
            assert float(row[5]) >= 0
            assert row[6:] == ['1,234', '1,234', '0', '0']
            assert len(lines) == 4
            code, out, err = await ask(path, '--json')
            told = json.loads(out)
            assert (code, told['pid']) == (0, os.getpid())
            assert told['connections'][0]['bytes_read'] == 1234
            assert told['servers'][0]['address'] == f'127.0.0.1:{port}'
            assert told['stats']['server']['open'] >= 1
        await stopped(server)
        await stopped(control)
        assert not os.path.exists(path)

    run(main)


def test_clients_and_paused_connections_are_shown(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, _ = server_on(pause_on_connect=True)
        path = str(tmp_path / 's')
        await started(server, path)
        sock = await net.connect(path=path)
        told = _status.report()
        sides = sorted((one['side'], one['age'] is None) for one in told['connections'])
        assert sides == [('client', False), ('server', True)]
        assert '-' in _status.table(told)
        sock.destroy()
        for one in list(server._sockets):
            one.destroy()
        await stopped(server)

    run(main)


def test_what_a_closed_loop_has_left_behind_is_not_shown(loop_factory: Any) -> None:
    async def leaves() -> tuple[net.Server, net.Socket, net.Socket]:
        server, heard = server_on()
        port = await started(server)
        sock = await net.connect(port)
        accepted = await heard.until('connection')
        assert len(_status.report()['connections']) == 2
        return server, sock, accepted

    loop = loop_factory()
    server, sock, accepted = loop.run_until_complete(leaves())
    loop.close()
    told = _status.report()
    assert (told['servers'], told['connections'], told['stats']['servers']) == ([], [], 0)
    server.close()
    sock.destroy()
    accepted.destroy()


def test_a_file_that_was_left_behind_is_replaced_and_a_used_one_is_not(
    run: Any, tmp_path: Path
) -> None:
    async def main() -> None:
        path = str(tmp_path / 'control')
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(path)
        control = await diagnostics.serve_status(path)
        with pytest.raises(errors.NodeOSError) as caught:
            await diagnostics.serve_status(path)
        assert caught.value.code == 'EADDRINUSE'
        await stopped(control)
        (tmp_path / 'file').write_text('mine')
        other = diagnostics.serve_status(str(tmp_path / 'file'))
        assert (await Heard(other, 'error').until('error')).code == 'EADDRINUSE'
        assert (tmp_path / 'file').read_text() == 'mine'

    run(main)


def test_it_does_not_keep_the_program_alive(tmp_path: Path, loop_factory: Any) -> None:
    def program() -> None:
        kept.append(diagnostics.serve_status(str(tmp_path / 'control')))

    kept: list[Any] = []
    tailrace.run(program, loop_factory=loop_factory)
    kept[0].close()


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / 'none')
    assert _status.main([missing]) == 1
    assert capsys.readouterr().err == f'tailrace: {missing}: No such file or directory\n'
    for words in ([], ['a', 'b'], ['--watch']):
        assert _status.main(words) == 2
        assert capsys.readouterr().err.startswith('usage: ')
    assert _status.main(['--help']) == 0
    assert 'serve_status' in capsys.readouterr().out
    with pytest.raises(errors.NodeError) as caught:
        diagnostics.serve_status(5)  # type: ignore[arg-type]
    assert caught.value.code == 'ERR_INVALID_ARG_TYPE'
