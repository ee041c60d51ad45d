"""The machine of connecting, on scripted networks with a clock of their own: exact times."""

from __future__ import annotations

import errno
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace._net.attempt_types import interleave
from tailrace._net.attempts import Attempts
from tailrace.errors import AggregateError

from .fake_world import ADDRESSES, Said, World
from .situations import SITUATIONS

DOCS = Path(__file__).resolve().parent.parent.parent / 'docs'


def make(
    world: World, report: Said, names: str, *, mode: str = 'sequential', **more: Any
) -> Attempts:
    more.setdefault('timeout', 250)
    return Attempts(
        [ADDRESSES[name] for name in names],
        80,
        open_handle=world.open_handle,  # type: ignore[arg-type]
        report=report,
        clock=world,
        race=mode == 'race',
        **more,
    )


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize('mode', ['sequential', 'race'])
@pytest.mark.parametrize('situation', SITUATIONS, ids=[one[0] for one in SITUATIONS])
def test_af04_af05_who_is_tried_when(
    situation: tuple[str, str, dict[str, str], str, dict[str, str]], mode: str
) -> None:
    _, names, script, blocked, expected = situation
    world = World(script)
    report = Said(world, blocked)
    machine = make(world, report, names, mode=mode, local_port=7 if 'bind' in script else 0)
    machine.start()
    world.run()
    assert world.log == lines(expected[mode])
    if report.ends:
        # Nothing is left but the connection: losers and given-up attempts are closed.
        assert world.open_names == ([report.handle.name] if report.handle else [])
        assert machine.over
    else:
        # A black hole that nobody ends: the kernel has not given up yet.
        assert world.open_names == ['a']


def test_the_picture_of_attempts_shows_what_happens() -> None:
    """The table of docs/sketches.py, played on a network that does what the picture says."""
    sys.path.append(str(DOCS))
    try:
        sketches = importlib.import_module('sketches')
    finally:
        sys.path.remove(str(DOCS))
    names = {address: name for name, (address, _) in ADDRESSES.items()}
    world = World({'x': 'hole', 'a': 'ECONNREFUSED 30', 'y': 'ok 40'})
    make(world, Said(world, ''), 'xay', timeout=sketches.DELAY).start()
    world.run()
    said = {
        'connectionAttemptTimeout': 'timeout {}',
        'connectionAttemptFailed': 'failed {} ECONNREFUSED',
        'connect': 'connected {}',
    }
    expected = []
    for one in sketches.ATTEMPTS:
        name = names[one.address]
        expected += [f'{one.start} try {name}', f'{one.end} {said[one.event].format(name)}']
    assert world.log == expected


def test_there_are_15_situations_of_each_mode() -> None:
    assert len([one for one in SITUATIONS if {'sequential', 'race'} <= set(one[4])]) >= 15


@pytest.mark.parametrize(
    ('answers', 'order'),
    [
        ('', ''),
        ('a', 'a'),
        ('abxy', 'axby'),
        ('xab', 'xab'),
        ('abcx', 'axbc'),
        ('xyza', 'xayz'),
        ('aab', 'ab'),
        ('axaxb', 'axb'),
        ('xxaa', 'xa'),
    ],
)
def test_af03_am20_first_family_then_alternating_each_once(answers: str, order: str) -> None:
    assert interleave([ADDRESSES[one] for one in answers]) == [ADDRESSES[one] for one in order]


def test_af09_attempted_addresses_grow_after_the_announcement() -> None:
    world = World({'a': 'ECONNREFUSED 5', 'x': 'ok 5'})
    report = Said(world, blocked='b')
    machine = make(world, report, 'bax')
    seen: list[list[str]] = []
    report.hooks['try'] = lambda: seen.append(list(machine.attempted or ()))
    machine.start()
    world.run()
    assert seen == [[], ['192.0.2.1:80']]
    assert machine.attempted == ['192.0.2.1:80', '2001:db8::1:80']


