"""Every listener does everything: the socket ends by itself, closes once, and leaves nothing.

The other end is an ordinary client that sends, reads, ends and closes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

import tailrace
from tailrace import Socket, net
from tailrace.stream import PassThrough

from .pairs import connected, dial, listening, place


class BoomError(Exception):
    pass


def boom(_: Socket) -> None:
    raise BoomError


def again(sock: Socket) -> None:
    """Connect again, where the socket allows it: then the socket is a new one's."""
    server: Any = sock.own_server  # type: ignore[attr-defined]
    if not server.listening:
        return
    try:
        sock.connect(place(server))
    except OSError as error:
        assert error.code in ('EISCONN', 'EALREADY')  # type: ignore[attr-defined]  # noqa: PT017


CALLS: dict[str, Callable[[Socket], object]] = {
    'destroy': Socket.destroy,
    'destroy with an error': lambda sock: sock.destroy(BoomError()),
    'destroy_soon': Socket.destroy_soon,
    'end': Socket.end,
    'end with a chunk': lambda sock: sock.end(b'x'),
    'write': lambda sock: sock.write(b'x'),
    'write and end': lambda sock: (sock.write(b'x'), sock.end()),
    'pause and resume': lambda sock: (sock.pause(), sock.resume()),
    'pause': lambda sock: (sock.pause(), tailrace.next_tick(sock.resume)),
    'resume': Socket.resume,
    'read': lambda sock: sock.read(),
    'pipe': lambda sock: sock.pipe(PassThrough()).resume(),
    'pipe to itself': lambda sock: sock.pipe(sock),
    'unpipe': Socket.unpipe,
    'remove_all_listeners': lambda sock: sock.remove_all_listeners(),
    'reset_and_destroy': Socket.reset_and_destroy,
    'set_timeout': lambda sock: sock.set_timeout(1, sock.destroy),
    'connect again': again,
    'destroy and connect again': lambda sock: (sock.destroy(), again(sock)),
    'destroy, connect, destroy': lambda sock: (sock.destroy(), again(sock), sock.destroy()),
    'raise': boom,
}
EVENTS = (
    *('lookup', 'connectionAttempt', 'connect', 'ready', 'data', 'readable', 'end', 'drain'),
    *('finish', 'error', 'close', 'pause', 'resume', 'timeout', 'newListener', 'removeListener'),
)


def talk(sock: Socket) -> None:
    """What makes every event happen once."""
    sock.on('error', lambda _: None)
    sock.set_timeout(30_000)
    sock.write(b'hello')
    sock.resume()


@pytest.mark.parametrize('event', EVENTS)
@pytest.mark.parametrize('side', ['client', 'accepted'])
def test_every_listener_may_do_everything(run: Any, event: str, side: str) -> None:
    async def main() -> None:
        for call in CALLS:
            try:
                async with asyncio.timeout(5):
                    await one_ending(event, side, call)
            except TimeoutError:
                pytest.fail(f'{call} in a listener of {event!r}: it does not end')

    run(main)
    for context in run.unhandled:
        assert isinstance(context['exception'], BoomError)
    run.unhandled.clear()


def peer(sock: Socket) -> None:
    sock.on('error', lambda _: None)
    sock.end(b'from the peer')
    sock.resume()


async def one_ending(event: str, side: str, call: str) -> None:
    act = CALLS[call]
    closed: list[object] = []
    under_test: list[Socket] = []

    def set_up(sock: Socket) -> None:
        if under_test:
            peer(sock)  # of one that was connected again
            return
        under_test.append(sock)
        done = False

        def listener(*_: Any) -> None:
            nonlocal done
            if not done:
                done = True
                act(sock)

        def go_on() -> None:
            # For 'newListener' and 'removeListener'; and one of the calls removes the rest.
            sock.on('more', boom).off('more', boom)
            sock.pause().resume()

        sock.own_server = other  # type: ignore[attr-defined]
        talk(sock)
        sock.on('close', closed.append)
        if event == 'readable':
            sock.on(event, lambda: sock.read())
        if event in ('newListener', 'removeListener', 'pause', 'resume') and side == 'client':
            sock.on('connect', lambda: sock.on(event, listener) and go_on())
        else:
            sock.on(event, listener)
            if side == 'accepted':
                go_on()
        sock.write(b'more')

    async with listening('tcp', peer if side == 'client' else set_up) as server:
        other = server
        if side == 'client':
            sock = net.Socket()
            set_up(sock)
            sock.connect({**place(server), 'host': 'localhost', 'family': 4})
        else:
            client = net.connect(**place(server))
            peer(client)
        while not under_test or not under_test[0].closed or under_test[0].connecting:
            await asyncio.sleep(0)
        for sock in under_test:
            await sock.wait_closed()
        for _ in range(5):
            await asyncio.sleep(0)
        if side == 'accepted':
            await client.wait_closed()
        assert len(closed) <= 1 or 'connect' in call


def test_active_resources_tell_of_each_connection(run: Any) -> None:
    """Who the peer is, how far it has got, and what waits."""

    def states(*socks: Socket) -> list[tuple[str, int, int]]:
        listed = [one for one in tailrace.active_resources() if one.kind == 'socket']
        found = {(one.local, one.peer): (one.state, one.queued, one.unread) for one in listed}
        assert all(one.since >= 0 for one in listed)
        ends = [tuple(re.findall(r'127[.0-9]+:[0-9]+', repr(sock))) for sock in socks]
        return [found[end] for end in ends]  # type: ignore[index]

    async def main() -> None:
        async with connected(allow_half_open=True) as (client, accepted):
            assert states(client, accepted) == [('reading', 0, 0)] * 2
            client.write(b'abc')
            while not accepted.readable_length:
                await asyncio.sleep(0)
            assert states(accepted) == [('reading', 0, 3)]
            big = b'x' * 30_000_000
            accepted.end(big)
            ((state, queued, unread),) = states(accepted)
            assert (state, queued, unread) == ('ended', len(big), 3)
            client.resume()
            while accepted.writable_length or not accepted.writable_finished:
                await asyncio.sleep(0)
            assert states(accepted) == [('waiting for the peer', 0, 3)]

    run(main)


def test_nothing_is_open_after_run_has_raised(loop_factory: Any) -> None:
    """Watched or paused, accepted or connected, listening or bound: the program cannot close it."""
    kept: list[Any] = []

    async def main() -> None:
        server = await net.create_server(kept.append).listen(0, '127.0.0.1')
        bound = net.BoundSocket({'port': 0, 'host': '127.0.0.1'})
        for _ in range(3):
            kept.append(await dial(server))
        kept[0].pause()
        while len(kept) < 6:
            await asyncio.sleep(0)
        kept.extend((server, bound))
        raise BoomError

    with pytest.raises(BoomError):
        tailrace.run(main, loop_factory=loop_factory)
    # The guard of all tests looks at the descriptors; `kept` still refers to their owners.
    assert [one.address() for one in kept if isinstance(one, net.Server)] == [None]
