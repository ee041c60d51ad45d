"""Random programs of streams and emitters, as data that both players understand.

``stream_program(seed)`` is always the same for a seed. A program has ``turns``: lists of steps,
one list for each turn of the loop. Every family is about one part of the module; in each the
listeners, the hooks and the steps are random, and so is the moment at which things are done.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

try:
    from event_programs import EVENT_FAMILIES  # type: ignore[import-not-found]
    from operator_programs import OPERATOR_FAMILIES  # type: ignore[import-not-found]
except ImportError:  # as a part of the tests
    from .event_programs import EVENT_FAMILIES
    from .operator_programs import OPERATOR_FAMILIES

__all__ = ['FAMILIES', 'family_of', 'stream_program']

Step = dict[str, Any]

READING = ('data', 'end', 'readable', 'pause', 'resume', 'close', 'error')
WRITING = ('drain', 'finish', 'prefinish', 'pipe', 'unpipe', 'close', 'error')
READ_PROPS = (
    'readable',
    'readableFlowing',
    'readableLength',
    'readableEnded',
    'readableDidRead',
    'readableAborted',
    'readableEncoding',
    'readableHighWaterMark',
    'readableObjectMode',
    'destroyed',
    'closed',
    'errored',
)
WRITE_PROPS = (
    'writable',
    'writableLength',
    'writableEnded',
    'writableFinished',
    'writableNeedDrain',
    'writableCorked',
    'writableHighWaterMark',
    'writableObjectMode',
    'destroyed',
    'closed',
    'errored',
)
TEXTS = ('a', 'bc', 'def', 'ghij', 'äß', '€uro', '', 'x' * 9)
BYTES = ('61', '6263', 'e2', '82ac', 'c3a4', '', '00ff', 'f09f9880')
ENCODINGS = ('utf8', 'latin1', 'hex', 'base64', 'utf16le', 'ascii', 'base64url', 'ucs2')


class Maker:
    """One program being made."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.count = 0
        #: Whether encodings are set; bytes that are put back are then decided otherwise.
        self.texts = self.chance(0.5)

    def name(self, start: str) -> str:
        self.count += 1
        return f'{start}{self.count}'

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def chunk(self, objects: bool = False) -> Any:
        if objects:
            return self.pick('a', 'bc', 1, 2, 0, False, 'd')
        if self.chance(0.4):
            # Characters beyond U+FFFF count as two in Node.
            return {'$b': self.pick(*BYTES[:-1] if self.texts else BYTES)}
        return self.pick(*TEXTS)

    def error(self) -> Any:
        return {'$e': self.name('boom')}

    def callback(self, body: list[Step] | None = None, take: int = 3) -> Step:
        made: Step = {'$f': self.name('f'), 'take': take}
        if body:
            made['do'] = body
        return made

    def later(self, steps: list[Step]) -> list[Step]:
        """The steps now, after the tick or after turns."""
        kind = self.rng.randrange(5)
        if kind < 2:
            return steps
        if kind == 2:
            return [{'op': 'tick', 'do': steps}]
        if kind == 3:
            return [{'op': 'turn', 'do': steps}]
        return [{'op': 'turn', 'do': [{'op': 'turn', 'do': steps}]}]

    # -- the parts of a stream --------------------------------------------------------------------

    def marks(self, options: Step, *names: str) -> None:
        if self.chance(0.6):
            options[self.pick('highWaterMark', *names)] = self.pick(0, 1, 2, 3, 4, 5, 8, 16)

    def read_script(self, name: str, objects: bool) -> list[list[Step]]:
        script: list[list[Step]] = []
        for _ in range(self.rng.randrange(1, 5)):
            body = [
                {'op': 'call', 'on': name, 'fn': 'push', 'args': [self.chunk(objects)]}
                for _ in range(self.pick(0, 1, 1, 1, 2, 3))
            ]
            if self.chance(0.06):
                body.append({'op': 'call', 'on': name, 'fn': 'destroy', 'args': [self.error()]})
            if self.chance(0.04):
                body.append({'op': 'throw', 'message': self.name('thrown')})
                script.append(body)
            else:
                script.append(self.later(body))
        end: Step = {'op': 'call', 'on': name, 'fn': 'push', 'args': [None]}
        if self.chance(0.5) and script[-1] and script[-1][-1]['op'] == 'call':
            script[-1].append(end)
            script.append([])
        elif self.chance(0.85):
            script.append(self.later([end]))
            script.append([])
        else:
            script.append([])
        return script

    def done_script(self, *outputs: Any, fails: float = 0.08) -> list[list[Step]]:
        script = []
        for _ in range(self.rng.randrange(1, 4)):
            if self.chance(fails):
                if self.chance(0.3):
                    script.append([{'op': 'throw', 'message': self.name('thrown')}])
                    continue
                args = [self.error()]
            elif outputs and self.chance(0.8):
                args = [None, self.pick(*outputs)]
            else:
                args = self.pick([], [None])
            body = self.later([{'op': 'done', 'args': args}])
            if self.chance(0.03):
                body = []
            elif self.chance(0.03):
                body = body + body
            script.append(body)
        return script

    def readable(self, name: str, **more: Any) -> Step:
        objects = self.chance(0.25)
        options: Step = {'objectMode': True} if objects else {}
        self.texts = self.texts and not objects
        self.marks(options)
        if self.texts and not objects and self.chance(0.2):
            options['encoding'] = self.pick(*ENCODINGS)
        hooks: Step = {'read': self.read_script(name, objects)}
        self.life(options, hooks)
        return self.made('Readable', name, options, hooks, more)

    def life(self, options: Step, hooks: Step) -> None:
        if self.chance(0.08):
            options['autoDestroy'] = False
        if self.chance(0.05):
            options['emitClose'] = False
        if self.chance(0.15):
            hooks['destroy'] = self.destroy_script()
        if self.chance(0.08):
            hooks['construct'] = self.done_script(fails=0.2)

    def destroy_script(self) -> list[list[Step]]:
        args = self.pick([], [None], [self.error()], [self.error()])
        return [self.later([{'op': 'done', 'args': args}])]

    def writable(self, name: str, **more: Any) -> Step:
        options: Step = {'objectMode': True} if self.chance(0.25) else {}
        self.marks(options)
        if self.chance(0.15):
            options['decodeStrings'] = False
        if self.chance(0.1):
            options['defaultEncoding'] = self.pick(*ENCODINGS)
        hooks: Step = {}
        if self.chance(0.93):
            hooks['write'] = self.done_script()
        if self.chance(0.3):
            hooks['writev'] = self.done_script()
        if self.chance(0.3):
            hooks['final'] = self.done_script(fails=0.2)
        self.life(options, hooks)
        return self.made('Writable', name, options, hooks, more)

    def duplex(self, name: str, **more: Any) -> Step:
        objects = self.chance(0.2)
        options: Step = {'objectMode': True} if objects else {}
        self.texts = self.texts and not objects
        self.marks(options, 'readableHighWaterMark', 'writableHighWaterMark')
        if self.chance(0.2):
            options['allowHalfOpen'] = self.pick(True, False)
        if self.chance(0.1):
            options[self.pick('readable', 'writable')] = False
        if not objects and self.chance(0.1):
            options[self.pick('readableObjectMode', 'writableObjectMode')] = True
            self.texts = False
        hooks: Step = {'read': self.read_script(name, objects), 'write': self.done_script()}
        if self.chance(0.2):
            hooks['final'] = self.done_script(fails=0.2)
        self.life(options, hooks)
        return self.made('Duplex', name, options, hooks, more)

    def transform(self, name: str, **more: Any) -> Step:
        objects = self.chance(0.2)
        options: Step = {'objectMode': True} if objects else {}
        self.texts = self.texts and not objects
        self.marks(options, 'readableHighWaterMark', 'writableHighWaterMark')
        hooks: Step = {}
        if self.chance(0.3):
            kind = 'PassThrough'
        else:
            kind = 'Transform'
            script = self.done_script('out', {'$b': '6f757470'}, '')
            for body in script:
                if self.chance(0.25):
                    push: Step = {'op': 'call', 'on': name, 'fn': 'push', 'args': ['pushed']}
                    if self.chance(0.1):
                        push['args'] = [None]
                    body.insert(0, push)
            hooks['transform'] = script
        if self.chance(0.3):
            hooks['flush'] = self.done_script('flushed', fails=0.2)
        if self.chance(0.06):
            hooks['final'] = self.done_script(fails=0.2)
        if self.chance(0.1):
            options['allowHalfOpen'] = False
        self.life(options, hooks)
        return self.made(kind, name, options, hooks, more)

    def made(self, kind: str, name: str, options: Step, hooks: Step, more: Step) -> Step:
        return {
            'op': 'make',
            'kind': kind,
            'name': name,
            'options': {**options, **more},
            'hooks': hooks,
        }

    # -- listeners and steps ----------------------------------------------------------------------

    def listen(self, name: str, among: tuple[str, ...], share: float = 0.7) -> Step:
        heard = [event for event in among if event in ('error', 'close') or self.chance(share)]
        if 'readable' in heard and 'data' in heard and self.chance(0.7):
            heard.remove(self.pick('readable', 'data'))
        if self.chance(0.03):
            heard.remove('error')
        self.rng.shuffle(heard)
        return {'op': 'listen', 'on': name, 'events': heard}

    def body(self, name: str, act: Callable[[str], Step], most: int = 2) -> list[Step]:
        return self.later([act(name) for _ in range(self.rng.randrange(1, most + 1))])

    def react(self, name: str, among: tuple[str, ...], act: Callable[[str], Step]) -> Step:
        how = self.pick('on', 'on', 'once', 'prependListener', 'prependOnceListener')
        heard = self.callback(self.body(name, act), take=1)
        heard['times'] = self.pick(1, 1, 2, 5)
        return {'op': 'call', 'on': name, 'fn': how, 'args': [self.pick(*among), heard]}

    def read_act(self, name: str) -> Step:
        call = {'op': 'call', 'on': name}
        kind = self.rng.randrange(27)
        if kind < 7:
            size = self.pick(None, None, 0, 1, 2, 3, 5, 20)
            return {**call, 'fn': 'read', 'args': [] if size is None else [size]}
        if kind < 9:
            return {**call, 'fn': 'pause'}
        if kind < 12:
            return {**call, 'fn': 'resume'}
        if kind < 14:
            return {**call, 'fn': 'push', 'args': [self.chunk()]}
        if kind == 14:
            return {**call, 'fn': 'push', 'args': [None]}
        if kind < 17:
            chunk = self.pick(*TEXTS) if self.texts else self.chunk()
            return {**call, 'fn': 'unshift', 'args': [chunk]}
        if kind == 17 and self.texts:
            return {**call, 'fn': 'setEncoding', 'args': [self.pick(*ENCODINGS)]}
        if kind == 18:
            return {**call, 'fn': 'destroy', 'args': self.pick([], [self.error()])}
        if kind == 19:
            return {**call, 'fn': 'isPaused'}
        if kind == 20:
            event = self.pick('data', 'readable', 'data', 'readable', 'end')
            return {**call, 'fn': 'removeAllListeners', 'args': [event]}
        if kind < 24:
            event = self.pick('data', 'readable', 'data', 'readable', 'end', 'close')
            how = self.pick('on', 'once')
            return {**call, 'fn': how, 'args': [event, self.callback(take=1)]}
        return self.look(name, READ_PROPS)

    def look(self, name: str, props: tuple[str, ...]) -> Step:
        return {'op': 'get', 'on': name, 'props': self.rng.sample(props, 4)}

    def write_act(self, name: str) -> Step:
        call = {'op': 'call', 'on': name}
        kind = self.rng.randrange(24)
        if kind < 9:
            args: list[Any] = [self.chunk()]
            if self.chance(0.15) and isinstance(args[0], str):
                args.append(self.pick(*ENCODINGS))
            if self.chance(0.5):
                args.append(
                    self.callback(self.body(name, self.write_act) if self.chance(0.1) else None)
                )
            return {**call, 'fn': 'write', 'args': args}
        if kind < 12:
            args = self.pick([], [], [self.chunk()])
            if self.chance(0.5):
                args = [*args, self.callback()]
            return {**call, 'fn': 'end', 'args': args}
        if kind < 14:
            return {**call, 'fn': 'cork'}
        if kind < 16:
            return {**call, 'fn': 'uncork'}
        if kind == 16:
            return {**call, 'fn': 'destroy', 'args': self.pick([], [self.error()])}
        if kind == 17:
            return {**call, 'fn': 'setDefaultEncoding', 'args': [self.pick(*ENCODINGS)]}
        if kind < 20:
            event = self.pick('drain', 'finish', 'prefinish', 'close')
            return {**call, 'fn': self.pick('on', 'once'), 'args': [event, self.callback(take=1)]}
        return self.look(name, WRITE_PROPS)

    def both_act(self, name: str) -> Step:
        return self.pick(self.read_act, self.write_act)(name)

    def turns(self, *acts: Callable[[], Step]) -> list[list[Step]]:
        made: list[list[Step]] = []
        for _ in range(self.rng.randrange(1, 5)):
            steps: list[Step] = []
            for _ in range(self.pick(1, 1, 2, 3, 4)):
                step = self.pick(*acts)()
                steps += [{'op': 'tick', 'do': [step]}] if self.chance(0.15) else [step]
            made.append(steps)
            made += [[]] * self.pick(0, 0, 0, 1)
        return made

    def program(self, start: list[Step], turns: list[list[Step]], last: Step) -> Step:
        if self.chance(0.5):
            turns[0] = start + turns[0]
        else:
            turns.insert(0, start)
        return {'turns': turns, 'last': last}


