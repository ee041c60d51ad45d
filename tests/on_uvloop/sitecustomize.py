"""On the path of a program, this makes uvloop its loop: of ``tailrace.run`` and ``asyncio.run``.

Programs of the documents and examples do not name a loop, so that is how they are run on the other
one as they stand. This file knows where both look a loop up, and nothing of the programs.
"""

from __future__ import annotations

import asyncio.events

import uvloop

from tailrace import _program

_program.new_event_loop = uvloop.new_event_loop
asyncio.events.new_event_loop = uvloop.new_event_loop
