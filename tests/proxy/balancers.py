"""The real haproxy and nginx as child processes, each with a listening socket made here.

The socket is inherited, so no port is guessed, and a client may connect before the balancer has
started: it waits in the queue.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ['Balancer', 'haproxy', 'needs_haproxy', 'needs_nginx', 'nginx', 'running_haproxy']

#: Where our CI runs, ``.ci/run`` installs them: there it is a failure if one is missing.
REQUIRED = bool(os.environ.get('CI')) and sys.platform == 'linux'
PATH = os.pathsep.join((os.environ.get('PATH', ''), '/usr/sbin', '/usr/local/sbin'))
HAPROXY = shutil.which('haproxy', path=PATH)
NGINX = shutil.which('nginx', path=PATH)
#: Where Debian, Fedora and Alpine have it; without it nginx may have the module built in.
STREAM = [
    path
    for folder in ('/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/usr/share/nginx/modules')
    if (path := Path(folder, 'ngx_stream_module.so')).exists()
]

needs_haproxy = pytest.mark.skipif(
    HAPROXY is None and not REQUIRED, reason='haproxy is not installed'
)
needs_nginx = pytest.mark.skipif(
    (NGINX is None or not STREAM) and not REQUIRED,
    reason='nginx with its stream module is not installed',
)

DEFAULTS = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 20s
    timeout server 20s
    timeout check 10s
"""


def listening() -> socket.socket:
    """A listening socket for a balancer."""
    return socket.create_server(('127.0.0.1', 0), backlog=1024)


class Balancer:
    """A balancer that runs."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.process = process
        self.killed = False

    def kill(self) -> None:
        """End it as a crash does."""
        self.killed = True
        self.process.kill()
        self.process.wait()


@contextmanager
def _running(
    command: list[str], listener: socket.socket, log: Path, env: dict[str, str]
) -> Iterator[Balancer]:
    port = int(listener.getsockname()[1])
    with log.open('w') as out, listener:
        process = subprocess.Popen(
            command, pass_fds=[listener.fileno()], stdout=out, stderr=out,
            env={**os.environ, **env},
        )  # fmt: skip
    # From here on the socket is the balancer's alone: if it dies, clients are refused.
    balancer = Balancer(port, process)
    try:
        yield balancer
        if process.poll() is not None and not balancer.killed:
            pytest.fail(f'{command[0]} has ended: {log.read_text()}')
    except TimeoutError as error:
        error.add_note(log.read_text())
        raise
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running_haproxy(folder: Path, config: str, name: str = 'haproxy') -> Iterator[Balancer]:
    """haproxy with ``config``, where ``{fd}`` is its socket."""
    if HAPROXY is None:
        pytest.fail('haproxy is not installed, and required here (CI)')
    listener = listening()
    path = folder / f'{name}.cfg'
    path.write_text(DEFAULTS + config.replace('{fd}', f'fd@{listener.fileno()}'))
    command = [HAPROXY, '-db', '-f', str(path)]
    with _running(command, listener, folder / f'{name}.log', {}) as balancer:
        yield balancer


@contextmanager
def haproxy(folder: Path, config: str) -> Iterator[int]:
    """The same; gives the port."""
    with running_haproxy(folder, config) as balancer:
        yield balancer.port


@contextmanager
def nginx(folder: Path, servers: str) -> Iterator[int]:
    """nginx with ``servers`` in its stream block, where ``{listen}`` is the address; the port."""
    if NGINX is None:
        pytest.fail('nginx is not installed, and required here (CI)')
    listener = listening()
    address = f'127.0.0.1:{listener.getsockname()[1]}'
    load = ''.join(f'load_module {path};\n' for path in STREAM[:1])
    (folder / 'nginx.conf').write_text(
        f'{load}daemon off;\npid {folder}/nginx.pid;\n'
        f'error_log {folder}/error.log info;\nevents {{}}\n'
        f'stream {{\n{servers.replace("{listen}", address)}\n}}\n'
    )
    # -e: before it has read its configuration it would open the log of the system.
    command = [NGINX, '-e', f'{folder}/error.log', '-p', str(folder)]
    command += ['-c', str(folder / 'nginx.conf')]
    env = {'NGINX': f'{listener.fileno()};'}
    with _running(command, listener, folder / 'nginx.log', env) as balancer:
        yield balancer.port
