"""What every parameter makes of every kind of value: Node's table, and the same of tailrace.

    python tests/differential/arguments.py              compare with the table
    python tests/differential/arguments.py --record     make the table anew, with Node (NODE24)
    python tests/differential/arguments.py --only setTimeout

``arguments.json`` has Node's answers, grouped by what came of a value: what the call gave or
raised, the properties that it changed, and what happened in the turns after it. Python has one
value for undefined and null, so an answer is right if it is Node's for either. What is decided
otherwise stands in ``decided_arguments.json``, with its reason. Exit code 1 if anything is left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tailrace
from tailrace import dns, events, net, stream
from tailrace._net import listening

__all__ = ['CASES', 'VALUES', 'differences', 'recorded']

HERE = Path(__file__).resolve().parent
TABLE = HERE / 'arguments.json'
DECIDED = HERE / 'decided_arguments.json'

#: What is tried: by the name that the table has for it.
VALUES: dict[str, Any] = {
    'undefined': {'$': 'undefined'},
    'null': {'$': 'null'},
    'true': True,
    'false': False,
    'NaN': {'$': 'nan'},
    'Infinity': {'$': 'inf'},
    '-Infinity': {'$': '-inf'},
    '1e30': {'$': 'big'},
    '-1': -1,
    '0': 0,
    '1': 1,
    '1.5': 1.5,
    '4': 4,
    '300': 300,
    '5000': 5000,
    '70000': 70000,
    "''": '',
    "'x'": 'x',
    "'0'": '0',
    "'4'": '4',
    "'5000'": '5000',
    "'0x10'": '0x10',
    "'1e3'": '1e3',
    "' 12 '": ' 12 ',
    "'-1'": '-1',
    "'1.5'": '1.5',
    "'ipv4'": 'ipv4',
    "'ipv6'": 'ipv6',
    "'utf8'": 'utf8',
    "'hex'": 'hex',
    "'127.0.0.1'": '127.0.0.1',
    "'::1'": '::1',
    '[]': [],
    '[1]': [1],
    '{}': {},
    'function': {'$': 'function'},
    'bytes': {'$': 'bytes'},
}
SPECIAL: dict[str, Any] = {
    'undefined': None,
    'null': None,
    'nan': float('nan'),
    'inf': float('inf'),
    '-inf': float('-inf'),
    'big': 1e30,
    'function': lambda *_: None,
    'bytes': b'ab',
}

SERVER = (
    *('allowHalfOpen', 'pauseOnConnect', 'keepAlive', 'keepAliveInitialDelay', 'highWaterMark'),
)
SOCKET = ('allowHalfOpen', 'readable', 'writable', 'readableHighWaterMark')


def _cases() -> dict[str, tuple[str, str, list[Any], list[str]]]:
    """Name of a parameter: what is called, on what, with which arguments, what is looked at."""
    out: dict[str, tuple[str, str, list[Any], list[str]]] = {}

    def add(kind: str, fn: str, *args: Any, after: tuple[str, ...] = ()) -> None:
        text = json.dumps(list(args))[1:-1].replace('"@"', '@').replace('"@f"', 'f')
        out[f'{kind}.{fn}({text})'] = (kind, fn, list(args), list(after))

    for fn in ('isIP', 'isIPv4', 'isIPv6'):
        add('net', fn, '@')
    add('net', 'setDefaultAutoSelectFamily', '@')
    add('net', 'setDefaultAutoSelectFamilyAttemptTimeout', '@')
    add('net', 'createServer', '@')
    add('net', 'createServer', {}, '@')
    for option in (*SERVER, 'noDelay', 'blockList'):
        add('net', 'createServer', {option: '@'}, after=SERVER)
        add('net', 'new Server', {option: '@'}, after=SERVER)
    for option in (
        *('allowHalfOpen', 'readable', 'writable', 'noDelay', 'keepAlive', 'highWaterMark'),
        *('keepAliveInitialDelay', 'blockList', 'signal', 'onread', 'typeOfService', 'objectMode'),
    ):
        add('net', 'new Socket', {option: '@'}, after=SOCKET)
    add('Server', 'set maxConnections', '@', after=('maxConnections',))
    add('Server', 'listen', '@')
    add('Server', 'listen', '@', '@f')
    add('Server', 'listen', 0, '@')
    add('Server', 'listen', 0, '127.0.0.1', '@')
    add('Server', 'listen', 0, '127.0.0.1', 5, '@')
    add('Server', 'listen', 'some/path', '@')
    # Not fd: what descriptors a process has depends on the process.
    for option in ('port', 'path', 'handle'):
        add('Server', 'listen', {option: '@'})
    for option in ('host', 'backlog', 'ipv6Only', 'reusePort', 'signal'):
        add('Server', 'listen', {'port': 0, option: '@'})
    for option in ('readableAll', 'writableAll', 'backlog'):
        add('Server', 'listen', {'path': 'some/path', option: '@'})
    add('Server', 'close', '@')
    add('Server', 'getConnections', '@')
    add('Socket', 'connect', '@')
    add('Socket', 'connect', '@', '127.0.0.1')
    add('Socket', 'connect', 5000, '@')
    add('Socket', 'connect', 5000, '127.0.0.1', '@')
    for option in ('port', 'path'):
        add('Socket', 'connect', {option: '@', 'host': '127.0.0.1'})
    add('Socket', 'connect', {'path': '@'})
    for option in (
        *('host', 'localAddress', 'localPort', 'family', 'hints', 'lookup', 'autoSelectFamily'),
        'autoSelectFamilyAttemptTimeout',
    ):
        add('Socket', 'connect', {'port': 5000, 'host': 'a.test', option: '@'})
    add('Socket', 'connect', {'port': 5000, 'host': '127.0.0.1', 'localAddress': '@'})
    add('Socket', 'connect', {'port': 5000, 'host': '127.0.0.1', 'localPort': '@'})
    add('Socket', 'setTimeout', '@', after=('timeout',))
    add('Socket', 'setTimeout', 5000, '@')
    add('Socket', 'setNoDelay', '@')
    add('Socket', 'setKeepAlive', '@')
    add('Socket', 'setKeepAlive', True, '@')
    add('Socket', 'setKeepAlive', True, 1000, '@')
    add('Socket', 'setKeepAlive', True, 1000, 1000, '@')
    add('Socket', 'setTypeOfService', '@', after=('getTypeOfService',))
    add('Socket', 'setEncoding', '@', after=('readableEncoding',))
    add('Socket', 'destroy', '@', after=('destroyed',))
    add('Socket', 'read', '@')
    add('Socket', 'pipe', '@')
    add('Socket', 'write', '@')
    add('Socket', 'write', 'ff', '@')
    add('Socket', 'write', 'ff', 'utf8', '@')
    add('Socket', 'end', '@', after=('writableEnded',))
    add('Readable', 'read', '@', after=('readableLength',))
    add('Readable', 'setEncoding', '@', after=('readableEncoding',))
    add('Readable', 'push', '@', after=('readableLength',))
    add('Readable', 'push', 'ff', '@', after=('readableLength',))
    add('Readable', 'unshift', '@', after=('readableLength',))
    add('Readable', 'unpipe', '@')
    add('Readable', 'pipe', '@')
    for fn in ('map', 'filter', 'flatMap', 'take', 'drop', 'iterator', 'compose', 'wrap'):
        add('Readable', fn, '@')
    for option in ('concurrency', 'highWaterMark', 'signal'):
        add('Readable', 'map', '@f', {option: '@'})
    add('Writable', 'write', '@')
    add('Writable', 'write', 'ff', '@')
    add('Writable', 'write', 'ff', 'utf8', '@')
    add('Writable', 'end', '@', after=('writableEnded',))
    add('Writable', 'end', 'ff', '@', after=('writableEnded',))
    add('Writable', 'setDefaultEncoding', '@')
    for kind in ('Readable', 'Writable'):
        for option in ('highWaterMark', 'objectMode', 'signal', 'autoDestroy', 'emitClose'):
            add('stream', f'stream.{kind}', {option: '@'}, after=(f'{kind.lower()}HighWaterMark',))
    add('stream', 'stream.Readable', {'encoding': '@'}, after=('readableEncoding',))
    add('stream', 'stream.Writable', {'defaultEncoding': '@'})
    add('stream', 'stream.Duplex', {'allowHalfOpen': '@'}, after=('allowHalfOpen',))
    add('stream', 'setDefaultHighWaterMark', False, '@')
    add('stream', 'getDefaultHighWaterMark', '@')
    for fn in ('on', 'once', 'prependListener', 'off'):
        add('EventEmitter', fn, 'a', '@')
    add('EventEmitter', 'setMaxListeners', '@', after=('getMaxListeners',))
    add('BlockList', 'addAddress', '@')
    add('BlockList', 'addAddress', '127.0.0.1', '@')
    add('BlockList', 'addRange', '@', '127.0.0.9')
    add('BlockList', 'addRange', '127.0.0.1', '127.0.0.9', '@')
    add('BlockList', 'addSubnet', '@', 8)
    add('BlockList', 'addSubnet', '127.0.0.0', '@')
    add('BlockList', 'addSubnet', '127.0.0.0', 8, '@')
    add('BlockList', 'check', '@')
    add('BlockList', 'check', '127.0.0.1', '@')
    for fn in ('addCIDR', 'addCIDRs', 'addAddresses', 'removeAddress', 'removeCIDR', 'fromJSON'):
        add('BlockList', fn, '@')
    add('BlockList', 'removeAddress', '127.0.0.1', '@')
    add('BlockList', 'removeRange', '@', '127.0.0.9')
    add('BlockList', 'removeRange', '127.0.0.1', '@')
    add('BlockList', 'removeRange', '127.0.0.1', '127.0.0.9', '@')
    add('BlockList', 'removeSubnet', '@', 8)
    add('BlockList', 'removeSubnet', '127.0.0.0', '@')
    add('BlockList', 'removeSubnet', '127.0.0.0', 8, '@')
    add('BlockList', 'addRange', '127.0.0.1', '@')
    add('net', 'new SocketAddress', '@')
    for option in ('address', 'family', 'port', 'flowlabel'):
        after = ('address', 'family', 'port', 'flowlabel')
        add('net', 'new SocketAddress', {option: '@'}, after=after)
    return out


CASES = _cases()


# -- Node -----------------------------------------------------------------------------------------


def record(binary: str, names: Iterable[str] = ()) -> dict[str, dict[str, list[str]]]:
    """Node's table: parameter, outcome as JSON, the values that have it."""
    tries = [(name, label) for name in names or CASES for label in VALUES]
    lines = ''
    for name, label in tries:
        kind, fn, args, after = CASES[name]
        case = {'kind': kind, 'fn': fn, 'args': args, 'after': after, 'tried': VALUES[label]}
        lines += json.dumps(case) + '\n'
    said = subprocess.run(
        [binary, HERE / 'arguments.mjs'],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'NODE_NO_WARNINGS': '1'},
    )
    answers = said.stdout.splitlines()
    if len(answers) != len(tries):
        raise RuntimeError(f'{len(answers)} answers for {len(tries)} cases\n{said.stderr}')
    table: dict[str, dict[str, list[str]]] = {name: {} for name in names or CASES}
    for (name, label), answer in zip(tries, answers, strict=True):
        table[name].setdefault(answer, []).append(label)
    return table


