"""Random programs in the language of the recorded scenarios; the same seed, the same program.

Three families: ``arguments`` (odd values where an argument is checked), ``lone`` (one socket and
nobody to talk to: refused, no such path, never connected), ``pair`` (a server and a client that do
things at each other's moments). What is known to differ by decision (``decided.json``) is left out,
so that each difference is news.
"""

from __future__ import annotations

import random
from typing import Any

__all__ = ['FAMILIES', 'program']

Step = dict[str, Any]

FAMILIES = ('arguments', 'lone', 'pair')

ODD: tuple[Any, ...] = (
    *(0, 1, -1, 1.5, 80, 65535, 65536, 4294967296, True, False),
    *('', 'x', '80', '0x50', ' 80 ', '1e3', '-1', '1_0', '127.0.0.1', '::1', 'Infinity'),
    *({'$num': 'NaN'}, {'$num': 'Infinity'}, {'$num': '-Infinity'}, {'$utf8': 'bytes'}),
)
TEXTS = ('x', 'hello', 'h\u00e9llo', '\u65e5\u672c\u8a9e', '\U0001f600!', '0123456789')
SOCKET_EVENTS = (
    *('connect', 'ready', 'data', 'end', 'finish', 'drain', 'close', 'error'),
    *('lookup', 'connectionAttempt', 'connectionAttemptFailed'),
)
PROPS = (
    *('connecting', 'pending', 'destroyed', 'readyState', 'bytesWritten', 'writableLength'),
    *('writable', 'readable', 'writableEnded', 'writableFinished', 'readableEnded', 'closed'),
    *('readableFlowing', 'readableLength', 'writableNeedDrain', 'allowHalfOpen', 'timeout'),
)


def program(seed: int) -> dict[str, Any]:
    """The program of a seed; families take turns."""
    rng = random.Random(f'tailrace-{seed}')
    family = FAMILIES[seed % len(FAMILIES)]
    steps: list[Step] = {'arguments': _arguments, 'lone': _lone, 'pair': _pair}[family](rng)
    return {
        'name': f'{family}-{seed}',
        'about': f'generated, {family}',
        'helpers': {'gone': {'closedPort': {}}},
        'limitMs': 400,
        'steps': steps,
    }


def _tried(call: str, *args: Any) -> Step:
    return {'call': call, 'args': list(args), 'try': True}


def _arguments(rng: random.Random) -> list[Step]:
    steps: list[Step] = [
        {'make': 's', 'new': 'Socket'},
        {'on': 's', 'event': ['error', 'close']},
        {'make': 'b', 'new': 'BlockList'},
    ]
    for number in range(12):
        odd = rng.choice(ODD)
        kind = rng.randrange(7)
        name = f'v{number}'
        if kind == 0:
            method = rng.choice(('setTimeout', 'setNoDelay', 'setTypeOfService', 'setEncoding'))
            if method == 'setTimeout' and not isinstance(odd, (str, dict)) and odd > 0:
                odd = 0
            steps.append(_tried(f's.{method}', odd))
        elif kind == 1:
            option = rng.choice(('port', 'path', 'localAddress', 'host'))
            options = {'port': 80, 'host': '127.0.0.1', option: odd}
            if isinstance(options['host'], str) and options['host'] not in ('', '::1'):
                options['host'] = '127.0.0.1'
            steps += [
                {'make': name, 'new': 'Socket'},
                {'on': name, 'event': ['error', 'close']},
                _tried(f'{name}.connect', options),
                {'get': name, 'props': ['connecting', 'pending', 'destroyed']},
                {'call': f'{name}.destroy'},
            ]
        elif kind == 2:
            option = rng.choice(('backlog', 'exclusive', 'ipv6Only', 'host'))
            if option == 'host' and isinstance(odd, str):
                odd = '127.0.0.1'
            steps += [
                {'make': name, 'fn': 'createServer'},
                {'on': name, 'event': ['error', 'close', 'listening']},
                _tried(f'{name}.listen', {'port': 0, 'host': '127.0.0.1', option: odd}),
                {'get': name, 'props': ['listening']},
                {'call': f'{name}.close'},
            ]
        elif kind == 3:
            family = rng.choice(('ipv4', 'ipv6', 'IPV6', 'ipv5'))
            host = rng.choice(('10.0.0.1', '::1', '::ffff:10.0.0.1', '::1%eth0', 'x', '01.2.3.4'))
            adding = rng.choice(('addAddress', 'removeAddress', 'check'))
            steps.append({**_tried(f'b.{adding}', host, family), 'log': True})
        elif kind == 4:
            first, last = sorted(rng.sample(('::1', '::9', '::ffff:10.0.0.1', '2001::'), 2))
            steps.append(_tried('b.addRange', first, last, 'ipv6'))
            rows = [['10.0.0.1'], ['::5', 'ipv6'], ['::ffff:10.0.0.1', 'ipv6'], ['2000::', 'ipv6']]
            steps.append({'table': 'b.check', 'rows': rows})
        elif kind == 5:
            option = rng.choice(('highWaterMark', 'noDelay', 'keepAlive', 'allowHalfOpen'))
            steps.append({'make': name, 'new': 'Socket', 'args': [{option: odd}], 'try': True})
        else:
            steps.append({'table': 'net.isIP', 'rows': [[odd], [rng.choice(TEXTS)]]})
    return steps