def test_am21_no_list_for_one_address() -> None:
    world = World({'a': 'ok 1'})
    assert make(world, Said(world), 'a').attempted is None


def test_af08_the_error_of_a_series_holds_every_failure() -> None:
    world = World({'a': 'ECONNREFUSED 5', 'x': 'ENETUNREACH now'})
    report = Said(world)
    make(world, report, 'ax').start()
    world.run()
    assert isinstance(report.error, AggregateError)
    assert isinstance(report.error, ConnectionRefusedError)
    first, second = report.error.errors
    assert (first.code, first.syscall, first.address, first.port) == (  # type: ignore[attr-defined]
        'ECONNREFUSED',
        'connect',
        '192.0.2.1',
        80,
    )
    assert second.code == 'ENETUNREACH'  # type: ignore[attr-defined]


def test_af11_no_error_recorded() -> None:
    world = World()
    report = Said(world)
    make(world, report, '').start()
    assert world.log == ['0 gave up ERR_SOCKET_CONNECTION_TIMEOUT']


@pytest.mark.parametrize('names', ['a', 'ab'])
def test_cn13_cn14_local_address_and_port_are_bound_and_named(names: str) -> None:
    world = World({'a': 'ECONNREFUSED 5', 'b': 'ECONNREFUSED 5'})
    report = Said(world)
    make(world, report, names, local_port=7).start()
    world.run()
    assert world.handles[0].bound == ('0.0.0.0', 7)
    error = report.errors[0]
    assert (error.local_address, error.local_port) == ('0.0.0.0', 7)


@pytest.mark.parametrize(('port', 'told'), [(7, 7), (0, None)])
def test_a_bind_that_fails_names_the_port_that_was_asked_for(port: int, told: int | None) -> None:
    world = World({'a': 'ok 5', 'bind': 'EADDRINUSE'})
    report = Said(world)
    make(world, report, 'a', local_address='0.0.0.0', local_port=port).start()
    assert (report.error.code, report.error.address) == ('EADDRINUSE', '0.0.0.0')
    assert report.error.port == told


def test_cn13_local_address_of_the_other_family_is_refused_without_a_system_call() -> None:
    world = World({'a': 'ok 5'})
    report = Said(world)
    make(world, report, 'a', local_address='::1').start()
    assert (report.error.code, report.error.syscall) == ('EINVAL', 'bind')
    assert report.error.address == '::1'
    assert world.handles[0].bound is None


def test_a_family_that_does_not_fit_the_address_is_einval() -> None:
    world = World()
    report = Said(world)
    Attempts(
        [('192.0.2.1', 6)],
        80,
        open_handle=world.open_handle,  # type: ignore[arg-type]
        report=report,
        clock=world,
    ).start()
    assert world.log == ['0 try a', '0 gave up EINVAL']


# -- paths ----------------------------------------------------------------------------------


def try_path(world: World, report: Said) -> Attempts:
    machine = Attempts(
        [('/tmp/s', 0)],
        0,
        open_handle=world.open_handle,  # type: ignore[arg-type]
        report=report,
        clock=world,
    )
    machine.start()
    return machine


@pytest.mark.parametrize(
    ('does', 'inside', 'later'),
    [
        ('ok now', '0 try /tmp/s', '0 connected /tmp/s'),
        ('ok 5', '0 try /tmp/s', '5 connected /tmp/s'),
        (
            'ENOENT now',
            '0 try /tmp/s',
            """0 failed /tmp/s ENOENT
               0 gave up ENOENT""",
        ),
        (
            'EINVAL now',
            """0 try /tmp/s
               0 gave up EINVAL""",
            '',
        ),
    ],
)
def test_cn25_a_path_is_announced_in_the_call_and_fails_later(
    does: str, inside: str, later: str
) -> None:
    world = World({'/tmp/s': does})
    report = Said(world)
    try_path(world, report)
    assert world.log == lines(inside)
    world.run()
    assert world.log == lines(inside) + (lines(later) if later else [])


