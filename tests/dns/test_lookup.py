"""dns.lookup: the system's resolver where it must be, a given one everywhere else."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tailrace
from tailrace import _running, _runtime, dns
from tailrace._dns.lookup import LookupRequest, Resolver, request
from tailrace._dns.pool import Pool

BOTH = [('192.0.2.1', 4), ('2001:db8::1', 6), ('192.0.2.2', 4)]
SOURCE = str(Path(tailrace.__file__).parent.parent)


def given(found: list[tuple[str, int]] | Exception) -> Resolver:
    """A resolver that always gives this."""

    def resolver(hostname: str, family: int, hints: int) -> list[tuple[str, int]]:
        if isinstance(found, Exception):
            raise found
        return found

    return resolver


def ask(
    resolver: Resolver,
    hostname: Any = 'h.test',
    options: Any = None,
    callback: Any = None,
    **kw: Any,
) -> LookupRequest:
    return request(hostname, options, callback, kw, resolver, Pool())


def run(main: Callable[[], Any]) -> Any:
    async def whole() -> Any:
        result = await main()
        assert not _runtime.current().holders
        return result

    return asyncio.run(whole())


# -- the system's resolver ------------------------------------------------------------------


def test_dn01_localhost_by_await() -> None:
    async def main() -> Any:
        return await dns.lookup('localhost', family=4)

    one = run(main)
    assert one == {'address': '127.0.0.1', 'family': 4}
    assert (one.address, one.family) == ('127.0.0.1', 4)


def test_dn01_dn05_localhost_by_callback() -> None:
    async def main() -> Any:
        called: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        held = dns.lookup('localhost', {'all': True}, lambda *args: called.set_result(args))
        assert list(_runtime.current().holders) == [held]
        assert held.describe() == ('lookup', 'localhost')
        assert repr(held) == "<LookupRequest 'localhost' family=0 pending>"
        args = await called
        assert not held.pending
        return args

    error, found = run(main)
    assert error is None
    assert {'address': '127.0.0.1', 'family': 4} in found


def test_dn09_er21_a_name_that_is_not_there() -> None:
    async def main() -> None:
        await dns.lookup('no-such-host.invalid')

    with pytest.raises(socket.gaierror) as caught:
        run(main)
    error: Any = caught.value
    # Without a network some resolvers answer EAI_AGAIN.
    assert error.code in ('ENOTFOUND', 'EAI_AGAIN')
    assert (error.syscall, error.hostname) == ('getaddrinfo', 'no-such-host.invalid')
    assert isinstance(error, OSError)


@pytest.mark.parametrize('name', ['a' * 70 + '.test', '.', 'a..b', 'a b', '\ud800', 'b\u00fc' * 40])
def test_dn09_names_that_cannot_be_are_not_found(name: str) -> None:
    async def main() -> None:
        await dns.lookup(name)

    with pytest.raises(socket.gaierror) as caught:
        run(main)
    assert caught.value.code in ('ENOTFOUND', 'EAI_AGAIN')  # type: ignore[attr-defined]
    assert caught.value.hostname == name  # type: ignore[attr-defined]


def test_dn03_v4mapped() -> None:
    async def main() -> Any:
        hints = dns.V4MAPPED | dns.ALL
        return await dns.lookup('localhost', family=6, hints=hints, all=True)

    found = run(main)
    assert {one.family for one in found} == {6}
    assert '::ffff:127.0.0.1' in [one.address for one in found]


def test_dn04_constants_are_the_systems() -> None:
    assert (dns.ADDRCONFIG, dns.V4MAPPED, dns.ALL) == (
        socket.AI_ADDRCONFIG,
        socket.AI_V4MAPPED,
        socket.AI_ALL,
    )


# -- arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('args', 'code'),
    [
        ((5,), 'ERR_INVALID_ARG_TYPE'),
        ((b'localhost',), 'ERR_INVALID_ARG_TYPE'),
        (('a\0b',), 'ERR_INVALID_ARG_VALUE'),
        (('h', 'IPv4'), 'ERR_INVALID_ARG_TYPE'),
        (('h', True), 'ERR_INVALID_ARG_TYPE'),
        (('h', 5), 'ERR_INVALID_ARG_VALUE'),
        (('h', {'family': 5}), 'ERR_INVALID_ARG_VALUE'),
        (('h', {'family': '4'}), 'ERR_INVALID_ARG_VALUE'),
        (('h', {'family': True}), 'ERR_INVALID_ARG_VALUE'),
        (('h', {'hints': 1}), 'ERR_INVALID_ARG_VALUE'),
        (('h', {'hints': -1}), 'ERR_INVALID_ARG_VALUE'),
        (('h', {'hints': 8.5}), 'ERR_INVALID_ARG_VALUE'),
        (('h', {'hints': float('nan')}), 'ERR_INVALID_ARG_VALUE'),
        (('h', {'hints': float('inf')}), 'ERR_INVALID_ARG_VALUE'),
        (('h', {'hints': 'x'}), 'ERR_INVALID_ARG_TYPE'),
        (('h', {'all': 1}), 'ERR_INVALID_ARG_TYPE'),
        (('h', {'verbatim': 'x'}), 'ERR_INVALID_ARG_TYPE'),
        (('h', {'order': 'x'}), 'ERR_INVALID_ARG_VALUE'),
        (('h', {'order': 5}), 'ERR_INVALID_ARG_VALUE'),
        (('h', {}, 5), 'ERR_INVALID_ARG_TYPE'),
    ],
)
def test_dn01_to_dn06_bad_arguments_at_once(args: tuple[Any, ...], code: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        dns.lookup(*args)
    assert caught.value.code == code  # type: ignore[union-attr]
    assert not _runtime.current().holders


def test_gen04_an_unknown_keyword_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="did you mean 'family'"):
        dns.lookup('h', familiy=4)


@pytest.mark.parametrize(
    ('options', 'seen'),
    [
        (None, (0, 0)),
        (4, (4, 0)),
        (6, (6, 0)),
        ({'family': 'IPv4'}, (4, 0)),
        ({'family': 'IPv6', 'hints': socket.AI_ADDRCONFIG}, (6, socket.AI_ADDRCONFIG)),
        ({'family': None, 'hints': None, 'all': None, 'order': None}, (0, 0)),
    ],
)
def test_dn02_dn03_what_the_system_is_asked(options: Any, seen: tuple[int, int]) -> None:
    got: list[Any] = []

    def resolver(hostname: str, family: int, hints: int) -> list[tuple[str, int]]:
        got.append((hostname, family, hints))
        return BOTH

    async def main() -> None:
        await ask(resolver, 'h.test', options)

    run(main)
    assert got == [('h.test', *seen)]


# -- answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('options', 'order'),
    [
        ({}, '161'),
        ({'order': 'verbatim'}, '161'),
        ({'order': 'ipv4first'}, '116'),
        ({'order': 'ipv6first'}, '611'),
        ({'verbatim': True}, '161'),
        ({'verbatim': False}, '116'),
        ({'verbatim': True, 'order': 'ipv4first'}, '116'),
    ],
)
def test_dn06_order(options: dict[str, Any], order: str) -> None:
    families = [4 if one == '1' else 6 for one in order]

    async def main() -> None:
        found = await ask(given(BOTH), all=True, **options)
        assert [one.family for one in found] == families
        assert sorted(one.address for one in found) == sorted(address for address, _ in BOTH)
        assert (await ask(given(BOTH), **options)).family == families[0]

    run(main)


def test_dn06_the_default_order() -> None:
    async def main() -> Any:
        return (await ask(given(BOTH))).address

    assert dns.get_default_result_order() == 'verbatim'
    dns.setDefaultResultOrder('ipv6first')
    try:
        assert dns.getDefaultResultOrder() == 'ipv6first'
        assert run(main) == '2001:db8::1'
        for bad in ('x', 5, None):
            with pytest.raises(ValueError, match='ipv4first'):
                dns.set_default_result_order(bad)  # type: ignore[arg-type]
        assert dns.get_default_result_order() == 'ipv6first'
    finally:
        dns.set_default_result_order('verbatim')


@pytest.mark.parametrize('options', [{}, {'family': 4}])
def test_dn07_literals_are_answered_later_and_without_the_system(options: Any) -> None:
    def resolver(hostname: str, family: int, hints: int) -> Any:
        raise AssertionError('asked')

    async def main() -> None:
        got: list[Any] = []
        ask(resolver, '::1', options, lambda *args: got.append(args))
        ask(resolver, '127.0.0.1', {'all': True, **options}, lambda *args: got.append(args))
        assert got == []
        assert await ask(resolver, '::1') == {'address': '::1', 'family': 6}
        assert got == [
            (None, '::1', 6),
            (None, [{'address': '127.0.0.1', 'family': 4}]),
        ]

    run(main)


def test_dn01_an_empty_name() -> None:
    async def main() -> list[Any]:
        got: list[Any] = []
        for options in (None, {'family': 6}, {'all': True}):
            with pytest.warns(DeprecationWarning, match='empty host name') as warned:
                dns.lookup('', options, lambda *args: got.append(args))
            assert warned[0].filename == __file__
        await asyncio.sleep(0)
        return got

    assert run(main) == [(None, None, 4), (None, None, 6), (None, [])]


def test_gen19_callbacks_take_what_they_declare_and_may_be_coroutines() -> None:
    async def main() -> list[Any]:
        got: list[Any] = []
        over = asyncio.Event()

        async def callback(error: Any, address: Any, family: Any, more: Any) -> None:
            got.append((error, address, family, more))
            over.set()

        ask(given(BOTH), 'h', lambda error: got.append(error))
        await ask(given(BOTH))
        ask(given(BOTH), 'h', callback=callback)
        await over.wait()
        await asyncio.wait(_runtime.current().tasks)
        return got

    assert run(main) == [None, (None, '192.0.2.1', 4, None)]


def test_a_callback_comes_with_its_ticks_after_it() -> None:
    async def main() -> list[str]:
        got: list[str] = []
        over = asyncio.Event()

        def callback() -> None:
            _runtime.next_tick(lambda: got.append('tick'))
            got.append('callback')
            asyncio.get_running_loop().call_soon(over.set)

        ask(given(BOTH), 'h', callback)
        await over.wait()
        return got

    assert run(main) == ['callback', 'tick']


@pytest.mark.parametrize(
    ('raised', 'code'),
    [
        (socket.gaierror(socket.EAI_NONAME, 'x'), 'ENOTFOUND'),
        (socket.gaierror(socket.EAI_AGAIN, 'x'), 'EAI_AGAIN'),
        (socket.gaierror(socket.EAI_FAIL, 'x'), 'EAI_FAIL'),
        (socket.gaierror(), 'ENOTFOUND'),
        (UnicodeError('label too long'), 'ENOTFOUND'),
        (OSError(24, 'Too many open files'), 'EMFILE'),
    ],
)
def test_dn09_errors(raised: Exception, code: str) -> None:
    async def main() -> list[Any]:
        got: list[Any] = []
        with pytest.raises(OSError, match=code) as caught:
            await ask(given(raised))
        over = asyncio.Event()
        ask(given(raised), callback=lambda *args: (got.extend(args), over.set()))
        await over.wait()
        return [caught.value, *got]

    errors = run(main)
    assert [one.code for one in errors] == [code, code]
    assert {(one.syscall, one.hostname) for one in errors} == {('getaddrinfo', 'h.test')}
    assert errors[0].__cause__ is raised


def test_dn09_no_answer_is_not_found() -> None:
    async def main() -> None:
        await ask(given([]))

    with pytest.raises(socket.gaierror) as caught:
        run(main)
    assert caught.value.code == 'ENOTFOUND'  # type: ignore[attr-defined]


def test_a_lookup_with_a_callback_is_not_awaited() -> None:
    async def main() -> None:
        one = ask(given(BOTH), callback=lambda: None)
        with pytest.raises(TypeError, match='callback'):
            await one
        one.abandon()

    run(main)


# -- lifetime -------------------------------------------------------------------------------


class Gate:
    """A resolver that hangs until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked: list[str] = []
        self.at_once = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, hostname: str, family: int, hints: int) -> list[tuple[str, int]]:
        with self._lock:
            self.asked.append(hostname)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        assert self.open.wait(30)
        with self._lock:
            self.at_once -= 1
        return BOTH


