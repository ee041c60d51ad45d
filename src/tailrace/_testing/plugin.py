"""The pytest plugin: runs tests on an event loop, gives them sockets, and finds what they leave.

Switched on by a mark or by one of the fixtures; other tests are not touched, unless the ini option
``tailrace_leaks`` says ``all``. What the sockets and clocks are is in the other files of this
folder; here is only when they begin and end.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from .._net.server import Server
from .._net.socket import Socket
from .._resources import active_resources
from .._validate import bad_value
from .clock import FakeClock
from .faults import Faults
from .leaks import Before
from .pairs import socket_pair
from .virtual import VirtualTimeLoop

__all__ = [
    'pytest_addoption',
    'pytest_configure',
    'pytest_pycollect_makeitem',
    'pytest_pyfunc_call',
    'tailrace_breaks',
    'tailrace_clock',
    'tailrace_faults',
    'tailrace_pair',
    'tailrace_run',
    'tailrace_server',
    'tailrace_unhandled',
]

#: Seconds that one test may take on its loop, unless its mark says another number.
PATIENCE = 30.0
#: Turns of the loop at the end of a test, for what is already due.
TURNS = 10

_HARNESS = pytest.StashKey['Harness']()
#: What the plain function that runs a coroutine function has as an attribute.
_PLAIN = '_tailrace_plain'

#: Faults of the way that lose nothing: a right protocol works on each of them.
ROUGH = {
    'none': Faults(),
    'split': Faults(split=1),
    'short_writes': Faults(short_writes=3),
    'delay': Faults(delay=1),
    'small': Faults(capacity=7, split=2),
}
#: Faults that break the connection after n bytes.
BREAKS: dict[str, Callable[[int], Faults]] = {
    'reset': lambda size: Faults(reset_at=size),
    'loss': lambda size: Faults(lose_at=size),
    'end': lambda size: Faults(end_at=size),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the ini options ``tailrace_leaks`` and ``tailrace_timeout``."""
    parser.addini(
        'tailrace_leaks',
        'which tests are looked at for leaks: "tests" (those of tailrace), "all" or "off"',
        default='tests',
    )
    parser.addini(
        'tailrace_timeout',
        'seconds that a test may take on its loop',
        default=str(PATIENCE),
    )


def pytest_configure(config: pytest.Config) -> None:
    """Registers the mark, and refuses a wrong ini option."""
    config.addinivalue_line(
        'markers',
        "tailrace(loop='asyncio', timeout=30, leaks=True): run a coroutine function as a test; "
        "loop: 'asyncio', 'uvloop', 'virtual' (waiting takes no time) or a function that makes one",
    )
    if config.getini('tailrace_leaks') not in ('tests', 'all', 'off'):
        raise pytest.UsageError('tailrace_leaks must be "tests", "all" or "off"')
    try:
        float(config.getini('tailrace_timeout'))
    except ValueError:
        raise pytest.UsageError('tailrace_timeout must be a number of seconds') from None


