"""The state tables against real streams, and the pictures against the tables.

Every state is entered, every cause is applied in it, and where the stream goes is compared: also
where the table has no row and nothing may change.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tailrace import events, net
from tailrace._stream.transitions import MACHINES, READING, WRITING, Machine, Move
from tailrace.stream import PassThrough, Readable, Writable

ROOT = Path(__file__).resolve().parent.parent.parent
Cause = Callable[[Any], object]


def load() -> ModuleType:
    """docs/diagrams.py as a module; docs/ is no package."""
    spec = importlib.util.spec_from_file_location('docs_diagrams', ROOT / 'docs' / 'diagrams.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules['docs_diagrams'] = module
    spec.loader.exec_module(module)
    return module


diagrams = load()


def nothing(*_: object) -> None:
    """A listener."""


def reader() -> Any:
    return Readable(read=nothing)


class Sink(Writable):
    """Takes nothing until it is told to, and releases nothing until then."""

    def __init__(self) -> None:
        super().__init__(high_water_mark=8)
        self.held: list[Any] = []
        self.release: Any = None

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        self.held.append(callback)

    def _destroy(self, error: Any, callback: Any) -> None:
        self.release = callback

    def take_everything(self) -> None:
        while self.held:
            self.held.pop(0)(None)

    def released(self) -> None:
        if self.release is not None:
            self.release(None)
            self.release = None


CAUSES: dict[str, tuple[Callable[[], Any], dict[str, Cause]]] = {
    'reading': (
        reader,
        {
            "on('data')": lambda s: s.on('data', nothing),
            'resume()': lambda s: s.resume(),
            'pipe()': lambda s: s.pipe(PassThrough()),
            'pause()': lambda s: s.pause(),
            "on('readable')": lambda s: s.on('readable', nothing),
            "off('readable')": lambda s: s.off('readable', nothing),
        },
    ),
    'writing': (
        Sink,
        {
            'write(a little)': lambda s: s.write(b'x'),
            'write(a lot)': lambda s: s.write(b'x' * 8),
            'everything taken': lambda s: s.take_everything(),
            'end()': lambda s: s.end(),
        },
    ),
    'life': (
        Sink,
        {'destroy()': lambda s: s.destroy(), 'resources released': lambda s: s.released()},
    ),
}

#: How each state is reached from a new stream.
PATHS: dict[str, dict[str, tuple[str, ...]]] = {
    'reading': {
        'initial': (),
        'flowing': ('resume()',),
        'paused': ('pause()',),
        'readable': ("on('readable')",),
    },
    'writing': {
        'idle': (),
        'writing': ('write(a little)',),
        'full': ('write(a lot)',),
        'ending': ('write(a little)', 'end()'),
        'finished': ('end()', 'everything taken'),
    },
    'life': {
        'alive': (),
        'destroyed': ('destroy()',),
        'closed': ('destroy()', 'resources released'),
    },
}

#: What cannot be done in a state, and why it is not tried.
NOT_TRIED = {
    ('reading', 'initial', "off('readable')"): 'there is no such listener',
    ('reading', 'flowing', "off('readable')"): 'there is no such listener',
    ('reading', 'paused', "off('readable')"): 'there is no such listener',
    ('writing', 'ending', 'write(a little)'): 'write after end is an error',
    ('writing', 'ending', 'write(a lot)'): 'write after end is an error',
    ('writing', 'finished', 'write(a little)'): 'write after end is an error',
    ('writing', 'finished', 'write(a lot)'): 'write after end is an error',
}

STEPS = [
    (machine, state, cause)
    for machine in MACHINES
    for state in PATHS[machine.name]
    for cause in CAUSES[machine.name][1]
    if (machine.name, state, cause) not in NOT_TRIED
]


def found(machine: Machine, stream: Any) -> str:
    return machine.state_of(getattr(stream, machine.word))


@pytest.mark.parametrize(
    ('machine', 'state', 'cause'), STEPS, ids=[f'{m.name}-{s}-{c}' for m, s, c in STEPS]
)
def test_st02_st26_table_says_where_a_stream_goes(
    run: Any, machine: Machine, state: str, cause: str
) -> None:
    make, causes = CAUSES[machine.name]
    targets = [m.target for m in machine.moves if (m.source, m.cause) == (state, cause)]
    assert len(targets) < 2
    # 'released' lasts for a tick only; the next move is awaited.
    target = 'closed' if targets == ['released'] else targets[0] if targets else state
    if (state, cause, machine) == ('idle', 'end()', WRITING):
        target = 'finished'  # nothing waits, so the move after it follows by itself

    async def main() -> None:
        stream = make()
        stream.on('error', nothing)
        for step in PATHS[machine.name][state]:
            causes[step](stream)
            await settled()
        assert found(machine, stream) == state
        causes[cause](stream)
        await settled()
        assert found(machine, stream) == target
        stream.destroy()
        if isinstance(stream, Sink):
            stream.released()
        await settled()

    async def settled() -> None:
        for _ in range(3):  # ticks of a task need one turn of the loop
            await asyncio.sleep(0)

    run(main)


def test_every_row_was_tried() -> None:
    tried = {(machine.name, state, cause) for machine, state, cause in STEPS}
    rows = {(m.name, move.source, move.cause) for m in MACHINES for move in m.moves}
    assert rows - tried == {('life', 'released', 'a tick later')}


@pytest.mark.parametrize('machine', MACHINES, ids=[m.name for m in MACHINES])
def test_no_word_is_in_two_states(machine: Machine) -> None:
    for one, other in itertools.combinations(machine.states, 2):
        both = one.mask & other.mask
        assert one.value & both != other.value & both, (one.name, other.name)


def test_unknown_word_is_seen() -> None:
    with pytest.raises(LookupError, match='in no state'):
        READING.state_of(READING.states[1].value | READING.states[2].value)


def test_sk51_ready_state_follows_its_table(run: Any) -> None:
    """One walk through every row of the table of ``ready_state``."""
    seen: set[tuple[str, str]] = set()

    def watch(sock: Any) -> Callable[..., None]:
        # A socket that never was connected says 'open', as in Node; `pending` is the difference.
        last = 'closed'

        def look(*_: object) -> None:
            nonlocal last
            if sock.ready_state != last:
                seen.add((last, sock.ready_state))
                last = sock.ready_state

        for event in ('connect', 'end', 'finish', 'close'):
            sock.prepend_listener(event, look)
        return look

    async def main() -> None:
        server = await net.create_server(allow_half_open=True).listen(0, '127.0.0.1')
        port = server.address().port

        async def connect(sock: Any, look: Callable[..., None]) -> Any:
            """Connect, and return the server's side."""
            sock.resume().connect(port, '127.0.0.1')
            look()
            (peer,), _ = await asyncio.gather(events.once(server, 'connection'), sock)
            return peer.resume()

        # We end first; they answer. Then the same socket again, the other way round.
        sock = net.Socket(allow_half_open=True)
        look = watch(sock)
        peer = await connect(sock, look)
        sock.end()
        await events.once(peer, 'end')
        peer.end()
        await events.once(sock, 'close')
        peer = await connect(sock, look)
        peer.end()
        await events.once(sock, 'end')
        sock.end()
        await events.once(sock, 'close')
        # Without half-open their end is ours.
        sock = net.Socket()
        peer = await connect(sock, watch(sock))
        sock.destroy()
        peer.destroy()
        await events.once(sock, 'close')
        # A connection that is given up.
        sock = net.Socket()
        look = watch(sock)
        sock.connect(port, '127.0.0.1')
        look()
        sock.destroy()
        await events.once(sock, 'close')
        await server.async_dispose()

    run(main)
    assert seen == {(move.source, move.target) for move in diagrams.READY.moves}


def test_pictures_are_those_of_the_tables() -> None:
    """If this fails: ``python docs/diagrams.py``, and look at what has become of them."""
    folder = ROOT / 'docs' / 'images'
    drawn = diagrams.pictures()
    assert {path.name for path in folder.glob('*.svg')} == set(drawn)
    for name, text in drawn.items():
        assert (folder / name).read_text('utf-8') == text, name


def test_row_without_a_place_is_seen() -> None:
    more = READING._replace(moves=(*READING.moves, Move('paused', 'x', 'initial')))
    with pytest.raises(LookupError, match='table and layout differ'):
        diagrams.draw(more)