def test_cn24_an_abandoned_lookup_never_calls_back_and_releases_the_runtime() -> None:
    async def main() -> list[Any]:
        gate, pool, got = Gate(), Pool(), []
        one = request('h', None, lambda *args: got.append(args), {}, gate, pool)
        assert list(_runtime.current().holders) == [one]
        one.abandon()
        one.abandon()
        assert not one.pending
        assert not _runtime.current().holders
        gate.open.set()
        await request('after', None, None, {}, gate, pool)
        return got

    assert run(main) == []


def test_a_cancelled_await_abandons() -> None:
    async def main() -> None:
        gate = Gate()
        one = ask(gate)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(one, 0.001)
        assert not one.pending
        assert not _runtime.current().holders
        gate.open.set()

    run(main)


def test_dn01_four_at_a_time_the_rest_in_line_and_the_abandoned_skipped() -> None:
    async def main() -> Gate:
        gate, pool = Gate(), Pool()
        requests = [request(str(n), None, None, {}, gate, pool) for n in range(10)]
        for dropped in (5, 7):
            requests[dropped].abandon()
        gate.open.set()
        await asyncio.gather(*(requests[n] for n in range(10) if n not in (5, 7)))
        return gate

    gate = run(main)
    assert gate.most <= 4
    assert sorted(gate.asked) == ['0', '1', '2', '3', '4', '6', '8', '9']
    assert sorted(gate.asked[4:]) == ['4', '6', '8', '9']


