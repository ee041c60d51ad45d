"""Plays generated programs of streams and emitters on tailrace and compares them with Node.

    python tests/differential/streams.py 1-3000              against Node (NODE24 or `node` 24)
    python tests/differential/streams.py 1-3000 --only piping
    python tests/differential/streams.py 17 --show           one program and both traces
    python tests/differential/streams.py --record 1-400      keep what Node said
    python tests/differential/streams.py --recorded          compare with that

What differs is made smaller, and the differences are counted by kind. Exit code 1 if any is left
that ``decided_streams.json`` does not explain.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from stream_programs import FAMILIES, family_of, stream_program  # type: ignore[import-not-found]  # noqa: E402

__all__ = ['difference', 'explained', 'judged', 'kept', 'on_node', 'on_tailrace', 'same']

KEPT = HERE / 'stream_traces.json.xz'
DECIDED = HERE / 'decided_streams.json'
DECISIONS = json.loads(DECIDED.read_text('utf-8'))
Trace = list[list[Any]]


def _piped(command: list[Any], programs: list[Any], env: dict[str, str]) -> list[Trace]:
    lines = ''.join(json.dumps(one) + '\n' for one in programs)
    said = subprocess.run(
        command, input=lines, capture_output=True, text=True, check=False, env=env
    )
    traces = [json.loads(line) for line in said.stdout.splitlines()]
    if len(traces) != len(programs):
        raise RuntimeError(f'{len(traces)} traces of {len(programs)} programs\n{said.stderr}')
    return traces


def on_node(binary: str, programs: list[Any]) -> list[Trace]:
    """What Node does."""
    env = {**os.environ, 'NODE_NO_WARNINGS': '1'}
    return _piped([binary, HERE / 'stream_player.mjs'], programs, env)


def on_tailrace(programs: list[Any], source: str | None = None, loop: str = '') -> list[Trace]:
    """What tailrace does, in a process of its own."""
    env = dict(os.environ)
    if source is not None:
        env['PYTHONPATH'] = source
    command = [sys.executable, HERE / 'stream_player.py', *([loop] if loop else [])]
    return _piped(command, programs, env)


def kept() -> dict[int, Trace]:
    """What Node said when the traces were recorded."""
    with lzma.open(KEPT, 'rt') as file:
        return {int(seed): trace for seed, trace in json.load(file).items()}


def _lanes(trace: Trace) -> dict[str, Trace]:
    """What is awaited apart: a task goes on a turn later than a promise."""
    lanes: dict[str, Trace] = defaultdict(list)
    for entry in trace:
        lanes[entry[0] if str(entry[0]).startswith('~') else ''].append(entry)
    return lanes


def difference(program: Any, want: Trace, got: Trace) -> tuple[str, Any, Any] | None:
    """The first entry that differs, as a kind and the two entries; None where all are the same."""
    if program.get('lanes'):
        wanted, given = _lanes(want), _lanes(got)
        for lane in sorted(set(wanted) | set(given)):
            found = _first(wanted.get(lane, []), given.get(lane, []))
            if found is not None:
                return found
        return None
    return _first(want, got)


def _first(want: Trace, got: Trace) -> tuple[str, Any, Any] | None:
    for at in range(max(len(want), len(got))):
        one = want[at] if at < len(want) else None
        two = got[at] if at < len(got) else None
        if one != two:
            return f'{_kind(one, two)} -> {_kind(two, one)}', one, two
    return None


def _kind(entry: Any, other: Any) -> str:
    if entry is None:
        return '(nothing)'
    if entry[0] == 'get':
        if other and other[0] == 'get' and len(entry) == len(other) == 3:
            names = [a[0] for a, b in zip(entry[2], other[2], strict=False) if a != b]
            values = [a[1] for a, b in zip(entry[2], other[2], strict=False) if a != b]
            return f'get {names[:1]} {values[:1]}'
        return 'get'
    words = [str(one) for one in entry[:2]]
    text = ' '.join(re.sub(r'\b[a-z]+\d*\b\.', '', word) for word in words)
    text = re.sub(r'\bf\d+\b', 'f', text)
    if len(entry) > 2 and other and entry[:2] == other[:2]:
        text += f' {json.dumps(entry[2])[:40]}'
    return text


def explained(program: Any, found: tuple[str, Any, Any]) -> str | None:
    """The reason of the decision that covers a difference; None if there is none."""
    decision = _decision(program, found)
    return None if decision is None else str(decision['reason'])


def _decision(program: Any, found: tuple[str, Any, Any]) -> Any:
    text = json.dumps(program)
    for one in DECISIONS:
        if 'kind' in one and (
            re.fullmatch(one['kind'], found[0])
            and re.search(one.get('want', ''), json.dumps(found[1]))
            and re.search(one.get('got', ''), json.dumps(found[2]))
            and re.search(one.get('program', ''), text)
        ):
            return one
    return None


def same(program: Any, want: Trace, got: Trace) -> bool:
    """Whether the traces agree, decided differences aside."""
    found = judged(program, want, got)
    return found is None or explained(program, found) is not None


def judged(program: Any, want: Trace, got: Trace) -> tuple[str, Any, Any] | None:
    """The first difference that is left when decided entries are left out."""
    for one in DECISIONS:
        for name in re.findall(one.get('named', '(?!)'), json.dumps(program)):
            want, got = (
                [e for e in trace if not re.search(one['entry'] % name, json.dumps(e))]
                for trace in (want, got)
            )
    want, got = list(want), list(got)
    while True:
        found = difference(program, want, got)
        left_out = None if found is None else (_decision(program, found) or {}).get('without')
        if found is None or left_out is None:
            return found
        if left_out == 'want':
            want.remove(found[1])
        else:
            got.remove(found[2])


# -- making a program smaller ----------------------------------------------------------------------


def _smaller(program: Any) -> Iterator[Any]:
    """Programs with one thing less."""

    def without(steps: list[Any]) -> Iterator[list[Any]]:
        for at, step in enumerate(steps):
            yield steps[:at] + steps[at + 1 :]
            if step.get('do'):
                for less in without(step['do']):
                    yield [*steps[:at], {**step, 'do': less}, *steps[at + 1 :]]
                if step['op'] in ('tick', 'turn'):
                    yield steps[:at] + step['do'] + steps[at + 1 :]
            if step['op'] == 'listen':
                for event in step['events']:
                    rest = [one for one in step['events'] if one != event]
                    yield [*steps[:at], {**step, 'events': rest}, *steps[at + 1 :]]
            if step['op'] == 'make':
                for key in step.get('options', {}):
                    rest = {k: v for k, v in step['options'].items() if k != key}
                    yield [*steps[:at], {**step, 'options': rest}, *steps[at + 1 :]]
                hooks = step.get('hooks', {})
                for key, script in hooks.items():
                    rest = {k: v for k, v in hooks.items() if k != key}
                    yield [*steps[:at], {**step, 'hooks': rest}, *steps[at + 1 :]]
                    if len(script) > 1:
                        for less in (script[1:], script[:-1]):
                            made = {**step, 'hooks': {**hooks, key: less}}
                            yield [*steps[:at], made, *steps[at + 1 :]]
                    for n, body in enumerate(script):
                        for fewer in without(body):
                            less = [*script[:n], fewer, *script[n + 1 :]]
                            made = {**step, 'hooks': {**hooks, key: less}}
                            yield [*steps[:at], made, *steps[at + 1 :]]
            for n, arg in enumerate(step.get('args') or ()):
                if isinstance(arg, dict) and arg.get('do'):
                    for less in without(arg['do']):
                        args = [*step['args'][:n], {**arg, 'do': less}, *step['args'][n + 1 :]]
                        yield [*steps[:at], {**step, 'args': args}, *steps[at + 1 :]]
                elif isinstance(arg, dict) and '$f' in arg and step['op'] == 'call' and n:
                    args = step['args'][:n] + step['args'][n + 1 :]
                    if step['fn'] in ('write', 'end'):
                        yield [*steps[:at], {**step, 'args': args}, *steps[at + 1 :]]

    turns = program['turns']
    for at, steps in enumerate(turns):
        yield {**program, 'turns': turns[:at] + turns[at + 1 :]}
        for less in without(steps):
            yield {**program, 'turns': [*turns[:at], less, *turns[at + 1 :]]}
    if program.get('last'):
        yield {**program, 'last': {}}
        for name in program['last']:
            yield {**program, 'last': {k: v for k, v in program['last'].items() if k != name}}


def shrunk(program: Any, kind: str, play: Any) -> Any:
    """A smaller program with a difference of the same kind."""
    for _ in range(40):
        tries = list(_smaller(program))
        for less, want, got in zip(tries, *play(tries), strict=True):
            found = judged(less, want, got)
            if found is not None and found[0] == kind and explained(less, found) is None:
                program = less
                break
        else:
            return program
    return program


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('seeds', nargs='?', default='1-600')
    parser.add_argument('--only', choices=list(FAMILIES))
    parser.add_argument('--show', action='store_true')
    parser.add_argument('--record', action='store_true')
    parser.add_argument('--recorded', action='store_true')
    parser.add_argument('--source')
    parser.add_argument('--loop', default='')
    parser.add_argument('--shrink', type=int, default=6)
    options = parser.parse_args()
    first, _, last = options.seeds.partition('-')
    seeds = [
        seed
        for seed in range(int(first), int(last or first) + 1)
        if options.only is None or family_of(seed) == options.only
    ]
    if options.recorded:
        known = kept()
        programs = {seed: stream_program(seed) for seed in known}
        wanted = [known[seed] for seed in programs]
    else:
        from compare import node  # type: ignore[import-not-found]

        binary = node()
        if binary is None:
            print('no Node 24: set NODE24, or play --recorded')
            return 2
        programs = {seed: stream_program(seed) for seed in seeds}
        wanted = on_node(binary, list(programs.values()))
        if options.record:
            with lzma.open(KEPT, 'wt') as file:
                json.dump(dict(zip(programs, wanted, strict=True)), file)
    given = on_tailrace(list(programs.values()), options.source, options.loop)
    kinds: dict[str, list[int]] = defaultdict(list)
    decided = 0
    for (seed, program), want, got in zip(programs.items(), wanted, given, strict=True):
        if options.show:
            _show(program, want, got)
        found = difference(program, want, got)
        if found is None:
            continue
        found = judged(program, want, got)
        if found is None or explained(program, found) is not None:
            decided += 1
        else:
            kinds[found[0]].append(seed)
    different = sum(len(found) for found in kinds.values())
    print(f'{len(programs)} programs, {decided} decided, {different} different')
    for kind, found in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f'{len(found):5}  {kind}   {found[:6]}')
    if not options.recorded and not options.show:
        for kind, found in sorted(kinds.items(), key=lambda item: -len(item[1]))[: options.shrink]:

            def play(tries: list[Any]) -> tuple[list[Trace], list[Trace]]:
                got = on_tailrace(tries, options.source, options.loop)
                return on_node(binary, tries), got

            small = shrunk(programs[found[0]], kind, play)
            want, got = play([small])
            print(f'\n-- {kind}  (seed {found[0]})')
            _show(small, want[0], got[0])
    return 1 if kinds else 0


def _show(program: Any, want: Trace, got: Trace) -> None:
    for turn in program['turns']:
        print('turn', *(json.dumps(step) for step in turn), sep='\n    ')
    differs = [
        at for at in range(max(len(want), len(got))) if want[at : at + 1] != got[at : at + 1]
    ]
    first = differs[0] if differs else 0
    for at in range(max(0, first - 12), min(max(len(want), len(got)), first + 6)):
        one = json.dumps(want[at]) if at < len(want) else ''
        two = json.dumps(got[at]) if at < len(got) else ''
        print(f'  {"  " if one == two else "! "}{one:60} {"" if one == two else two}')


if __name__ == '__main__':
    sys.exit(main())
