"""Random programs of what reads streams: operators, async iteration, from, compose, pipeline.

A family for ``stream_programs.py``. What is compared is what comes out: chunks, results, errors.
Tasks go on a turn later than promises, so how far a source was read by then is not, nor which of
several failures comes first: only what is at the end of a chain fails.
"""

from __future__ import annotations

from typing import Any

__all__ = ['OPERATOR_FAMILIES']

Step = dict[str, Any]


def _source(make: Any, name: str) -> Step:
    """A Readable of items."""
    items: list[Any] = [
        make.pick('a', 'bc', 1, 2, 3, 0, False) for _ in range(make.pick(1, 2, 3, 5))
    ]
    options: Step = {}
    if make.chance(0.3):
        options['highWaterMark'] = make.pick(0, 1, 2, 5)
    given = {'$items': items, 'async': make.chance(0.5), 'still': True}
    return {'op': 'make', 'kind': 'from', 'name': name, 'items': given, 'options': options}


def _function(make: Any, fails: bool, *gives: Any) -> Step:
    made: Step = {'$f': make.name('f'), 'take': 1, 'still': True}
    kind = make.rng.randrange(12)
    if kind == 0 and fails:
        made['rejects'] = make.name('rejected')
    elif kind == 1 and fails:
        made['throws'] = make.name('thrown')
    elif gives and (kind < 8 or isinstance(gives[0], list)):
        made['gives'] = make.pick(*gives)
    else:
        made['echo'] = True
    if make.chance(0.3):
        made['later'] = True
    return made


def _options(make: Any, most: bool) -> list[Any]:
    options: Step = {}
    if most and make.chance(0.3):
        options['concurrency'] = make.pick(1, 2, 3, 10)
    if most and make.chance(0.1):
        options['highWaterMark'] = make.pick(0, 1, 3)
    if make.chance(0.15):
        options['signal'] = {'$signal': 'ac'}
    return [options] if options else []


def _link(make: Any, on: str, name: str) -> Step:
    """A call that gives a stream."""
    kind = make.pick('map', 'map', 'filter', 'flatMap', 'take', 'drop', 'compose')
    if kind in ('take', 'drop'):
        args = [make.pick(0, 1, 2, 3, 10), *_options(make, False)]
    elif kind == 'compose':
        args = [{'$gen': make.pick('double', 'same')}]
    else:
        gives = {
            'map': ('m', 7, 0),
            'filter': (True, False, 1, 0),
            'flatMap': (['x', 'y'], [], [1]),
        }
        args = [_function(make, False, *gives[kind]), *_options(make, True)]
    return {'op': 'call', 'on': on, 'fn': kind, 'args': args, 'as': name, 'quiet': True}


def _end(make: Any, on: str) -> Step:
    """What awaits the stream."""
    step: Step = {'op': 'await', 'lane': make.name('l'), 'on': on}
    kind = make.pick('iterate', 'iterate', 'toArray', 'forEach', 'reduce', 'some', 'every', 'find')
    if kind == 'iterate':
        step['what'] = 'iterate'
        if make.chance(0.4):
            step[make.pick('leaves', 'leaves', 'fails')] = make.pick(1, 2, 3)
        if make.chance(0.15):
            step |= {'fn': 'iterator', 'args': [{'destroyOnReturn': make.pick(True, False)}]}
        return step
    step |= {'what': 'method', 'fn': kind}
    if kind == 'toArray':
        step['args'] = _options(make, False)
    elif kind == 'reduce':
        first = make.pick([], ['start'], [0])
        step['args'] = [
            _function(make, True, 'sum', 1),
            *first,
            *(_options(make, False) if first else []),
        ]
    else:
        step['args'] = [_function(make, True, True, False, 0, 1), *_options(make, True)]
    return step


def _operating(make: Any) -> Step:
    """A source, up to three operators, and what awaits the result."""
    start: list[Step] = [{'op': 'make', 'kind': 'Controller', 'name': 'ac'}, _source(make, 'r')]
    names = ['r']
    for number in range(make.pick(0, 1, 1, 2, 3)):
        name = f'm{number}'
        start.append(_link(make, names[-1], name))
        names.append(name)
    if make.chance(0.1):
        start.append({'op': 'call', 'on': 'ac', 'fn': 'abort', 'args': []})
    start.append(_end(make, names[-1]))
    return {'turns': [start, *[[]] * 150], 'last': {}, 'lanes': True}


OPERATOR_FAMILIES = {'operating': _operating}