def test_pool_threads_end_when_nothing_waits() -> None:
    pool = Pool()
    threads: list[threading.Thread] = []
    done = threading.Event()

    def job() -> None:
        threads.append(threading.current_thread())
        done.set()

    pool.submit(job)
    assert done.wait(30)
    threads[0].join(30)
    assert not threads[0].is_alive()
    assert threads[0].daemon
    assert pool.discard(job) is False


def test_gen10_a_lookup_asked_before_there_is_a_loop_is_made_in_run() -> None:
    got: list[Any] = []

    def callback(error: Any, address: str) -> None:
        got.append(address)
        raise RuntimeError('enough')

    ask(given(BOTH), callback=callback)
    assert [one.describe() for one in _runtime.current().holders] == [('lookup', 'h.test')]
    # An exception of a callback ends run(): proof that the callback ran inside it.
    with pytest.raises(RuntimeError, match='enough'):
        _running.run(None, asyncio.new_event_loop)
    assert got == ['192.0.2.1']


def test_gen10_a_lookup_asked_before_and_awaited_in_another_loop() -> None:
    one = ask(given(BOTH))
    default = _runtime.current()

    async def main() -> Any:
        return await one

    assert asyncio.run(main()) == {'address': '192.0.2.1', 'family': 4}
    assert not default.holders