class Harness:
    """What one test of the plugin has: its loop, and what is to be ended with it."""

    def __init__(self, item: Any) -> None:
        mark = item.get_closest_marker('tailrace')
        options: dict[str, Any] = {} if mark is None else dict(mark.kwargs)
        unknown = options.keys() - {'loop', 'timeout', 'leaks'}
        positional = () if mark is None else mark.args
        if unknown or positional:
            raise pytest.UsageError(f'mark tailrace: unknown {sorted(unknown) or positional}')
        self.loop = _loop_factory(options.get('loop', 'asyncio'))
        self.timeout = float(options.get('timeout', item.config.getini('tailrace_timeout')))
        ini = item.config.getini('tailrace_leaks')
        self.leaks = bool(options.get('leaks', True)) and ini != 'off'
        self.clock: FakeClock | None = None
        #: Contexts of the loop's exception handler, and failures of connections.
        self.unhandled: list[dict[str, Any]] = []
        self.sockets: list[Socket] = []
        self.servers: list[Server] = []

    def run(self, main: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        """Run a coroutine function to its end, then look at what it left."""
        before = Before()
        handler = logging.Handler(logging.ERROR)
        handler.emit = self._logged  # type: ignore[method-assign]
        logger = logging.getLogger('tailrace')
        logger.addHandler(handler)
        try:
            with asyncio.Runner(debug=True, loop_factory=self.loop) as runner:
                runner.get_loop().set_exception_handler(
                    lambda _, context: self.unhandled.append(context)
                )
                result = runner.run(self._main(main, args))
        finally:
            logger.removeHandler(handler)
        if self.unhandled:
            texts = '; '.join(_text(context) for context in self.unhandled)
            pytest.fail(f'unhandled: {texts}', pytrace=False)
        if self.leaks:
            before.compare()
        return result

    def _logged(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None:
            self.unhandled.append({'message': record.getMessage(), 'exception': record.exc_info[1]})

    async def _main(
        self, main: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...]
    ) -> Any:
        try:
            with _limit(self.timeout):
                if self.clock is None:
                    result = await main(*args)
                else:
                    with self.clock:
                        result = await main(*args)
        finally:
            await self._end()
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if self.leaks:
            left = [f'task {task!r}' for task in asyncio.all_tasks() - {asyncio.current_task()}]
            left += [f'resource {resource!r}' for resource in active_resources()]
            if left:
                pytest.fail(f'left behind: {"; ".join(left)}', pytrace=False)
        return result

    async def _end(self) -> None:
        """End what the fixtures have made."""
        for sock in self.sockets:
            if not sock.destroyed:
                sock.once('error', _ignore)
                sock.destroy()
        for server in self.servers:
            await server.close_all(0)


@contextmanager
def _limit(seconds: float) -> Generator[None]:
    """TimeoutError after so many seconds of real time, whatever time the loop goes by."""
    loop = asyncio.get_running_loop()
    task: Any = asyncio.current_task()
    late = False

    def expire() -> None:
        nonlocal late
        late = True
        task.cancel()

    timer = threading.Timer(seconds, loop.call_soon_threadsafe, (expire,))
    timer.daemon = True
    timer.start()
    try:
        yield
    except asyncio.CancelledError:
        if late and not task.uncancel():
            raise TimeoutError(f'the test took longer than {seconds:g} s') from None
        raise
    finally:
        timer.cancel()
        timer.join()


def _ignore(_: object = None) -> None:
    """An error of a socket that the test is done with."""


def _loop_factory(loop: Any) -> Callable[[], asyncio.AbstractEventLoop]:
    if loop == 'asyncio':
        return asyncio.SelectorEventLoop
    if loop == 'virtual':
        return VirtualTimeLoop
    if loop == 'uvloop':
        uvloop = pytest.importorskip('uvloop')
        # libuv keeps two descriptors from the first loop of a process on.
        uvloop.new_event_loop().close()
        return uvloop.new_event_loop  # type: ignore[no-any-return]
    if callable(loop):
        return loop  # type: ignore[no-any-return]
    return bad_value('loop', "'asyncio', 'uvloop', 'virtual' or a function", loop)


def _text(context: dict[str, Any]) -> str:
    error = context.get('exception')
    return f'{context.get("message")}' + ('' if error is None else f' ({error!r})')


# -- tests ----------------------------------------------------------------------------------------


def harness_of(item: Any) -> Harness:
    """The harness of a test, made when it is first asked for."""
    found: Harness | None = item.stash.get(_HARNESS, None)
    if found is None:
        found = item.stash[_HARNESS] = Harness(item)
    return found


def _is_ours(item: Any) -> bool:
    """Whether it is a coroutine function with the mark."""
    return (
        isinstance(item, pytest.Function)
        and item.get_closest_marker('tailrace') is not None
        and inspect.iscoroutinefunction(item.obj)
    )


def _plain(item: pytest.Function) -> Callable[..., None]:
    """The test as a plain function, for pytest and for every other plugin."""
    function: Any = item.obj

    @functools.wraps(function)
    def call(*positional: Any, **arguments: Any) -> None:
        async def test() -> None:
            await function(*positional, **arguments)

        harness_of(item).run(test)

    call.__dict__[_PLAIN] = True
    return call


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Takes the tests with the mark before a plugin that wants all coroutine functions.

    Such as pytest-asyncio in its mode "auto": what it collects it runs on a loop of its own.
    """
    found: Any = yield
    items: list[Any] = [*found] if isinstance(found, list) else [found]
    for item in items:
        if _is_ours(item):
            item.obj = _plain(item)
    return cast('Any', found)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Runs a coroutine function with the mark; looks at the leaks of others if asked to."""
    function: Any = pyfuncitem.obj
    if _is_ours(pyfuncitem):  # collected by somebody else
        pyfuncitem.obj = _plain(pyfuncitem)
        try:
            return (yield)
        finally:
            pyfuncitem.obj = function
    is_coroutine = inspect.iscoroutinefunction(function) or hasattr(function, _PLAIN)
    if is_coroutine or pyfuncitem.config.getini('tailrace_leaks') != 'all':
        return (yield)
    before = Before()
    result = yield
    before.compare()
    return result


# -- fixtures -------------------------------------------------------------------------------------


@pytest.fixture
def tailrace_run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``tailrace_run(main, *args)``: run a coroutine function on a loop of its own.

    For tests that are plain functions. Fails for what was unhandled or is left behind.
    """
    return harness_of(request.node).run


@pytest.fixture
def tailrace_server(request: pytest.FixtureRequest) -> Callable[..., Coroutine[Any, Any, Server]]:
    """``await tailrace_server(handler, **options)``: a server on a free port of 127.0.0.1.

    Options are those of ``create_server``. Closed with all its connections when the test ends.
    """
    harness = harness_of(request.node)

    async def make(*args: Any, **options: Any) -> Server:
        server = Server(*args, **options)
        harness.servers.append(server)
        await server.listen(0, '127.0.0.1')
        return server

    return make


@pytest.fixture
def tailrace_pair(request: pytest.FixtureRequest) -> Callable[..., tuple[Socket, Socket]]:
    """``tailrace_pair(faults, back, **options)``: ``testing.socket_pair``, closed with the test."""
    harness = harness_of(request.node)

    def make(
        faults: Faults | None = None, back: Faults | None = None, **options: Any
    ) -> tuple[Socket, Socket]:
        pair = socket_pair(faults, back, **options)
        harness.sockets += pair
        return pair

    return make


@pytest.fixture(params=list(ROUGH))
def tailrace_faults(request: pytest.FixtureRequest) -> Faults:
    """Faults that lose nothing, one after the other: the test runs once for each.

    None, every byte alone, short writes, a delay of 1 ms, and a wire that holds 7 bytes.
    """
    return ROUGH[request.param]


@pytest.fixture(params=list(BREAKS))
def tailrace_breaks(request: pytest.FixtureRequest) -> Callable[[int], Faults]:
    """``tailrace_breaks(n)``: faults that break the connection after n bytes, one after the other.

    A reset, a cut cable (nothing more arrives: half-open), and an end.
    """
    return BREAKS[request.param]


@pytest.fixture
def tailrace_clock(request: pytest.FixtureRequest) -> Iterator[FakeClock]:
    """A FakeClock that is in force while the test runs on its loop."""
    harness = harness_of(request.node)
    harness.clock = FakeClock()
    yield harness.clock
    harness.clock = None


@pytest.fixture
def tailrace_unhandled(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """What was unhandled so far, for a test that expects it: it takes it out of the list."""
    return harness_of(request.node).unhandled
