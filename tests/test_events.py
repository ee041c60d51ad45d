"""EventEmitter (EE-01 to EE-10, GEN-12, GEN-13, GEN-16, GEN-17, GEN-19)."""

from __future__ import annotations

import asyncio
import functools
import math
import warnings
from typing import Any

import pytest

import tailrace
from tailrace import _running, _timers, events, net, stream
from tailrace._abort import AbortController
from tailrace._listeners import adapt
from tailrace.errors import AbortError, InvalidArgTypeError, OutOfRangeError, UnhandledError
from tailrace.events import EventEmitter, error_monitor
from tailrace.stream import Duplex


def test_ee01_streams_are_emitters() -> None:
    assert issubclass(Duplex, EventEmitter)


def test_ee02_gen16_order_duplicates_and_chaining() -> None:
    e, seen = EventEmitter(), []

    def twice() -> None:
        seen.append('twice')

    assert e.on('x', twice) is e
    assert e.add_listener('x', lambda: seen.append('b')) is e
    assert e.on('x', twice).addListener('x', lambda a: seen.append(a)) is e
    assert e.emit('x', 1, 2) is True
    assert seen == ['twice', 'b', 'twice', 1]


@pytest.mark.parametrize('name', ['on', 'once', 'prepend_listener', 'off', 'addListener'])
def test_ee02_what_cannot_be_called_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgTypeError):
        getattr(EventEmitter(), name)('x', 5)


def test_ee03_once_is_gone_before_it_runs() -> None:
    e, seen = EventEmitter(), []

    def listener() -> None:
        seen.append(e.listener_count('x'))
        e.emit('x')

    e.once('x', listener)
    assert e.emit('x') is True
    assert e.emit('x') is False
    assert seen == [0]


def test_ee04_off_takes_the_last_and_not_from_this_emit() -> None:
    e, seen = EventEmitter(), []

    def a() -> None:
        seen.append('a')
        e.off('x', b)

    def b() -> None:
        seen.append('b')

    e.on('x', a).on('x', b).once('x', b)
    e.emit('x')
    assert seen == ['a', 'b', 'b']
    assert e.listeners('x') == [a, b]
    e.off('x', print).off('y', print).removeListener('x', a).off('x', b)
    assert e.event_names() == []


def test_ee04_gen19_bound_methods_are_found_again() -> None:
    class Owner:
        def method(self) -> None:
            """A listener."""

    owner, e = Owner(), EventEmitter()
    e.on('x', owner.method)
    e.once('x', owner.method)
    assert e.listener_count('x', owner.method) == 2
    e.off('x', owner.method).off('x', owner.method)
    assert e.listener_count('x') == 0


def test_ee05_error_without_listener_raises() -> None:
    e = EventEmitter()
    assert e.emit('x') is False
    with pytest.raises(KeyError):
        e.emit('error', KeyError('k'))
    with pytest.raises(UnhandledError) as caught:
        e.emit('error', 'text')
    assert caught.value.code == 'ERR_UNHANDLED_ERROR'
    assert caught.value.context == 'text'
    with pytest.raises(UnhandledError):
        e.emit('error')
    seen = []
    e.on(error_monitor, lambda error: seen.append(error))
    with pytest.raises(UnhandledError):
        e.emit('error', 1)
    e.on('error', lambda error: seen.append(error + 1))
    assert e.emit('error', 1) is True
    assert seen == [1, 1, 2]


def test_ee05_an_exception_ends_the_emit() -> None:
    e, seen = EventEmitter(), []

    def fail() -> None:
        raise KeyError

    e.on('x', fail).on('x', lambda: seen.append(1))
    with pytest.raises(KeyError):
        e.emit('x')
    assert seen == []


def test_ee06_prepend_list_and_remove() -> None:
    e, seen = EventEmitter(), []
    e.on('x', lambda: seen.append('on'))
    e.prepend_listener('x', lambda: seen.append('first'))
    e.prepend_once_listener('x', lambda: seen.append('once'))
    e.on('y', print)
    assert e.event_names() == e.eventNames() == ['x', 'y']
    assert e.listener_count('x') == 3
    e.emit('x')
    e.emit('x')
    assert seen == ['once', 'first', 'on', 'first', 'on']
    copy = e.listeners('x')
    copy.clear()
    assert e.remove_all_listeners('x') is e
    assert e.event_names() == ['y']
    e.remove_all_listeners()
    assert e.event_names() == []
    assert e.listeners('y') == []


