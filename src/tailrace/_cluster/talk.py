"""``Talker``: what both ends of a message channel share: ``send``, 'message', ``disconnect``.

A ChildProcess talks to its child and ``process`` to its parent. On top of the program's messages
there are requests of this package with an answer (``_ask``), and what only the cluster understands
goes to ``_on_internal``. This file refuses to know who started whom.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from .. import _runtime
from .._handles import DONE
from .._listeners import adapt
from .._names import node_names
from .._validate import bad_type, is_mapping
from ..errors import state_error, system_error
from ..events import EventEmitter
from .ipc import INTERNAL, LOST, MESSAGE, PLAIN, Channel
from .passing import Parcel, Received, Sent, pack, unpack

__all__ = ['Talker']

Answer = Callable[[dict[str, Any]], object]


@node_names
class Talker(EventEmitter):
    """An emitter with a message channel.

    Events: 'message' (message, handle), 'disconnect', 'error' (error). Messages that come while
    nobody listens for 'message' wait for the first listener.
    """

    def __init__(self) -> None:
        super().__init__()
        self._channel: Channel | None = None
        self._undelivered: list[tuple[Any, Any]] = []
        #: What waits behind a connection whose own writes must go out first.
        self._outbox: deque[Callable[[], object]] | None = None
        self._serial = 0
        self._asked: dict[int, Callable[[dict[str, Any] | None], object]] = {}
        self._on_internal: Callable[[dict[str, Any], list[int] | None, Answer], object] = _unknown
        #: Called before 'disconnect' is emitted, and before 'message' is: (message, handle).
        self._before_disconnect: Callable[[], object] | None = None
        self._before_message: Callable[[Any, Any], object] | None = None
        #: Gets what the cluster says for every connection.
        self._on_plain: Callable[[bytes, list[int] | None], object] = _close_all
        self._sent: dict[Any, Sent] = {}
        self._received: dict[int, Received] = {}

    def _run(self) -> _runtime.Runtime:
        return self._channel.runtime if self._channel is not None else _runtime.current()

    def _use_channel(self, channel: Channel) -> None:
        self._channel = channel
        channel.on_message = self._on_frame
        channel.on_closed = self._on_closed

    @property
    def connected(self) -> bool:
        """Whether messages can be sent and received."""
        return self._channel is not None

    # -- sending ----------------------------------------------------------------------------

    def send(
        self,
        message: Any,
        handle: Any = None,
        options: Any = None,
        callback: Any = None,
        *,
        keep_open: bool = False,
    ) -> bool:
        """Send a message (anything JSON can say), and with it a socket, server or handle.

        ``handle``: a Socket (gives its connection up, unless ``keep_open``), a Server (both
        processes accept then), a raw handle, a BoundSocket or a ``socket.socket``. ``options``: a
        mapping with ``keep_open``. A trailing callable is the ``callback(error)``: called when the
        message is out, or with a handle when the other process has it.

        Returns False when the channel is closed or a lot waits to be sent already. A failure goes
        to the callback, without one to 'error': ERR_IPC_CHANNEL_CLOSED, or with a handle
        ERR_CHILD_CLOSED_BEFORE_REPLY when the other process ended before it had it (a
        RuntimeWarning if nobody listens). Raises ERR_INVALID_HANDLE_TYPE, and ERR_INVALID_ARG_TYPE
        for what JSON cannot say.
        """
        if callable(handle):
            handle, callback = None, handle
        elif callable(options):
            options, callback = None, options
        if options is not None:
            if not is_mapping(options):
                bad_type('options', 'a mapping', options)
            keep_open = bool(options.get('keep_open', options.get('keepOpen', keep_open)))
        done = adapt(callback) if callable(callback) else None
        if self._channel is None:
            self._failed(state_error('ERR_IPC_CHANNEL_CLOSED'), done)
            return False
        parcel = None if handle is None else pack(handle, keep_open)
        body: dict[str, Any] = {'m': message}
        if parcel is not None:
            body['h'] = parcel.about
            self._enter_in_books(parcel, keep_open)
        return self._post(body, parcel, done)

    def _enter_in_books(self, parcel: Parcel, keep_open: bool) -> None:
        server = parcel.server
        if server is None:
            return
        sent = self._sent.get(server)
        if sent is None:
            self._serial += 1
            sent = self._sent[server] = Sent(self, self._serial)
        parcel.about['key'] = sent.key
        if keep_open:
            server._connections += 1  # counted here and there

    def _written(self, code: int) -> None:
        self._unblock()

    def _post(self, body: Any, parcel: Parcel | None, done: Any) -> bool:
        outbox = self._outbox
        if outbox is not None:
            outbox.append(lambda: self._post_now(body, parcel, done))
            return False
        handle = None if parcel is None else parcel.handle
        if handle is not None and handle.write_queue_size:
            # What this process wrote comes before what the other one will write.
            self._outbox = deque([lambda: self._post_now(body, parcel, done)])
            handle.write(b'', self._written)
            return False
        return self._post_now(body, parcel, done)

    def _unblock(self) -> None:
        outbox, self._outbox = self._outbox, None
        for post in outbox or ():
            post()

    def _post_now(self, body: Any, parcel: Parcel | None, done: Any) -> bool:
        channel = self._channel
        if channel is None:
            if parcel is not None:
                parcel.release()
            self._failed(state_error('ERR_IPC_CHANNEL_CLOSED'), done)
            return False

        def after(code: int) -> None:
            if parcel is not None:
                parcel.release()
            if code == DONE:
                if done is not None:
                    done(None)
            elif code == LOST:
                self._lost(done)
            else:
                self._failed(system_error(code, 'write'), done)

        try:
            more = channel.send(MESSAGE, body, () if parcel is None else (parcel.fd,), after)
        except (TypeError, ValueError) as error:
            if parcel is not None:
                parcel.release()
            bad_type('message', f'something JSON can say ({error})', body['m'])
        server = None if parcel is None else parcel.server
        if server is not None:
            server._handed_over(self._sent[server])
        return more

    def _lost(self, done: Any) -> None:
        """The other process ended with something in flight.

        It may end at any moment, so a program that never asked is warned, not ended.
        """
        if done is None and not self.listener_count('error'):
            text = f'{self!r} ended before it had received a handle that was sent to it'
            warnings.warn(text, RuntimeWarning, stacklevel=2)
            return
        self._failed(state_error('ERR_CHILD_CLOSED_BEFORE_REPLY'), done)

    def _failed(self, error: Exception, done: Any) -> None:
        if done is not None:
            self._run().push(done, (error,))
        else:
            self._run().push(self.emit, ('error', error))

    # -- this package's own messages --------------------------------------------------------

    def _tell(self, message: dict[str, Any], fds: tuple[int, ...] | list[int] = ()) -> bool:
        """A message without an answer; dropped when there is no channel."""
        channel = self._channel
        return channel is not None and channel.send(INTERNAL, message, fds)

    def _ask(
        self, request: dict[str, Any], done: Callable[[dict[str, Any] | None], object]
    ) -> None:
        """A request; ``done(answer)`` later, with None if the other process ends before."""
        self._serial += 1
        self._asked[self._serial] = done
        if self._channel is None:
            self._run().push(self._answered, (self._serial, None))
            return
        self._channel.send(INTERNAL, {**request, 'ask': self._serial})
        self._update_hold()

    def _answered(self, serial: int, reply: dict[str, Any] | None) -> None:
        done = self._asked.pop(serial, None)
        self._update_hold()
        if done is not None:
            done(reply)

    def _update_hold(self) -> None:
        """Whether the channel holds the program; the two ends have different rules."""

    # -- receiving --------------------------------------------------------------------------

    def _on_frame(self, kind: int, body: Any, fds: list[int] | None) -> None:
        if kind == PLAIN:
            self._on_plain(body, fds)
            return
        if not isinstance(body, dict):
            for fd in fds or ():
                os.close(fd)
            self._reject()
            return
        message = cast('dict[str, Any]', body)
        if kind == INTERNAL:
            if isinstance(message.get('answer'), int):
                if fds:
                    message['fds'] = fds
                self._answered(message['answer'], message)
            else:
                self._run().step(self._internal, (message, fds), self)
            return
        about = message.get('h')
        thing = key = None
        if about is not None and fds:
            try:
                key = about.get('key')
                thing = unpack(about, fds[0])
            except OSError as error:
                self._failed(error, None)
            except (AttributeError, LookupError, TypeError, ValueError):
                for fd in fds:
                    os.close(fd)
                self._reject()
                return
            if isinstance(key, int) and thing is not None:
                self._received.setdefault(key, Received()).add(thing)
        self._run().push(self._deliver, (message.get('m'), thing))

    def _internal(self, message: dict[str, Any], fds: list[int] | None) -> None:
        serial = message.get('ask')

        def answer(reply: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
            self._tell({**reply, 'answer': serial}, fds)

        act = message.get('act')
        key: Any = message.get('key')
        if act == 'sockets-count':
            self._received.get(key, Received()).count(answer)
        elif act == 'sockets-empty':
            self._received.get(key, Received()).when_empty(answer)
        else:
            self._on_internal(message, fds, answer)

    def _reject(self) -> None:
        """What came in is none of our messages: the channel is closed, others go on."""
        if self._channel is not None:
            self._channel.reject()

    def _deliver(self, message: Any, thing: Any) -> None:
        if self._before_message is not None:
            self._before_message(message, thing)
            self.emit('message', message, thing)
        elif self._undelivered or not self.listener_count('message'):
            self._undelivered.append((message, thing))
        else:
            self.emit('message', message, thing)

    def _listener_added(self, event: Any) -> None:
        if event == 'message' and self._undelivered:
            self._run().push(self._deliver_waiting, ())

    def _deliver_waiting(self) -> None:
        while self._undelivered and self.listener_count('message'):
            message, thing = self._undelivered.pop(0)
            self.emit('message', message, thing)

    def _add(self, event: Any, function: Any, once: bool, first: bool) -> None:
        super()._add(event, function, once, first)
        self._listener_added(event)

    # -- the end ----------------------------------------------------------------------------

    def disconnect(self) -> None:
        """Close the channel; messages already sent still arrive. 'disconnect' follows.

        If it is closed already: 'error' with ERR_IPC_DISCONNECTED.
        """
        channel = self._channel
        if channel is None:
            self.emit('error', state_error('ERR_IPC_DISCONNECTED'))
            return
        if self._outbox is not None:
            self._outbox.append(self._close_channel)
        else:
            self._close_channel()

    def _close_channel(self) -> None:
        channel = self._channel
        if channel is not None:
            runtime = channel.runtime
            channel.close()
            self._gone(runtime)

    def _on_closed(self) -> None:
        channel = self._channel
        if channel is not None:
            self._gone(channel.runtime)

    def _gone(self, runtime: _runtime.Runtime) -> None:
        self._channel = None
        for server, sent in self._sent.items():
            self._forget(server, sent)
        runtime.push(self._disconnected, ())

    def _forget(self, server: Any, sent: Sent) -> None:
        """The connections of ``server`` that were sent; kept while the child may have them."""

    def _disconnected(self) -> None:
        for serial in list(self._asked):
            self._answered(serial, None)
        if self._before_disconnect is not None:
            self._before_disconnect()
        self.emit('disconnect')


def _unknown(message: dict[str, Any], fds: list[int] | None, answer: Answer) -> None:
    _close_all(b'', fds)


def _close_all(message: bytes, fds: list[int] | None) -> None:
    for fd in fds or ():
        os.close(fd)
