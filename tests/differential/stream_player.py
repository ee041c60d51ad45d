"""Plays programs of streams and emitters on tailrace: the counterpart of ``stream_player.mjs``.

``play(program)`` gives the trace: what was called, emitted, returned and raised, in order. It
refuses to know how programs are made and what is done with traces.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import tailrace
from tailrace import events, stream
from tailrace._names import snake

__all__ = ['play']

#: How often the loop turns after the last step.
TURNS = 40

KINDS: dict[str, Callable[..., Any]] = {
    'Readable': stream.Readable,
    'Writable': stream.Writable,
    'Duplex': stream.Duplex,
    'Transform': stream.Transform,
    'PassThrough': stream.PassThrough,
}
#: Node's spellings that are no rule.
SPELLINGS = {'from': 'from_'}


def _text(chunk: Any) -> str:
    """As JavaScript writes it."""
    return str(chunk).lower() if isinstance(chunk, bool) else str(chunk)


class Stop(Exception):
    """The program is over."""


class Player:
    """One program under way."""

    def __init__(self, program: dict[str, Any], done: asyncio.Future[None]) -> None:
        self.program = program
        self.done = done
        self.trace: list[list[Any]] = []
        self.names: dict[int, str] = {}
        self.things: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.shown_as: dict[int, str] = {}
        self.over = False
        self.turn = 0
        self.tasks: list[asyncio.Task[None]] = []

    # -- the trace ------------------------------------------------------------------------------

    def log(self, *entry: Any) -> None:
        if self.over:
            return
        if len(self.trace) > 600:
            self.stop('overflow')
        else:
            self.trace.append(list(entry))

    def stop(self, why: str) -> None:
        if not self.over:
            self.trace.append(['stop', why])
            self.over = True
            if not self.done.done():
                self.done.set_result(None)

    def shown(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return f's:{value}'
        if isinstance(value, BaseException):
            code = getattr(value, 'code', None)
            return f'e:{code if isinstance(code, str) else value}'
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f'b:{bytes(value).hex()}'
        name = self.names.get(id(value))
        if name is not None:
            return f'<{name}>'
        if value is events.error_monitor:
            return 'y:events.errorMonitor'
        if isinstance(value, (list, tuple)):
            return [self.shown(one) for one in value]
        if isinstance(value, events.EventEmitter):
            return '<stream>'
        if callable(value):
            inner = getattr(value, 'listener', value)
            return f'f:{self.shown_as.get(id(inner), "?")}'
        return '?'

    # -- values -----------------------------------------------------------------------------------

    def value(self, given: Any) -> Any:
        if isinstance(given, list):
            return [self.value(one) for one in given]
        if not isinstance(given, dict):
            return given
        if '$b' in given:
            return bytes.fromhex(given['$b'])
        if '$e' in given:
            return RuntimeError(given['$e'])
        if '$s' in given:
            return self.things.get(given['$s'])
        if '$f' in given:
            return self.callback(given)
        if '$signal' in given:
            return self.things[given['$signal']].signal
        if '$monitor' in given:
            return events.error_monitor
        if '$items' in given:
            return self.items(given)
        if '$gen' in given:
            return self.generator(given)
        return {key: self.value(one) for key, one in given.items()}

    def callback(self, given: dict[str, Any]) -> Any:
        known = self.functions.get(given['$f'])
        if known is not None:
            return known
        count = 0

        def called(*args: Any) -> Any:
            nonlocal count
            told = list(args[: given.get('take', 3)])
            while told and told[-1] is None:
                told.pop()
            if not given.get('still'):
                self.log('call', given['$f'], self.shown(told))
            count += 1
            if given.get('do') and count <= given.get('times', 1):
                self.run(given['do'], {'args': args})
            if given.get('throws'):
                raise RuntimeError(given['throws'])
            if given.get('rejects'):
                return self.reject(given['rejects'])
            if given.get('later'):
                return self.later(args[0] if given.get('echo') else self.value(given.get('gives')))
            if given.get('echo'):
                return args[0]
            return self.value(given['gives']) if 'gives' in given else None

        self.functions[given['$f']] = called
        self.shown_as[id(called)] = given['$f']
        return called

    async def reject(self, message: str) -> None:
        raise RuntimeError(message)

    async def later(self, value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    def items(self, given: dict[str, Any]) -> Any:
        def plain() -> Any:
            for one in given['$items']:
                if isinstance(one, dict) and '$throw' in one:
                    raise RuntimeError(one['$throw'])
                yield self.value(one)

        async def later() -> Any:
            try:
                for one in plain():
                    yield one
            finally:
                if not given.get('still'):
                    self.log('iterator closed')

        return later() if given.get('async') else plain()

    def generator(self, given: dict[str, Any]) -> Any:
        async def sink(source: Any) -> Any:
            count = 0
            async for chunk in source:
                self.log('sink', self.shown(chunk))
                count += 1
                if given.get('fails') == count:
                    raise RuntimeError('sink failed')
                if given.get('leaves') == count:
                    break
            return given.get('gives')

        async def through(source: Any) -> Any:
            count = 0
            async for chunk in source:
                count += 1
                if given.get('fails') == count:
                    raise RuntimeError('generator failed')
                if given.get('leaves') == count:
                    return
                text = chunk.decode() if isinstance(chunk, bytes) else _text(chunk)
                yield text + text if given['$gen'] == 'double' else chunk

        return sink if given['$gen'] == 'sink' else through

    # -- making -----------------------------------------------------------------------------------

    def options(self, make: dict[str, Any]) -> dict[str, Any]:
        options = {key: self.value(one) for key, one in make.get('options', {}).items()}
        for hook, script in make.get('hooks', {}).items():
            options[hook] = self.hook(make['name'], hook, script)
        return options

    def hook(self, name: str, hook: str, script: list[Any]) -> Any:
        count = 0

        def called(*given: Any) -> None:
            nonlocal count
            args = list(given)
            done = args.pop() if args and callable(args[-1]) else None
            if hook == 'writev':
                args = [[[chunk, encoding] for chunk, encoding in args[0]]]
                shown = [[[self.shown(chunk), encoding] for chunk, encoding in args[0]]]
            else:
                shown = self.shown(args)
            self.log(f'{name}._{hook}', shown)
            body = script[min(count, len(script) - 1)]
            count += 1
            self.run(body, {'done': done, 'args': args})

        return called

    def keep(self, name: str, thing: Any) -> None:
        self.things[name] = thing
        self.names[id(thing)] = name

    def make(self, step: dict[str, Any]) -> None:
        name, kind = step['name'], step['kind']
        options = self.options(step)
        if kind == 'Emitter':
            self.keep(name, events.EventEmitter(options) if options else events.EventEmitter())
        elif kind == 'from':
            self.keep(name, stream.Readable.from_(self.value(step['items']), options))
        elif kind == 'Controller':
            self.things[name] = tailrace.AbortController()
        elif kind == 'pair':
            one, two = stream.duplex_pair(options)
            self.keep(name, one)
            self.keep(f'{name}2', two)
        else:
            self.keep(name, KINDS[kind](options))

    # -- steps ------------------------------------------------------------------------------------

    def run(self, steps: list[dict[str, Any]], env: dict[str, Any] | None = None) -> None:
        for step in steps:
            if self.over:
                return
            getattr(self, f'do_{step["op"]}')(step, env or {})

    def do_make(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        try:
            self.make(step)
        except Exception as error:
            self.log('throw', f'make {step["name"]}', self.shown(error))

    def method(self, thing: Any, name: str) -> Any:
        return getattr(thing, SPELLINGS.get(name) or snake(name))

    def do_call(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        thing = self.things.get(step['on'])
        if thing is None:
            return
        args = [self.value(one) for one in step.get('args', ())]
        label = f'{step["on"]}.{step["fn"]}'
        try:
            result = self.method(thing, step['fn'])(*args)
        except Exception as error:
            self.log('throw', label, self.shown(error))
            return
        self.log('return', label, None if step.get('quiet') else self.shown(result))
        known = id(result) in self.names
        if step.get('as') and isinstance(result, events.EventEmitter) and not known:
            self.keep(step['as'], result)

    def do_get(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        thing = self.things.get(step['on'])
        if thing is not None:
            values = [[name, self.shown(self.method(thing, name))] for name in step['props']]
            self.log('get', step['on'], values)

    def do_set(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        thing = self.things.get(step['on'])
        if thing is not None:
            setattr(thing, snake(step['prop']), step['value'])

    def do_listen(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        thing = self.things.get(step['on'])
        if thing is not None:
            for event in step['events']:
                thing.on(event, self.listener(f'{step["on"]} {event}'))

    def listener(self, label: str) -> Any:
        def heard(*args: Any) -> None:
            self.log('event', label, self.shown(args))

        return heard

    def do_fn(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        place = events if step.get('of') == 'events' else stream
        args = [self.value(one) for one in step.get('args', ())]
        try:
            result = getattr(place, snake(step['fn']))(*args)
        except Exception as error:
            self.log('throw', step['fn'], self.shown(error))
            return
        if step.get('keep'):
            self.things[step['keep']] = Stopper(result)
            self.log('return', step['fn'])
        elif step.get('as') and isinstance(result, events.EventEmitter):
            self.keep(step['as'], result)
            self.log('return', step['fn'])
        elif step.get('quiet'):
            self.log('return', step['fn'])
        else:
            self.log('return', step['fn'], self.shown(result))

    def do_done(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        done = env.get('done')
        if done is not None:
            done(*[self.value(one) for one in step.get('args', ())])

    def do_tick(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        tailrace.next_tick(lambda: self.run(step['do'], env))

    def do_turn(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        tailrace.set_immediate(lambda: self.run(step['do'], env))

    def do_throw(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        raise RuntimeError(step['message'])

    def do_note(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        self.log('note', step['text'])

    # -- what is awaited: its own lane of the trace ----------------------------------------------

    def do_await(self, step: dict[str, Any], env: dict[str, Any]) -> None:
        # What is called is called now, as an async function of JavaScript begins at once.
        args = [self.value(one) for one in step.get('args', ())]
        thing = self.things[step['on']] if step.get('on') else None
        what = step['what']
        try:
            if what == 'iterate':
                made = self.method(thing, step['fn'])(*args) if step.get('fn') else thing
            elif what == 'method':
                made = self.method(thing, step['fn'])(*args)
            elif what == 'promises':
                made = getattr(stream.promises, step['fn'])(*args)
            else:
                made = getattr(events, what)(*args)
        except Exception as error:
            self.log(f'~{step["lane"]}', 'raises', self.shown(error))
            return
        self.tasks.append(asyncio.get_running_loop().create_task(self.wait(made, step, env)))

    async def wait(self, made: Any, step: dict[str, Any], env: dict[str, Any]) -> None:
        lane = f'~{step["lane"]}'
        what = step['what']
        try:
            if what in ('iterate', 'on'):
                await self.iterate(made, step, env, 'chunk' if what == 'iterate' else 'got')
            else:
                result = await made
                self.log(lane, 'got' if what == 'once' else 'gives', self.shown(result))
        except Exception as error:
            self.log(lane, 'raises', self.shown(error))

    async def iterate(self, source: Any, step: Any, env: Any, word: str) -> None:
        lane = f'~{step["lane"]}'
        count = 0
        iterator = aiter(source)
        del source
        async for one in iterator:
            self.log(lane, word, self.shown(one))
            count += 1
            if count == step.get('leaves'):
                break
            if count == step.get('fails'):
                raise RuntimeError('left')
            if step.get('do') and count == step.get('at', 1):
                self.run(step['do'], env)
        del iterator
        self.log(lane, 'left')

    # -- the program ------------------------------------------------------------------------------

    def next(self) -> None:
        if self.over:
            return
        turns = self.program['turns']
        self.turn += 1
        if self.turn <= len(turns):
            try:
                self.run(turns[self.turn - 1])
            finally:
                tailrace.set_immediate(self.next)
        elif self.turn > len(turns) + TURNS:
            for name, props in self.program.get('last', {}).items():
                self.do_get({'on': name, 'props': props}, {})
            self.stop('done')
        else:
            tailrace.set_immediate(self.next)


class Stopper:
    """What ``finished`` gives, under a name that a program can call."""

    def __init__(self, stop: Any) -> None:
        self.stop = stop


def play(program: dict[str, Any]) -> list[list[Any]]:
    """What the program does."""
    made: list[Player] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        player = Player(program, loop.create_future())
        made.append(player)

        def uncaught(loop: Any, context: dict[str, Any]) -> None:
            player.log('uncaught', player.shown(context.get('exception')))
            player.stop('uncaught')

        def warned(message: Any, *_: Any, **__: Any) -> None:
            found = re.match(r"(\d+) listeners for (?:'(\w+)'|\w+) on", str(message))
            if found is not None:
                player.log('~warned', found[2] or 'symbol', int(found[1]))

        warnings.simplefilter('always')
        warnings.showwarning = warned
        loop.set_exception_handler(uncaught)
        tailrace.set_immediate(player.next)
        await player.done
        for task in player.tasks:
            task.cancel()
        await asyncio.sleep(0)

    asyncio.run(main())
    return made[0].trace


def main() -> None:
    """One program a line in, one trace a line out."""
    if sys.argv[1:] == ['uvloop']:
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    for line in sys.stdin:
        print(json.dumps(play(json.loads(line))), flush=True)


if __name__ == '__main__':
    main()