def test_cn25_port_and_family_of_a_path_are_none() -> None:
    world = World({'/tmp/s': 'ECONNREFUSED now'})
    report = Said(world)
    got: list[tuple[Any, ...]] = []
    report.attempting = lambda *args: got.append(args)  # type: ignore[method-assign]
    report.failed = lambda *args: got.append(args)  # type: ignore[method-assign]
    try_path(world, report)
    world.run()
    assert got[0] == ('/tmp/s', None, None)
    assert got[1][:3] == ('/tmp/s', None, None)
    assert (got[1][3].address, got[1][3].port) == ('/tmp/s', None)


def test_cn24_abort_before_the_answer_of_a_path() -> None:
    for does in ('ok now', 'ENOENT now'):
        world = World({'/tmp/s': does})
        report = Said(world)
        machine = try_path(world, report)
        assert machine.abort(lambda world=world: world.say('closed'))  # type: ignore[misc]
        world.run()
        assert world.log == ['0 try /tmp/s', '0 closed']


# -- ending from outside --------------------------------------------------------------------


def test_cn24_abort_of_a_single_attempt_is_silent() -> None:
    world = World({'a': 'hole'})
    report = Said(world)
    machine = make(world, report, 'a')
    machine.start()
    assert machine.abort(lambda: world.say('closed')) is True
    assert machine.abort(lambda: world.say('closed')) is False
    world.run()
    assert world.log == ['0 try a', '0 closed']
    assert world.open_names == []


def test_cn24_abort_of_a_series_reports_the_attempt_as_cancelled() -> None:
    world = World({'a': 'hole', 'b': 'ok 1'})
    report = Said(world)
    machine = make(world, report, 'ab')
    machine.start()
    machine.abort(lambda: world.say('closed'))
    world.run()
    assert world.log == ['0 try a', '0 failed a ECANCELED', '0 closed']
    assert world.waiting() == 0


def test_cn24_abort_of_a_race_closes_all_and_says_so_once() -> None:
    world = World({'a': 'hole', 'x': 'hole', 'b': 'ok 1'})
    report = Said(world)
    machine = make(world, report, 'axb', mode='race')
    machine.start()
    while len(world.log) < 2:
        world.step()
    machine.abort(lambda: world.say('closed'))
    world.run()
    assert world.log == [
        '0 try a',
        '250 try x',
        '250 failed a ECANCELED',
        '250 failed x ECANCELED',
        '250 closed',
    ]


@pytest.mark.parametrize('mode', ['sequential', 'race'])
@pytest.mark.parametrize('moment', ['try a', 'failed a ECONNREFUSED', 'try b', 'timeout b'])
def test_cn24_a_listener_may_abort(moment: str, mode: str) -> None:
    if mode == 'race' and moment.startswith('timeout'):
        moment = 'try c'
    world = World({'a': 'ECONNREFUSED 5', 'b': 'hole', 'c': 'ok 1'})
    report = Said(world)
    machine = make(world, report, 'abc', mode=mode)
    report.hooks[moment] = lambda: machine.abort()
    machine.start()
    world.run()
    said = [line for line in world.log if 'ECANCELED' not in line]
    assert said[-1].endswith(moment)
    assert report.ends == []
    assert world.open_names == []
    assert world.waiting() == 0


def test_cn24_a_listener_may_abort_after_the_only_attempt_has_failed() -> None:
    world = World({'a': 'ECONNREFUSED 5'})
    report = Said(world)
    machine = make(world, report, 'a')
    report.hooks['failed'] = machine.abort
    machine.start()
    world.run()
    assert world.log == ['0 try a', '5 failed a ECONNREFUSED']


def test_af05_an_attempt_is_closed_before_the_next_begins() -> None:
    world = World({'a': 'hole', 'b': 'ok 1'})
    report = Said(world)
    machine = make(world, report, 'ab')
    report.hooks['try b'] = lambda: world.say('open:', *world.open_names)
    machine.start()
    world.run()
    # '?': the second handle exists, and has not been told to connect.
    assert world.log[2:4] == ['250 try b', '250 open: ?']


