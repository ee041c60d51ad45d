"""What every test stands on: both loops, asyncio's debug mode, and a guard against leaks.

* ``loop_kind``, ``loop_factory``, ``run``: a test that asks for one of them runs once on the
  standard loop and once on uvloop. ``run(coroutine_function, *args)`` runs it to its end;
  ``loop_factory`` goes to ``tailrace.run(loop_factory=...)`` or ``asyncio.Runner``.
* the guard, for every test that passed: no descriptor, thread, pending task, open loop or
  tailrace resource may be left. ``@pytest.mark.leaks`` silences it.

``test_conftest.py`` proves that each of these fires. This file knows nothing of tailrace but the
name of ``active_resources``.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any

import pytest

try:
    import uvloop
except ImportError:  # not (yet) built for this interpreter or system
    uvloop = None  # type: ignore[assignment]
else:
    # libuv makes one signal pipe for the process with its first loop and keeps it; let it do so
    # before a test is blamed for those two descriptors.
    uvloop.new_event_loop().close()

# A shell starts its background jobs with SIGINT ignored, and a program that it is ignored in has no
# Ctrl-C: neither would those that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: The longest a coroutine under ``run`` may take, in seconds; a test may give its own.
PATIENCE = 20.0
#: How long an ending thread is waited for, in seconds.
THREAD_PATIENCE = 2.0

#: What ``--fast`` leaves out: whole programs, child processes, tools, large amounts, and the second
#: loop of what is played on both. Parts of test ids.
SLOW = (
    *('tests/adapters/', 'tests/bench/', 'tests/campaign/', 'tests/cli/', 'tests/cluster/'),
    *('tests/docs/', 'tests/fuzz/', 'tests/typing/'),
    *('tests/addr/test_block_list_model', 'test_block_list_size'),
    *('tests/net/test_shows', 'tests/test_commands', 'tests/test_conftest', 'tests/test_examples'),
    *('tests/test_sanitize', 'tests/proxy/test_real', 'tests/proxy/test_fleet'),
    *('tests/test_demo', 'tests/test_programs', 'tests/test_cancelling', '/test_cancelling.py'),
    *('[uvloop', '-uvloop]', '_in_a_process'),
)

#: ``--fast`` plays one recorded scenario of so many.
SCENARIOS_EACH = 4

Factory = Callable[[], asyncio.AbstractEventLoop]

_PASSED = pytest.StashKey[bool]()
_LOOPS = pytest.StashKey[list[asyncio.AbstractEventLoop]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption('--fast', action='store_true', help='a subset that takes under a minute')


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """``-n auto``: one more than there are processors.

    Tests wait for timers, children and the kernel for a third of their time.
    """
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption('--fast'):
        return
    scenarios = [item for item in items if item.get_closest_marker('conformance')]
    left = [item for item in items if any(part in item.nodeid for part in SLOW)]
    left += [item for n, item in enumerate(scenarios) if n % SCENARIOS_EACH]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in set(left)]


@pytest.fixture(params=['asyncio', 'uvloop'])
def loop_kind(request: pytest.FixtureRequest) -> str:
    """'asyncio' or 'uvloop'; the test runs once for each."""
    kind: str = request.param
    if kind == 'uvloop' and uvloop is None:
        pytest.skip('uvloop is not installed')
    return kind


@pytest.fixture
def loop_factory(request: pytest.FixtureRequest, loop_kind: str) -> Factory:
    """Makes event loops of the kind under test, in debug mode, watched by the leak guard."""
    loops = request.node.stash.setdefault(_LOOPS, [])

    def factory() -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop
        loop = uvloop.new_event_loop() if loop_kind == 'uvloop' else asyncio.SelectorEventLoop()
        loop.set_debug(True)
        loops.append(loop)
        return loop

    return factory


class Run:
    """Callable that runs a coroutine function on a fresh loop of the kind under test.

    ``unhandled`` collects what reached the loop's exception handler, and failures of connections
    that were logged. A test that wants such a failure takes it out of the list; what is still there
    at the end fails the test.
    """

    def __init__(self, factory: Factory) -> None:
        self.factory = factory
        self.unhandled: list[dict[str, Any]] = []
        #: What else the package logs: ordinary endings at debug level, warnings.
        self.logged: list[logging.LogRecord] = []

    def __call__(
        self,
        main: Callable[..., Coroutine[Any, Any, Any]],
        *args: Any,
        timeout: float = PATIENCE,
    ) -> Any:
        with asyncio.Runner(debug=True, loop_factory=self.factory) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: self.note(context))
            return runner.run(self.guarded(main, args, timeout))

    def note(self, context: dict[str, Any]) -> None:
        self.unhandled.append(context)

    def emit(self, record: logging.LogRecord) -> None:
        """Take what the package logs."""
        if record.levelno >= logging.ERROR and record.exc_info is not None:
            self.note({'message': record.getMessage(), 'exception': record.exc_info[1]})
        else:
            self.logged.append(record)

    def endings(self) -> list[Any]:
        """The errors of connections that the peer has ended, as they were logged."""
        records = [one for one in self.logged if one.levelno == logging.DEBUG]
        return [one.args[-1] for one in records if isinstance(one.args, tuple)]

    @staticmethod
    async def guarded(
        main: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...], timeout: float
    ) -> Any:
        """``main(*args)``, then a look at what Runner would cancel or close silently."""
        async with asyncio.timeout(timeout):
            result = await main(*args)
        for _ in range(5):  # callbacks that are already due may still end a task
            await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        left = [*sorted(map(repr, tasks)), *_left_resources()]  # both belong to this loop
        if left:
            pytest.fail('left pending: ' + '; '.join(left))
        return result


@pytest.fixture
def run(loop_factory: Factory) -> Iterator[Run]:
    """Runs coroutine functions on the loop under test; see ``Run``."""
    runner = Run(loop_factory)
    handler = logging.Handler()
    handler.emit = runner.emit  # type: ignore[method-assign]
    logger = logging.getLogger('tailrace')
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield runner
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)
    if runner.unhandled:
        pytest.fail(f'unhandled in the loop: {runner.unhandled}')


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the body of the test passed: tracebacks keep objects alive."""
    report = yield
    if report.when == 'call':
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture(autouse=True)
def interpreted(request: pytest.FixtureRequest) -> None:
    """Skip what cannot work on the compiled build (see hatch_build.py)."""
    if request.node.get_closest_marker('interpreted'):
        ticks = importlib.import_module('tailrace._tick')
        if not str(ticks.__file__).endswith('.py'):
            pytest.skip('the modules are compiled')


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave what exists now (modules, thousands of test items) out of the leak guard's collections.

    With it each ``gc.collect()`` took up to 0.4 s; there is one after every test.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that passed but left something open."""
    descriptors, threads = _descriptors(), set(threading.enumerate())
    yield
    node = request.node
    if not node.stash.get(_PASSED, False) or node.get_closest_marker('leaks'):
        return
    gc.collect()
    left = [
        *_left_loops(node.stash.get(_LOOPS, [])),
        *_left_threads(threads),
        *_left_resources(),
        *_left_descriptors(descriptors),
    ]
    if left:
        pytest.fail('left behind: ' + '; '.join(left), pytrace=False)


def _descriptors() -> dict[int, tuple[int, int]]:
    """Open descriptors and what they stand for: {fd: (device, inode)}."""
    out = {}
    for name in os.listdir('/proc/self/fd' if sys.platform == 'linux' else '/dev/fd'):
        try:
            status = os.fstat(int(name))
        except OSError:  # the one that listed the folder
            continue
        out[int(name)] = (status.st_dev, status.st_ino)
    return out


def _left_descriptors(before: dict[int, tuple[int, int]]) -> Iterator[str]:
    for fd, identity in _descriptors().items():
        if before.get(fd) != identity:
            try:
                target = os.readlink(f'/proc/self/fd/{fd}')
            except OSError:
                target = f'device and inode {identity}'
            yield f'descriptor {fd} ({target})'


def _left_threads(before: set[threading.Thread]) -> Iterator[str]:
    for thread in set(threading.enumerate()) - before:
        thread.join(THREAD_PATIENCE)
        if thread.is_alive():
            yield f'thread {thread.name}'


def _left_loops(loops: list[asyncio.AbstractEventLoop]) -> Iterator[str]:
    for loop in loops:
        yield from (f'task {task!r}' for task in asyncio.all_tasks(loop))
        if not loop.is_closed():
            yield f'open loop {loop!r}'


def _left_resources() -> Iterator[str]:
    """What tailrace itself says is still active; nothing if this test did not load it."""
    active = getattr(sys.modules.get('tailrace'), 'active_resources', None)
    if active is not None:
        yield from (f'tailrace resource {resource!r}' for resource in active())
