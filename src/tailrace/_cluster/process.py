"""``process``: the child's side of the message channel.

The channel is opened when it is first used, on the loop that runs then. It keeps the program alive
only while somebody listens for 'message' or 'disconnect', Node's rule.
"""

from __future__ import annotations

import atexit
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _runtime
from .._names import node_names
from .child import CHANNEL_FD
from .ipc import Channel
from .talk import Talker

__all__ = ['Process', 'process']

_HOLDING = ('message', 'disconnect')


def _inherited() -> int:
    """The descriptor of the channel, or -1. Children of this process shall not see the name."""
    try:
        fd = int(os.environ.pop(CHANNEL_FD, ''))
        with socket.socket(fileno=os.dup(fd)) as sock:
            is_channel = sock.family == socket.AF_UNIX
        os.set_inheritable(fd, False)
    except (ValueError, OSError, AttributeError):
        return -1
    return fd if is_channel else -1


@node_names
class Process(Talker):
    """This process, as far as its parent is concerned.

    Events: 'message' (message, handle), 'disconnect' when the channel is closed by either side or
    the parent has ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self._fd = _inherited()
        #: A cluster worker lives until it is disconnected.
        self._keep = False

    @property
    def connected(self) -> bool:
        """Whether there is a parent that can be talked to."""
        return self._channel is not None or self._fd >= 0

    @property
    def pid(self) -> int:
        """The id of this process."""
        return os.getpid()

    @property
    def channel(self) -> Channel | None:
        """The channel, for its ``ref()`` and ``unref()``; None without a parent."""
        self._open()
        return self._channel

    def _open(self) -> None:
        """Open the channel, or take it along to the loop that runs now."""
        runtime = _runtime.current()
        channel = self._channel
        if channel is not None:
            if channel.runtime is not runtime and channel.runtime.loop is None:
                channel.move(runtime)
        elif self._fd >= 0:
            fd, self._fd = self._fd, -1
            self._use_channel(Channel(runtime, fd, self))
            self._update_hold()

    def _update_hold(self) -> None:
        channel = self._channel
        if channel is not None:
            if self._keep or self._asked or any(map(self.listener_count, _HOLDING)):
                channel.ref()
            else:
                channel.unref()

    def send(
        self,
        message: Any,
        handle: Any = None,
        options: Any = None,
        callback: Any = None,
        *,
        keep_open: bool = False,
    ) -> bool:
        """Send a message to the parent; as ``ChildProcess.send``."""
        self._open()
        return super().send(message, handle, options, callback, keep_open=keep_open)

    def disconnect(self) -> None:
        """Close the channel; see ``ChildProcess.disconnect``."""
        self._open()
        super().disconnect()

    def _ask(
        self, request: dict[str, Any], done: Callable[[dict[str, Any] | None], object]
    ) -> None:
        self._open()
        super()._ask(request, done)

    def _listener_added(self, event: Any) -> None:
        if event in _HOLDING:
            self._open()
            self._update_hold()
        super()._listener_added(event)

    def _remove(self, event: Any, listener: Any) -> None:
        super()._remove(event, listener)
        if event in _HOLDING:
            self._update_hold()

    def remove_all_listeners(self, event: Any = None, /) -> Any:
        """Remove the listeners of ``event``, or all of them."""
        super().remove_all_listeners(event)
        self._update_hold()
        return self

    def _end(self) -> None:
        """The interpreter ends: let go of the channel without a word."""
        if self._channel is not None:
            self._channel.drop()

    def __repr__(self) -> str:
        return f'<process {os.getpid()}{" connected" if self.connected else ""}>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        removeAllListeners = remove_all_listeners


#: This process.
process = Process()
atexit.register(process._end)