def test_expire_tells_what_was_under_way_and_gives_what_failed() -> None:
    world = World({'a': 'ECONNREFUSED 5', 'b': 'hole', 'x': 'hole'})
    report = Said(world)
    machine = make(world, report, 'abx', mode='race')
    machine.start()
    while world.log[-1] != '255 try x':
        world.step()
    failures = machine.expire()
    world.run()
    assert world.log[-2:] == ['255 timeout b', '255 timeout x']
    assert [one.code for one in failures] == ['ECONNREFUSED', 'ETIMEDOUT', 'ETIMEDOUT']  # type: ignore[attr-defined]
    assert report.ends == []
    assert world.open_names == []


# -- whatever happens -----------------------------------------------------------------------

ERRNOS = ['ECONNREFUSED', 'ENETUNREACH', 'ETIMEDOUT', 'ECONNRESET']
delays = st.sampled_from(['now', '0', '1', '10', '11', '20', '21', '300'])
deeds = st.one_of(
    st.just('hole'),
    st.builds('{} {}'.format, st.sampled_from(['ok', *ERRNOS]), delays),
)


@settings(max_examples=300)
@given(
    names=st.permutations('abcxyz').flatmap(
        lambda order: st.integers(1, 6).map(lambda n: ''.join(order[:n]))
    ),
    script=st.fixed_dictionaries(dict.fromkeys('abcxyz', deeds)),
    blocked=st.sets(st.sampled_from('abcxyz')).map(''.join),
    bind=st.sampled_from(['', '', 'EADDRINUSE']),
    mode=st.sampled_from(['sequential', 'race']),
    stop=st.one_of(st.none(), st.integers(0, 25)),
    how=st.sampled_from(['abort', 'expire']),
    in_listener=st.booleans(),
    raising=st.booleans(),
)
def test_no_attempt_leaks_and_there_is_one_end(
    names: str,
    script: dict[str, str],
    blocked: str,
    bind: str,
    mode: str,
    stop: int | None,
    how: str,
    in_listener: bool,
    raising: bool,
) -> None:
    world = World({**script, 'bind': bind})
    report = Said(world, blocked)
    machine = make(world, report, names, mode=mode, timeout=10, local_port=7 if bind else 0)
    closed: list[str] = []
    promised: list[bool] = []
    ended_by_us = False

    def end() -> None:
        nonlocal ended_by_us
        ended_by_us = ended_by_us or not machine.over
        if how == 'abort':
            promised.append(machine.abort(lambda: closed.append('closed')))
        else:
            machine.expire()

    class Listener(Exception):
        pass

    seen = 0

    def listener() -> None:
        nonlocal seen
        if seen == stop:
            seen += 1
            if raising:
                raise Listener
            end()
        seen += 1

    if in_listener:
        for what in ('try', 'failed', 'timeout'):
            report.hooks[what] = listener
    at = 0
    try:
        machine.start()
        while True:
            if not in_listener and at == stop:
                end()
            at += 1
            if not world.step():
                break
    except Listener:
        # What the owner of a socket does when one of its listeners has raised.
        end()

    def run_out() -> None:
        # Ending a series reports its attempts as cancelled: a listener may raise there too.
        try:
            world.run()
        except Listener:
            end()
            world.run()

    run_out()
    if not machine.over:
        # Only an attempt that nobody answers can be left.
        assert any(script[name] == 'hole' for name in names)
        try:
            end()
        except Listener:  # of an attempt that expires
            end()
        run_out()
    assert len(report.ends) == (0 if ended_by_us else 1)
    assert closed == ['closed'] * sum(promised)
    assert [h for h in world.handles if not h.closed] == ([report.handle] if report.handle else [])
    assert world.waiting() == 0


def test_errno_names_of_the_scripts_exist_here() -> None:
    assert all(hasattr(errno, name) for name in ERRNOS)
