"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ['pytester']

Play = Callable[..., pytest.RunResult]


@pytest.fixture
def play(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run a file of tests with the plugin in a process of its own; the result."""
    source = Path(__file__).resolve().parent.parent.parent / 'src'
    monkeypatch.setenv('PYTHONPATH', str(source))
    monkeypatch.setenv('PYTEST_DISABLE_PLUGIN_AUTOLOAD', '1')

    def play(text: str, *arguments: str, ini: str = '') -> pytest.RunResult:
        pytester.makepyfile(text)
        pytester.makeini(f'[pytest]\nfilterwarnings = error\n{ini}')
        return pytester.runpytest_subprocess(
            '-p', 'tailrace.pytest_plugin', '-p', 'no:cacheprovider', '-q', *arguments
        )

    return play


HEAD = """
import asyncio, os, socket, threading
import pytest, tailrace
from tailrace import net
from tailrace.testing import Faults

async def shout(sock):
    while line := await sock.read_line():
        sock.write(line.upper())
"""


def test_tests_that_are_coroutines(play: Play) -> None:
    result = play(
        HEAD
        + """
@pytest.mark.tailrace
async def test_server(tailrace_server):
    server = await tailrace_server(shout)
    client = await net.connect(server.address().port, '127.0.0.1')
    client.end('hello\\n')
    assert await client.read_line() == b'HELLO\\n'

@pytest.mark.tailrace
async def test_pair(tailrace_pair):
    client, server = tailrace_pair(Faults(split=1), allow_half_open=True)
    client.end('one\\ntwo\\n')
    await shout(server)
    server.end()
    assert b''.join([chunk async for chunk in client]) == b'ONE\\nTWO\\n'

@pytest.mark.tailrace
@pytest.mark.parametrize('number', [1, 2])
async def test_arguments(number, tmp_path):
    assert number and tmp_path.exists()

@pytest.mark.tailrace
async def test_fails():
    assert 1 == 2

def test_plain(tailrace_run, tailrace_pair):
    async def main(word):
        client, server = tailrace_pair()
        client.end(word)
        return await server.read_line()
    assert tailrace_run(main, 'word') == b'word'

@pytest.mark.tailrace
def test_that_is_no_coroutine(tailrace_run):
    pass
"""
    )
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(['*assert 1 == 2*'])


def test_faults(play: Play) -> None:
    result = play(
        HEAD
        + """
@pytest.mark.tailrace
async def test_rough(tailrace_pair, tailrace_faults):
    client, server = tailrace_pair(tailrace_faults, tailrace_faults, allow_half_open=True)
    client.end('one\\ntwo\\n')
    await shout(server)
    server.end()
    assert b''.join([chunk async for chunk in client]) == b'ONE\\nTWO\\n'

@pytest.mark.tailrace(loop='virtual')
async def test_breaks(tailrace_pair, tailrace_breaks):
    client, server = tailrace_pair(tailrace_breaks(5))
    client.on('error', lambda error: None)
    client.end('one\\ntwo\\n')
    got = []
    try:
        async with asyncio.timeout(3600):
            async for chunk in server:
                got.append(chunk)
    except (ConnectionResetError, TimeoutError):
        pass
    assert b''.join(got) == b'one\\nt'
""",
        '-vv',
    )
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(['*test_rough?split?*', '*test_breaks?reset?*'])


def test_times(play: Play) -> None:
    result = play(
        HEAD
        + """
import time

@pytest.mark.tailrace(loop='virtual')
async def test_virtual():
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(86_400)
    assert loop.time() - began >= 86_400

@pytest.mark.tailrace
async def test_clock(tailrace_clock, tailrace_pair):
    client, server = tailrace_pair()
    server.set_timeout(600_000, server.destroy)
    tailrace_clock.advance(599_999)
    assert not server.destroyed
    tailrace_clock.advance(1)
    assert server.destroyed

@pytest.mark.tailrace(timeout=0.05)
async def test_too_long():
    await asyncio.get_running_loop().create_future()

@pytest.mark.tailrace(loop='uvloop')
async def test_uvloop():
    assert 'uvloop' in type(asyncio.get_running_loop()).__module__

@pytest.mark.tailrace(loop=asyncio.SelectorEventLoop)
async def test_own_loop():
    pass
"""
    )
    outcomes = result.parseoutcomes()
    assert outcomes['failed'] == 1
    assert outcomes['passed'] + outcomes.get('skipped', 0) == 4
    result.stdout.fnmatch_lines(['*TimeoutError*'])


LEAKS = (
    HEAD
    + """
kept = []

@pytest.mark.tailrace
async def test_task():
    kept.append(asyncio.ensure_future(asyncio.sleep(1000)))

@pytest.mark.tailrace
async def test_timer():
    kept.append(tailrace.set_timeout(print, 100_000))

@pytest.mark.tailrace
async def test_server():
    kept.append(await net.create_server().listen(0, '127.0.0.1'))

@pytest.mark.tailrace
async def test_descriptor():
    kept.append(socket.socket())

@pytest.mark.tailrace
async def test_thread():
    stop = threading.Event()
    kept.append(stop)
    threading.Thread(target=stop.wait, daemon=True, name='forgotten').start()

@pytest.mark.tailrace(leaks=False)
async def test_allowed():
    kept.append(socket.socket())

def test_other():
    kept.append(socket.socket())

def test_clean(tmp_path):
    pass
"""
)


@pytest.mark.parametrize(('ini', 'failed'), [('', 5), ('tailrace_leaks = all', 6)])
def test_leaks_are_found(play: Play, ini: str, failed: int) -> None:
    result = play(LEAKS, ini=ini)
    result.assert_outcomes(passed=8 - failed, failed=failed)
    result.stdout.fnmatch_lines(
        [
            '*left behind: task *',
            '*left behind: resource *',
            '*left behind: resource *',
            '*left behind: descriptor * (socket:*',
            '*left behind: thread forgotten*',
        ]
    )


def test_leaks_can_be_switched_off(play: Play) -> None:
    text = HEAD + LEAKS[LEAKS.index('kept') :].split('@pytest.mark.tailrace(')[0]
    result = play(text.replace('await net.create', 'net.create'), ini='tailrace_leaks = off')
    assert 'left behind' not in result.stdout.str()


def test_what_is_unhandled_fails_a_test(play: Play) -> None:
    result = play(
        HEAD
        + """
@pytest.mark.tailrace
async def test_handler(tailrace_server):
    @tailrace_server
    def server(sock):
        raise KeyError('in a handler')
    client = await net.connect((await server).address().port, '127.0.0.1')
    client.on('error', lambda error: None)
    await client.wait_closed()

@pytest.mark.tailrace
async def test_expected(tailrace_server, tailrace_unhandled):
    def broken(sock):
        raise KeyError('in a handler')
    server = await tailrace_server(broken)
    client = await net.connect(server.address().port, '127.0.0.1')
    client.on('error', lambda error: None)
    await client.wait_closed()
    assert isinstance(tailrace_unhandled.pop()['exception'], KeyError)

@pytest.mark.tailrace
async def test_loop():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)
"""
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(['*unhandled:*in a handler*', '*unhandled:*ZeroDivisionError*'])


@pytest.mark.parametrize(
    ('text', 'ini', 'complaint'),
    [
        ("@pytest.mark.tailrace(lop='virtual')\nasync def test(): pass", '', "*unknown*'lop'*"),
        ("@pytest.mark.tailrace(loop='fast')\nasync def test(): pass", '', '*loop must be*'),
        ('def test(): pass', 'tailrace_leaks = some', '*tailrace_leaks must be*'),
        ('def test(): pass', 'tailrace_timeout = long', '*tailrace_timeout must be*'),
    ],
)
def test_wrong_settings(play: Play, text: str, ini: str, complaint: str) -> None:
    result = play(f'import pytest\n{text}\n', ini=ini)
    assert result.ret != 0
    assert any(line for line in (*result.outlines, *result.errlines) if _like(line, complaint)), (
        result.stdout.str()
    )


def _like(line: str, pattern: str) -> bool:
    return fnmatch.fnmatch(line, pattern)


def test_other_tests_are_not_touched(play: Play) -> None:
    result = play('def test_one(): pass\nclass TestTwo:\n    def test(self): pass\n')
    result.assert_outcomes(passed=2)


def test_classes(play: Play) -> None:
    result = play(
        HEAD
        + """
