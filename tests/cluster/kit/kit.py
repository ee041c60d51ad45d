"""What the programs of these tests share: they run in processes of their own, on a chosen loop."""

import asyncio
import json
import os

import tailrace


def say(*words):
    """One line of JSON for the test, whole also when several processes speak."""
    os.write(1, (json.dumps(words) + '\n').encode())


def heard(emitter, name, *events):
    """Say every one of these events with its arguments, as far as JSON has words for them."""
    for event in events:

        def listener(*args, event=event):
            plain = [a for a in args if isinstance(a, (str, int, list, dict, type(None)))]
            say(name, event, *plain)

        emitter.on(event, listener)


def new_loop():
    if os.environ['TEST_LOOP'] == 'uvloop':
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.SelectorEventLoop()


def go(main=None):
    tailrace.run(main, loop_factory=new_loop)