def test_ee06_raw_listeners_wrap_once() -> None:
    e, seen = EventEmitter(), []

    def listener() -> None:
        seen.append(1)

    e.on('x', listener).once('x', listener)
    plain, once = e.raw_listeners('x')
    assert plain is listener
    assert once.listener is listener
    once()
    once()
    assert seen == [1]
    assert e.listener_count('x') == 1


def test_ee07_one_warning_a_name() -> None:
    e = EventEmitter()
    assert e.get_max_listeners() == 10

    def add_13() -> None:
        for _ in range(13):
            e.on('x', print)

    with pytest.warns(ResourceWarning, match="11 listeners for 'x'") as caught:
        add_13()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert e.set_max_listeners(0) is e
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for _ in range(20):
            e.on('y', print)
        e.set_max_listeners(math.inf)
        for _ in range(20):
            e.on('z', print)
    with pytest.raises(InvalidArgTypeError):
        e.set_max_listeners('1')  # type: ignore[arg-type]
    with pytest.raises(OutOfRangeError):
        e.set_max_listeners(-1)


def test_ee07_default_limit() -> None:
    try:
        events.set_default_max_listeners(1)
        with pytest.warns(ResourceWarning):
            EventEmitter().on('x', print).on('x', print)
    finally:
        events.setDefaultMaxListeners(10)
    assert events.default_max_listeners == 10
    with pytest.raises(OutOfRangeError):
        events.set_default_max_listeners(-1)


def test_ee08_new_and_removed_listeners_are_told() -> None:
    e, seen = EventEmitter(), []

    def other() -> None:
        """A listener."""

    e.on('newListener', lambda name, fn: seen.append(('new', name, fn, e.listener_count(name))))
    e.on('removeListener', lambda name, fn: seen.append(('off', name, fn, e.listener_count(name))))
    seen.clear()
    e.on('x', print)
    e.once('x', other)
    e.off('x', print)
    e.emit('x')
    e.on('y', print)
    e.remove_all_listeners('y')
    assert seen == [
        ('new', 'x', print, 0),
        ('new', 'x', other, 1),
        ('off', 'x', print, 1),
        ('off', 'x', other, 0),
        ('new', 'y', print, 0),
        ('off', 'y', print, 0),
    ]


def test_ee09_once(run: Any) -> None:
    async def main() -> None:
        e = EventEmitter()
        loop = asyncio.get_running_loop()
        loop.call_soon(e.emit, 'x', 1, 2)
        assert await events.once(e, 'x') == [1, 2]
        loop.call_soon(e.emit, 'error', KeyError('k'))
        with pytest.raises(KeyError):
            await events.once(e, 'x')
        loop.call_soon(e.emit, 'error', 'text')
        assert await events.once(e, 'error') == ['text']
        controller = AbortController()
        loop.call_soon(controller.abort, 'why')
        with pytest.raises(AbortError) as caught:
            await events.once(e, 'x', signal=controller.signal)
        assert caught.value.cause == 'why'
        with pytest.raises(AbortError):
            await events.once(e, 'x', signal=controller.signal)
        task = asyncio.ensure_future(events.once(e, 'x'))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert e.event_names() == []

    run(main)


def test_on_iterates_and_loses_nothing(run: Any) -> None:
    async def main() -> None:
        e = EventEmitter()

        def emit() -> None:
            for i in range(3):
                e.emit('x', i)
            e.emit('over')

        asyncio.get_running_loop().call_soon(emit)
        assert [args async for args in events.on(e, 'x', close=('over',))] == [[0], [1], [2]]
        assert e.event_names() == []
        asyncio.get_running_loop().call_soon(e.emit, 'error', KeyError('k'))
        with pytest.raises(KeyError):
            await anext(events.on(e, 'x'))
        assert e.event_names() == []

    run(main)


def test_ee09_once_listens_from_the_call_on(run: Any) -> None:
    async def main() -> None:
        e = EventEmitter()
        first = events.once(e, 'x')
        e.emit('x', 1)
        assert e.event_names() == []
        e.emit('x', 2)
        assert await first == [1]
        assert await first == [1]
        failed = events.once(e, 'x')
        e.emit('error', KeyError('k'))
        for _ in range(2):
            with pytest.raises(KeyError):
                await failed

    run(main)


