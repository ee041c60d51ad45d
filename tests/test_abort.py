"""AbortController and AbortSignal (AB-01, AB-02, AB-05, AB-06)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tailrace import _running
from tailrace._abort import AbortController, AbortSignal, AbortTimeoutError
from tailrace.errors import AbortError, InvalidArgTypeError, OutOfRangeError
from tailrace.stream import Readable


def test_ab01_a_controller_aborts_its_signal_once(run: Any) -> None:
    async def main() -> None:
        controller = AbortController()
        signal = controller.signal
        assert signal is controller.signal
        assert (signal.aborted, signal.reason) == (False, None)
        controller.abort('first')
        controller.abort('second')
        assert (signal.aborted, signal.reason) == (True, 'first')

    run(main)


def test_ab02_listeners(run: Any) -> None:
    async def main() -> None:
        controller, seen = AbortController(), []
        signal = controller.signal

        def twice(of: AbortSignal) -> None:
            seen.append(of is signal)

        signal.add_event_listener('abort', twice)
        signal.addEventListener('abort', twice)
        assert signal.on('abort', lambda: seen.append('on')) is signal
        signal.once('abort', lambda: seen.append('once'))
        signal.on('abort', print)
        signal.remove_event_listener('abort', print)
        signal.onabort = lambda: seen.append('onabort')
        assert signal.listener_count('abort') == 3
        controller.abort()
        controller.abort()
        assert seen == [True, 'on', 'once', 'onabort']
        signal.on('abort', lambda: seen.append('late'))
        assert len(seen) == 4

    run(main)


def test_ab02_every_listener_hears_of_it(run: Any) -> None:
    async def main() -> None:
        controller, seen = AbortController(), []

        def fail() -> None:
            raise KeyError('k')

        controller.signal.on('abort', fail)
        controller.signal.on('abort', lambda: seen.append(1))
        controller.abort()
        assert seen == [1]
        while not run.unhandled:
            await asyncio.sleep(0)

    run(main)
    assert [type(context['exception']) for context in run.unhandled] == [KeyError]
    run.unhandled.clear()


def test_ab02_ab05_throw_if_aborted(run: Any) -> None:
    async def main() -> None:
        controller = AbortController()
        controller.signal.throw_if_aborted()
        controller.abort()
        with pytest.raises(AbortError) as caught:
            controller.signal.throwIfAborted()
        assert caught.value is controller.signal.reason
        # The default reason has the DOM's legacy code, as in Node (recorded traces).
        assert (caught.value.code, caught.value.name) == (20, 'AbortError')
        with pytest.raises(KeyError):
            AbortSignal.abort(KeyError('k')).throw_if_aborted()
        with pytest.raises(AbortError) as caught:
            AbortSignal.abort('text').throw_if_aborted()
        assert caught.value.cause == 'text'

    run(main)


def test_ab02_timeout(run: Any) -> None:
    async def main() -> None:
        signal = AbortSignal.timeout(1)
        done = asyncio.get_running_loop().create_future()
        signal.on('abort', lambda: done.set_result(None))
        assert not signal.aborted
        await done
        assert isinstance(signal.reason, AbortTimeoutError)
        assert isinstance(signal.reason, TimeoutError)
        assert signal.reason.name == 'TimeoutError'
        with pytest.raises(InvalidArgTypeError):
            AbortSignal.timeout('1')
        for bad in (-1, float('inf'), 2**54):
            with pytest.raises(OutOfRangeError):
                AbortSignal.timeout(bad)

    run(main)


def test_ab02_timeout_does_not_keep_the_program(loop_factory: Any) -> None:
    _running.run(lambda: AbortSignal.timeout(60000), loop_factory)


def test_ab02_ab06_any(run: Any) -> None:
    async def main() -> None:
        a, b = AbortController(), AbortController()
        signal = AbortSignal.any([a.signal, b.signal])
        assert not signal.aborted
        b.abort('b')
        assert signal.reason == 'b'
        assert a.signal.listener_count('abort') == 0
        assert AbortSignal.any([a.signal, b.signal]).reason == 'b'
        assert not AbortSignal.any([]).aborted
        with pytest.raises(InvalidArgTypeError):
            AbortSignal.any([a.signal, 5])  # type: ignore[list-item]

    run(main)


def test_ab05_cause_of_what_an_abort_ends(run: Any) -> None:
    async def main() -> None:
        controller = AbortController()
        s = Readable(read=lambda size: None, signal=controller.signal)
        s.on('error', lambda: None)
        reason = KeyError('k')
        controller.abort(reason)
        assert isinstance(s.errored, AbortError)
        assert s.errored.cause is s.errored.__cause__ is reason
        await s.wait_closed()
        late = Readable(read=lambda size: None, signal=controller.signal)
        assert late.destroyed
        late.on('error', lambda: None)
        await late.wait_closed()
        with pytest.raises(InvalidArgTypeError):
            Readable(signal=5)

    run(main)


def test_ab06_a_closed_stream_has_let_go_of_its_signal(run: Any) -> None:
    async def main() -> None:
        controller = AbortController()
        s = Readable(read=lambda size: None, signal=controller.signal)
        assert controller.signal.listener_count('abort') == 1
        s.destroy()
        await s.wait_closed()
        assert controller.signal.listener_count('abort') == 0

    run(main)
