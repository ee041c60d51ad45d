"""Random programs of emitters: listeners, errors, rejections, and what is awaited of them.

Families for ``stream_programs.py``, which has the parts they are made of.
"""

from __future__ import annotations

from typing import Any

__all__ = ['EVENT_FAMILIES']

Step = dict[str, Any]

NAMES = ('a', 'a', 'b', 'c', 'error', 'newListener', 'removeListener')
ADDING = ('on', 'on', 'once', 'addListener', 'prependListener', 'prependOnceListener')


class Events:
    """The steps of one program about one emitter."""

    def __init__(self, make: Any, name: str) -> None:
        self.make = make
        self.name = name
        self.pool: list[Step] = []
        for _ in range(5):
            self.pool.append(self.function())

    def function(self) -> Step:
        make = self.make
        body: list[Step] = []
        if self.pool and make.chance(0.3):
            body = make.pick([self.act()], [self.act()], [{'op': 'tick', 'do': [self.act()]}])
            if make.chance(0.15):
                body = [*body, {'op': 'throw', 'message': make.name('thrown')}]
        made: Step = make.callback(body, take=make.pick(1, 2, 3))
        if make.chance(0.2):
            made['gives'] = make.pick(True, False, 'x', 0)
        return made

    def call(self, fn: str, *args: Any) -> Step:
        return {'op': 'call', 'on': self.name, 'fn': fn, 'args': list(args)}

    def event(self) -> Any:
        return {'$monitor': 1} if self.make.chance(0.06) else self.make.pick(*NAMES)

    def argument(self) -> Any:
        return self.make.pick(1, 'x', 0, False, self.make.error(), ['y'])

    def add(self) -> Step:
        return self.call(self.make.pick(*ADDING), self.event(), self.make.pick(*self.pool))

    def emit(self) -> Step:
        make = self.make
        event = make.pick('a', 'a', 'a', 'b', 'c', 'error')
        if event == 'error' and make.chance(0.8):
            return self.call('emit', event, make.error())
        return self.call('emit', event, *[self.argument() for _ in range(make.pick(0, 1, 1, 2, 4))])

    def remove(self) -> Step:
        make = self.make
        if make.chance(0.15):
            return self.call('removeAllListeners', *make.pick([], [self.event()]))
        fn = make.pick('off', 'removeListener')
        return self.call(fn, self.event(), make.pick(*self.pool))

    def ask(self) -> Step:
        make = self.make
        kind = make.rng.randrange(9)
        event = self.event()
        if kind == 0:
            return self.call('listenerCount', event)
        if kind == 1:
            return self.call('listenerCount', event, make.pick(*self.pool))
        if kind in (2, 3):
            return self.call(make.pick('listeners', 'rawListeners'), event)
        if kind == 4:
            return self.call('eventNames')
        if kind == 5:
            return self.call('getMaxListeners')
        if kind == 6:
            return self.call('setMaxListeners', make.pick(0, 1, 2, 3, 2.5, -1, 'x', True, [], 10))
        if kind == 7:
            fn = make.pick('getEventListeners', 'listenerCount')
            return self.of_module(fn, {'$s': self.name}, event)
        limit = make.pick(0, 1, 2, 3, 20, -1, '3')
        return make.pick(
            self.of_module('getMaxListeners', {'$s': self.name}),
            self.of_module('setMaxListeners', limit, {'$s': self.name}),
        )

    def of_module(self, fn: str, *args: Any) -> Step:
        return {'op': 'fn', 'of': 'events', 'fn': fn, 'args': list(args)}

    def bad(self) -> Step:
        fn = self.make.pick(*ADDING, 'off')
        return self.call(fn, self.event(), self.make.pick(5, 'x', True, [], {}))

    def act(self) -> Step:
        make = self.make
        kind = make.rng.randrange(20)
        if kind < 7:
            return self.add()
        if kind < 12:
            return self.emit()
        if kind < 15:
            return self.remove()
        if kind == 15 and make.chance(0.4):
            return self.bad()
        return self.ask()


def _emitting(make: Any) -> Step:
    """Adding, removing and emitting, also from inside of listeners."""
    start = [{'op': 'make', 'kind': 'Emitter', 'name': 'e', 'options': {}}]
    events = Events(make, 'e')
    start += [events.add() for _ in range(make.pick(1, 2, 3, 5))]
    made = make.program(start, make.turns(events.act), {})
    made['turns'][-1] += [events.call('eventNames'), events.call('rawListeners', 'a')]
    return {**made, 'lanes': True}


