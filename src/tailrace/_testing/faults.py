"""What can be wrong with a connection, as plain values. The carrying out is in ``wire.py``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ['Faults']


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults of one direction of a connection; the default has none.

    Bytes are counted from 0, so ``reset_at=10`` lets exactly ten through. Order is always kept.
    """

    #: How long bytes are on their way, in ms (by the clock of timers: a FakeClock moves them).
    delay: float = 0
    #: The longest chunk that the receiver is handed, bytes; 0: as it comes.
    split: int = 0
    #: The most bytes that are taken at once of a write; the rest waits. 0: all there is room for.
    short_writes: int = 0
    #: Bytes on their way before the writer has to wait: the two kernel buffers.
    capacity: int = 65536
    #: After that many bytes nothing arrives any more, neither data nor an end: a cut cable.
    lose_at: int | None = None
    #: After that many bytes have arrived the connection is reset for both ends (ECONNRESET).
    reset_at: int | None = None
    #: After that many bytes have arrived comes the end, whatever else was written.
    end_at: int | None = None
