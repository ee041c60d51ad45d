"""A network and a clock made of data: handles that answer as scripted, at exact times.

It keeps the handle contract (``_handles/__init__.py``): no callback inside a call, ECANCELED for a
pending connect after close, then the close callback.
"""

from __future__ import annotations

import errno
import heapq
import itertools
from collections.abc import Callable
from typing import Any

from tailrace._handles import DONE, PENDING

#: Short names of the addresses in scripts and logs.
ADDRESSES = {
    'a': ('192.0.2.1', 4),
    'b': ('192.0.2.2', 4),
    'c': ('192.0.2.3', 4),
    'x': ('2001:db8::1', 6),
    'y': ('2001:db8::2', 6),
    'z': ('2001:db8::3', 6),
}
NAMES = {address: name for name, (address, _) in ADDRESSES.items()}


class Entry:
    def __init__(self, fn: Callable[[], object]) -> None:
        self.fn: Callable[[], object] | None = fn

    def close(self) -> None:
        self.fn = None


class World:
    """Time in ms, a log of ``'time what who'``, and every handle that was made."""

    def __init__(self, script: dict[str, str] | None = None) -> None:
        #: Name → 'ok 30', 'ECONNREFUSED 20', 'ENETUNREACH now', 'ok now', 'hole' or 'bind EINVAL'.
        self.script = dict(script or {})
        self.now = 0.0
        self.log: list[str] = []
        self.handles: list[FakeHandle] = []
        self.queue: list[tuple[float, int, Entry]] = []
        self.ticks: list[Callable[[], object]] = []
        self.count = itertools.count()

    # -- the clock --------------------------------------------------------------------------

    def call_later(self, ms: float, fn: Callable[[], object]) -> Entry:
        entry = Entry(fn)
        heapq.heappush(self.queue, (self.now + ms, next(self.count), entry))
        return entry

    def soon(self, fn: Callable[[], object]) -> Entry:
        return self.call_later(0, fn)

    def tick(self, fn: Callable[[], object]) -> None:
        self.ticks.append(fn)

    def waiting(self) -> int:
        """How many calls are still to come."""
        return sum(entry.fn is not None for _, _, entry in self.queue) + len(self.ticks)

    def step(self) -> bool:
        """Run the next call; False if there is none."""
        if self.ticks:
            self.ticks.pop(0)()
            return True
        while self.queue:
            when, _, entry = heapq.heappop(self.queue)
            fn, entry.fn = entry.fn, None
            if fn is not None:
                self.now = max(self.now, when)
                fn()
                return True
        return False

    def run(self) -> None:
        while self.step():
            pass

    # -- the network ------------------------------------------------------------------------

    def open_handle(self, family: int) -> FakeHandle:
        handle = FakeHandle(self, family)
        self.handles.append(handle)
        return handle

    def say(self, *words: Any) -> None:
        self.log.append(' '.join([f'{self.now:g}', *map(str, words)]))

    @property
    def open_names(self) -> list[str]:
        return [handle.name for handle in self.handles if not handle.closed]


class FakeHandle:
    """One scripted handle."""

    def __init__(self, world: World, family: int) -> None:
        self.world = world
        self.family = family
        self.name = '?'
        self.closed = 0
        self.bound: tuple[str, int] | None = None
        self.done: Callable[[int], object] | None = None

    def bind(self, address: str, port: int, family: int) -> int:
        assert family == self.family
        assert self.name == '?', 'bound after connect'
        self.bound = (address, port)
        how = self.world.script.get('bind', '')
        return getattr(errno, how) if how else DONE

    def connect(self, address: str, port: int, family: int, done: Callable[[int], object]) -> int:
        assert family == self.family
        assert not self.closed
        self.name = NAMES.get(address, address)
        how, _, when = self.world.script[self.name].partition(' ')
        result = DONE if how in ('ok', 'hole') else getattr(errno, how)
        if when == 'now':
            return result
        self.done = done
        if how != 'hole':
            self.world.call_later(float(when), lambda: self.finish(result))
        return PENDING

    def finish(self, result: int) -> None:
        done, self.done = self.done, None
        if done is not None:
            done(result)

    def close(self, closed: Callable[[], object] | None = None) -> None:
        self.closed += 1
        assert self.closed == 1, 'closed twice'
        done, self.done = self.done, None

        # One callback after the other, each on its own, as the engine defers them: what the first
        # raises does not keep the second from being called.
        if done is not None:
            self.world.soon(lambda: done(errno.ECANCELED))
        if closed is not None:
            self.world.soon(closed)


class Said:
    """A report that writes the log; ``hooks`` run after an entry that begins with their key."""

    def __init__(self, world: World, blocked: str = '') -> None:
        self.world = world
        self.blocked = blocked
        self.hooks: dict[str, Callable[[], object]] = {}
        self.ends: list[str] = []
        self.error: Any = None
        self.errors: list[Any] = []
        self.handle: Any = None

    def _say(self, what: str, *words: Any) -> None:
        self.world.say(what, *words)
        hook = self.hooks.get(' '.join([what, *map(str, words)])) or self.hooks.get(what)
        if hook is not None:
            hook()

    def lookup(self, error: Any, address: Any, family: Any, host: str) -> None:
        self._say('lookup', host, address, family, *([error.code] if error else []))

    def attempting(self, address: str, port: int | None, family: int | None) -> None:
        self._say('try', NAMES.get(address, address))

    def failed(self, address: str, port: int | None, family: int | None, error: Any) -> None:
        self.errors.append(error)
        self._say('failed', NAMES.get(address, address), error.code)

    def timed_out(self, address: str, port: int | None, family: int | None) -> None:
        self._say('timeout', NAMES.get(address, address))

    def connected(self, handle: Any) -> None:
        self.handle = handle
        self.ends.append('connected')
        self._say('connected', handle.name)

    def gave_up(self, error: Any) -> None:
        self.error = error
        self.ends.append('gave up')
        several = [one.code for one in getattr(error, 'errors', [])]
        self._say('gave up', error.code, *([f'[{" ".join(several)}]'] if several else []))

    def refuse(self, address: str, family: int) -> Exception | None:
        from tailrace.errors import state_error

        name = NAMES.get(address, address)
        return state_error('ERR_IP_BLOCKED') if name in self.blocked else None
