"""A running process seen from outside: a Unix socket that answers with its connections.

The program opens it (:func:`serve_status`), ``tailrace status PATH`` asks and shows a table. Who
connects gets one JSON document and the end; nothing that is sent is read.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import time
import weakref
from collections.abc import Sequence
from typing import Any, cast

from ._compiled import version
from ._net.counting import open_servers, open_sockets, stats
from ._net.server import Server, create_server
from ._net.socket import Socket
from ._validate import check_str

__all__ = ['main', 'report', 'serve_status']

USAGE = """usage: python -m tailrace status PATH [--json]

Shows the connections of a process that has called tailrace.diagnostics.serve_status(PATH).
"""
#: Seconds that the command waits for an answer.
_PATIENCE = 10

#: Servers of ours, which are left out of what they report.
_ours: weakref.WeakSet[Server] = weakref.WeakSet()


def serve_status(path: str) -> Server:
    """Answer ``tailrace status PATH`` on the Unix socket ``path``; returns its server.

    ``await`` it to know that it listens; ``close()`` it to stop. Only the user that runs the
    program may connect (mode 0600). It does not keep the program alive. A socket file that a
    process has left behind is replaced; one on which somebody listens is 'error' EADDRINUSE.
    Raises ERR_INVALID_ARG_TYPE.
    """
    check_str('path', path)
    _remove_stale(path)
    server = create_server(_answer)
    _ours.add(server)

    def protect() -> None:
        os.chmod(path, 0o600)

    # The umask of the program may let others in for the moment between the two.
    return server.once('listening', protect).listen(path=path).unref()


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            try:
                os.unlink(path)
            except OSError:
                pass  # then listening says what is wrong
        except OSError:
            pass


def _answer(sock: Socket) -> None:
    sock.end(json.dumps(report()).encode() + b'\n')
    sock.destroy_soon()


def report() -> dict[str, Any]:
    """What ``tailrace status --json`` shows: plain dicts, lists, text and numbers."""
    now = time.monotonic()
    sockets = [sock for sock in open_sockets() if getattr(sock, '_server', None) not in _ours]
    servers = [server for server in open_servers() if server not in _ours]
    return {
        'pid': os.getpid(),
        'version': version(),
        'stats': stats().as_dict(),
        'servers': [
            {'address': _where(server.address()), 'stats': server.stats().as_dict()}
            for server in servers
        ],
        'connections': [_line(sock, now) for sock in sockets],
    }


def _where(address: Any) -> str:
    if not isinstance(address, dict):
        return str(address)
    place = cast('dict[str, Any]', address)
    host, port = place['address'], place['port']
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


def _line(sock: Any, now: float) -> dict[str, Any]:
    handle = sock._handle
    # Of a connection that is not read at the moment it is not known.
    since = (
        None if handle is None else handle.runtime.holders.get(getattr(handle, '_lower', handle))
    )
    details = sock._resource_details()
    return {
        'id': sock.connection_id,
        'side': 'client' if sock.server is None else 'server',
        'peer': details['peer'],
        'local': details['local'],
        'state': details['state'],
        'age': None if since is None else round(now - since, 3),
        'bytes_read': sock.bytes_read,
        'bytes_written': sock.bytes_written,
        'queued': details['queued'],
        'unread': details['unread'],
    }


# -- the command ----------------------------------------------------------------------------------

_COLUMNS = (
    ('id', 'id'),
    ('side', 'side'),
    ('peer', 'peer'),
    ('local', 'local'),
    ('state', 'state'),
    ('age', 'age s'),
    ('bytes_read', 'read'),
    ('bytes_written', 'written'),
    ('queued', 'queued'),
    ('unread', 'unread'),
)
_TEXT = frozenset(('side', 'peer', 'local', 'state'))


def table(told: dict[str, Any]) -> str:
    """A report for people."""
    lines = [f'process {told["pid"]}, tailrace {told["version"]}']
    for server in told['servers']:
        of = server['stats']
        turned_away = sum(of['rejected'].values())
        queue = of['accept_queue']
        waiting = '' if queue is None else f', {queue} waiting'
        lines.append(
            f'server {server["address"]}: {of["open"]} open, {of["accepted"]} accepted, '
            f'{turned_away} turned away{waiting}'
        )
    rows = [[head for _, head in _COLUMNS]]
    for one in told['connections']:
        cells = ('-' if one[key] is None else one[key] for key, _ in _COLUMNS)
        rows.append([f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if key in _TEXT else cell.rjust(width)
            for cell, width, (key, _) in zip(row, widths, _COLUMNS, strict=True)
        )
        lines.append('  '.join(cells).rstrip())
    return '\n'.join(lines)


def main(args: Sequence[str]) -> int:
    """The command ``tailrace status``; returns the exit status."""
    words = [word for word in args if word != '--json']
    if args and args[0] in ('-h', '--help'):
        print(USAGE, end='')
        return 0
    if len(words) != 1 or words[0].startswith('-'):
        print(USAGE, end='', file=sys.stderr)
        return 2
    text = b''
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_PATIENCE)
            sock.connect(words[0])
            while chunk := sock.recv(65536):
                text += chunk
        told = json.loads(text)
    except OSError as error:
        print(f'tailrace: {words[0]}: {error.strerror or error}', file=sys.stderr)
        return 1
    except ValueError:
        print(f'tailrace: {words[0]}: this is no answer of serve_status()', file=sys.stderr)
        return 1
    print(json.dumps(told, indent=1) if '--json' in args else table(told))
    return 0
