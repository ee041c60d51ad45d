"""The engine: deferred callbacks, in order, once, also around failures."""

from __future__ import annotations

import asyncio

import pytest

from tailrace._handles.engine import engine_of
from tailrace._runtime import Runtime, current


def test_deferred_calls_share_one_wake_up_and_keep_order(run, make_log):
    async def main():
        log = make_log()
        runtime = current()
        engine = engine_of(runtime)
        assert engine_of(runtime) is engine

        def first():
            log.add(1)
            engine.defer(log.add, ('next iteration',), None)
            asyncio.get_running_loop().call_soon(log.add, 'between')

        engine.defer(first, (), None)
        engine.defer(log.add, (2,), None)
        assert engine in runtime.holders
        assert engine.describe() == ('callbacks', '2')
        await log.until('next iteration')
        assert log[:2] == [1, 2]
        await asyncio.sleep(0)
        assert engine not in runtime.holders

    run(main)


def test_a_failing_deferred_call_does_not_stop_the_rest(run, make_log):
    async def main():
        log = make_log()
        engine = engine_of(current())
        engine.defer(lambda: 1 / 0, (), 'who')
        engine.defer(log.add, (2,), None)
        await log.until(2)
        (context,) = run.unhandled
        assert context['source'] == 'who'
        run.unhandled.clear()

    run(main)


def test_an_interrupt_loses_nothing(make_log):
    log = make_log()
    loop = asyncio.new_event_loop()
    runtime = Runtime()
    runtime.attach(loop)
    engine = engine_of(runtime)

    def interrupt():
        raise KeyboardInterrupt

    engine.defer(interrupt, (), None)
    engine.defer(log.add, ('rest',), None)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert engine in runtime.holders
    loop.run_until_complete(log.until('rest'))
    assert engine not in runtime.holders
    loop.close()
    engine.defer(pytest.fail, ('a closed loop calls nobody',), None)
    engine.remove_reader(0)
    engine.remove_writer(0)
    assert engine not in runtime.holders
