"""The commands as real processes with pipes, at the other end of real sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..programs import PATIENCE, python
from ..tls.authorities import Certificates
from .running import command, words

pytestmark = pytest.mark.skipif(os.name == 'nt', reason='POSIX signals and Unix sockets')

BIG = os.urandom(3_000_000)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(('127.0.0.1', 0)) as made:
        made.settimeout(PATIENCE)
        yield made


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates as files."""
    folder = tmp_path_factory.mktemp('tls')
    made = Certificates()
    texts = {
        'ca': made.ca,
        'cert': made.server['cert'],
        'key': made.server['key'],
        'both': made.server['key'] + made.server['cert'],
        'other': made.other_host['key'] + made.other_host['cert'],
        'client': made.client['key'] + made.client['cert'],
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in texts}


def port_of(server: socket.socket) -> int:
    port: int = server.getsockname()[1]
    return port


def unused() -> int:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return port_of(free)


def accepted(server: socket.socket) -> socket.socket:
    sock, _ = server.accept()
    sock.settimeout(PATIENCE)
    return sock


def joined(port: int) -> socket.socket:
    return socket.create_connection(('127.0.0.1', port), PATIENCE)


def all_of(sock: socket.socket) -> bytes:
    out = bytearray()
    while chunk := sock.recv(65536):
        out += chunk
    return bytes(out)


def exactly(sock: socket.socket, count: int) -> bytes:
    out = b''
    while len(out) < count:
        chunk = sock.recv(count - len(out))
        assert chunk, out
        out += chunk
    return out


# -- which command, and what is wrong with it -----------------------------------------------------


def test_a_command_is_told_from_a_script(tmp_path: Path) -> None:
    (tmp_path / 'check').write_text('import sys; print("a script", *sys.argv[1:])\n')
    (tmp_path / 'check.py').write_text('import sys; print("with .py", *sys.argv[1:])\n')
    (tmp_path / 'other').write_text('import sys; print("other", *sys.argv[1:])\n')
    for word, said in [
        ('./check', 'a script x'),
        (tmp_path / 'check', 'a script x'),
        ('check.py', 'with .py x'),
        ('other', 'other x'),
    ]:
        done = python(['-m', 'tailrace', word, 'x'], cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, said + '\n'), done.stderr
    done = python(['-m', 'tailrace', '-m', 'check', 'x'], cwd=tmp_path)
    assert done.stdout == 'with .py x\n'
    done = python(['-m', 'tailrace', 'check', 'x'], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, '')


def test_the_flags_may_stand_before_a_command() -> None:
    done = python(
        ['-m', 'tailrace', '--no-network-family-autoselection', 'check', f'localhost:{unused()}']
    )
    assert (done.returncode, done.stderr) == (1, '')


def test_nothing_of_the_commands_is_imported_for_nothing() -> None:
    text = (
        'import sys, tailrace, tailrace.__main__\n'
        'print([name for name in sys.modules if "_cli" in name or name in ("argparse", "rich")])\n'
    )
    assert python(['-c', text]).stdout == '[]\n'


@pytest.mark.parametrize('name', ['connect', 'listen', 'echo', 'proxy', 'check'])
def test_each_has_help(name: str) -> None:
    done = python(['-m', 'tailrace', name, '--help'])
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.startswith(f'usage: tailrace {name} [options]')


