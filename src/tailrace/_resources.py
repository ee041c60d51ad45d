"""What keeps a program alive, in words, for people who ask why it does not end."""

from __future__ import annotations

import time
from typing import Any

from ._names import Record
from ._runtime import current

__all__ = ['active_resources']


def active_resources() -> list[Record]:
    """What keeps the program alive: for people who ask why it does not end.

    A list of records ``{kind, address, since}``: ``kind`` such as ``'server'`` or ``'timeout'``,
    ``address`` what it stands for, ``since`` how many ms it has been active. A connection (kind
    ``'socket'``) has these as well: ``peer`` and ``local``, its two ends; ``state``:
    ``'connecting'``, ``'reading'`` (open), ``'ended by the peer'``, ``'ended'`` (by the program;
    something is still to be written), ``'waiting for the peer'`` (to end too); ``queued``, the
    bytes that were written and not yet sent; ``unread``, those that came in and were not read.
    """
    now = time.monotonic()
    out: list[Record] = []
    for holder, since in current().holders.items():
        kind, address = holder.describe()
        record = Record(kind=kind, address=address, since=round((now - since) * 1000, 3))
        more: Any = getattr(getattr(holder, 'owner', None), '_resource_details', None)
        if more is not None:
            record.update(more())
        out.append(record)
    return out