def _rejecting(make: Any) -> Step:
    """Listeners that give a promise which is rejected, or a coroutine that raises."""
    capture = make.pick(True, True, False)
    kind = make.pick('Emitter', 'Emitter', 'Readable', 'PassThrough')
    made: Step = {
        'op': 'make',
        'kind': kind,
        'name': 'e',
        'options': {'captureRejections': capture},
    }
    if kind == 'Readable':
        made['hooks'] = {'read': [[]]}
    start = [made]
    events = Events(make, 'e')
    for event in ('error', 'close'):
        if make.chance(0.8):
            start.append(events.call('on', event, make.callback(take=1)))
    turns: list[list[Step]] = []
    for _ in range(make.pick(1, 2, 2)):
        event = make.pick('a', 'a', 'b', 'error')
        failing = {**make.callback(take=1), 'rejects': make.name('rejected')}
        steps = [events.call(make.pick('on', 'once'), event, failing)]
        if make.chance(0.5):
            steps.append(events.call('on', event, make.callback(take=1)))
        given = make.error() if event == 'error' else 1
        steps += [events.call('emit', event, given)] * make.pick(1, 1, 2)
        turns += [steps, [], [], [], []]
    return make.program(start, turns, {}) | {'lanes': True}


def _awaiting(make: Any) -> Step:
    """events.once() and events.on() with signals, closing events and water marks."""
    flows = make.chance(0.4)
    kind = 'PassThrough' if flows else 'Emitter'
    start: list[Step] = [
        {'op': 'make', 'kind': kind, 'name': 'e', 'options': {}},
        {'op': 'make', 'kind': 'Controller', 'name': 'ac'},
        {'op': 'make', 'kind': 'Controller', 'name': 'ab'},
    ]
    events = Events(make, 'e')
    if make.chance(0.7):
        start.append(events.call('on', 'error', make.callback(take=1)))
    if flows:
        for event in ('pause', 'resume'):
            start.append(events.call('on', event, make.callback(take=1)))

    def wait() -> Step:
        options: Step = {}
        if make.chance(0.4):
            options['signal'] = {'$signal': make.pick('ac', 'ab')}
        event = make.pick('a', 'a', 'a', 'b', 'error')
        step: Step = {'op': 'await', 'lane': make.name('l'), 'what': make.pick('once', 'on')}
        if step['what'] == 'on':
            if make.chance(0.5):
                options['close'] = make.pick(['end'], ['end', 'b'], [], ['a'])
            if flows and make.chance(0.6):
                options['highWaterMark'] = make.pick(1, 1, 2, 3)
                if make.chance(0.5):
                    options['lowWaterMark'] = make.pick(1, 1, 2)
            elif make.chance(0.1):
                options[make.pick('highWaterMark', 'lowWaterMark')] = make.pick(0, -1, 1.5, 'x')
            if make.chance(0.4):
                step['leaves'] = make.pick(1, 2, 3)
        step['args'] = [{'$s': 'e'}, event, *([options] if options or make.chance(0.1) else [])]
        return step

    def emit() -> Step:
        event = make.pick('a', 'a', 'a', 'a', 'b', 'end', 'error')
        given = make.error() if event == 'error' else make.pick(1, 2, 'x')
        return events.call('emit', event, given)

    def abort() -> Step:
        return {'op': 'call', 'on': make.pick('ac', 'ab'), 'fn': 'abort', 'args': []}

    turns: list[list[Step]] = []
    for _ in range(make.pick(2, 3, 4)):
        acts = (wait, wait, emit, emit, emit, emit, abort)
        if flows:  # who waits does so a turn later than in Node, and takes one event then
            acts = make.pick((wait,), (emit, emit, emit, emit, abort))
        turns.append([make.pick(*acts)() for _ in range(make.pick(1, 2, 3, 5))])
        # A task goes on a few turns later than a promise.
        turns += [[], [], [], []]
    made = make.program(start, turns, {})
    # Of a stream, where all listeners of an event were removed, the order is an accident.
    asks = [events.call('listenerCount', name) for name in ('a', 'b', 'end', 'error')]
    made['turns'] += [[], [], asks if flows else [*asks, events.call('eventNames')]]
    return {**made, 'lanes': True}


EVENT_FAMILIES = {'emitting': _emitting, 'rejecting': _rejecting, 'awaiting': _awaiting}