@pytest.mark.parametrize(
    ('arguments', 'wrong'),
    [
        (['connect'], 'the following arguments are required: place'),
        (['connect', 'host'], "a port must follow 'host'"),
        (['connect', 'a:1', 'b:2'], 'one place, not 2'),
        (['connect', 'a:1', '--nonsense'], 'unrecognized arguments: --nonsense'),
        (['connect', 'a:1', '--proxy-protocol', '3'], 'invalid choice: '),
        (['connect', 'a:1', '--timeout', '-5'], 'expected one argument'),
        (['connect', 'a:1', '--timeout', '0'], 'a whole number from 1 on'),
        (['connect', 'a:1', '--key', 'file'], '--key needs --cert'),
        (['connect', 'a:1', '-4', '-6'], 'not allowed with argument -4'),
        (['connect', 'a:1', '--ca', 'file'], '--ca needs --tls'),
        (['listen', '99999'], 'a port is 0 to 65535'),
        (['echo', '0', '--client-ca', 'file'], '--client-ca needs --cert'),
        (['proxy', '8080'], '2 places, not 1'),
        (['proxy', '0', ':1', '--block', 'nonsense'], 'nonsense'),
        (['check', 'a', 'b'], "a port must follow 'a', not 'b'"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(arguments: list[str], wrong: str) -> None:
    done = python(['-m', 'tailrace', *arguments])
    assert (done.returncode, done.stdout) == (2, ''), done.stderr
    assert wrong in done.stderr
    assert done.stderr.startswith(f'tailrace {arguments[0]}: ')
    assert done.stderr.count('\n') == 1


# -- connect --------------------------------------------------------------------------------------


def test_the_end_of_input_ends_our_side_and_the_peer_may_go_on(
    server: socket.socket, loop_kind: str
) -> None:
    with command('connect', '127.0.0.1', port_of(server), loop_kind=loop_kind) as client:
        with accepted(server) as peer:
            client.say(b'question', end=True)
            assert all_of(peer) == b'question'
            peer.sendall(b'answer')
        assert client.ended() == (0, b'answer', '')


def test_the_end_of_the_peer_ends_output_and_input_may_go_on(server: socket.socket) -> None:
    with command('connect', '127.0.0.1', port_of(server)) as client:
        with accepted(server) as peer:
            peer.sendall(b'all I have')
            peer.shutdown(socket.SHUT_WR)
            assert client.process.stdout is not None
            assert client.process.stdout.readall() == b'all I have'  # its end was passed on
            client.say(b'more', end=True)
            assert all_of(peer) == b'more'
        assert client.process.wait(PATIENCE) == 0


def test_much_goes_both_ways(server: socket.socket, tmp_path: Path, loop_kind: str) -> None:
    source = tmp_path / 'source'
    source.write_bytes(BIG)
    with (
        command('echo', '127.0.0.1:0', loop_kind=loop_kind) as echo,
        source.open('rb') as given,
        command('connect', f'127.0.0.1:{echo.listening()}', stdin=given) as client,
    ):
        assert client.ended() == (0, BIG, '')
        assert echo.line().endswith(': open')
        assert f'received {len(BIG)} bytes, sent {len(BIG)}' in echo.line()


def test_a_pipeline_of_commands(server: socket.socket) -> None:
    with command('connect', f'127.0.0.1:{port_of(server)}') as client, accepted(server) as peer:
        peer.close()
        status, out, errors = client.ended(BIG)
        assert (status in (0, 1), out) == (True, b'')
        assert errors.count('\n') == status


def test_nobody_there_is_one_line_and_status_1() -> None:
    with command('connect', '127.0.0.1', unused()) as client:
        status, out, errors = client.ended()
    assert (status, out, errors.count('\n')) == (1, b'', 1)
    assert errors.startswith('tailrace connect: connect ECONNREFUSED 127.0.0.1:')


def test_a_reset_is_an_error_after_what_had_come(server: socket.socket) -> None:
    with command('connect', f'127.0.0.1:{port_of(server)}') as client, accepted(server) as peer:
        peer.sendall(b'before')
        assert client.process.stdout is not None
        assert client.process.stdout.read(6) == b'before'
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        peer.close()
        status, _, errors = client.ended()
    assert status == 1
    assert 'ECONNRESET' in errors


def test_the_time_for_connecting_may_end() -> None:
    with socket.socket() as full:
        full.bind(('127.0.0.1', 0))
        full.listen(0)
        with (
            joined(port_of(full)),
            command('connect', f'127.0.0.1:{port_of(full)}', '--tls', '--timeout', '50') as client,
        ):
            status, _, errors = client.ended()
    assert (status, errors.count('\n')) == (1, 1)
    assert 'within 50 ms' in errors


def test_output_that_nobody_reads_ends_it_quietly(server: socket.socket) -> None:
    with command('connect', f'127.0.0.1:{port_of(server)}') as client, accepted(server) as peer:
        assert client.process.stdout is not None
        client.process.stdout.close()
        peer.sendall(b'for nobody')
        assert peer.recv(1) == b''
        client.process.stdout = None
        assert client.ended() == (141, None, '')


@pytest.mark.parametrize('name', ['connect', 'listen', 'echo', 'proxy'])
def test_sigint_ends_it_quietly(name: str, server: socket.socket) -> None:
    if name == 'connect':
        with command(name, f'127.0.0.1:{port_of(server)}') as client, accepted(server) as peer:
            peer.sendall(b'up\n')
            assert client.line() == 'up'
            status, _, errors = client.stop(signal.SIGINT)
            assert (status, errors) == (-signal.SIGINT, '')
        return
    more = [f'127.0.0.1:{port_of(server)}'] if name == 'proxy' else []
    with command(name, '127.0.0.1:0', *more) as running:
        running.listening('stderr' if name == 'listen' else 'stdout')
        status, lines, errors = running.stop(signal.SIGINT)
        assert (status, lines, errors) == (-signal.SIGINT, [], '')


def test_verbose_tells_each_attempt_and_its_time(server: socket.socket) -> None:
    with command('connect', '-v', 'localhost', port_of(server)) as client:
        with accepted(server) as peer:
            client.say(b'12345', end=True)
            all_of(peer)
        status, out, errors = client.ended()
    lines = errors.splitlines()
    assert (status, out) == (0, b'')
    assert lines[0].startswith('localhost is ')
    assert lines[-3] == f'127.0.0.1:{port_of(server)}: trying'
    assert lines[-2].startswith(f'127.0.0.1:{port_of(server)}: connected after ')
    assert lines[-1].startswith('sent 5 bytes, received 0, in ')


def test_verbose_tells_a_failure() -> None:
    port = unused()
    with command('connect', '-v', '127.0.0.1', port) as client:
        status, _, errors = client.ended()
    lines = errors.splitlines()
    assert (status, len(lines)) == (1, 3)
    assert lines[1].startswith(f'127.0.0.1:{port}: ECONNREFUSED after ')


@pytest.mark.parametrize('version', [1, 2])
def test_proxy_header_comes_first(version: int, server: socket.socket) -> None:
    place = f'127.0.0.1:{port_of(server)}'
    with command('connect', place, '--proxy-protocol', version) as client:
        with accepted(server) as peer:
            client.say(b'then this', end=True)
            got = all_of(peer)
        assert client.ended() == (0, b'', '')
    assert got.startswith(b'PROXY TCP4 127.0.0.1' if version == 1 else b'\r\n\r\n\0\r\nQUIT\n')
    assert got.endswith(b'then this')


def test_a_unix_socket_both_ways(tmp_path: Path) -> None:
    path = tmp_path / 's'
    with command('listen', path) as server:
        assert server.listening('stderr') == str(path)
        with command('connect', path) as client:
            client.say(b'hello', end=True)
            server.say(b'world', end=True)
            assert client.ended() == (0, b'world', '')
            status, out, _ = server.ended()
            assert (status, out) == (0, b'hello')
    assert not path.exists()


# -- TLS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('options', 'status', 'said'),
    [
        (['--ca', 'ca', '--servername', 'localhost'], 0, ''),
        (['--ca', 'ca'], 0, ''),  # 127.0.0.1 is in the certificate
        (['--insecure'], 0, ''),
        ([], 1, 'UNABLE_TO_GET_ISSUER_CERT'),
        (['--ca', 'ca', '--servername', 'other.example'], 1, 'other.example'),
    ],
)
def test_tls(files: dict[str, Path], options: list[str], status: int, said: str) -> None:
    given = [files.get(word, word) for word in options]
    with (
        command('echo', '127.0.0.1:0', '--cert', files['cert'], '--key', files['key']) as echo,
        command('connect', f'127.0.0.1:{echo.listening()}', '--tls', *given) as client,
    ):
        got = client.ended(b'secret')
        assert got[:2] == (status, b'' if status else b'secret')
        assert said in got[2]
        assert got[2].count('\n') == status


def test_a_client_certificate_is_shown(files: dict[str, Path]) -> None:
    server = ['--cert', files['both'], '--client-ca', files['ca']]
    with command('echo', '127.0.0.1:0', *server) as echo:
        place = f'127.0.0.1:{echo.listening()}'
        with command('connect', place, '--tls', '--insecure') as client:
            status, _, errors = client.ended(b'x')
            assert (status, errors.count('\n')) == (1, 1)
        with command('connect', place, '--tls', '--insecure', '--cert', files['client']) as client:
            assert client.ended(b'x') == (0, b'x', '')
        _, lines, _ = echo.stop()
    assert 'refused' in lines[0]


# -- listen ---------------------------------------------------------------------------------------


def test_listen_serves_the_first_client_only() -> None:
    with command('listen', '127.0.0.1:0') as server:
        port = server.listening('stderr')
        with joined(port) as client:
            client.sendall(b'hello')
            assert server.process.stdout is not None
            assert server.process.stdout.read(5) == b'hello'
            with pytest.raises(ConnectionRefusedError):
                joined(port)
            server.say(b'bye', end=True)
            assert all_of(client) == b'bye'
            client.sendall(b', bye')
        status, out, _ = server.ended()
        assert (status, out) == (0, b', bye')


def test_keep_serves_one_client_after_the_other() -> None:
    with command('listen', '127.0.0.1:0', '--keep') as server:
        port = server.listening('stderr')
        with joined(port) as first:
            server.say(b'for the first')
            assert exactly(first, 13) == b'for the first'
            second = joined(port)
            second.sendall(b'and the second')
            first.sendall(b'the first ')
        with second:
            assert server.process.stdout is not None
            got = b''
            while len(got) < 24:
                got += server.process.stdout.read(24 - len(got)) or b''
            assert got == b'the first and the second'
            server.say(b'you too', end=True)
            assert all_of(second) == b'you too'
        status, lines, errors = server.stop()
        assert (status, lines) == (0, [])
        assert errors.count(': open\n') == 2


def test_keep_survives_a_client_that_resets() -> None:
    with command('listen', '127.0.0.1:0', '--keep') as server:
        port = server.listening('stderr')
        with joined(port) as first:
            server.say(b'x')
            assert first.recv(1) == b'x'
            first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        with joined(port) as second:
            second.sendall(b'here\n')
            assert server.line() == 'here'
        status, _, errors = server.stop()
        assert status == 0
        assert 'ECONNRESET' in errors


# -- echo -----------------------------------------------------------------------------------------


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_server_and_removes_its_file(number: int, tmp_path: Path) -> None:
    path = tmp_path / 's'
    with command('echo', path) as echo:
        assert echo.listening() == str(path)
        status, lines, errors = echo.stop(number)
    assert (status, lines, errors) == (0 if number == signal.SIGTERM else -number, [], '')
    assert not path.exists()


def test_echo_tells_in_json_and_drops_beyond_the_limit() -> None:
    with command('echo', '127.0.0.1:0', '--json', '--max', '1') as echo:
        told = json.loads(echo.line())
        port = int(told['address'].rpartition(':')[2])
        with joined(port) as sock:
            sock.sendall(b'abc')
            assert exactly(sock, 3) == b'abc'
            with joined(port) as other:
                assert all_of(other) == b''
        events = [json.loads(echo.line()) for _ in range(3)]
        assert [event['event'] for event in events] == ['open', 'refused', 'close']
        assert events[1]['reason'] == 'maxConnections'
        assert (events[2]['received'], events[2]['sent'], events[2]['error']) == (3, 3, None)
        assert echo.stop() == (0, [], '')


def test_a_place_that_is_taken_is_one_line(server: socket.socket) -> None:
    with command('echo', f'127.0.0.1:{port_of(server)}') as echo:
        status, out, errors = echo.ended()
    assert (status, out, errors.count('\n')) == (1, b'', 1)
    assert 'EADDRINUSE' in errors


def test_lines_that_nobody_reads_end_a_server_quietly() -> None:
    with command('echo', '127.0.0.1:0') as echo:
        port = echo.listening()
        assert echo.process.stdout is not None
        echo.process.stdout.close()
        with joined(port) as sock:
            assert all_of(sock) == b''
        echo.process.stdout = None
        assert echo.ended() == (141, None, '')


# -- proxy ----------------------------------------------------------------------------------------


def test_proxy_passes_halves_on(server: socket.socket, loop_kind: str) -> None:
    place = f'127.0.0.1:{port_of(server)}'
    with command('proxy', '127.0.0.1:0', place, loop_kind=loop_kind) as proxy:
        with joined(proxy.listening()) as client, accepted(server) as target:
            client.sendall(b'question')
            client.shutdown(socket.SHUT_WR)
            assert all_of(target) == b'question'
            target.sendall(b'answer')
            target.shutdown(socket.SHUT_WR)
            assert all_of(client) == b'answer'
        assert proxy.line().endswith(': open')
        assert 'received 8 bytes, sent 6' in proxy.line()
        assert proxy.stop() == (0, [], '')


@pytest.mark.parametrize('version', [1, 2])
def test_proxy_tells_the_target_who_the_client_is(version: int, server: socket.socket) -> None:
    place = f'127.0.0.1:{port_of(server)}'
    with command('proxy', '127.0.0.1:0', place, '--proxy-protocol', version) as proxy:
        with joined(proxy.listening()) as client, accepted(server) as target:
            client.sendall(b'hi')
            client.shutdown(socket.SHUT_WR)
            got = all_of(target)
            port = client.getsockname()[1]
        assert str(port).encode() in got if version == 1 else port.to_bytes(2, 'big') in got
        assert got.endswith(b'hi')


def test_proxy_ends_tls_and_begins_it(files: dict[str, Path]) -> None:
    own = ['--cert', files['cert'], '--key', files['key']]
    with (
        command('echo', '127.0.0.1:0', *own) as echo,
        command(
            *('proxy', '127.0.0.1:0', f'127.0.0.1:{echo.listening()}'),
            *own,
            *('--tls', '--ca', files['ca']),
        ) as proxy,
        joined(proxy.listening()) as raw,
        ssl.create_default_context(cafile=files['ca']).wrap_socket(
            raw, server_hostname='localhost'
        ) as client,
    ):
        client.sendall(b'through')
        assert client.recv(7) == b'through'


def test_proxy_limits(server: socket.socket) -> None:
    place = f'127.0.0.1:{port_of(server)}'
    limits = ['--max-per-address', '1', '--rate', '1000']
    with command('proxy', '127.0.0.1:0', place, *limits) as proxy:
        port = proxy.listening()
        with joined(port), accepted(server), joined(port) as second:
            assert all_of(second) == b''
        lines = [proxy.line() for _ in range(3)]
        assert sum('refused, maxConnectionsPerAddress' in line for line in lines) == 1


def test_proxy_blocks(server: socket.socket) -> None:
    place = f'127.0.0.1:{port_of(server)}'
    with command('proxy', '127.0.0.1:0', place, '--block', '127.0.0.0/8') as proxy:
        with joined(proxy.listening()) as sock:
            assert all_of(sock) == b''
        assert 'refused' in proxy.line()


def test_proxy_gives_up_idle_connections(server: socket.socket) -> None:
    place = f'127.0.0.1:{port_of(server)}'
    with command('proxy', '127.0.0.1:0', place, '--idle', '50') as proxy:
        with joined(proxy.listening()) as client, accepted(server):
            assert all_of(client) == b''
        assert proxy.line().endswith(': open')
        assert proxy.line().endswith(', idle')


def test_proxy_tells_of_a_target_that_is_not_there() -> None:
    with command('proxy', '127.0.0.1:0', f'127.0.0.1:{unused()}') as proxy:
        with joined(proxy.listening()) as client:
            assert all_of(client) == b''
        assert proxy.line().endswith(': open')
        assert proxy.line().endswith(', ECONNREFUSED')
        assert proxy.stop() == (0, [], '')


def test_proxy_behind_a_balancer(server: socket.socket) -> None:
    place = f'127.0.0.1:{port_of(server)}'
    with command('proxy', '127.0.0.1:0', place, '--proxy-from', '127.0.0.1') as proxy:
        with joined(proxy.listening()) as client:
            client.sendall(b'PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\nrest')
            with accepted(server) as target:
                assert exactly(target, 4) == b'rest'
        assert proxy.line() == '192.0.2.7:1234: open'


# -- check ----------------------------------------------------------------------------------------


def check(*arguments: object) -> tuple[int, list[str]]:
    done = python(['-m', 'tailrace', 'check', *arguments])
    assert done.stderr == ''
    return done.returncode, done.stdout.splitlines()


def test_check_prints_each_attempt(server: socket.socket) -> None:
    port, closed = port_of(server), unused()
    status, lines = check('127.0.0.1', port)
    assert status == 0
    assert [line.split()[:3] for line in lines] == [[f'127.0.0.1:{port}', '127.0.0.1', 'connected']]
    assert lines[0].endswith(' ms')
    status, lines = check('127.0.0.1', port, closed)
    assert status == 1
    assert lines[1].split()[:3] == [f'127.0.0.1:{closed}', '127.0.0.1', 'ECONNREFUSED']


def test_check_as_json(server: socket.socket, files: dict[str, Path], tmp_path: Path) -> None:
    status, lines = check('--json', '127.0.0.1', port_of(server), tmp_path / 'none')
    there, missing = map(json.loads, lines)
    assert status == 1
    assert there['ok'] is True
    assert there['attempts'][0]['result'] == 'connected'
    assert there['attempts'][0]['ms'] > 0
    assert (missing['ok'], missing['error']['code']) == (False, 'ENOENT')
    with command('echo', '127.0.0.1:0', '--cert', files['both']) as echo:
        place = f'127.0.0.1:{echo.listening()}'
        status, lines = check('--json', '--tls', '--ca', files['ca'], place)
        told = json.loads(lines[0])
        assert (status, told['tls']['protocol'], told['tls']['verified']) == (0, 'TLSv1.3', True)
        status, lines = check('--tls', place)
        assert status == 1
        assert 'connected' in lines[0]
        assert 'UNABLE_TO_GET_ISSUER_CERT' in lines[1]


def test_check_needs_no_reader() -> None:
    with command('check', *(f'127.0.0.1:{unused()}' for _ in range(50))) as running:
        assert running.process.stdout is not None
        running.process.stdout.close()
        running.process.stdout = None
        assert running.ended() == (141, None, '')


def test_the_example_of_a_pipeline(tmp_path: Path) -> None:
    """stdin that is a file that is at its end, and stdout that is a file."""
    with command('echo', '127.0.0.1:0') as echo:
        place = f'127.0.0.1:{echo.listening()}'
        out = tmp_path / 'out'
        with out.open('wb') as target:
            done: subprocess.CompletedProcess[Any] = subprocess.run(
                words('connect', place),
                stdin=subprocess.DEVNULL,
                stdout=target,
                timeout=PATIENCE,
                env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
                check=False,
            )
        assert (done.returncode, out.read_bytes()) == (0, b'')
