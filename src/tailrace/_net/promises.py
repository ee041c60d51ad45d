"""``net.promises``: ``connect`` and ``listen`` that give the socket or server once it is ready.

Node has it since July 2026 (``node:net/promises``). In Python what ``net.connect()`` and
``server.listen()`` return can be awaited itself; these are coroutine functions, so they begin when
they are awaited, and what fails leaves nothing open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack, overload

from .._abort import check_signal
from .._names import merge_options
from .._validate import bad_type, is_mapping
from ..errors import AbortError
from . import connect as _connect
from . import server as _server
from .options import LISTEN_OPTIONS, SERVER_OPTIONS, connect_call

if TYPE_CHECKING:
    from .option_types import ConnectOptions, ListenOptions
    from .server import Server
    from .server_types import ServerOptions
    from .socket import Socket

    class ListeningOptions(ServerOptions, ListenOptions, total=False):
        """Options of :func:`listen`."""


__all__ = ['connect', 'listen']

_LISTEN = SERVER_OPTIONS | LISTEN_OPTIONS | {'connection_listener'}


def _throw_if_aborted(signal: Any) -> None:
    if signal is not None:
        check_signal('options.signal', signal).throw_if_aborted()


@overload
async def connect(
    port_number: int | str, host_name: str | None = None, /, **options: Unpack[ConnectOptions]
) -> Socket: ...


@overload
async def connect(
    options: Mapping[str, Any] | None = None, /, **keywords: Unpack[ConnectOptions]
) -> Socket: ...


async def connect(*args: Any, **options: Unpack[ConnectOptions]) -> Socket:
    """Connect, and give the connected socket.

    Forms: ``connect(port[, host])``, ``connect(path)``, ``connect(options)``, or keywords: those of
    :func:`tailrace.net.connect`. If it fails, is cancelled, or ``signal`` aborts meanwhile, the
    socket is destroyed and the error raised: that of the connection, or AbortError. A signal that
    was aborted before raises its reason, and nothing is begun. Raises what
    :func:`tailrace.net.connect` raises.
    """
    plain, _ = connect_call('connect', args, dict(options))
    _throw_if_aborted(plain.get('signal'))
    sock = _connect.create_connection(*args, **options)
    try:
        return await sock
    except BaseException:
        sock.destroy()
        raise


async def listen(
    options: Mapping[str, Any] | None = None, /, **keywords: Unpack[ListeningOptions]
) -> Server:
    """Make a server, listen, and give the server once it is listening.

    Options: those of :func:`tailrace.net.create_server` and of :meth:`Server.listen` together, and
    ``connection_listener``. If it fails, is cancelled, or ``signal`` aborts meanwhile, the server
    is closed and the error raised: that of listening (EADDRINUSE …), or AbortError. A signal that
    was aborted before raises its reason. Afterwards an abort closes the server, as for
    :meth:`Server.listen`. Raises what these two raise.
    """
    if options is not None and not is_mapping(options):
        bad_type('options', 'a mapping', options)
    given = merge_options('listen', options, dict(keywords), _LISTEN)
    _throw_if_aborted(given.get('signal'))
    listener = given.pop('connection_listener', None)
    own = {name: value for name, value in given.items() if name in SERVER_OPTIONS}
    rest = {name: value for name, value in given.items() if name in LISTEN_OPTIONS}
    server = _server.Server(own, listener)
    try:
        return await server.listen(rest)
    except BaseException as error:
        server.close()
        signal = given.get('signal')
        if isinstance(error, Exception) and signal is not None and signal.aborted:
            raise AbortError(cause=signal.reason) from None
        raise