def recorded() -> dict[str, dict[str, Any]]:
    """Node's table: parameter, value, outcome."""
    table = json.loads(TABLE.read_text('utf-8'))
    return {
        name: {label: json.loads(answer) for answer, labels in row.items() for label in labels}
        for name, row in table.items()
    }


# -- tailrace -------------------------------------------------------------------------------------

KINDS: dict[str, Any] = {
    'net': lambda noted: net,
    'events': lambda noted: events,
    'stream': lambda noted: stream,
    'Socket': lambda noted: net.Socket(),
    'Server': lambda noted: net.create_server(),
    'BlockList': lambda noted: net.BlockList(),
    'EventEmitter': lambda noted: events.EventEmitter(),
    'Readable': lambda noted: _readable(),
    'Writable': lambda noted: stream.Writable(
        write=lambda chunk, encoding, done: (
            noted.append(['write', _shown(chunk), encoding]),
            done(),
        )
    ),
}


def _readable() -> stream.Readable:
    one = stream.Readable(read=lambda size: None)
    one.push('abcdef')
    return one


def _shown(value: Any, target: Any = None) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        if isinstance(value, float) and (value != value or abs(value) == float('inf')):
            return {'nan': 'NaN', 'inf': 'Infinity', '-inf': '-Infinity'}[str(value)]
        return value
    if isinstance(value, bytes):
        return f'b:{value.hex()}'
    return 'this' if value is target else 'object'