@pytest.mark.parametrize(
    'way',
    [
        asyncio.create_task,
        asyncio.ensure_future,
        asyncio.gather,
        lambda awaitable: asyncio.wait_for(awaitable, 5),
        lambda awaitable: asyncio.shield(awaitable),
    ],
)
def test_ee09_once_goes_wherever_a_coroutine_goes(run: Any, way: Any) -> None:
    async def main() -> None:
        e = EventEmitter()
        for soon in (False, True):
            awaitable = events.once(e, 'x')
            if soon:
                e.emit('x', 1)
            else:
                asyncio.get_running_loop().call_soon(e.emit, 'x', 1)
            assert await way(awaitable) in ([1], [[1]])
            assert e.event_names() == []

    run(main)


def test_ee09_once_in_a_task_group_and_under_a_timeout(run: Any) -> None:
    async def main() -> None:
        e = EventEmitter()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(events.once(e, name)) for name in 'ab']
            for name in 'ab':
                e.emit(name, name)
        assert [task.result() for task in tasks] == [['a'], ['b']]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(events.once(e, 'x'), 0.001)
        # Cancelled before it has begun.
        task = asyncio.ensure_future(events.once(e, 'x'))
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert e.event_names() == []

    run(main)


def test_ee09_run_takes_once_as_its_main(loop_factory: Any) -> None:
    e = EventEmitter()
    arrival = events.once(e, 'x')
    tailrace.set_timeout(e.emit, 1, 'x', 'there')
    assert tailrace.run(arrival, loop_factory=loop_factory) == ['there']


def test_ee09_cancelling_one_of_two_who_wait(run: Any) -> None:
    async def main() -> None:
        e = EventEmitter()
        arrival = events.once(e, 'x')

        async def wait() -> Any:
            return await arrival

        one, two = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.wait([one])
        assert e.event_names() == ['x', 'error']
        e.emit('x', 7)
        assert await two == [7]
        # Nobody is left to wait: over, as a cancelled future.
        arrival = events.once(e, 'x')
        one = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.wait([one])
        assert e.event_names() == []
        with pytest.raises(asyncio.CancelledError):
            await arrival

    run(main)


def test_ee09_once_that_is_dropped_leaves_nothing(run: Any) -> None:
    async def main() -> None:
        e = EventEmitter()
        arrival: Any = events.once(e, 'x', signal=AbortController().signal)
        assert 'waiting' in repr(arrival)
        del arrival
        assert e.event_names() == []
        controller = AbortController()
        arrival = events.once(e, 'x', signal=controller.signal)
        controller.abort()
        assert e.event_names() == []
        assert controller.signal.listener_count('abort') == 0
        del arrival
        arrival = events.once(e, 'x')
        arrival.close()
        assert e.event_names() == []
        with pytest.raises(KeyError):  # nobody listens any more
            e.emit('error', KeyError('k'))

    run(main)


@pytest.mark.parametrize('make', [events.once, events.on])
def test_ee09_an_error_it_took_is_not_lost_with_it(run: Any, make: Any) -> None:
    async def main() -> None:
        e = EventEmitter()
        arrival = make(e, 'x')
        e.emit('error', KeyError('k'))
        assert run.unhandled == []
        del arrival
        assert run.unhandled == []  # told by the loop, never by the finaliser itself
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()

        def tell(loop: Any, context: Any) -> None:
            assert handler is not None
            handler(loop, context)
            told.set()

        loop.set_exception_handler(tell)
        await told.wait()
        loop.set_exception_handler(handler)
        assert [type(context['exception']) for context in run.unhandled] == [KeyError]
        run.unhandled.clear()
        # Raised: nothing left to tell.
        arrival = make(e, 'x')
        e.emit('error', KeyError('k'))
        with pytest.raises(KeyError):
            await anext(arrival) if make is events.on else await arrival
        del arrival

    run(main)


def test_ee09_an_error_it_took_without_a_loop_is_warned_of() -> None:
    e = EventEmitter()
    arrival = events.once(e, 'x')
    e.emit('error', KeyError('k'))
    with pytest.warns(RuntimeWarning, match='was lost'):
        del arrival


