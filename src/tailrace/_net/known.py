"""What can be asked of a socket: its ends, its state, its counts. Asking changes nothing."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from .._names import Record, node_names
from .._stream.describe import describe
from .._stream.encodings import byte_length
from .._stream.state import R_ENDED, W_ENDING, W_FINISHED
from .._validate import check_number
from .settings import checked_block_list
from .typed_socket import TypedSocket
from .unheard import place

if TYPE_CHECKING:
    from .._addr import BlockList
    from .._proxy import ProxyHeader

__all__ = ['Known']


@node_names
class Known(TypedSocket):
    """The part of :class:`Socket` that answers; not used by itself."""

    @property
    def server(self) -> Any:
        """The server that accepted this socket, or None."""
        return self._server

    #: Set by a server, see proxied.py.
    _proxy_header: ProxyHeader | None = None

    @property
    def proxy_header(self) -> ProxyHeader | None:
        """The :class:`~tailrace.proxy_protocol.ProxyHeader` that a server has read, or None."""
        return self._proxy_header

    @property
    def block_list(self) -> BlockList | None:
        """The BlockList given to the constructor, or None; may be set."""
        return self._block_list

    @block_list.setter
    def block_list(self, value: BlockList | None) -> None:
        self._block_list = checked_block_list(value)

    @property
    def connecting(self) -> bool:
        """Whether ``connect()`` is under way."""
        return self._connecting

    @property
    def pending(self) -> bool:
        """Whether the socket is not connected: not yet, or no more."""
        return self._handle is None or self._connecting

    @property
    def ready_state(self) -> str:
        """'opening', 'open', 'readOnly', 'writeOnly' or 'closed'."""
        if self._connecting:
            return 'opening'
        if self.readable:
            return 'open' if self.writable else 'readOnly'
        return 'writeOnly' if self.writable else 'closed'

    @property
    def timeout(self) -> int | float | None:
        """What was given to :meth:`set_timeout`, in ms; None if nothing was.

        May be set, as in Node; only :meth:`set_timeout` starts or stops the timer. Raises
        ERR_INVALID_ARG_TYPE for what is neither a number nor None.
        """
        return self._timeout

    @timeout.setter
    def timeout(self, value: int | float | None) -> None:
        self._timeout = None if value is None else check_number('timeout', value)

    @property
    def auto_select_family_attempted_addresses(self) -> list[str] | None:
        """``'ip:port'`` of each address tried, if there were several to try."""
        found = self._attempted if self._under_way is None else self._under_way.attempted
        return None if found is None else list(found)

    @property
    def bytes_read(self) -> int:
        """Bytes received on this connection."""
        return self._counted[0] if self._handle is None else self._handle.bytes_read

    @property
    def bytes_written(self) -> int:
        """Bytes written on this connection, the queued ones included."""
        count = self._counted[1] if self._handle is None else self._handle.bytes_written
        if self._held_write is not None:
            count += self._held_write[2]
        for chunk, encoding, _, _ in self._w_buf or ():
            count += byte_length(chunk, encoding)
        return count

    @property
    def buffer_size(self) -> int | None:
        """Deprecated: :attr:`writable_length`; None before connect()."""
        warnings.warn('buffer_size: use writable_length', DeprecationWarning, stacklevel=2)
        if self._handle is None and not self._connecting:
            return None
        return self.writable_length

    def address(self) -> Record:
        """Own ``{address, family, port}``; empty without an IP connection."""
        info = self._name(False)
        if info is None:
            return Record()
        return Record(address=info[0], family=info[2], port=info[1])

    def _name(self, peer: bool) -> Any:
        """Own or the peer's (address, port, family), asked of the system once."""
        names = self._names
        if names is None:
            if self._handle is None:
                # While it connects the own address is known already.
                machine = self._under_way
                trying = None if peer or machine is None else machine.trying
                return None if trying is None else trying.get_sock_name()
            names = self._names = [None, None]
        if names[peer] is None and self._handle is not None:
            handle = self._handle
            names[peer] = handle.get_peer_name() if peer else handle.get_sock_name()
        return names[peer]

    @property
    def local_address(self) -> str | None:
        """Own IP address; None when not connected, destroyed, or on a Unix socket."""
        name = self._name(False)
        return None if name is None else str(name[0])

    @property
    def local_port(self) -> int | None:
        """Own port, or None."""
        name = self._name(False)
        return None if name is None else int(name[1])

    @property
    def local_family(self) -> str | None:
        """'IPv4', 'IPv6' or None."""
        name = self._name(False)
        return None if name is None else str(name[2])

    @property
    def remote_address(self) -> str | None:
        """The peer's IP address; None without one; once read it stays."""
        name = self._name(True)
        return None if name is None else str(name[0])

    @property
    def remote_port(self) -> int | None:
        """The peer's port, or None."""
        name = self._name(True)
        return None if name is None else int(name[1])

    @property
    def remote_family(self) -> str | None:
        """'IPv4', 'IPv6' or None."""
        name = self._name(True)
        return None if name is None else str(name[2])

    def _resource_details(self) -> dict[str, Any]:
        """For :func:`tailrace.active_resources`."""
        if self._connecting:
            state = 'connecting'
        elif self._w & W_FINISHED:
            state = 'waiting for the peer'
        elif self._w & W_ENDING:
            state = 'ended'
        else:
            state = 'ended by the peer' if self._r & R_ENDED else 'reading'
        return {
            'peer': place(self._name(True)),
            'local': place(self._name(False)),
            'state': state,
            'queued': self.writable_length,
            'unread': self.readable_length,
        }

    def __repr__(self) -> str:
        words = [type(self).__name__]
        handle = self._handle
        if self._connecting:
            words.append('connecting')
        elif handle is not None:
            words.append(f'fd={handle.fd}')
            if self.remote_address is not None:
                words.append(f'{place(self._name(False))} -> {place(self._name(True))}')
        words.append(f'{self.ready_state}, {describe(self)}')
        return f'<{" ".join(words)}>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        proxyHeader = proxy_header
        blockList = block_list
        readyState = ready_state
        autoSelectFamilyAttemptedAddresses = auto_select_family_attempted_addresses
        bytesRead = bytes_read
        bytesWritten = bytes_written
        bufferSize = buffer_size
        localAddress = local_address
        localPort = local_port
        localFamily = local_family
        remoteAddress = remote_address
        remotePort = remote_port
        remoteFamily = remote_family
