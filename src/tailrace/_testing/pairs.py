"""Connected pairs of sockets: in memory, over TCP, over a Unix socket."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from .. import _runtime
from .._net.connect import connect
from .._net.server import Server
from .._net.socket import Socket
from .faults import Faults
from .wire import wire

__all__ = ['socket_pair', 'tcp_pair', 'unix_pair']

NO_FAULTS = Faults()


def socket_pair(
    faults: Faults | None = None, back: Faults | None = None, **options: Any
) -> tuple[Socket, Socket]:
    """Two connected sockets without descriptors: real ``Socket`` objects on a wire in memory.

    ``faults`` are those of what the first socket writes, ``back`` (default: none) those of the
    other direction. Further options are those of ``Socket``, for both. Everything a socket does
    works, and as on TCP: backpressure, half-open, timeouts, resets; addresses are made up.
    """
    handles = wire(_runtime.current(), faults or NO_FAULTS, back or NO_FAULTS)
    one, two = (Socket({**options, 'handle': handle}) for handle in handles)
    return one, two


async def _pair(where: list[Any], options: dict[str, Any]) -> tuple[Socket, Socket]:
    server = Server({'allow_half_open': bool(options.get('allow_half_open'))})
    try:
        await server.listen(*where)
        arrivals = aiter(server)
        address = server.address()
        place = (
            {'path': address}
            if isinstance(address, str)
            else {'port': address['port'], 'host': address['address']}
        )
        client = await connect({**options, **place})
        try:
            return client, await anext(arrivals)
        except BaseException:
            client.destroy()
            raise
    finally:
        server.close()


async def tcp_pair(**options: Any) -> tuple[Socket, Socket]:
    """Two sockets connected over TCP on the loopback; options are those of ``Socket``.

    (The server's side takes ``allow_half_open`` of them.)
    """
    return await _pair([0, '127.0.0.1'], options)


async def unix_pair(**options: Any) -> tuple[Socket, Socket]:
    """Two sockets connected over a Unix socket, whose file is gone; options as for tcp_pair."""
    folder = tempfile.mkdtemp()
    try:
        return await _pair([os.path.join(folder, 'socket')], options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