def test_on_listens_from_the_call_on(run: Any) -> None:
    async def main() -> None:
        e = EventEmitter()
        series = events.on(e, 'x', close=('over',))
        e.emit('x', 1)
        e.emit('x', 2)
        assert await anext(series) == [1]
        assert 'queued' in repr(series)
        e.emit('over')
        e.emit('x', 3)
        assert e.event_names() == []
        assert [args async for args in series] == [[2]]
        # An error comes after what is queued, and once.
        series = events.on(e, 'x')
        e.emit('x', 1)
        e.emit('error', KeyError('k'))
        assert await anext(series) == [1]
        with pytest.raises(KeyError):
            await anext(series)
        assert [args async for args in series] == []
        # Left and dropped.
        asyncio.get_running_loop().call_soon(e.emit, 'x', 1)
        async for _ in events.on(e, 'x'):
            break
        assert e.event_names() == []

    run(main)


def test_on_closed_under_two_who_wait(run: Any) -> None:
    async def main() -> None:
        e = EventEmitter()
        series: Any = events.on(e, 'x')
        tasks = [asyncio.ensure_future(anext(series)) for _ in range(3)]
        await asyncio.sleep(0)
        e.emit('x', 1)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await series.aclose()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[0] == [1]
        assert [type(r) for r in results[1:]] == [StopAsyncIteration] * 2

    run(main)


def test_ee10_decorators() -> None:
    e, seen = EventEmitter(), []

    @e.on('x')
    def on_x(value: int) -> None:
        seen.append(value)

    @e.once('x')
    def once_x(value: int) -> None:
        seen.append(-value)

    e.emit('x', 1)
    e.emit('x', 2)
    assert seen == [1, -1, 2]
    assert e.listeners('x') == [on_x]


class Callable_:
    def __call__(self, a: Any, b: Any) -> None:
        SEEN.append((a, b))

    def method(self, a: Any) -> None:
        SEEN.append(a)

    @classmethod
    def of_class(cls, a: Any) -> None:
        SEEN.append(a)

    @staticmethod
    def of_nothing(a: Any, b: Any, c: Any = 7) -> None:
        SEEN.append((a, b, c))


SEEN: list[Any] = []


@pytest.mark.parametrize(
    ('listener', 'got'),
    [
        (lambda: SEEN.append('none'), 'none'),
        (lambda a: SEEN.append(a), 1),
        (lambda a, b, c: SEEN.append((a, b, c)), (1, 2, None)),
        (lambda a, b=5, c=6: SEEN.append((a, b, c)), (1, 2, 6)),
        (lambda *args: SEEN.append(args), (1, 2)),
        (lambda a, *, k=3: SEEN.append((a, k)), (1, 3)),
        (Callable_(), (1, 2)),
        (Callable_().method, 1),
        (Callable_.of_class, 1),
        (Callable_.of_nothing, (1, 2, 7)),
        (functools.partial(lambda a, b, c: SEEN.append((a, b, c)), 0), (0, 1, 2)),
        (functools.partial(Callable_().method), 1),
    ],
)
def test_gen19_listeners_take_what_they_declare(listener: Any, got: Any) -> None:
    for add in (lambda: EventEmitter().on('x', listener).emit, lambda: None):
        SEEN.clear()
        emit = add()
        if emit is not None:
            emit('x', 1, 2)
        else:
            adapt(listener)(1, 2)
        assert [got] == SEEN


def test_gen19_a_required_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match='keyword-only'):
        EventEmitter().on('x', lambda a, *, k: None)


def test_gen17_names_are_nodes_only() -> None:
    e = EventEmitter()
    e.on('connectionAttempt', print)
    assert e.listener_count('connectionAttempt') == 1
    assert e.listener_count('connection_attempt') == 0


def test_gen13_coroutine_listeners(run: Any) -> None:
    async def main() -> None:
        e, seen = EventEmitter(), []

        async def listener(a: int) -> None:
            await asyncio.sleep(0)
            seen.append(a)
            if a == 2:
                raise KeyError('k')

        e.on('x', listener)
        e.on('error', lambda error: seen.append(error))
        assert e.emit('x', 1, 'more') is True
        assert seen == []
        e.emit('x', 2)
        while len(seen) < 3:
            await asyncio.sleep(0)
        assert seen[:2] == [1, 2]
        assert type(seen[2]) is KeyError
        e.off('x', listener)
        assert e.emit('x', 3) is False

    run(main)


@pytest.mark.parametrize('event', ['x', 'error'])
def test_gen12_gen13_a_failure_nobody_hears_reaches_the_loop_once(run: Any, event: str) -> None:
    async def main() -> None:
        e = EventEmitter()

        async def fail() -> None:
            raise KeyError('k')

        e.on(event, fail)
        e.emit(event)
        while not run.unhandled:
            await asyncio.sleep(0)

    run(main)
    (context,) = run.unhandled
    assert type(context['exception']) is KeyError
    run.unhandled.clear()


