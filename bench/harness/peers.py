"""Which servers there are and how each is started.

A peer is a command line and what must be there for it; what is measured on it is the rows' matter.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / 'peers'
ROOT = FOLDER.parent.parent
NODE_VARIABLE = 'TAILRACE_BENCH_NODE'


@dataclass(frozen=True, slots=True)
class Peer:
    """One server. `kind` is c, node or python; `needs` are the modules its interpreter must import.

    `build` is the directory from which tailrace is imported, for the peers that are tailrace.
    """

    name: str
    kind: str
    file: str
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    build: str | None = None

    @property
    def is_tailrace(self) -> bool:
        return 'tailrace' in self.needs

    @property
    def base_name(self) -> str:
        """The name without the build: the rows speak of `tailrace`, whichever build it is."""
        return self.name.partition('@')[0]


def _python(name: str, file: str, *needs: str, uvloop: bool = False) -> Peer:
    arguments = ('--uvloop',) if uvloop else ()
    return Peer(name, 'python', file, arguments, (*needs, 'uvloop') if uvloop else needs)


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer('c', 'c', 'server'),
        Peer('node', 'node', 'node_net.mjs'),
        Peer('node-pipe', 'node', 'node_net.mjs', ('--variant', 'pipe')),
        _python('uvloop-protocol', 'asyncio_protocol.py', uvloop=True),
        _python('asyncio-protocol', 'asyncio_protocol.py'),
        _python('uvloop-streams', 'asyncio_streams.py', uvloop=True),
        _python('asyncio-streams', 'asyncio_streams.py'),
        _python('twisted', 'twisted_protocol.py', 'twisted'),
        _python('trio', 'trio_tcp.py', 'trio'),
        _python('anyio', 'anyio_tcp.py', 'anyio'),
        _python('gevent', 'gevent_server.py', 'gevent'),
        _python('tailrace', 'tailrace_data.py', 'tailrace'),
        _python('tailrace+uvloop', 'tailrace_data.py', 'tailrace', uvloop=True),
        _python('tailrace-pipe', 'tailrace_pipe.py', 'tailrace'),
        _python('tailrace-pipe+uvloop', 'tailrace_pipe.py', 'tailrace', uvloop=True),
        _python('tailrace-async', 'tailrace_async.py', 'tailrace'),
        _python('tailrace-async+uvloop', 'tailrace_async.py', 'tailrace', uvloop=True),
    )
}


def with_builds(builds: dict[str, str]) -> dict[str, Peer]:
    """All peers, and each tailrace peer once more for every other build: `tailrace@NAME`."""
    peers = {
        name: replace(peer, build=str(ROOT / 'src')) if peer.is_tailrace else peer
        for name, peer in PEERS.items()
    }
    for label, directory in builds.items():
        for peer in PEERS.values():
            if peer.is_tailrace:
                name = f'{peer.name}@{label}'
                peers[name] = replace(peer, name=name, build=str(Path(directory).resolve()))
    return peers


def select(peers: dict[str, Peer], wanted: Iterable[str] | None) -> dict[str, Peer]:
    """The peers by name; a name also stands for its variants (`tailrace` for `tailrace-pipe@x`)."""
    if wanted is None:
        return peers
    chosen: dict[str, Peer] = {}
    for name in wanted:
        found = {
            known: peer
            for known, peer in peers.items()
            if known == name or known.startswith((f'{name}-', f'{name}+', f'{name}@'))
        }
        if not found:
            raise ValueError(f'no peer {name!r}; there are {", ".join(peers)}')
        chosen |= found
    return {name: peer for name, peer in peers.items() if name in chosen}


@dataclass(frozen=True, slots=True)
class Tools:
    """What runs the peers: the C server, the interpreter, and Node where there is one."""

    server: str
    loadgen: str
    python: str
    node: str | None

    def command(self, peer: Peer, port: int = 0) -> list[str]:
        tail = [*peer.arguments, '--port', str(port)]
        if peer.kind == 'c':
            return [self.server, *tail]
        if peer.kind == 'node':
            assert self.node is not None
            return [self.node, str(FOLDER / peer.file), *tail]
        return [self.python, str(FOLDER / peer.file), *tail]


def environment(peer: Peer) -> dict[str, str]:
    """PYTHONPATH for the build of tailrace; no bytecode, debug mode or loop policy from outside."""
    env = {'PYTHONHASHSEED': '0', 'PYTHONASYNCIODEBUG': '', 'PYTHONDEVMODE': ''}
    if peer.build is not None:
        env['PYTHONPATH'] = peer.build
    return env


def find_node(wanted: str | None) -> str | None:
    return wanted or os.environ.get(NODE_VARIABLE) or shutil.which('node')


def output_of(command: list[str], env: dict[str, str] | None = None) -> tuple[bool, str]:
    """Whether the command succeeded, and its output or the last line of its complaints."""
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            env=None if env is None else {**os.environ, **env},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    if result.returncode == 0:
        return True, result.stdout.strip()
    lines = result.stderr.strip().splitlines() or ['no message']
    return False, lines[-1]


_PROBE = """
import importlib, importlib.metadata, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = getattr(sys.modules[name], '__version__', 'source')
    print(name, version)
"""


def missing(peer: Peer, tools: Tools, versions: dict[str, str]) -> str | None:
    """Why the peer cannot run here, or None; what was found is noted in `versions`."""
    if peer.kind == 'node':
        if tools.node is None:
            return f'no node in PATH, --node or {NODE_VARIABLE}'
        good, text = output_of([tools.node, '--version'])
        if good:
            versions['node'] = text.removeprefix('v')
        return None if good else f'{tools.node}: {text}'
    if peer.kind == 'python':
        needs = [*peer.needs, *(['tailrace.net'] if peer.is_tailrace else [])]
        good, text = output_of([tools.python, '-c', _PROBE, *needs], environment(peer))
        if not good:
            return text
        for line in text.splitlines():
            name, _, version = line.partition(' ')
            if name != 'tailrace.net':
                versions[name] = version
    return None
