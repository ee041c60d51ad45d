"""Every program in examples/ runs, against real clients (EX-01, EX-03, EX-15)."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .programs import ROOT, first_line, python, running

EXAMPLES = sorted((ROOT / 'examples').glob('*.py'))
#: Those that serve until a signal: the others run to their end.
ECHO = ['echo_keywords.py', 'echo_node_names.py']
SIGNALS = [signal.SIGINT, signal.SIGTERM]
LOOPS = ['tailrace', 'asyncio', 'uvloop']
HELLO = b'hello\r\n'


def example(name: str) -> Path:
    return ROOT / 'examples' / name


def loop_or_skip(loop: str) -> str:
    if loop == 'uvloop' and importlib.util.find_spec('uvloop') is None:
        pytest.skip('uvloop is not installed')
    return loop


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f'{name} is not installed')
    return found


def recv_exactly(sock: socket.socket, size: int) -> bytes:
    data = b''
    while len(data) < size and (chunk := sock.recv(size - len(data))):
        data += chunk
    return data


def test_there_are_examples() -> None:
    assert {path.name for path in EXAMPLES} >= set(ECHO)


def test_every_example_has_its_test() -> None:
    tests = [*(ROOT / 'tests').glob('test_examples_*.py'), ROOT / 'tests/proxy/fleet.py']
    other = ''.join(path.read_text('utf-8') for path in tests)
    for path in EXAMPLES:
        assert path.name in ECHO or f"'{path.name}'" in other, path.name


@pytest.mark.parametrize('number', SIGNALS)
@pytest.mark.parametrize('loop', LOOPS)
@pytest.mark.parametrize('name', ECHO)
def test_ex01_echo_on_tcp(name: str, loop: str, number: int) -> None:
    with running([example(name), 0, '--loop', loop_or_skip(loop)]) as process:
        host, _, port = first_line(process).rpartition(':')
        with socket.create_connection((host, int(port))) as one:
            assert recv_exactly(one, len(HELLO)) == HELLO
            one.sendall(b'world!\r\n')
            assert recv_exactly(one, 8) == b'world!\r\n'
            one.shutdown(socket.SHUT_WR)
            assert one.recv(1) == b''
        with socket.create_connection((host, int(port))) as two:
            assert recv_exactly(two, len(HELLO)) == HELLO
            process.send_signal(number)
            assert recv_exactly(two, 100) == b'goodbye\r\n'
        output, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, '')
        words = [line for line in output.splitlines() if not line.startswith('client lost')]
        assert words == ['client connected', 'client disconnected'] * 2 + ['server closed']


@pytest.mark.parametrize('name', ECHO)
def test_ex03_echo_on_a_path(name: str, tmp_path: Path) -> None:
    path = tmp_path / 'echo.sock'
    with running([example(name), '--path', path]) as process:
        assert first_line(process) == str(path)
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(str(path))
            one.sendall(b'over the wall')
            one.shutdown(socket.SHUT_WR)
            assert recv_exactly(one, 100) == HELLO + b'over the wall'
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20)[1] == ''
        assert process.returncode == 0
    assert not path.exists()


@pytest.mark.parametrize('name', ECHO)
def test_a_taken_port_ends_the_example_with_the_error(name: str) -> None:
    with socket.create_server(('127.0.0.1', 0)) as taken:
        done = python([example(name), taken.getsockname()[1]])
    assert done.returncode == 1
    assert 'listen EADDRINUSE 127.0.0.1' in done.stderr.splitlines()[-1]


def talk(command: list[Any], data: bytes) -> bytes:
    return subprocess.run(
        [str(word) for word in command], input=data, stdout=subprocess.PIPE, timeout=20
    ).stdout


NODE_CLIENT = """
const net = require('node:net');
const [target, size] = [process.argv[1], Number(process.argv[2])];
const options = /^\\d+$/.test(target) ? {port: Number(target), host: '127.0.0.1'} : {path: target};
const c = net.connect(options, () => c.end(Buffer.alloc(size, 'x')));
let got = 0, head = '';
c.on('data', (d) => { if (!got) head = d.subarray(0, 7).toString(); got += d.length; });
c.on('close', (hadError) => console.log(JSON.stringify([head, got, hadError])));
"""


@pytest.mark.parametrize('name', ECHO)
def test_ex15_real_peers_on_tcp(name: str) -> None:
    tools = {tool: shutil.which(tool) for tool in ('nc', 'socat', 'node')}
    if not any(tools.values()):
        pytest.skip('none of nc, socat and node is installed')
    with running([example(name), 0]) as process:
        host, _, port = first_line(process).rpartition(':')
        if tools['nc']:
            assert talk([tools['nc'], '-N', host, port], b'from nc\n') == HELLO + b'from nc\n'
        if tools['socat']:
            got = talk([tools['socat'], '-t', '10', '-', f'TCP:{host}:{port}'], b'from socat\n')
            assert got == HELLO + b'from socat\n'
        if tools['node']:
            got = talk([tools['node'], '-e', NODE_CLIENT, port, 3_000_000], b'')
            assert got == b'["hello\\r\\n",3000007,false]\n'
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20)[1] == ''
        assert process.returncode == 0


@pytest.mark.parametrize('tool', ['nc', 'socat', 'node'])
def test_ex15_real_peers_on_a_path(tool: str, tmp_path: Path) -> None:
    path = tmp_path / 'echo.sock'
    found = program(tool)
    with running([example('echo_keywords.py'), '--path', path]) as process:
        first_line(process)
        if tool == 'nc':
            assert talk([found, '-N', '-U', path], b'nc\n') == HELLO + b'nc\n'
        elif tool == 'socat':
            got = talk([found, '-t', '10', '-', f'UNIX-CONNECT:{path}'], b'socat\n')
            assert got == HELLO + b'socat\n'
        else:
            got = talk([found, '-e', NODE_CLIENT, path, 3_000_000], b'')
            assert got == b'["hello\\r\\n",3000007,false]\n'
