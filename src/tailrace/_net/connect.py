"""``net.connect``: a socket made and connected in one call.

Apart from the class, whose ``connect`` a program may override or patch: that one is asked then.
This file refuses to know how a connection comes about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack, overload

from . import channels
from .options import CONNECT_OPTIONS, connect_call
from .socket import Socket

if TYPE_CHECKING:
    from .option_types import ConnectOptions, OnConnect

__all__ = ['connect', 'create_connection']


@overload
def create_connection(
    port_number: int | str,
    host_name: str | None = None,
    listener: OnConnect | None = None,
    /,
    **options: Unpack[ConnectOptions],
) -> Socket: ...


@overload
def create_connection(
    port_or_path: int | str, listener: OnConnect | None, /, **options: Unpack[ConnectOptions]
) -> Socket: ...


@overload
def create_connection(
    options: Mapping[str, Any],
    listener: OnConnect | None = None,
    /,
    **keywords: Unpack[ConnectOptions],
) -> Socket: ...


@overload
def create_connection(
    listener: OnConnect | None = None, /, **options: Unpack[ConnectOptions]
) -> Socket: ...


def create_connection(*args: Any, **options: Unpack[ConnectOptions]) -> Socket:
    """Make a socket and connect it; returns the socket, which is connecting.

    Forms: ``connect(port[, host][, listener])``, ``connect(path[, listener])``,
    ``connect(options[, listener])``, or keywords. The options are those of :class:`Socket` and of
    :meth:`Socket.connect` together, and ``timeout`` (ms): ``set_timeout`` before connecting.
    ``await connect(...)`` gives the connected socket or raises the error.
    """
    plain, callback = connect_call('connect', args, dict(options))
    timeout = plain.get('timeout')
    own = {name: value for name, value in plain.items() if name not in _ONLY_CONNECT}
    sock = Socket(own)
    if channels.client_socket.has_subscribers:
        channels.client_socket.publish({'socket': sock})
    if timeout:
        sock.set_timeout(timeout)
    if sock.destroyed:
        # SK-10: a signal that was aborted already; the socket never connects.
        return sock
    if Socket.connect is _own_connect:
        sock._connect(plain, callback)
    else:  # patched by the program: it is asked, as in Node
        sock.connect(plain, callback)
    return sock


_own_connect = Socket.connect


_ONLY_CONNECT = CONNECT_OPTIONS - {
    'block_list',
    'keep_alive',
    'keep_alive_initial_delay',
    'no_delay',
    'type_of_service',
}

#: The same function under Node's shorter name.
connect = create_connection
