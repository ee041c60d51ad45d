"""``Worker``: one worker process, as the primary sees it, and as it sees itself.

This file refuses to know who listens where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._names import node_names
from ..events import EventEmitter
from .talk import Talker

__all__ = ['Worker']


@node_names
class Worker(EventEmitter):
    """A worker of the cluster: ``cluster.workers[id]``, or ``cluster.worker`` inside it.

    Events: 'online', 'listening' (address), 'message' (message, handle), 'disconnect',
    'exit' (code, signal), 'error' (error), and 'ready' when ``tailrace.serve`` serves in it.
    """

    #: Its number in the cluster, from 1.
    id: int = 0
    #: The ChildProcess, or ``process`` inside the worker.
    process: Any = None
    #: Whether it was asked to go; None while it has neither exited nor been disconnected.
    exited_after_disconnect: bool | None = None

    def __init__(self, number: int, process: Talker) -> None:
        super().__init__()
        self.id = number
        self.process = process
        #: 'none', 'online', 'listening', 'disconnected', 'dead'.
        self.state = 'none'
        process._before_message = self._message
        process.on('error', self._error)

    def _message(self, message: Any, handle: Any) -> None:
        self.emit('message', message, handle)

    def _error(self, error: Any) -> None:
        self.emit('error', error)

    def send(
        self,
        message: Any,
        handle: Any = None,
        options: Any = None,
        callback: Any = None,
        *,
        keep_open: bool = False,
    ) -> bool:
        """Send a message to the other side; as ``ChildProcess.send``."""
        return bool(self.process.send(message, handle, options, callback, keep_open=keep_open))

    def is_connected(self) -> bool:
        """Whether its channel is open."""
        return bool(self.process.connected)

    def is_dead(self) -> bool:
        """Whether the process has ended."""
        process = self.process
        return (
            getattr(process, 'exit_code', None) is not None
            or getattr(process, 'signal_code', None) is not None
        )

    def disconnect(self) -> Worker:
        """Let it close its servers, wait for their connections, then close the channel.

        Returns the worker. It ends by itself then, unless something else keeps it alive.
        """
        raise NotImplementedError

    def kill(self, signal: Any = None) -> None:
        """End it: in the primary by a signal (default 'SIGTERM'), inside by leaving."""
        raise NotImplementedError

    def destroy(self, signal: Any = None) -> None:
        """The same as :meth:`kill`."""
        self.kill(signal)

    def __repr__(self) -> str:
        return f'<Worker {self.id} {self.state} pid={self.process.pid}>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        isConnected = is_connected
        isDead = is_dead
