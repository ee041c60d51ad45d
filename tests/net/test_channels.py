"""The trace channels of sockets and servers (row BX-09)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import tailrace
from tailrace import net
from tailrace._net import channels
from tailrace.errors import InvalidArgTypeError

from .serving import Heard, free_port, server_on, stopped, turns

NAMES = [
    'net.client.socket',
    'net.server.socket',
    'tracing:net.server.listen:asyncStart',
    'tracing:net.server.listen:asyncEnd',
    'tracing:net.server.listen:error',
]


class Messages(list[tuple[str, dict[str, Any]]]):
    def __call__(self, message: dict[str, Any], name: str) -> None:
        self.append((name, message))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self]


@pytest.fixture
def messages() -> Iterator[Messages]:
    out = Messages()
    for name in NAMES:
        channels.subscribe(name, out)
    yield out
    for name in NAMES:
        assert channels.unsubscribe(name, out)
        assert not channels.has_subscribers(name)


def test_bx09_the_documented_names_are_published(run: Any, messages: Messages) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.listen({'port': 0, 'host': '127.0.0.1'})
        assert messages.names == [NAMES[2]]
        await heard.until('listening')
        assert messages.names == [NAMES[2], NAMES[3]]
        assert messages[0][1] == {'server': server, 'options': {'port': 0, 'host': '127.0.0.1'}}
        assert messages[1][1] == {'server': server}
        messages.clear()

        sock = net.connect(server.address().port, '127.0.0.1')
        assert messages == [(NAMES[0], {'socket': sock})]
        theirs = await heard.until('connection')
        assert messages[1:] == [(NAMES[1], {'socket': theirs})]
        messages.clear()

        port, taken = free_port()
        other, told = server_on()
        other.listen(port=port, host='127.0.0.1')
        error = await told.until('error')
        assert messages.names == [NAMES[2], NAMES[4]]
        assert messages[1][1] == {'server': other, 'error': error}
        taken.close()

        gone = Heard(sock, 'close')
        sock.destroy()
        theirs.destroy()
        await gone.until('close')
        await stopped(server)

    run(main)


def test_bx09_the_names_stand_in_the_documentation() -> None:
    for name in NAMES:
        assert name.rpartition(':')[2] in (channels.__doc__ or '')


def test_bx09_a_channel_is_one_object() -> None:
    one = tailrace.channel('tests.one')
    assert one is channels.channel('tests.one')
    assert one.name == 'tests.one'
    assert one.has_subscribers is one.hasSubscribers is False  # type: ignore[attr-defined]
    assert repr(one) == "<Channel 'tests.one', 0 subscribers>"
    with pytest.raises(InvalidArgTypeError):
        tailrace.channel(5)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgTypeError):
        one.subscribe('no function')  # type: ignore[arg-type]


def test_bx09_subscribing_twice_and_taking_back() -> None:
    one = tailrace.channel('tests.two')
    got = Messages()
    one.subscribe(got)
    one.subscribe(got)
    one.publish({'x': 1})
    assert got == [('tests.two', {'x': 1})] * 2
    assert one.unsubscribe(got)
    one.publish({'x': 2})
    assert len(got) == 3
    assert one.unsubscribe(got)
    assert not one.unsubscribe(got)
    assert not channels.unsubscribe('tests.never', got)


def test_bx09_gen19_subscribers_take_what_they_declare() -> None:
    one = tailrace.channel('tests.three')
    got: list[Any] = []

    def none() -> None:
        got.append('none')

    def first(message: Any) -> None:
        got.append(message)

    one.subscribe(none)
    one.subscribe(first)
    one.publish({'x': 1})
    assert got == ['none', {'x': 1}]
    assert one.unsubscribe(none)
    assert one.unsubscribe(first)


def test_bx09_a_subscriber_that_fails_stops_nobody(run: Any) -> None:
    async def main() -> None:
        got = Messages()

        def fail() -> None:
            raise ValueError('mine')

        one = tailrace.channel('net.server.socket')
        one.subscribe(fail)
        one.subscribe(got)
        server, heard = server_on()
        await server.listen(port=0, host='127.0.0.1')
        sock = await net.connect(server.address().port, '127.0.0.1')
        theirs = await heard.until('connection')
        await turns()
        assert got == [('net.server.socket', {'socket': theirs})]
        assert not theirs.destroyed
        assert [str(one['exception']) for one in run.unhandled] == ['mine']
        run.unhandled.clear()
        assert one.unsubscribe(fail)
        assert one.unsubscribe(got)
        gone = Heard(sock, 'close')
        sock.destroy()
        theirs.destroy()
        await gone.until('close')
        await stopped(server)

    run(main)


def test_bx09_unsubscribing_while_publishing() -> None:
    one = tailrace.channel('tests.four')
    got: list[str] = []

    def once() -> None:
        got.append('once')
        one.unsubscribe(once)

    def other() -> None:
        got.append('other')

    one.subscribe(once)
    one.subscribe(other)
    one.publish({})
    one.publish({})
    assert got == ['once', 'other', 'other']
    assert one.unsubscribe(other)
