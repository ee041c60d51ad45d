"""Both spellings of every documented name, on every class and module (GEN-02, GEN-03, GEN-17).

``NAMES`` is the specification's list of functions, methods and properties, by Node's spelling.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import tailrace
from tailrace import dns, events, net, stream
from tailrace._names import camel, snake

EMITTER = (
    'on addListener once off removeListener emit prependListener prependOnceListener '
    'removeAllListeners listeners rawListeners listenerCount eventNames setMaxListeners '
    'getMaxListeners'
)  # EE-02 to EE-07
READABLE = (
    'pause resume isPaused readable readableEnded readableFlowing readableLength '
    'readableHighWaterMark readableEncoding readableAborted readableDidRead setEncoding unshift '
    'pipe unpipe iterator read push'
)  # ST-05 to ST-14, ST-38
WRITABLE = (
    'write end cork uncork setDefaultEncoding writable writableEnded writableFinished '
    'writableLength writableHighWaterMark writableNeedDrain writableCorked writableAborted'
)  # ST-15 to ST-23
BOTH = 'destroy destroyed closed errored'  # ST-24, ST-25
SERVER = (
    'address close asyncDispose getConnections listening maxConnections dropMaxConnection ref '
    'unref connections listen allowHalfOpen pauseOnConnect noDelay keepAlive '
    'keepAliveInitialDelay highWaterMark blockList'
)  # SV-15 to SV-31, LS-01
SOCKET = (
    'address autoSelectFamilyAttemptedAddresses bufferSize bytesRead bytesWritten connecting '
    'destroy destroyed destroySoon end localAddress localPort localFamily pause pending ref '
    'remoteAddress remoteFamily remotePort resetAndDestroy resume setEncoding setKeepAlive '
    'setNoDelay setTimeout timeout unref write readyState connect server setTypeOfService '
    'getTypeOfService asyncDispose allowHalfOpen'
)  # SK-13 to SK-55, CN-01, SV-30, BX-02
BLOCK_LIST = (
    'addAddress addRange addSubnet check rules isBlockList toJSON fromJSON addAddresses addCIDR '
    'addCIDRs removeAddress removeRange removeSubnet removeCIDR clear size PRIVATE_RANGES'
)  # BL, BX-04, BX-05
ADDRESS = 'address family flowlabel port parse isSocketAddress toJSON'  # SA, BX-06

#: Class or module: what it has.
NAMES: dict[Any, str] = {
    events.EventEmitter: EMITTER,
    stream.Readable: f'{EMITTER} {READABLE} {BOTH}',
    stream.Writable: f'{EMITTER} {WRITABLE} {BOTH}',
    stream.Duplex: f'{EMITTER} {READABLE} {WRITABLE} {BOTH} allowHalfOpen',
    net.Socket: f'{EMITTER} {READABLE} {WRITABLE} {BOTH} {SOCKET}',
    net.Server: f'{EMITTER} {SERVER}',
    net.BlockList: BLOCK_LIST,
    net.SocketAddress: ADDRESS,
    net.BoundSocket: 'address fd close isPipe',
    tailrace.AbortController: 'signal abort',
    tailrace.AbortSignal: 'aborted reason throwIfAborted addEventListener abort timeout any',
    net: (
        'BlockList SocketAddress Server Socket BoundSocket createServer createConnection connect '
        'getDefaultAutoSelectFamily setDefaultAutoSelectFamily '
        'getDefaultAutoSelectFamilyAttemptTimeout setDefaultAutoSelectFamilyAttemptTimeout '
        'isIP isIPv4 isIPv6'
    ),
    tailrace: (
        'BlockList SocketAddress Server Socket BoundSocket createServer createConnection connect '
        'getDefaultAutoSelectFamily setDefaultAutoSelectFamily '
        'getDefaultAutoSelectFamilyAttemptTimeout setDefaultAutoSelectFamilyAttemptTimeout '
        'isIP isIPv4 isIPv6 EventEmitter once errorMonitor setTimeout clearTimeout setInterval '
        'clearInterval setImmediate clearImmediate nextTick AbortController AbortSignal '
        'activeResources'
    ),
    events: 'EventEmitter once on errorMonitor getEventListeners setDefaultMaxListeners',
    stream: 'Duplex Readable Writable Transform PassThrough finished pipeline addAbortSignal '
    'getDefaultHighWaterMark setDefaultHighWaterMark',
    dns: 'lookup',
}
PAIRS = [(owner, name) for owner, names in NAMES.items() for name in names.split()]


def label(value: Any) -> str:
    return str(getattr(value, '__name__', value))


@pytest.mark.parametrize(('owner', 'name'), PAIRS, ids=label)
def test_gen02_both_spellings_are_one(owner: Any, name: str) -> None:
    if name == 'allowHalfOpen' and inspect.isclass(owner):
        owner = owner()
    plain = name if name[0].isupper() else snake(name)  # classes keep Node's name
    assert camel(plain) == name
    assert hasattr(owner, plain)
    one, other = getattr(owner, plain), getattr(owner, name)
    assert one == other
    assert {plain, name} <= set(dir(owner))


def instances() -> Iterator[tuple[Any, str]]:
    for cls in (net.Socket, net.Server, stream.Readable, stream.Writable, stream.Duplex):
        for name in dict.fromkeys(NAMES[cls].split()):
            yield cls, name


@pytest.mark.parametrize(('cls', 'name'), list(instances()), ids=label)
def test_gen02_both_spellings_agree_on_objects(cls: Any, name: str) -> None:
    thing = cls()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        one, other = getattr(thing, snake(name)), getattr(thing, name)
    assert type(one) is type(other)
    assert one == other
    assert {snake(name), name} <= set(dir(thing))


def public(cls: type) -> Iterator[str]:
    for name in dir(cls):
        if not name.startswith('_') and name == name.lower():
            yield name


@pytest.mark.parametrize('cls', [c for c in NAMES if inspect.isclass(c)], ids=label)
def test_gen02_every_public_name_has_its_node_spelling(cls: Any) -> None:
    missing = [name for name in public(cls) if not hasattr(cls, camel(name))]
    # A slot of a stream is an attribute of its objects only.
    assert [name for name in missing if not inspect.ismemberdescriptor(getattr(cls, name))] == []


@pytest.mark.parametrize(
    ('cls', 'name'),
    [
        (cls, name)
        for cls in (net.Socket, net.Server)
        for name in dict.fromkeys(NAMES[cls].split())
        if camel(snake(name)) != snake(name) and inspect.isfunction(getattr(cls, snake(name)))
    ],
    ids=label,
)
def test_gen02_an_override_is_reached_through_the_node_name(cls: Any, name: str) -> None:
    def override(self: Any, *args: Any) -> Any:
        return (self, *args)

    sub = type('Sub', (cls,), {snake(name): override})
    thing = sub()
    assert getattr(thing, name)(1, 2) == (thing, 1, 2)
    assert getattr(sub, name) is override


def test_gen02_an_overridden_property_is_reached_through_the_node_name() -> None:
    class Sub(net.Socket):
        @property
        def bytes_read(self) -> int:
            return 42

    assert Sub().bytesRead == 42  # type: ignore[attr-defined]


def test_gen02_a_method_of_the_node_name_is_the_subclass_authors_own() -> None:
    class Sub(net.Server):
        def getConnections(self) -> int:
            return 1

    assert Sub().getConnections() == 1


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('maxConnections', 5),
        ('dropMaxConnection', True),
        ('allowHalfOpen', True),
        ('pauseOnConnect', True),
        ('noDelay', True),
        ('keepAlive', True),
        ('keepAliveInitialDelay', 9),
        ('highWaterMark', 9),
        ('blockList', net.BlockList()),
    ],
)
def test_gen02_settable_properties_stay_in_step(name: str, value: Any) -> None:
    server = net.Server()
    setattr(server, name, value)
    assert getattr(server, snake(name)) == value
    other = net.Server()
    setattr(other, snake(name), value)
    assert getattr(other, name) == value


OPTIONS = {
    net.create_server: {
        'allowHalfOpen': True,
        'pauseOnConnect': True,
        'noDelay': True,
        'keepAlive': True,
        'keepAliveInitialDelay': 5,
        'highWaterMark': 5,
        'blockList': net.BlockList(),
    },
    net.Socket: {
        'allowHalfOpen': True,
        'highWaterMark': 5,
        'readableHighWaterMark': 6,
        'writableHighWaterMark': 7,
        'noDelay': True,
        'keepAlive': True,
        'keepAliveInitialDelay': 5,
        'typeOfService': 8,
        'blockList': net.BlockList(),
    },
    net.BoundSocket: {'ipv6Only': False, 'reusePort': True, 'host': '127.0.0.1', 'port': 0},
}


@pytest.mark.parametrize(
    ('make', 'name', 'value'),
    [(make, name, value) for make, options in OPTIONS.items() for name, value in options.items()],
    ids=label,
)
def test_gen02_gen04_options_in_both_spellings_and_ways(make: Any, name: str, value: Any) -> None:
    made = [
        make({name: value}),
        make({snake(name): value}),
        make(**{name: value}),
        make(**{snake(name): value}),
        make({name: value}, **{snake(name): value}),
    ]
    assert len({type(one) for one in made}) == 1
    if hasattr(made[0], snake(name)) and name != 'port':
        assert all(getattr(one, snake(name)) == getattr(made[0], name) for one in made)
    for one in made:
        if isinstance(one, net.BoundSocket):
            one.close()


def test_gen02_payload_fields_in_both_spellings() -> None:
    async def main() -> None:
        server = net.create_server(max_connections=0)
        await server.listen(port=0, host='127.0.0.1')
        dropped = asyncio.ensure_future(events.once(server, 'drop'))
        await asyncio.sleep(0)
        _, writer = await asyncio.open_connection('127.0.0.1', server.address().port)
        (data,) = await dropped
        for name in ('localAddress', 'localPort', 'localFamily', 'remoteAddress', 'remotePort'):
            assert data[name] == data[snake(name)] == getattr(data, snake(name))
            assert {name, snake(name)} <= set(dir(data))
        assert set(data) == {
            *('localAddress', 'localPort', 'localFamily'),
            *('remoteAddress', 'remotePort', 'remoteFamily'),
        }
        writer.close()
        await server.async_dispose()

    asyncio.run(main())


def test_what_is_not_documented_has_no_name() -> None:
    for owner in (net, tailrace, net.Server(), net.Socket()):
        for name in ('noSuchName', 'no_such_name'):
            with pytest.raises(AttributeError, match=name):
                getattr(owner, name)