def _reading(make: Maker) -> Step:
    start = [make.readable('r'), make.listen('r', READING)]
    for _ in range(make.pick(0, 0, 1, 2)):
        start.append(make.react('r', READING[:6], make.read_act))
    turns = make.turns(lambda: make.read_act('r'))
    return make.program(start, turns, {'r': list(READ_PROPS)})


def _writing(make: Maker) -> Step:
    start = [make.writable('w'), make.listen('w', WRITING)]
    for _ in range(make.pick(0, 0, 1, 2)):
        start.append(make.react('w', ('drain', 'finish', 'prefinish', 'close'), make.write_act))
    turns = make.turns(lambda: make.write_act('w'))
    return make.program(start, turns, {'w': list(WRITE_PROPS)})


def _both(make: Maker) -> Step:
    made = make.pick(make.duplex, make.transform, make.transform)('d')
    start = [made, make.listen('d', READING + WRITING[:3])]
    for _ in range(make.pick(0, 0, 1, 2)):
        start.append(make.react('d', READING[:6] + WRITING[:3], make.both_act))
    turns = make.turns(lambda: make.both_act('d'))
    return make.program(start, turns, {'d': list(READ_PROPS[:9] + WRITE_PROPS)})


def _pair(make: Maker) -> Step:
    options: Step = {}
    make.marks(options)
    start: list[Step] = [{'op': 'make', 'kind': 'pair', 'name': 'p', 'options': options}]
    start += [make.listen(name, READING + WRITING[:3]) for name in ('p', 'p2')]
    turns = make.turns(lambda: make.both_act('p'), lambda: make.both_act('p2'))
    return make.program(start, turns, {'p': list(READ_PROPS[:9]), 'p2': list(READ_PROPS[:9])})


