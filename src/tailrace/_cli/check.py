"""``tailrace check``: who answers, by which address, after how long."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .attempts import History, code_of, ms
from .console import terminal_table
from .places import Place
from .words import Parser, dial, dialling, reached

__all__ = ['command', 'parser']

#: ms
TIMEOUT = 5000


def parser() -> Parser:
    """The arguments."""
    made = Parser(
        'check',
        'PLACE...',
        'Connects to each place in turn and prints each attempt: the place, the address, what '
        'became of it, and the time. The status is 0 if all could be reached, else 1. Several '
        'ports may follow a host.',
        None,
    )
    dialling(made)
    made.set_defaults(timeout=TIMEOUT)
    made.add_argument('--json', action='store_true', help='one JSON object for each place')
    return made


async def command(options: argparse.Namespace) -> int:
    """Runs it; the exit status."""
    table = None if options.json else terminal_table('place', 'address', 'result', 'time')
    reached_all = True
    for place in options.place:
        result = await _examine(place, options)
        reached_all = reached_all and result['ok']
        if options.json:
            print(json.dumps(result), flush=True)
            continue
        for row in _rows(result):
            if table is None:
                print('  '.join(row), flush=True)
            else:
                table.add(row, 'green' if result['ok'] else 'red')
    if table is not None:
        table.show()
    return 0 if reached_all else 1


async def _examine(place: Place, options: argparse.Namespace) -> dict[str, Any]:
    """Connect once, and describe it."""
    sock = dial(place, options)
    history = History(sock, place)
    error: OSError | None = None
    try:
        await reached(sock, place, options)
    except OSError as failure:
        error = failure
        history.failed(failure)
    out: dict[str, Any] = {'place': str(place), 'ok': error is None}
    if history.lookup is not None:
        out['lookup_ms'] = _round(history.lookup)
    out['attempts'] = [
        {
            'address': attempt.address,
            **({} if attempt.port is None else {'port': attempt.port}),
            'result': attempt.result,
            'ms': _round(attempt.took),
        }
        for attempt in history.attempts
    ]
    if history.handshake is not None:
        out['tls'] = {
            'protocol': sock.get_protocol(),
            'cipher': sock.get_cipher().name,
            'verified': bool(sock.authorized),
            'ms': _round(history.handshake),
        }
    if error is not None:
        out['error'] = {'code': code_of(error), 'message': str(error)}
    sock.destroy()
    await sock.wait_closed()
    return out


def _round(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _rows(result: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What is printed of it: four columns."""
    place = result['place']
    rows = [
        (place, one['address'], one['result'], ms(one['ms'] / 1000)) for one in result['attempts']
    ]
    secure = result.get('tls')
    if secure is not None:
        rows.append((place, '-', secure['protocol'], ms(secure['ms'] / 1000)))
    told = {one['result'] for one in result['attempts']}
    if not result['ok'] and result['error']['code'] not in told:
        took = result.get('lookup_ms')
        rows.append((place, '-', result['error']['code'], '-' if took is None else ms(took / 1000)))
    return rows