@pytest.mark.parametrize('event', ['x', 'error'])
def test_gen12_gen13_a_failure_nobody_hears_ends_run(loop_factory: Any, event: str) -> None:
    def main() -> None:
        e = EventEmitter()

        async def fail() -> None:
            raise KeyError('k')

        e.on(event, fail)
        e.emit(event)
        _timers.set_interval(lambda: None, 1000)

    with pytest.raises(KeyError):
        _running.run(main, loop_factory)


def test_gen13_a_failure_destroys_a_stream(run: Any) -> None:
    async def main() -> None:
        s = Duplex(read=lambda size: None)

        @s.on('data')
        async def fail(chunk: bytes) -> None:
            raise KeyError('k')

        error = events.once(s, 'error')
        s.push(b'x')
        (failure,) = await error
        assert type(failure) is KeyError
        await s.wait_closed()

    run(main)


def test_functions_about_any_emitter_or_signal() -> None:
    emitter, signal = events.EventEmitter(), AbortController().signal

    def listener() -> None:
        """Nothing."""

    emitter.on('x', listener)
    signal.add_event_listener('abort', listener)
    for one, name in ((emitter, 'x'), (signal, 'abort')):
        assert events.get_event_listeners(one, name) == [listener]
        assert events.listener_count(one, name) == 1
        assert events.listener_count(one, name, listener) == 1
        assert events.listener_count(one, name, print) == 0
    assert (events.get_max_listeners(emitter), events.get_max_listeners(signal)) == (10, 0)
    events.set_max_listeners(3, emitter, signal)
    assert events.get_max_listeners(emitter) == 3
    for wrong in (None, {}, 'x'):
        for function in (events.get_max_listeners, lambda e: events.set_max_listeners(1, e)):
            with pytest.raises(InvalidArgTypeError):
                function(wrong)
        with pytest.raises(InvalidArgTypeError):
            events.listener_count(wrong, 'x')
    with pytest.raises(OutOfRangeError):
        events.set_max_listeners(-1)


def test_set_max_listeners_without_targets_is_the_default() -> None:
    before = events.get_max_listeners(events.EventEmitter())
    try:
        events.set_max_listeners(7)
        assert events.get_max_listeners(events.EventEmitter()) == 7
    finally:
        events.set_max_listeners(before)


def test_add_abort_listener(run: Any) -> None:
    async def main() -> None:
        seen: list[str] = []
        controller = AbortController()
        events.add_abort_listener(controller.signal, lambda: seen.append('one'))
        undo = events.add_abort_listener(controller.signal, lambda: seen.append('two'))
        undo()
        controller.abort()
        events.add_abort_listener(controller.signal, lambda: seen.append('three'))
        assert seen == ['one']
        await asyncio.sleep(0)
        assert seen == ['one', 'three']
        for bad in ((None, print), (controller.signal, 5)):
            with pytest.raises(InvalidArgTypeError):
                events.add_abort_listener(*bad)

    run(main)


@pytest.mark.parametrize('name', [[], {}, {1}])
def test_a_name_that_cannot_be_hashed_is_a_coded_error(name: Any) -> None:
    emitter = events.EventEmitter()
    for call in (
        lambda: emitter.on(name, print),
        lambda: emitter.off(name, print),
        lambda: emitter.emit(name),
        lambda: emitter.listener_count(name),
        lambda: emitter.listeners(name),
        lambda: emitter.remove_all_listeners(name),
    ):
        with pytest.raises(InvalidArgTypeError):
            call()


@pytest.mark.parametrize('option', [True, False, None])
@pytest.mark.parametrize('everywhere', [True, False])
@pytest.mark.parametrize('make', [EventEmitter, stream.Stream, stream.Readable, net.Socket])
def test_capture_rejections_is_what_the_emitter_says(
    run: Any, make: Any, everywhere: bool, option: bool | None
) -> None:
    heard: list[str] = []

    async def fails() -> None:
        raise LookupError('x')

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: heard.append('uncaught'))
        one = make() if option is None else make({'captureRejections': option})
        one.on('error', lambda _: heard.append('error'))
        one.on('a', fails)
        events.set_capture_rejections(everywhere)
        try:
            assert events.captureRejections is everywhere
            one.emit('a')
            while not heard:
                await asyncio.sleep(0)
        finally:
            events.set_capture_rejections(True)
        if isinstance(one, stream.Stream):
            one.destroy()

    run(main)
    captured = everywhere if option is None else option
    assert heard == ['error' if captured else 'uncaught']