def _value(given: Any, tried: Any) -> Any:
    if given == '@':
        return tried
    if given == '@f':
        return lambda *_: None
    if isinstance(given, dict):
        return {key: _value(one, tried) for key, one in given.items()}
    return given


async def _play(name: str, label: str) -> list[Any]:
    kind, fn, args, after = CASES[name]
    tried = VALUES[label]
    if isinstance(tried, dict) and '$' in tried:
        tried = SPECIAL[tried['$']]
    noted: list[Any] = []

    def lookup(host: Any, options: Any, callback: Any) -> None:
        asked = [_shown(host), options.get('family') or 0, options.get('hints') or 0]
        noted.append(['lookup', *asked])
        found = [{'address': '127.0.0.1', 'family': 4}]
        answer = (None, found) if options.get('all') else (None, '127.0.0.1', 4)
        tailrace.next_tick(callback, *answer)

    def share(server: Any, what: dict[str, Any], done: Any) -> None:
        asked = [what['address'], what['port'], what['family'], _shown(what['backlog'])]
        noted.append(['listen', *asked])

    loop = asyncio.get_running_loop()

    def uncaught(_: Any, context: dict[str, Any]) -> None:
        error = context.get('exception')
        noted.append(['uncaught', getattr(error, 'code', type(error).__name__)])

    loop.set_exception_handler(uncaught)

    def failed(error: Any) -> None:
        noted.append(['error', getattr(error, 'code', 'no code')])

    real = dns.lookup
    dns.lookup = lookup  # type: ignore[assignment]
    listening.set_share(share)
    target: Any = KINDS[kind](noted)
    try:
        if isinstance(target, events.EventEmitter):
            target.on(
                'error', lambda error: noted.append(['error', getattr(error, 'code', 'no code')])
            )

            def attempt(*found: Any) -> None:
                noted.append(['attempt', *found])
                tailrace.next_tick(target.destroy)

            def bound() -> None:
                if not any(one[0] == 'listen' for one in noted):  # a port that nobody shares
                    noted.append(['listen', None, 0, 4, 511])

            target.on('connectionAttempt', attempt)
            target.on('listening', bound)
        passed = [_value(one, tried) for one in args]
        result = None
        try:
            if fn.startswith('new '):
                result = getattr(net, fn[4:])(*passed)
            elif fn.startswith('stream.'):
                result = getattr(stream, fn[7:])(*passed)
            elif fn.startswith('set '):
                setattr(target, fn[4:], passed[0])
            else:
                result = getattr(target, fn)(*passed)
        except Exception as error:
            return ['throws', getattr(error, 'code', None) or type(error).__name__]
        for _ in range(4):
            await asyncio.sleep(0)
        if target in (net, events, stream):
            target = result
        told = [getattr(target, one, None) for one in after]
        shown = [_shown(one() if callable(one) else one) for one in told]
        return ['gives', _shown(result, target), *([shown] if shown else []), *noted]
    finally:
        dns.lookup = real
        listening.set_share(None)
        for one in (target, locals().get('result')):
            if isinstance(one, stream.Stream):
                one.destroy()
        if isinstance(target, net.Server):
            target.close()
        await asyncio.sleep(0)


