"""The C programs, built and played for a moment: every mode against the C server, and refusals."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import build, launch, rows
from harness.launch import Failed
from harness.peers import PEERS, Tools

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith('linux'), reason='the generator uses epoll'),
    pytest.mark.skipif(build.compiler() is None, reason='no C compiler'),
]


@pytest.fixture(scope='module')
def setting(tmp_path_factory: pytest.TempPathFactory) -> rows.Setting:
    built = build.build(tmp_path_factory.mktemp('programs'))
    tools = Tools(str(built['server']), str(built['loadgen']), sys.executable, None)
    return rows.Setting(tools, warmup=50, duration=200, verify=True)


def test_echo_is_counted_whole_and_the_server_is_watched(setting: rows.Setting):
    result = rows.traffic(PEERS['c'], setting, 'echo', 10, 1024)
    assert result['messages'] > 0
    assert result['seconds'] >= 0.2
    # By bytes: at most one message of each connection is under way at either end.
    assert abs(result['bytes'] / 1024 - result['messages']) <= 10
    assert result['rate'] == pytest.approx(result['bytes'] / 1024 / result['seconds'], rel=1e-3)
    assert result['server_cpu_ns'] > 0
    assert 0 < result['server_busy'] <= 1.1


def test_messages_longer_than_any_buffer_come_back_whole(setting: rows.Setting):
    result = rows.traffic(PEERS['c'], setting, 'echo', 3, 3_000_000)
    assert result['bytes'] > 3_000_000


def test_latency_has_ordered_percentiles(setting: rows.Setting):
    result = rows.latency(PEERS['c'], setting)
    assert 0 < result['p50_us'] <= result['p90_us'] <= result['p99_us'] <= result['max_us']
    assert result['value'] == result['p50_us']


def test_connections_are_opened_and_closed(setting: rows.Setting):
    result = rows.traffic(PEERS['c'], setting, 'connect', 8, 16)
    assert result['messages'] > 8


def test_idle_connections_are_held_until_told(setting: rows.Setting):
    with (
        launch.server(setting.tools.command(PEERS['c'])) as (process, port),
        launch.holder([setting.tools.loadgen, 'idle', '--port', str(port)], core=None) as held,
    ):
        before = len(list(Path(f'/proc/{process.pid}/fd').iterdir()))
        held.open_up_to(40)
        held.open_up_to(70)
        assert len(list(Path(f'/proc/{process.pid}/fd').iterdir())) == before + 70
        assert launch.resident_kib(process.pid) > 0


def test_a_unix_socket_is_echoed_too(setting: rows.Setting, tmp_path: Path):
    path = str(tmp_path / 'echo')
    with launch.server([setting.tools.server, '--path', path]) as (_, port):
        assert port == 0
        words = ['echo', '--path', path, '--duration', '50', '--warmup', '1', '--verify']
        result = launch.generate([setting.tools.loadgen, *words], core=None, seconds=20)
    assert result['messages'] > 0


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """The port of a server that echoes the generator's probe and then says `answer`."""
    with socket.create_server(('127.0.0.1', 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(sock.recv(1))
                sock.recv(65536)
                if answer:
                    sock.sendall(answer)
                    sock.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ('answer', 'complaint'),
    [
        (b'y' * 64, 'the echo differs'),
        (b'x' * 65, 'more than it was sent'),
        (b'', 'closed a connection after 0 of 64 bytes'),
    ],
)
def test_anything_but_the_echo_ends_the_run(setting: rows.Setting, answer: bytes, complaint: str):
    with answering(answer) as port:
        words = ['echo', '--port', str(port), '--size', '64', '--verify']
        with pytest.raises(Failed, match=complaint):
            launch.generate([setting.tools.loadgen, *words], core=None, seconds=20)


@pytest.mark.parametrize(
    ('words', 'complaint'),
    [
        (['sing', '--port', '1'], 'unknown mode sing'),
        (['echo', '--port'], '--port lacks its value'),
        (['echo', '--size', '-1'], 'a number of zero or more'),
        (['echo', '--connections', '0'], 'begin at 1'),
        (['echo', '--host', 'localhost'], 'not a numeric address'),
    ],
)
def test_the_generator_refuses_wrong_words(setting: rows.Setting, words: list[str], complaint: str):
    result = subprocess.run([setting.tools.loadgen, *words], capture_output=True, text=True)
    assert result.returncode == 1
    assert complaint in result.stderr


def test_asyncio_peer_is_played(setting: rows.Setting):
    result = rows.traffic(PEERS['asyncio-protocol'], setting, 'echo', 4, 1024)
    assert result['messages'] > 0
