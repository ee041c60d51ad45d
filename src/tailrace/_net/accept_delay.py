"""How long connections wait to be accepted.

A program does not see when a connection has become ready to be accepted. The kernel knows, by the
connection: since when nothing has come from its peer (TCP_INFO). The last step of the handshake
comes from the peer, so right after the accept this is the time that it has waited; or a part of it,
if the peer has sent something meanwhile.
"""

from __future__ import annotations

from typing import Any

from .._handles import facts
from .._names import node_names
from . import channels
from .delay import Delays

__all__ = ['AcceptDelay', 'enabled_accept_delay', 'monitor_accept_delay']

_enabled: list[AcceptDelay] = []


@node_names
class AcceptDelay(Delays):
    """How long connections waited to be accepted, in ms; see :func:`monitor_accept_delay`."""

    __slots__ = ()

    def enable(self) -> bool:
        """Measure the connections that all servers of the process accept; False if it does so."""
        if self._is_enabled():
            return False
        _enabled.append(self)
        channels.server_socket.subscribe(self._accepted)
        return True

    def disable(self) -> bool:
        """Stop measuring, and keep the figures; False if it was not enabled."""
        if not self._is_enabled():
            return False
        _enabled.remove(self)
        channels.server_socket.unsubscribe(self._accepted)
        return True

    def _is_enabled(self) -> bool:
        return any(one is self for one in _enabled)

    def _accepted(self, message: Any) -> None:
        waited = facts.silence(message['socket'].fileno())
        if waited is not None:
            self._add(waited)


def monitor_accept_delay() -> AcceptDelay:
    """Make a monitor of the time that connections wait in the system's queue.

    It begins with :meth:`AcceptDelay.enable`. While one is enabled ``stats()`` has its figures, and
    each accept costs one more system call. They are whole milliseconds, and shorter than the truth
    for a client that has sent something while it waited. Linux and TCP only: elsewhere nothing is
    measured.
    """
    return AcceptDelay()


def enabled_accept_delay() -> AcceptDelay | None:
    """The monitor that was enabled first."""
    return _enabled[0] if _enabled else None