def played(names: list[str]) -> dict[str, dict[str, Any]]:
    """What tailrace makes of the values."""

    async def main() -> dict[str, dict[str, Any]]:
        return {name: {label: await _play(name, label) for label in VALUES} for name in names}

    limit = stream.get_default_high_water_mark(False)
    family = net.get_default_auto_select_family()
    timeout = net.get_default_auto_select_family_attempt_timeout()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return asyncio.run(main())
    finally:
        stream.set_default_high_water_mark(False, limit)
        net.set_default_auto_select_family(family)
        net.set_default_auto_select_family_attempt_timeout(timeout)


def decided(name: str, label: str, want: Any, got: Any) -> dict[str, Any] | None:
    """The decision that covers a difference."""
    for one in json.loads(DECIDED.read_text('utf-8')):
        if (
            re.search(one['parameter'], name)
            and re.fullmatch(one.get('value', '.*'), label)
            and re.search(one.get('want', ''), json.dumps(want))
            and re.search(one.get('got', ''), json.dumps(got))
        ):
            return dict(one)
    return None


def differences(only: str = '') -> list[tuple[str, str, Any, Any]]:
    """Parameter, value, Node's answer and ours, where they differ and nobody has decided it."""
    table = recorded()
    names = [name for name in table if only in name]
    out = []
    for name, row in played(names).items():
        wanted = table[name]
        for label, got in row.items():
            either = ('undefined', 'null') if label in ('undefined', 'null') else (label,)
            got = json.loads(json.dumps(got))
            if all(wanted[one] != got for one in either):
                found = (name, label, wanted[label], got)
                if decided(*found) is None:
                    out.append(found)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--record', action='store_true')
    parser.add_argument('--only', default='')
    parser.add_argument('--loop', choices=['asyncio', 'uvloop'], default='asyncio')
    options = parser.parse_args()
    if options.loop == 'uvloop':
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    if options.record:
        sys.path[:0] = [str(HERE)]
        from compare import node  # type: ignore[import-not-found]

        binary = node()
        if binary is None:
            print('no Node 24: set NODE24')
            return 2
        rows = []
        for name, row in record(binary).items():
            lines = [f' {json.dumps(answer)}: {json.dumps(row[answer])}' for answer in row]
            rows.append(f'{json.dumps(name)}: {{\n' + ',\n'.join(lines) + '\n}')
        TABLE.write_text('{\n' + ',\n'.join(rows) + '\n}\n', 'utf-8')
    found = differences(options.only)
    for name, label, want, got in found:
        print(f'{name:60} {label:12} {json.dumps(want)}  {json.dumps(got)}')
    print(f'{len(found)} of {len(CASES) * len(VALUES)} differ')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