def test_gen11_a_pending_lookup_keeps_the_program_alive() -> None:
    got: list[str] = []
    ask(given(BOTH), callback=lambda error, address: got.append(address))
    ask(given(BOTH), '127.0.0.1', callback=lambda error, address: got.append(address))
    _running.run(None, asyncio.new_event_loop)
    assert sorted(got) == ['127.0.0.1', '192.0.2.1']


HANGING = """
import asyncio, threading
from tailrace import _running, _timers
from tailrace._dns.lookup import request
from tailrace._dns.pool import Pool
asked = threading.Event()
def hang(*args):
    asked.set()
    threading.Event().wait()
def main():
    one = request('h', None, print, {}, hang, Pool())
    _timers.set_timeout(lambda: (asked.wait(), one.abandon(), print('abandoned')), 1)
_running.run(main, asyncio.new_event_loop)
print('over')
"""


def test_a_resolver_that_hangs_does_not_hold_up_the_end_of_the_program() -> None:
    done = subprocess.run(
        [sys.executable, '-X', 'dev', '-W', 'error', '-c', HANGING],
        env={'PYTHONPATH': SOURCE},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ('abandoned\nover\n', '', 0)


FORKED = """
import asyncio, os, threading
from tailrace._dns.lookup import _pool, lookup
for _ in range(4):
    _pool.submit(threading.Event().wait)
if os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
async def main():
    return (await lookup('localhost', family=4)).address
print(asyncio.run(main()), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_the_pool_works_after_a_fork() -> None:
    done = subprocess.run(
        [sys.executable, '-W', 'ignore::DeprecationWarning', '-c', FORKED],
        env={'PYTHONPATH': SOURCE},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ('127.0.0.1\n', '', 0)


def test_a_failed_lookup_that_nobody_awaits_is_reported() -> None:
    async def main() -> list[str]:
        heard: list[str] = []
        told = asyncio.Event()

        def handler(_: Any, context: dict[str, Any]) -> None:
            heard.append(context['exception'].code)
            told.set()

        asyncio.get_running_loop().set_exception_handler(handler)
        answered = asyncio.Event()
        ask(given(socket.gaierror(socket.EAI_NONAME, 'x')))
        ask(given(BOTH), callback=lambda: answered.set())
        await answered.wait()
        while not heard:
            gc.collect()
            await asyncio.sleep(0)
        return heard

    assert run(main) == ['ENOTFOUND']
