"""``tls.Server``: a ``net.Server`` whose connections are TLS sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._names import merge_options, node_names
from .._net.options import SERVER_OPTIONS
from .._stream.stream import Stream
from .._tally import Tally
from .._validate import bad_type, check_str, is_mapping
from ..errors import state_error
from .context import create_secure_context
from .failures import refused_option
from .rules import TLS_OPTIONS, Rules, split
from .socket import TLSSocket
from .typed_server import TypedTLSServer

__all__ = ['Server', 'create_server']

_new_socket = TLSSocket.__new__


@node_names
class Server(TypedTLSServer):
    """A server for TLS connections: ``Server([options][, listener])``.

    Options: those of ``net.Server`` and of :func:`create_secure_context`, and ``secure_context``,
    ``alpn_protocols``, ``alpn_callback``, ``sni_callback``, ``request_cert`` (default False; a
    client without a trusted certificate is refused), ``handshake_timeout`` (ms, default 120000; 0:
    none), ``max_send_fragment``, ``allow_truncation``, ``enable_trace``. ``listener(socket)`` is
    called at 'secureConnection'; a coroutine function runs as a task.

    Events: those of ``net.Server``; 'secureConnection' (socket) when a handshake is complete,
    'tlsClientError' (error, socket) when one fails: that connection is closed, counted in
    :attr:`handshake_failures`, and disturbs nobody. 'connection' (socket) is emitted before the
    handshake, with the TLS socket. ``async for sock in server`` gives secure connections.
    """

    _served = 'secureConnection'
    _rules: Rules

    def __init__(self, options: Any = None, listener: Any = None, /, **keywords: Any) -> None:
        if callable(options):
            options, listener = None, options
        if options is not None and not is_mapping(options):
            bad_type('options', 'a mapping', options)
        listener = keywords.pop('secure_connection_listener', listener)
        known = TLS_OPTIONS | SERVER_OPTIONS
        given = merge_options('create_server', options, keywords, known)
        ours, rest = split(given)
        ours.pop('is_server', None)
        self._rules = Rules(ours, True)
        self._handshake_failures = 0
        super().__init__(rest, listener)

    # -- connections ------------------------------------------------------------------------------

    def _connection(self, handle: Any, mark: int) -> Any:
        sock = _new_socket(TLSSocket)
        sock._accept(handle, self, mark)
        return sock

    def _arrived(self, sock: Any) -> None:
        self._sockets[sock] = True
        if 'connection' in self._events:
            self._emit_arrival('connection', sock)

    def _client_secure(self, sock: TLSSocket) -> None:
        """A handshake is complete."""
        if sock in self._sockets:
            self._present(sock, 'secureConnection')
        else:
            self._emit_arrival('secureConnection', sock)

    def _client_failed(self, error: Exception, sock: TLSSocket) -> None:
        """A handshake has failed; the socket is destroyed after this."""
        self._handshake_failures += 1
        self.emit('tlsClientError', error, sock)

    def emit(self, event: Any, /, *args: Any) -> bool:
        above: Any = super()
        if event == 'connection' and args and not isinstance(args[0], TLSSocket):
            # As in Node: any Duplex can be given to the server as a new connection.
            if not isinstance(args[0], Stream):
                bad_type('socket', 'a Duplex', args[0])
            sock = _new_socket(TLSSocket)
            sock._start(self._rules, {'allow_half_open': self.allow_half_open})
            sock._server = _Guest(self)
            above.emit('connection', *args)
            sock._wrap(args[0])
            return True
        return bool(above.emit(event, *args))

    @property
    def handshake_failures(self) -> int:
        """How many handshakes have failed."""
        return self._handshake_failures

    # -- contexts ---------------------------------------------------------------------------------

    def add_context(self, hostname: str, context: Any) -> None:
        """Use ``context`` for clients that ask for ``hostname``; ``*.example.org`` stands for many.

        A SecureContext, an ``ssl.SSLContext`` or the options for one. The latest that fits counts.
        """
        name = check_str('hostname', hostname)
        if not name:
            raise state_error('ERR_TLS_REQUIRED_SERVER_NAME')
        made = self._rules.fitted(create_secure_context(context))
        self._rules.contexts.insert(0, (name, made))

    def set_secure_context(self, options: Any = None, /, **keywords: Any) -> None:
        """Another certificate for connections from now on; those that are open go on as they are.

        The options are those of :func:`create_secure_context`, all of them: without ``ca`` clients
        are trusted that the system trusts. On an error nothing has changed.
        """
        if is_mapping(options) and keywords:
            options = {**options, **keywords}
            keywords = {}
        self._rules.context = self._rules.fitted(create_secure_context(options, **keywords))

    def get_ticket_keys(self) -> bytes:
        """Not available: ERR_TLS_OPTION_UNSUPPORTED."""
        raise refused_option('get_ticket_keys()', "Python's ssl has no call for it")

    def set_ticket_keys(self, keys: bytes) -> None:
        """Not available: ERR_TLS_OPTION_UNSUPPORTED."""
        raise refused_option('set_ticket_keys()', "Python's ssl has no call for it")

    if TYPE_CHECKING:  # Node's spellings; see node_names
        handshakeFailures = handshake_failures
        addContext = add_context
        setSecureContext = set_secure_context
        getTicketKeys = get_ticket_keys
        setTicketKeys = set_ticket_keys


class _Guest:
    """What stands for the server at a socket that was given to it: counted by nobody."""

    _handlings: dict[Any, Any] = {}
    _waited_for: set[Any] = set()
    _tally = Tally()

    def __init__(self, server: Server) -> None:
        self._real = server

    def _client_secure(self, sock: TLSSocket) -> None:
        self._real._client_secure(sock)

    def _client_failed(self, error: Exception, sock: TLSSocket) -> None:
        self._real._client_failed(error, sock)

    def _connection_closed(self, sock: Any) -> None:
        """Nothing to count off."""

    def _connection_failed(self, sock: Any, error: BaseException) -> bool:
        return self._real._connection_failed(sock, error)

    def _handler_waits(self, sock: Any) -> bool:
        return False


def create_server(
    options: Mapping[str, Any] | Any = None, listener: Any = None, /, **keywords: Any
) -> Server:
    """``Server(options, listener)``: see :class:`Server`."""
    return Server(options, listener, **keywords)
