"""What the three tailrace peers share: a listening server, `tailrace.run` and the choice of loop.

It does not know how a connection is echoed; that line is in the peers.
"""

from collections.abc import Callable
from typing import Any

import _command_line

import tailrace
from tailrace import net


def run(
    description: str,
    on_connection: Callable[[Any], Any],
    create: Callable[[], Any] = net.create_server,
) -> None:
    options = _command_line.parse(description)
    server = create()
    server.on('connection', on_connection)
    server.listen(options.port, '127.0.0.1', lambda: _command_line.ready(server.address()['port']))
    if options.uvloop:
        import uvloop

        tailrace.run(loop_factory=uvloop.new_event_loop)
    else:
        tailrace.run()
