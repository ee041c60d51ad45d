"""One connect from options to handle: checks, resolving, deadline. Fake clock, fake network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tailrace import _runtime
from tailrace._dns import ADDRCONFIG, ALL, V4MAPPED
from tailrace._net import defaults
from tailrace._net.connecting import Connecting, Plan, check_plan
from tailrace.errors import InvalidAddressFamilyError, InvalidIPAddressError, resolution_error

from .fake_world import ADDRESSES, Said, World

A, X = ADDRESSES['a'][0], ADDRESSES['x'][0]


def connecting(world: World, report: Said, **options: Any) -> Connecting:
    options.setdefault('port', 80)
    return Connecting(
        check_plan(options),
        report,
        world,
        world.open_handle,  # type: ignore[arg-type]
    )


def answering(*answer: Any) -> Callable[..., None]:
    """A Node-style lookup that answers inside the call."""

    def lookup(host: str, options: Any, callback: Any) -> None:
        callback(*answer)

    return lookup


def listed(*names: str) -> list[dict[str, Any]]:
    return [{'address': ADDRESSES[n][0], 'family': ADDRESSES[n][1]} for n in names]


# -- checks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('options', 'code'),
    [
        ({}, 'ERR_MISSING_ARGS'),
        ({'path': 5}, 'ERR_INVALID_ARG_TYPE'),
        ({'path': True}, 'ERR_INVALID_ARG_TYPE'),
        ({'port': True}, 'ERR_INVALID_ARG_TYPE'),
        ({'port': []}, 'ERR_INVALID_ARG_TYPE'),
        ({'port': 65536}, 'ERR_SOCKET_BAD_PORT'),
        ({'port': 'x'}, 'ERR_SOCKET_BAD_PORT'),
        ({'port': 1.5}, 'ERR_SOCKET_BAD_PORT'),
        ({'port': 1, 'host': 5}, 'ERR_INVALID_ARG_TYPE'),
        ({'port': 1, 'host': 'a\0b'}, 'ERR_INVALID_ARG_VALUE'),
        ({'port': 1, 'local_address': 'here', 'host': A}, 'ERR_INVALID_IP_ADDRESS'),
        ({'port': 1, 'local_address': 5, 'host': A}, 'ERR_INVALID_IP_ADDRESS'),
        ({'port': 1, 'local_port': '5', 'host': A}, 'ERR_INVALID_ARG_TYPE'),
        ({'port': 1, 'local_port': True, 'host': A}, 'ERR_INVALID_ARG_TYPE'),
        ({'port': 1, 'local_port': 65536, 'host': A}, 'ERR_SOCKET_BAD_PORT'),
        ({'port': 1, 'host': 'x.test', 'lookup': 'x'}, 'ERR_INVALID_ARG_TYPE'),
        ({'port': 1, 'host': 'x.test', 'family': 5}, 'ERR_INVALID_ARG_VALUE'),
        ({'port': 1, 'host': 'x.test', 'family': '4'}, 'ERR_INVALID_ARG_VALUE'),
        ({'port': 1, 'host': 'x.test', 'hints': 1}, 'ERR_INVALID_ARG_VALUE'),
        ({'port': 1, 'host': 'x.test', 'hints': 'x'}, 'ERR_INVALID_ARG_TYPE'),
        ({'port': 1, 'host': A, 'auto_select_family': 1}, 'ERR_INVALID_ARG_TYPE'),
        ({'port': 1, 'host': A, 'auto_select_family': 'yes'}, 'ERR_INVALID_ARG_TYPE'),
        ({'port': 1, 'host': A, 'auto_select_family_attempt_timeout': 0}, 'ERR_OUT_OF_RANGE'),
        ({'port': 1, 'host': A, 'auto_select_family_attempt_timeout': 1.5}, 'ERR_OUT_OF_RANGE'),
        ({'port': 1, 'host': A, 'auto_select_family_attempt_timeout': 'x'}, 'ERR_INVALID_ARG_TYPE'),
        ({'port': 1, 'host': A, 'connect_timeout': -1}, 'ERR_OUT_OF_RANGE'),
        ({'port': 1, 'host': A, 'connect_timeout': 2**31}, 'ERR_OUT_OF_RANGE'),
        ({'port': 1, 'host': A, 'connect_timeout': 'x'}, 'ERR_INVALID_ARG_TYPE'),
        ({'path': '/x', 'connect_timeout': 'x'}, 'ERR_INVALID_ARG_TYPE'),
    ],
)
def test_cn05_to_cn23_bad_options(options: dict[str, Any], code: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        check_plan(options)
    assert caught.value.code == code  # type: ignore[union-attr]


def test_cn10_the_default_host_is_localhost() -> None:
    for host in (None, ''):
        assert check_plan({'port': 1, 'host': host}).host == 'localhost'


def test_cn15_for_an_address_lookup_and_family_are_not_looked_at() -> None:
    plan = check_plan({'port': '80', 'host': '::1', 'lookup': 'junk', 'family': 5, 'hints': 'x'})
    assert (plan.literal, plan.port, plan.select) == (6, 80, False)


def test_cn23_a_path_wins_over_everything() -> None:
    plan = check_plan({'path': '/x', 'port': 'junk', 'host': 5})
    assert plan.path == '/x'


def test_cn07_attempt_timeout() -> None:
    def timeout(**options: Any) -> int:
        return check_plan({'port': 1, **options}).attempt_timeout

    assert timeout() == 250
    assert timeout(auto_select_family_attempt_timeout=1) == 10
    assert timeout(auto_select_family_attempt_timeout=timedelta(seconds=1)) == 1000
    defaults.set_default_auto_select_family_attempt_timeout(50)
    try:
        assert timeout() == 50
    finally:
        defaults.set_default_auto_select_family_attempt_timeout(250)


@pytest.mark.parametrize(
    ('options', 'select', 'race'),
    [
        ({}, True, False),
        ({'auto_select_family': False}, False, False),
        ({'auto_select_family': 'race'}, True, True),
        ({'family': 0}, True, False),
        ({'family': 4, 'auto_select_family': True}, False, False),
        ({'local_address': '127.0.0.1', 'auto_select_family': True}, False, False),
        ({'host': '127.0.0.1', 'auto_select_family': True}, False, False),
    ],
)
def test_af01_when_it_runs(options: dict[str, Any], select: bool, race: bool) -> None:
    plan: Plan = check_plan({'port': 1, **options})
    assert (plan.select, plan.race) == (select, race)


@pytest.mark.parametrize(
    ('options', 'asked'),
    [
        ({}, (None, ADDRCONFIG, True)),
        ({'family': 4}, (4, 0, None)),
        ({'family': 'IPv6'}, (6, 0, None)),
        ({'family': 0}, (0, ADDRCONFIG, True)),
        ({'hints': V4MAPPED}, (None, V4MAPPED, True)),
        ({'family': 4, 'hints': ALL}, (4, ALL, None)),
        ({'auto_select_family': False}, (None, ADDRCONFIG, None)),
        ({'local_address': '127.0.0.1'}, (None, ADDRCONFIG, None)),
    ],
)
def test_cn09_am24_what_the_lookup_is_asked(options: dict[str, Any], asked: Any) -> None:
    got: list[Any] = []

    def lookup(host: str, options: Any, callback: Any) -> None:
        got.append((host, options.family, options['hints'], options.all))

    world = World()
    connecting(world, Said(world), host='x.test', lookup=lookup, **options).start()
    assert got == [('x.test', *asked)]


# -- phases ---------------------------------------------------------------------------------


def test_am25_an_address_is_tried_after_the_call_and_without_a_lookup() -> None:
    world = World({'a': 'ok 5'})
    report = Said(world)
    connect = connecting(world, report, host=A, lookup=answering(None, X, 6))
    connect.start()
    assert world.log == []
    world.run()
    assert world.log == ['0 try a', '5 connected a']
    assert connect.attempted is None


def test_cn24_destroyed_in_the_same_tick_nothing_is_tried() -> None:
    world = World({'a': 'ok 5'})
    connect = connecting(world, Said(world), host=A)
    connect.start()
    assert connect.abort() is False
    world.run()
    assert world.log == []
    assert world.handles == []


def test_se10_one_lookup_event_for_each_answer_then_the_attempts() -> None:
    world = World({'x': 'ECONNREFUSED 5', 'a': 'ok 5'})
    answer = answering(None, listed('x', 'a'))
    connect = connecting(world, Said(world), host='x.test', lookup=answer)
    connect.start()
    world.run()
    assert world.log == [
        f'0 lookup x.test {X} 6',
        f'0 lookup x.test {A} 4',
        '0 try x',
        '5 failed x ECONNREFUSED',
        '5 try a',
        '10 connected a',
    ]
    assert connect.attempted == [f'{X}:80', f'{A}:80']


def test_af10_one_usable_address_is_a_plain_connect() -> None:
    world = World({'a': 'ECONNREFUSED 5'})
    report = Said(world)
    junk = [{'address': 'junk', 'family': 4}, *listed('a'), {'address': '::1', 'family': 5}]
    connect = connecting(world, report, host='h', lookup=answering(None, junk))
    connect.start()
    world.run()
    assert world.log[:3] == ['0 lookup h junk 4', f'0 lookup h {A} 4', '0 lookup h ::1 5']
    assert world.log[3:] == ['0 try a', '5 failed a ECONNREFUSED', '5 gave up ECONNREFUSED']
    assert not hasattr(report.error, 'errors')
    assert connect.attempted is None


def test_cn24_destroy_in_a_lookup_event_ends_it() -> None:
    world = World({'a': 'ok 1'})
    report = Said(world)
    connect = connecting(world, report, host='h', lookup=answering(None, listed('a', 'x')))
    report.hooks['lookup'] = connect.abort
    connect.start()
    world.run()
    assert world.log == [f'0 lookup h {A} 4']


@pytest.mark.parametrize('more', [{}, {'family': 4}])
def test_cn21_a_failed_lookup_is_told_then_given_up_a_tick_later(more: dict[str, Any]) -> None:
    world = World()
    answer = answering(resolution_error(-2, 'h'))
    connecting(world, Said(world), host='h', lookup=answer, **more).start()
    assert world.log == ['0 lookup h None None ENOTFOUND']
    world.run()
    assert world.log[1:] == ['0 gave up ENOTFOUND']


@pytest.mark.parametrize('address', ['not-an-ip', '', None, 5, '1.2.3', b'1.2.3.4'])
def test_cn21_er14_an_answer_that_is_no_address(address: Any) -> None:
    for answer, more in (
        (answering(None, address, 4), {'family': 4}),
        (answering(None, [{'address': address, 'family': 4}]), {}),
    ):
        world = World()
        report = Said(world)
        connecting(world, report, host='h', lookup=answer, **more).start()
        world.run()
        assert world.log == [f'0 lookup h {address} 4', '0 gave up ERR_INVALID_IP_ADDRESS']
        assert isinstance(report.error, InvalidIPAddressError)


@pytest.mark.parametrize('family', ['IPv4', None, 5, 4.0, True])
def test_cn21_er14_an_answer_of_no_family(family: Any) -> None:
    for answer, more in (
        (answering(None, A, family), {'family': 4}),
        (answering(None, [{'address': A, 'family': family}]), {}),
    ):
        world = World()
        report = Said(world)
        connecting(world, report, host='h', lookup=answer, **more).start()
        world.run()
        assert world.log[-1] == '0 gave up ERR_INVALID_ADDRESS_FAMILY'
        assert isinstance(report.error, InvalidAddressFamilyError)
        assert (report.error.host, report.error.port) == ('h', 80)


@pytest.mark.parametrize('answer', [None, '127.0.0.1', [], 5, {}, [5], [None]])
def test_dn08_an_answer_that_is_no_list_although_all_were_asked_for(answer: Any) -> None:
    world = World()
    connecting(world, Said(world), host='h', lookup=answering(None, answer)).start()
    world.run()
    assert world.log == ['0 lookup h None None', '0 gave up ERR_INVALID_IP_ADDRESS']


def test_dn08_only_the_first_answer_counts() -> None:
    def twice(host: str, options: Any, callback: Any) -> None:
        callback(None, listed('a'))
        callback(None, listed('x'))

    world = World({'a': 'ok 1', 'x': 'ok 1'})
    connecting(world, Said(world), host='h', lookup=twice).start()
    world.run()
    assert world.log == [f'0 lookup h {A} 4', '0 try a', '1 connected a']


def test_cn24_an_answer_after_destroy_is_not_heard() -> None:
    kept: list[Any] = []
    world = World({'a': 'ok 1'})
    connect = connecting(
        world, Said(world), host='h', lookup=lambda host, options, callback: kept.append(callback)
    )
    connect.start()
    connect.abort()
    kept[0](None, listed('a'))
    world.run()
    assert world.log == []


def test_a_lookup_that_raises_raises_out_of_the_connect_and_ends_it() -> None:
    def broken(host: str, options: Any, callback: Any) -> None:
        raise LookupError('boom')

    world = World()
    connect = connecting(world, Said(world), host='h', lookup=broken, connect_timeout=50)
    with pytest.raises(LookupError, match='boom'):
        connect.start()
    assert world.waiting() == 0


def test_what_a_lookup_listener_raises_goes_through_the_lookup() -> None:
    world = World({'a': 'ok 1'})
    report = Said(world)

    def listener() -> None:
        raise LookupError('in lookup')

    report.hooks['lookup'] = listener
    connect = connecting(world, report, host='h', lookup=answering(None, listed('a')))
    with pytest.raises(LookupError, match='in lookup'):
        connect.start()
    assert world.handles == []


# -- lookups that return --------------------------------------------------------------------


@pytest.mark.parametrize(
    'result',
    [A, (A, 4), {'address': A, 'family': 4}, [A], [(A, 4)], [{'address': A, 'family': 4}]],
)
@pytest.mark.parametrize('more', [{}, {'family': 4}])
def test_dn08_plain_functions_coroutine_functions_and_awaitables(
    result: Any, more: dict[str, Any]
) -> None:
    async def coroutine_function(host: str, options: Any) -> Any:
        return result

    async def slow(host: str) -> Any:
        await asyncio.sleep(0)
        return result

    async def node_style(host: str, options: Any, callback: Any) -> None:
        await asyncio.sleep(0)
        callback(None, listed('a')) if options.all else callback(None, A, 4)

    functions: list[Any] = [
        lambda host, options: result,
        lambda: result,
        coroutine_function,
        slow,
        node_style,
        lambda host: coroutine_function(host, None),
    ]

    async def main() -> None:
        for function in functions:
            world = World({'a': 'ok 1'})
            report = Said(world)
            told = asyncio.Event()
            report.hooks['try'] = told.set
            connecting(world, report, host='h', lookup=function, **more).start()
            assert world.log == []
            await told.wait()
            world.run()
            assert world.log == [f'0 lookup h {A} 4', '0 try a', '1 connected a']
        await asyncio.sleep(0)
        assert not _runtime.current().holders

    asyncio.run(main())


def test_dn08_what_a_returning_lookup_raises_is_the_error_of_the_lookup() -> None:
    import socket

    def plain(host: str, options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')

    async def coroutine(host: str, options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')

    async def node_style(host: str, options: Any, callback: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')

    async def main() -> None:
        for function in (plain, coroutine, node_style):
            world = World()
            report = Said(world)
            told = asyncio.Event()
            report.hooks['lookup'] = told.set
            connecting(world, report, host='h', lookup=function).start()
            await told.wait()
            world.run()
            assert world.log == ['0 lookup h None None ENOTFOUND', '0 gave up ENOTFOUND']
            assert (report.error.syscall, report.error.hostname) == ('getaddrinfo', 'h')

    asyncio.run(main())


@pytest.mark.parametrize('begun', [False, True])
def test_cn24_a_coroutine_lookup_is_cancelled_by_destroy(begun: bool) -> None:
    seen: list[str] = []

    async def main() -> None:
        at_work = asyncio.Event()
        over = asyncio.Event()

        async def lookup(host: str, options: Any) -> Any:
            at_work.set()
            try:
                await asyncio.Event().wait()
            finally:
                seen.append('cancelled')
                over.set()

        world = World()
        connect = connecting(world, Said(world), host='h', lookup=lookup)
        connect.start()
        runtime = _runtime.current()
        assert [one.describe() for one in runtime.holders] == [('lookup', 'h')]
        if begun:
            await at_work.wait()
        connect.abort()
        assert not runtime.holders
        if begun:
            await over.wait()
        else:
            await asyncio.sleep(0)
        assert world.log == []

    asyncio.run(main())
    assert seen == (['cancelled'] if begun else [])


def test_a_coroutine_that_fails_after_its_answer_is_not_swallowed() -> None:
    async def lookup(host: str, options: Any, callback: Any) -> None:
        callback(None, listed('a'))
        raise LookupError('afterwards')

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        heard: list[str] = []
        told = asyncio.Event()

        def handler(_: Any, context: dict[str, Any]) -> None:
            heard.append(str(context['exception']))
            told.set()

        loop.set_exception_handler(handler)
        world = World({'a': 'ok 1'})
        connecting(world, Said(world), host='h', lookup=lookup).start()
        await told.wait()
        return heard

    assert asyncio.run(main()) == ['afterwards']


# -- the deadline ---------------------------------------------------------------------------


def test_connect_timeout_covers_the_lookup() -> None:
    world = World()
    report = Said(world)
    connecting(
        world, report, host='h', lookup=lambda h, o, callback: None, connect_timeout=100
    ).start()
    world.run()
    assert world.log == ['100 gave up ETIMEDOUT']
    error = report.error
    assert isinstance(error, TimeoutError)
    assert (error.syscall, error.address, error.port) == ('connect', 'h', 80)  # type: ignore[attr-defined]
    assert 'not connected within 100 ms' in str(error)
    assert error.__cause__ is None


def test_connect_timeout_covers_the_attempts_and_tells_what_failed() -> None:
    world = World({'x': 'ECONNREFUSED 5', 'a': 'hole'})
    report = Said(world)
    connecting(
        world,
        report,
        host='h',
        lookup=answering(None, listed('x', 'a')),
        connect_timeout=timedelta(milliseconds=100),
    ).start()
    world.run()
    assert world.log[-4:] == [
        '5 failed x ECONNREFUSED',
        '5 try a',
        '100 timeout a',
        '100 gave up ETIMEDOUT',
    ]
    assert isinstance(report.error.__cause__, ExceptionGroup)
    assert [one.code for one in report.error.__cause__.exceptions] == ['ECONNREFUSED', 'ETIMEDOUT']
    assert world.open_names == []


def test_connect_timeout_of_a_path() -> None:
    world = World({'/s': 'hole'})
    report = Said(world)
    connect = Connecting(
        check_plan({'path': '/s', 'connect_timeout': 100}),
        report,
        world,
        world.open_handle,  # type: ignore[arg-type]
    )
    connect.start()
    world.run()
    assert world.log == ['0 try /s', '100 timeout /s', '100 gave up ETIMEDOUT']
    assert (report.error.address, report.error.port) == ('/s', None)


@pytest.mark.parametrize('does', ['ok 99', 'ECONNREFUSED 99'])
def test_connect_timeout_is_gone_at_the_end(does: str) -> None:
    world = World({'a': does})
    report = Said(world)
    connecting(world, report, host=A, connect_timeout=100).start()
    world.run()
    assert len(report.ends) == 1
    assert world.now == 99


def test_connect_timeout_zero_is_none() -> None:
    world = World({'a': 'ok 99'})
    connecting(world, Said(world), host=A, connect_timeout=0).start()
    world.run()
    assert world.log == ['0 try a', '99 connected a']


def test_abort_stops_the_deadline() -> None:
    world = World({'a': 'hole'})
    connect = connecting(world, Said(world), host=A, connect_timeout=100)
    connect.start()
    world.step()
    connect.abort()
    world.run()
    assert world.log == ['0 try a']
    assert world.now == 0