def _piping(make: Maker) -> Step:
    source = make.pick(make.readable, make.readable, make.transform, make.duplex)('r')
    start = [source, make.listen('r', READING, 0.4)]
    dests = ['w', 'v'][: make.pick(1, 1, 1, 2)]
    last: Step = {'r': list(READ_PROPS[:6])}
    for name in dests:
        start.append(make.pick(make.writable, make.writable, make.transform)(name))
        start.append(make.listen(name, WRITING, 0.6))
        last[name] = list(WRITE_PROPS)

    def pipe() -> Step:
        args: list[Any] = [{'$s': make.pick(*dests)}]
        if make.chance(0.2):
            args.append({'end': make.pick(True, False)})
        return {'op': 'call', 'on': 'r', 'fn': 'pipe', 'args': args}

    def unpipe() -> Step:
        args = make.pick([], [{'$s': make.pick(*dests)}])
        return {'op': 'call', 'on': 'r', 'fn': 'unpipe', 'args': args}

    for name in dests:
        step = {**pipe(), 'args': [{'$s': name}]}
        if make.chance(0.9):
            start.append(step)
    for _ in range(make.pick(0, 1, 1)):
        heard = make.callback(make.later([make.pick(unpipe, pipe)()]), take=1)
        on = make.pick('r', *dests)
        event = make.pick('data', 'end', 'pause', 'resume', 'close')
        if on != 'r':
            event = make.pick('drain', 'finish', 'unpipe', 'pipe', 'close', 'error')
        start.append({'op': 'call', 'on': on, 'fn': 'on', 'args': [event, heard]})
    acts = [pipe, unpipe, lambda: make.read_act('r'), lambda: make.write_act(make.pick(*dests))]
    return make.program(start, make.turns(*acts), last)


