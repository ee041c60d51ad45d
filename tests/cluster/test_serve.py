"""``cluster.serve``: workers kept alive, replaced without a gap, and ended in good order."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from tailrace import cluster, errors

sys.path.insert(0, str(Path(__file__).resolve().parent))
import load


def up(running, count):
    """Pids and the port of so many workers that come up now."""
    said = [running.hear() for _ in range(count)]
    assert {line[0] for line in said} == {'up'}
    (port,) = {line[2] for line in said}
    return [line[1] for line in said], port


def serve(start, options, prelude=''):
    return start(
        load.SERVER + f'{prelude}\n    cluster.serve(target, loop_factory=new_loop, {options})\n'
    )


@pytest.mark.parametrize('how', ['SIGTERM', 'SIGINT', 'group'])
def test_serve_serves_and_ends_cleanly(start, how):
    """A terminal's Ctrl-C reaches the whole group; the workers leave it to the primary."""
    running = serve(start, 'workers=3')
    pids, port = up(running, 3)
    assert len({running.process.pid, *pids}) == 4
    assert asyncio.run(load.many(port, 60, 6)) == {'whole': 60}
    if how == 'group':
        os.killpg(running.process.pid, signal.SIGINT)
    else:
        running.signal(signal.Signals[how])
    assert running.end() == []


def test_serve_ends_after_the_connections_of_the_workers(start):
    running = serve(start, 'workers=2')
    _, port = up(running, 2)
    with socket.create_connection(('127.0.0.1', port)) as client:
        running.signal(signal.SIGTERM)
        # Refused from then on, while the one that is there goes on.
        while asyncio.run(load.one(port, 1)) != 'refused':
            pass
        client.sendall(b'abcd')
        assert client.recv(4, socket.MSG_WAITALL) == b'abcd'
    running.end()


def test_serve_kills_what_is_not_done_in_time(start):
    running = serve(start, 'workers=1, drain_timeout=100')
    (pid,), port = up(running, 1)
    with socket.create_connection(('127.0.0.1', port)) as client:
        running.signal(signal.SIGTERM)
        assert client.recv(1) == b''
    running.end(errors=True)
    assert 'was not done in 100 ms' in running.stderr
    assert running.process.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_serve_starts_a_worker_again_and_loses_no_connection_meanwhile(start):
    running = serve(start, 'workers=1')
    (pid,), port = up(running, 1)
    os.kill(pid, signal.SIGKILL)
    # The only worker is gone: connections wait in the primary for the next.
    assert asyncio.run(load.many(port, 20, 5)) == {'whole': 20}
    (other,), same = up(running, 1)
    assert (other != pid, same) == (True, port)
    running.signal(signal.SIGTERM)
    running.end(errors=True)


def test_serve_without_restart_ends_with_its_workers(start):
    running = serve(start, 'workers=2, restart=False')
    pids, _ = up(running, 2)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    running.end(errors=True)
    assert running.process.returncode == 0


@pytest.mark.parametrize('policy', ['rr', 'none'])
def test_a_reload_under_load_refuses_nothing(start, policy):
    running = serve(start, f'workers=2, policy={policy!r}')
    old, port = up(running, 2)

    async def main():
        clients = asyncio.create_task(load.many(port, 1500, 20))
        news = []
        for _ in range(2):
            running.signal(signal.SIGHUP)
            news.append(await asyncio.to_thread(up, running, 2))
        return await clients, news

    became, news = asyncio.run(main())
    assert became == {'whole': 1500}
    assert {same for _, same in news} == {port}
    assert len({*old, *news[0][0], *news[1][0]}) == 6
    running.signal(signal.SIGTERM)
    running.end()


def test_a_reload_asked_for_during_a_reload_is_not_forgotten(start):
    """What the first one starts may have read the old configuration."""
    running = serve(start, 'workers=1')
    up(running, 1)
    running.signal(signal.SIGHUP)
    (second,), _ = up(running, 1)  # it listens; the primary may not have heard of it
    running.signal(signal.SIGHUP)
    (third,), _ = up(running, 1)
    assert second != third
    running.signal(signal.SIGTERM)
    running.end()


