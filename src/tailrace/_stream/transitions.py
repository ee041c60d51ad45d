"""The states of a stream as tables: what ``state.py`` says in words, for pictures and tests.

Nothing here runs in a program. The diagrams of the design page are drawn from these tables, and a
test puts real streams into each state, does each thing to them, and compares where they go. A
cause that has no row in a state leaves the stream where it is.
"""

from __future__ import annotations

from typing import NamedTuple

from .state import (
    L_CLOSE_EMITTED,
    L_CLOSED,
    L_DESTROYED,
    R_FLOW,
    R_LISTENING,
    R_STOPPED,
    W_ENDING,
    W_FINISHED,
    W_NEED_DRAIN,
    W_WRITING,
)

__all__ = ['LIFE', 'MACHINES', 'READING', 'WRITING', 'Machine', 'Move', 'State']


class State(NamedTuple):
    """A stream is in this state while ``word & mask == value``."""

    name: str
    #: What it means, in a few words.
    about: str
    mask: int
    value: int


class Move(NamedTuple):
    """From one state to another; ``says`` is the event that tells of it, if one does."""

    source: str
    cause: str
    target: str
    says: str = ''


class Machine(NamedTuple):
    """One word of a stream, its states and its moves."""

    name: str
    #: The attribute that holds the bits.
    word: str
    states: tuple[State, ...]
    moves: tuple[Move, ...]

    def state_of(self, word: int) -> str:
        """The name of the state that a word is in. Raises LookupError if it is in none."""
        for state in self.states:
            if word & state.mask == state.value:
                return state.name
        raise LookupError(f'{word:#x} is in no state of {self.name!r}')


_MODE = R_FLOW | R_STOPPED | R_LISTENING

#: Who moves the data: Node's ``readableFlowing``.
READING = Machine(
    'reading',
    '_r',
    (
        State('initial', 'nobody reads yet', _MODE, 0),
        State('flowing', "chunks come as 'data'", _MODE, R_FLOW),
        State('paused', 'chunks wait', _MODE, R_STOPPED),
        State('readable', 'read() takes chunks', _MODE, R_STOPPED | R_LISTENING),
    ),
    (
        Move('initial', "on('data')", 'flowing'),
        Move('initial', 'resume()', 'flowing'),
        Move('initial', 'pipe()', 'flowing'),
        Move('initial', 'pause()', 'paused'),
        Move('initial', "on('readable')", 'readable'),
        Move('flowing', 'pause()', 'paused', 'pause'),
        Move('flowing', "on('readable')", 'readable'),
        Move('paused', 'resume()', 'flowing', 'resume'),
        Move('paused', 'pipe()', 'flowing'),
        Move('paused', "on('readable')", 'readable'),
        Move('readable', "off('readable')", 'initial'),
    ),
)

#: What ``write()`` and ``end()`` lead to.
WRITING = Machine(
    'writing',
    '_w',
    (
        State('finished', 'all is written', W_FINISHED, W_FINISHED),
        State('ending', 'the rest is written', W_ENDING | W_FINISHED, W_ENDING),
        State('full', 'write() said False', W_ENDING | W_FINISHED | W_NEED_DRAIN, W_NEED_DRAIN),
        State(
            'writing',
            'below the high water mark',
            W_ENDING | W_FINISHED | W_NEED_DRAIN | W_WRITING,
            W_WRITING,
        ),
        State('idle', 'nothing waits', W_ENDING | W_FINISHED | W_NEED_DRAIN | W_WRITING, 0),
    ),
    (
        Move('idle', 'write(a little)', 'writing'),
        Move('idle', 'write(a lot)', 'full'),
        Move('idle', 'end()', 'ending'),
        Move('writing', 'everything taken', 'idle'),
        Move('writing', 'write(a lot)', 'full'),
        Move('writing', 'end()', 'ending'),
        Move('full', 'everything taken', 'idle', 'drain'),
        Move('full', 'end()', 'ending'),
        Move('ending', 'everything taken', 'finished', 'finish'),
    ),
)

#: The way out; ``destroy()`` begins it, and by itself the end of both sides.
LIFE = Machine(
    'life',
    '_life',
    (
        State('closed', 'nothing follows', L_CLOSE_EMITTED, L_CLOSE_EMITTED),
        State(
            'released',
            'resources are free',
            L_DESTROYED | L_CLOSED | L_CLOSE_EMITTED,
            L_DESTROYED | L_CLOSED,
        ),
        State('destroyed', 'no more I/O', L_DESTROYED | L_CLOSED | L_CLOSE_EMITTED, L_DESTROYED),
        State('alive', 'reads and writes', L_DESTROYED | L_CLOSE_EMITTED, 0),
    ),
    (
        Move('alive', 'destroy()', 'destroyed'),
        Move('destroyed', 'resources released', 'released'),
        Move('released', 'a tick later', 'closed', 'error, close'),
    ),
)

MACHINES = (READING, WRITING, LIFE)