@pytest.mark.tailrace
class TestThings:
    async def test_method(self, tailrace_pair):
        client, server = tailrace_pair()
        client.end('x')
        assert await server.read_line() == b'x'
"""
    )
    result.assert_outcomes(passed=1)


#: What pytest-asyncio does in its mode "auto": coroutine functions become items of its own, which
#: run them on its loop.
GREEDY = """
import asyncio, inspect, pytest

class Greedy(pytest.Function):
    def runtest(self):
        test = self.obj
        self.obj = lambda **arguments: asyncio.run(test(**arguments))
        super().runtest()

@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem():
    found = yield
    if not isinstance(found, list):
        return found
    return [
        Greedy.from_parent(
            item.parent, name=item.name, callspec=getattr(item, 'callspec', None),
            callobj=item.obj, fixtureinfo=item._fixtureinfo, keywords=item.keywords,
            originalname=item.originalname,
        )
        if inspect.iscoroutinefunction(item.obj) else item
        for item in found
    ]
"""


@pytest.mark.parametrize('more', [(), ('-n', '1')], ids=['alone', 'xdist'])
def test_a_plugin_that_takes_all_coroutine_functions_leaves_ours(
    play: Play, pytester: pytest.Pytester, more: tuple[str, ...]
) -> None:
    pytester.makepyfile(greedy=GREEDY)
    result = play(
        HEAD
        + """
@pytest.mark.tailrace(loop='virtual')
@pytest.mark.parametrize('number', [1, 2])
async def test_virtual(number):
    await asyncio.sleep(10_000 * number)

@pytest.mark.tailrace
class TestPair:
    async def test_method(self, tailrace_pair):
        client, server = tailrace_pair()
        client.write(b'x')
        assert await server.read_exactly(1) == b'x'

@pytest.mark.tailrace
async def test_leaves_a_task():
    asyncio.get_running_loop().create_task(asyncio.sleep(100))

async def test_of_the_other():
    assert type(asyncio.get_running_loop()).__name__ != 'VirtualTimeLoop'
""",
        *('-p', 'greedy', *(('-p', 'xdist', *more) if more else ())),
    )
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines('*left behind: task*')