def _lines(make: Maker) -> Step:
    """pipeline() and finished() with callbacks, destroying and signals."""
    start: list[Step] = [{'op': 'make', 'kind': 'Controller', 'name': 'ac'}]
    names = ['r', 't', 'w'] if make.chance(0.4) else ['r', 'w']
    makers = {'r': make.readable, 't': make.transform, 'w': make.writable}
    last: Step = {}
    for name in names:
        more = {'signal': {'$signal': 'ac'}} if make.chance(0.1) else {}
        chosen = makers[name]
        if name == 'w' and make.chance(0.25):
            chosen = make.pick(make.transform, make.duplex)
        start.append(chosen(name, **more))
        if make.chance(0.7):
            start.append(make.listen(name, READING if name == 'r' else WRITING, 0.3))
        last[name] = ['destroyed', 'closed', 'errored']

    def line() -> Step:
        args = [{'$s': name} for name in names]
        return {'op': 'fn', 'fn': 'pipeline', 'quiet': True, 'args': [*args, make.callback(take=1)]}

    def done() -> Step:
        on = make.pick(*names)
        options: Step = {}
        for key in ('readable', 'writable', 'error'):
            if make.chance(0.2):
                options[key] = make.pick(True, False)
        if make.chance(0.1):
            options['signal'] = {'$signal': 'ac'}
        args = [{'$s': on}, *([options] if options or make.chance(0.2) else [])]
        keep = make.name('stop')
        args.append(make.callback(take=1))
        return {'op': 'fn', 'fn': 'finished', 'keep': keep, 'args': args}

    def act() -> Step:
        name = make.pick(*names)
        return make.read_act(name) if name == 'r' else make.write_act(name)

    def cut() -> Step:
        name = make.pick(*names)
        return {
            'op': 'call',
            'on': name,
            'fn': 'destroy',
            'args': make.pick([], [make.error()]),
        }

    def ask() -> Step:
        fn = make.pick('isReadable', 'isWritable', 'isErrored', 'isDisturbed', 'isDestroyed')
        return {'op': 'fn', 'fn': fn, 'args': [{'$s': make.pick(*names)}]}

    if make.chance(0.7):
        start.append(line())
    for _ in range(make.pick(0, 1, 1, 2)):
        start.append(done())
    abort = {'op': 'call', 'on': 'ac', 'fn': 'abort', 'args': []}
    acts = [act, done, cut, ask, lambda: dict(abort)]
    return make.program(start, make.turns(*acts), last)


FAMILIES: dict[str, Callable[[Maker], Step]] = {
    'reading': _reading,
    'writing': _writing,
    'both': _both,
    'pair': _pair,
    'piping': _piping,
    'lines': _lines,
    **EVENT_FAMILIES,
    **OPERATOR_FAMILIES,
}


def family_of(seed: int) -> str:
    """Which part of the module a seed's program is about."""
    return list(FAMILIES)[seed % len(FAMILIES)]


def stream_program(seed: int) -> Step:
    """The program of a seed."""
    return FAMILIES[family_of(seed)](Maker(seed))