def _action(rng: random.Random, name: str) -> Step:
    kind = rng.randrange(9)
    if kind < 3:
        args: list[Any] = [rng.choice(TEXTS)]
        if rng.random() < 0.5:
            args.append({'$fn': f'w{rng.randrange(10**6)}'})
        return {'call': f'{name}.write', 'args': args, 'log': True, 'try': True}
    if kind == 3:
        return {'call': f'{name}.end', 'args': rng.choice(([], ['bye'])), 'try': True}
    if kind == 4:
        return {'get': name, 'props': rng.sample(PROPS, 4)}
    if kind == 5:
        return {'call': f'{name}.{rng.choice(("pause", "resume", "cork", "uncork"))}'}
    if kind == 6:
        # Not destroySoon(), and see _tame(): end() and destroy() in one turn is decided otherwise.
        return {'call': f'{name}.destroy'}
    if kind == 7:
        return {'tick': [{'get': name, 'props': rng.sample(PROPS, 2)}]}
    return {'call': f'{name}.isPaused', 'log': True}


def _tame(actions: list[Step]) -> list[Step]:
    """Without an end() that the destroying of the same turn would overtake in Node.

    Writing after end() destroys too.
    """
    calls = [step.get('call', '').rpartition('.')[2] for step in actions]
    if 'destroy' in calls or ('end' in calls and calls.index('end') < len(calls) - 1):
        return [step for step, call in zip(actions, calls, strict=True) if call != 'end']
    return actions


def _lone(rng: random.Random) -> list[Step]:
    options = {key: rng.random() < 0.5 for key in ('allowHalfOpen', 'writable')}
    chosen = {key: options[key] for key in options if rng.random() < 0.3}
    steps: list[Step] = [
        {'make': 's', 'new': 'Socket', 'args': [chosen]},
        {'on': 's', 'event': list(SOCKET_EVENTS)},
    ]
    steps += [_action(rng, 's') for _ in range(rng.randrange(4))]
    target = rng.choice(([{'$port': 'gone'}, '127.0.0.1'], [{'path': {'$tmp': 'nothing.sock'}}]))
    if rng.random() < 0.8:
        steps.append(_tried('s.connect', *target))
    steps += [_action(rng, 's') for _ in range(rng.randrange(4))]
    steps.append({'after': 20, 'do': [{'get': 's', 'props': rng.sample(PROPS, 5)}]})
    return steps


def _pair(rng: random.Random) -> list[Step]:
    server = {key: rng.random() < 0.5 for key in ('allowHalfOpen', 'noDelay', 'pauseOnConnect')}
    at_connect = _tame([_action(rng, 'c') for _ in range(rng.randrange(1, 4))])
    at_connection = _tame([_action(rng, 'peer') for _ in range(rng.randrange(3))])
    return [
        {'make': 'srv', 'fn': 'createServer', 'args': [server]},
        {
            'on': 'srv',
            'event': 'connection',
            'bind': ['peer'],
            'do': [
                {'on': 'peer', 'event': ['data', 'end', 'finish', 'close', 'error']},
                *at_connection,
                {'call': 'srv.close'},
                {'after': 40, 'do': [{'call': 'peer.resume'}, {'call': 'peer.end'}]},
            ],
        },
        {
            'call': 'srv.listen',
            'args': [
                0,
                '127.0.0.1',
                {
                    '$fn': 'listening',
                    'do': [
                        {'make': 'c', 'fn': 'connect', 'args': [{'$port': 'srv'}, '127.0.0.1']},
                        {'on': 'c', 'event': list(SOCKET_EVENTS)},
                        {'on': 'c', 'event': 'connect', 'do': at_connect},
                        {'after': 60, 'do': [{'call': 'c.resume'}, {'call': 'c.end'}]},
                    ],
                },
            ],
        },
    ]
