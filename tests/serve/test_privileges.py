"""Privileges: dropped for good after binding, before anything is accepted; refused with a code."""

from __future__ import annotations

import os
import pwd
import signal
from pathlib import Path

import pytest

from tailrace._serve.privileges import identity

from .conftest import Start, all_of, connect

as_root = pytest.mark.skipif(os.geteuid() != 0, reason='only root can become somebody else')

WHO = """
def who(*_):
    try:
        os.setuid(0)
        back = 'root again'
    except PermissionError:
        back = 'no way back'
    return f'{os.getuid()} {os.geteuid()} {os.getgid()} {sorted(os.getgroups())} {back}'
"""


@pytest.fixture
def nobody() -> pwd.struct_passwd:
    return pwd.getpwnam('nobody')


@as_root
def test_a_user_brings_its_groups(start: Start, nobody: pwd.struct_passwd, tmp_path: Path) -> None:
    """And cannot get back; the pid file in a folder of root's is emptied instead of removed."""
    program = start(
        WHO
        + """
def target():
    say('as', os.getuid())
    return net.create_server(lambda sock: sock.end(who()))
def on_ready(servers):
    ready(servers)
    say(who())
tailrace.serve(target, 0, '127.0.0.1', run_as='nobody', on_ready=on_ready, pid_file='pid')
"""
    )
    assert program.line() == 'as 0'
    port = program.ready()
    groups = sorted(set(os.getgrouplist('nobody', nobody.pw_gid)))
    expected = f'{nobody.pw_uid} {nobody.pw_uid} {nobody.pw_gid} {groups} no way back'
    assert program.line() == expected
    with connect(port) as client:
        assert all_of(client).decode() == expected
    os.chmod(tmp_path, 0o700)
    program.signal(signal.SIGTERM)
    assert program.end() == (0, [])
    assert program.errors == ''
    assert (tmp_path / 'pid').read_text() == ''


@as_root
def test_a_port_that_only_root_may_bind(start: Start, nobody: pwd.struct_passwd) -> None:
    program = start(
        WHO
        + """
server = net.create_server(lambda sock: sock.end(who()))
for port in range(1023, 500, -1):
    try:
        tailrace.serve(server, port, '127.0.0.1', run_as='nobody', run_as_group=12345,
                       on_ready=ready)
        break
    except OSError as error:
        if error.code != 'EADDRINUSE':
            raise
"""
    )
    port = program.ready()
    assert port < 1024
    with connect(port) as client:
        found = all_of(client).decode()
    assert found.startswith(f'{nobody.pw_uid} {nobody.pw_uid} 12345 ')
    program.signal(signal.SIGTERM)
    assert program.end() == (0, [])


@as_root
def test_nothing_is_accepted_before(start: Start) -> None:
    program = start(
        WHO
        + """
async def target():
    server = net.create_server(lambda sock: sock.end(str(os.getuid())))
    server.listen(0, '127.0.0.1')
    return server
async def on_ready(servers):
    ready(servers)

become = os.setuid
def slowly(uid):
    import socket
    client = socket.create_connection(('127.0.0.1', server.address().port))
    become(uid)
    say(client.recv(10) if select.select([client], [], [], 0)[0] else 'not served')
    client.close()
import select
os.setuid = slowly
server = net.create_server(lambda sock: sock.end(str(os.getuid())))
tailrace.serve(server, 0, '127.0.0.1', run_as='nobody', on_ready=on_ready)
"""
    )
    assert program.line() == 'not served'
    with connect(program.ready()) as client:
        assert int(all_of(client)) == pwd.getpwnam('nobody').pw_uid
    program.signal(signal.SIGTERM)
    assert program.end()[0] == 0


@as_root
def test_who_is_not_root_is_refused_with_a_code(start: Start, nobody: pwd.struct_passwd) -> None:
    program = start(f"""
        import tailrace._serve.service  # an installation that only root may read
        import grp, pwd, encodings.idna
        os.setgroups([])
        os.setgid({nobody.pw_gid})
        os.setuid({nobody.pw_uid})
        for user in ('root', 'nobody'):
            try:
                tailrace.serve(net.create_server(), 0, '127.0.0.1', run_as=user, on_ready=ready)
            except tailrace.NodeError as error:
                say(error.code, error.syscall)
        """)
    assert program.line() == 'EPERM initgroups'
    program.ready()  # it is that user already
    program.signal(signal.SIGTERM)
    assert program.end() == (0, [])


def test_names_and_numbers() -> None:
    root = pwd.getpwuid(0)
    assert identity(None, None) is None
    assert identity(root.pw_name, None) == (0, root.pw_gid, root.pw_name)
    assert identity(0, None) == (0, root.pw_gid, root.pw_name)
    assert identity(None, 4_000_000) == (None, 4_000_000, None)
    assert identity(4_000_000, 4_000_001) == (4_000_000, 4_000_001, None)
    with pytest.raises(ValueError, match='with run_as_group'):
        identity(4_000_000, None)
