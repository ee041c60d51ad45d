"""The states of a stream: three plain ints, and who may change which bit.

A stream has a *life* (``_life``), a reading side (``_r``) and a writing side (``_w``). All bits of
``_life`` are written in ``life.py``, all of ``_r`` in ``read.py`` and ``modes.py``, all of ``_w``
in ``write.py``; other files ask. The only crossings: destroying sets ``R_DEAD`` and ``W_DEAD`` so
that the fast paths see it in the one word they look at, and ``construct.py`` sets and clears the
``UNBUILT`` bit of all three.

Reading mode, Node's ``readableFlowing``::

                     on('data'), resume(), pipe()
      neither bit ────────────────────────────────▶ R_FLOW
          │                                          │  ▲
          │ pause(), on('readable')          pause() │  │ resume()
          ▼                                          ▼  │
      R_STOPPED ◀───────────────────────────────── R_STOPPED

The end of reading: ``R_ENDED`` (the source said so) → everything consumed → 'end' →
``R_END_EMITTED``. The end of writing: ``W_ENDING`` (``end()`` was called) → everything written →
``W_FINAL_CALLED`` → 'prefinish' → ``W_FINISHED`` with 'finish'. Both done: destroyed.
Destroying: ``L_DESTROYED`` → resources released → ``L_CLOSED`` → 'error' if any → 'close'.

Plain ints, because an ``enum.IntFlag`` costs twenty times as much to test.
"""

from __future__ import annotations

from typing import Final

# -- life -------------------------------------------------------------------------------------
L_DESTROYED: Final = 1 << 0
#: _destroy() has called back.
L_CLOSED: Final = 1 << 1
L_CLOSE_EMITTED: Final = 1 << 2
L_ERROR_EMITTED: Final = 1 << 3
L_AUTO_DESTROY: Final = 1 << 4
L_EMIT_CLOSE: Final = 1 << 5
L_ALLOW_HALF_OPEN: Final = 1 << 6
#: 'close' was given to the listeners (a socket's comes after L_CLOSE_EMITTED).
L_GONE: Final = 1 << 7
#: An AbortSignal would destroy it.
L_SIGNAL: Final = 1 << 8
#: An `async for` was left by dropping its iterator: it is destroyed by the next tick.
L_LEFT: Final = 1 << 9
#: _construct() has not called back.
L_UNBUILT: Final = 1 << 10

# -- reading side -------------------------------------------------------------------------------
R_OBJECT: Final = 1 << 0
R_FLOW: Final = 1 << 1
R_STOPPED: Final = 1 << 2
R_ENDED: Final = 1 << 3
R_END_EMITTED: Final = 1 << 4
#: _read() was asked and has not answered; a continuous source: it is reading by itself.
R_READING: Final = 1 << 5
#: _read() is on the stack.
R_SYNC: Final = 1 << 6
R_NEED_READABLE: Final = 1 << 7
R_EMITTED_READABLE: Final = 1 << 8
#: Somebody listens for 'readable'.
R_LISTENING: Final = 1 << 9
R_RESUME_SCHEDULED: Final = 1 << 10
R_READING_MORE: Final = 1 << 11
#: pause() was called and not undone.
R_PAUSED: Final = 1 << 12
R_DID_READ: Final = 1 << 13
#: The source goes on pushing by itself until push() says False (a socket).
R_CONTINUOUS: Final = 1 << 14
R_BUFFERED: Final = 1 << 15
R_DECODING: Final = 1 << 16
#: Destroyed or failed.
R_DEAD: Final = 1 << 17
#: There is no reading side.
R_ABSENT: Final = 1 << 18
#: 'end' is under way.
R_END_SCHEDULED: Final = 1 << 19
#: An `async for` reads it.
R_ITERATED: Final = 1 << 20
#: _construct() has not called back: the source is not asked yet.
R_UNBUILT: Final = 1 << 21
#: A stream that is only written: listeners choose no mode.
R_NONE: Final = 1 << 22
#: Somebody listens for 'data', and was not put in front (which chooses no mode).
R_HEARD: Final = 1 << 23

#: A chunk goes straight to the 'data' listener when exactly R_FAST of R_FAST_MASK is set.
R_FAST: Final = R_FLOW | R_DID_READ | R_CONTINUOUS
R_FAST_MASK: Final = (
    R_FAST | R_ENDED | R_SYNC | R_BUFFERED | R_DECODING | R_DEAD | R_OBJECT | R_ABSENT
)

#: A chunk may wake a 'readable' listener at once when exactly R_WAIT of R_WAIT_MASK is set.
R_WAIT: Final = R_LISTENING | R_NEED_READABLE | R_CONTINUOUS | R_READING
R_WAIT_MASK: Final = (
    R_WAIT
    | R_FLOW
    | R_EMITTED_READABLE
    | R_ENDED
    | R_SYNC
    | R_BUFFERED
    | R_DECODING
    | R_DEAD
    | R_OBJECT
    | R_ABSENT
)

#: It may be handed over to an `async for` when exactly R_HAND of R_HAND_MASK is set: the first
#: chunk goes the long way.
R_HAND: Final = R_WAIT | R_DID_READ
R_HAND_MASK: Final = R_WAIT_MASK | R_DID_READ

# -- writing side -------------------------------------------------------------------------------
W_OBJECT: Final = 1 << 0
W_ENDING: Final = 1 << 1
W_ENDED: Final = 1 << 2
W_FINISHED: Final = 1 << 3
W_WRITING: Final = 1 << 4
#: _write() is on the stack.
W_SYNC: Final = 1 << 5
W_NEED_DRAIN: Final = 1 << 6
W_PREFINISHED: Final = 1 << 7
W_FINAL_CALLED: Final = 1 << 8
W_CORKED: Final = 1 << 9
W_BUFFERED: Final = 1 << 10
#: Destroyed or failed.
W_DEAD: Final = 1 << 11
#: There is no writing side.
W_ABSENT: Final = 1 << 12
#: There is no sink: writes go through _write().
W_NO_SINK: Final = 1 << 13
#: The buffer is being written out.
W_FLUSHING: Final = 1 << 14
#: A tick for 'drain' is queued.
W_DRAIN_TICK: Final = 1 << 15
#: Text is given to _write() as it is.
W_KEEP_TEXT: Final = 1 << 16
#: There is something to do between the last write and 'finish'.
W_FINAL: Final = 1 << 18
#: Callbacks of end() wait for 'finish'.
W_TO_TELL: Final = 1 << 17
#: _construct() has not called back: what is written waits.
W_UNBUILT: Final = 1 << 19

#: With none of these a chunk may go straight to the sink.
W_BUSY: Final = (
    W_OBJECT
    | W_ENDING
    | W_FINISHED
    | W_WRITING
    | W_CORKED
    | W_BUFFERED
    | W_DEAD
    | W_ABSENT
    | W_NO_SINK
)
#: With any of these a chunk has to wait in the buffer.
W_WAIT: Final = W_WRITING | W_CORKED | W_DEAD | W_UNBUILT
