"""What a socket's listeners hear while it connects, in the order in which Node tells it.

It refuses to know what is tried when (``connecting.py``, ``attempts.py``), and what a socket does
once it is connected (``endpoint.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._addr import BlockList
from .._handles import DONE, StreamHandle
from .._tally import clients
from ..errors import state_error, system_error
from . import channels
from .introducing import introduce

if TYPE_CHECKING:
    from .._proxy import ProxyHeader

__all__ = ['Report']


class Report:
    """Tells a socket's listeners what happens while it connects (see ``ConnectReport``)."""

    __slots__ = ('_block_list', '_introduction', '_socket')

    def __init__(
        self, socket: Any, block_list: BlockList | None, introduction: ProxyHeader | int | None
    ) -> None:
        self._socket = socket
        self._block_list = block_list
        #: What is said before anything else, by the PROXY protocol.
        self._introduction = introduction

    def lookup(self, error: Exception | None, address: Any, family: Any, host: str) -> None:
        if self._socket._idle is not None:
            self._socket._idle.touch()
        self._socket.emit('lookup', error, address, family, host)

    def attempting(self, address: str, port: int | None, family: int | None) -> None:
        self._socket.emit('connectionAttempt', address, port, family)

    def failed(self, address: str, port: int | None, family: int | None, error: Exception) -> None:
        machine = self._socket._under_way
        if machine is not None and machine.attempted is None:
            # It was the only one: the socket is no longer connecting when that is told.
            self._socket._connecting = False
        self._socket.emit('connectionAttemptFailed', address, port, family, error)

    def timed_out(self, address: str, port: int | None, family: int | None) -> None:
        self._socket.emit('connectionAttemptTimeout', address, port, family)

    def connected(self, handle: StreamHandle) -> None:
        if self._introduction is not None:
            code = introduce(handle, self._introduction, self._introduced)
            if code > 0:
                handle.close()
                self.gave_up(system_error(code, 'write'))
                return
        self._socket._connected(handle)

    def _introduced(self, code: int) -> None:
        if code != DONE:
            self._socket.destroy(system_error(code, 'write'))

    def gave_up(self, error: Exception) -> None:
        socket = self._socket
        if socket._under_way is not None:
            socket._attempted = socket._under_way.attempted
        socket._connecting = False
        clients.gave_up(error)
        if channels.connect_error.subscribers:
            channels.connect_error.publish({'socket': socket, 'error': error})
        socket.destroy(error)

    def refuse(self, address: str, family: int) -> Exception | None:
        if self._block_list is not None and self._block_list.check(address, f'ipv{family}'):
            return state_error('ERR_IP_BLOCKED', f'{address} is blocked by the block list')
        return None