def test_a_reload_that_fails_keeps_the_old_worker(start, tmp_path):
    running = serve(
        start,
        'workers=1',
        """
    if os.path.exists('broken') and not cluster.is_primary:
        sys.exit(3)
    """,
    )
    _, port = up(running, 1)
    (tmp_path / 'broken').touch()
    running.signal(signal.SIGHUP)
    assert 'ended (3) before it listened' in running.process.stderr.readline().decode()
    assert asyncio.run(load.many(port, 5, 1)) == {'whole': 5}
    running.signal(signal.SIGTERM)
    running.end()


def test_a_worker_that_gets_sigterm_finishes_its_connections(start):
    running = serve(start, 'workers=2')
    (pid, _), port = up(running, 2)
    clients = [socket.create_connection(('127.0.0.1', port)) for _ in range(2)]
    os.kill(pid, signal.SIGTERM)
    for client in clients:
        with client:
            client.sendall(b'abcd')
            assert client.recv(4, socket.MSG_WAITALL) == b'abcd'
    up(running, 1)
    running.signal(signal.SIGTERM)
    running.end(errors=True)


def test_a_coroutine_target_is_cancelled_when_its_servers_are_closed(start):
    running = start("""
        import asyncio
        async def target(worker):
            async with net.create_server(lambda s: s.end()) as server:
                await server.listen(0)
                say('up', os.getpid(), server.address().port)
                try:
                    await asyncio.Event().wait()
                finally:
                    say('cleaned up')
        cluster.serve(target, workers=1, loop_factory=new_loop)
        say('end', cluster.is_primary)
    """)
    up(running, 1)
    running.signal(signal.SIGTERM)
    assert running.end() == [['cleaned up'], ['end', False], ['end', True]]


def test_arguments_of_serve_are_checked():
    for wrong in ({'workers': 0}, {'workers': 'two'}, {'policy': 'fair'}, {'drain_timeout': -1}):
        with pytest.raises((errors.OutOfRangeError, errors.InvalidArgTypeError, ValueError)):
            cluster.serve(print, **wrong)
    with pytest.raises(errors.InvalidArgTypeError):
        cluster.serve('main')


STORM = int(os.environ.get('TAILRACE_STORM', '3000'))


@pytest.mark.timeout(300)
def test_storm_every_connection_is_served_or_reset_and_the_primary_leaks_nothing(start):
    """kill -9 of a random worker again and again. TAILRACE_STORM=20000 for the long form."""
    import random

    choice = random.Random(5).choice
    running = serve(
        start,
        'workers=4, backoff=1, max_backoff=10',
        """
    if cluster.is_primary:
        signal.signal(signal.SIGUSR1, lambda *_: say(
            'fds', len(os.listdir('/dev/fd')), len(tailrace.active_resources())))
    """,
    )
    pids, port = up(running, 4)
    pids = set(pids)
    pause = 1 if STORM >= 20_000 else 0.05

    def count():
        running.signal(signal.SIGUSR1)
        while (line := running.hear())[0] != 'fds':
            pass
        return line

    before = count()

    async def main():
        clients = asyncio.create_task(load.many(port, STORM, 40))
        kills = 0
        while not clients.done():
            await asyncio.wait([clients], timeout=pause)
            victim = choice(sorted(pids))
            pids.discard(victim)
            os.kill(victim, signal.SIGKILL)
            kills += 1
            _, pid, same = await asyncio.to_thread(running.hear)
            assert same == port
            pids.add(pid)
        return await clients, kills

    became, kills = asyncio.run(main())
    print(f'{became} after {kills} kills')
    assert set(became) <= {'whole', 'reset', 'short'}
    assert sum(became.values()) == STORM
    # Four workers, at most 40 clients: a kill can touch no more than those.
    assert STORM - became['whole'] <= 40 * kills
    assert count() == before
    running.signal(signal.SIGTERM)
    running.end(errors=True)