def test_what_listeners_raise_goes_to_on_rejection(run: Any) -> None:
    seen: list[Any] = []

    class Mine(EventEmitter):
        def on_rejection(self, error: Exception, event: Any, /, *args: Any) -> None:
            seen.append((str(error), event, args))

    async def fails(*_: Any) -> None:
        raise LookupError('x')

    async def main() -> None:
        one = Mine()
        assert callable(getattr(one, events.captureRejectionSymbol))
        for event in ('a', 'error'):
            one.on(event, fails)
            one.emit(event, 1, 2)
        while len(seen) < 2:
            await asyncio.sleep(0)

    run(main)
    assert seen == [('x', 'a', (1, 2)), ('x', 'error', (1, 2))]


def test_a_server_hears_of_its_connection_listener(run: Any) -> None:
    seen: list[Any] = []

    class Mine(net.Server):
        def on_rejection(self, error: Exception, event: Any, /, *args: Any) -> None:
            seen.append((str(error), event, len(args)))
            args[0].destroy()

    async def fails(sock: net.Socket) -> None:
        raise LookupError('x')

    async def main() -> None:
        server = await Mine(fails).listen(0, '127.0.0.1')
        sock = await net.connect(server.address().port, '127.0.0.1')
        sock.resume()
        await sock.wait_closed()
        server.close()
        await server.wait_closed()

    run(main)
    assert seen == [('x', 'connection', 1)]


@pytest.mark.parametrize('value', [1, 0, 'x', '', [], {}])
def test_capture_rejections_is_true_or_false(value: Any) -> None:
    for call in (
        lambda: EventEmitter(capture_rejections=value),
        lambda: EventEmitter({'captureRejections': value}),
        lambda: stream.Readable(capture_rejections=value),
        lambda: events.set_capture_rejections(value),
    ):
        with pytest.raises(TypeError) as raised:
            call()
        assert raised.value.code == 'ERR_INVALID_ARG_TYPE'  # type: ignore[attr-defined]


class Target:
    """An event target as a browser has it."""

    def __init__(self) -> None:
        self.listeners: list[tuple[str, Any]] = []

    def addEventListener(self, event: str, listener: Any) -> None:
        self.listeners.append((event, listener))

    def removeEventListener(self, event: str, listener: Any) -> None:
        self.listeners.remove((event, listener))

    def dispatch(self, event: str) -> None:
        for name, listener in list(self.listeners):
            if name == event:
                listener({'type': event})


def test_once_and_on_take_event_targets(run: Any) -> None:
    async def main() -> None:
        controller = AbortController()
        aborted = events.once(controller.signal, 'abort')
        assert 'AbortSignal' in repr(aborted)
        assert events.listener_count(controller.signal, 'error') == 0
        controller.abort()
        assert await aborted == [controller.signal]
        target = Target()
        heard = events.on(target, 'x')
        assert [event for event, _ in target.listeners] == ['x']
        target.dispatch('error')
        target.dispatch('x')
        assert await anext(heard) == [{'type': 'x'}]
        await heard.aclose()  # type: ignore[attr-defined]
        once = events.once(target, 'y')
        target.dispatch('y')
        assert await once == [{'type': 'y'}]
        assert target.listeners == []

    run(main)


@pytest.mark.parametrize('value', [None, 1, 'x', {}, []])
def test_what_is_neither_emitter_nor_target_is_refused(value: Any) -> None:
    for call in (events.once, events.on):
        with pytest.raises(TypeError) as raised:
            call(value, 'x')
        assert raised.value.code == 'ERR_INVALID_ARG_TYPE'  # type: ignore[attr-defined]


def test_the_limit_of_a_signal_is_kept() -> None:
    signal = AbortController().signal
    assert events.get_max_listeners(signal) == 0
    events.set_max_listeners(5, signal)
    assert events.get_max_listeners(signal) == 5


@pytest.mark.parametrize('make', [EventEmitter, stream.PassThrough])
def test_event_names_are_in_the_order_of_their_first_listener(make: Any) -> None:
    one = make()
    before = one.event_names()
    one.on('a', print).on(error_monitor, print).on('b', print).off('a', print).on('a', print)
    assert one.event_names() == [*before, 'b', 'a', error_monitor]
