"""``Stream``: what the public classes share: options, awaiting the end, ``async with``.

From here on up the classes are ordinary interpreted Python, so that users may subclass them, set
attributes on them and reach their methods by Node's names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, cast

from .. import _runtime
from .._abort import AbortSignal, check_signal
from .._coerce import absent
from .._listeners import is_coroutine_function
from .._names import merge_options, node_names
from .._validate import bad_type, check_callable
from .._waiting import as_exception, first_of
from ..errors import AbortError
from . import legacy
from .answering import answerer_behind, engaged
from .construct import begin_construct
from .encodings import canonical
from .life import init_life
from .marks import mark_of
from .read import init_read
from .state import (
    L_ALLOW_HALF_OPEN,
    L_AUTO_DESTROY,
    L_DESTROYED,
    L_EMIT_CLOSE,
    L_ERROR_EMITTED,
    L_GONE,
    L_SIGNAL,
    R_ABSENT,
    R_END_EMITTED,
    R_ENDED,
    R_NONE,
    W_ABSENT,
    W_ENDED,
    W_ENDING,
    W_FINISHED,
    W_KEEP_TEXT,
)
from .typed import TypedStream
from .write import init_write

__all__ = ['STREAM_OPTIONS', 'Stream']

#: Options of every stream's constructor.
STREAM_OPTIONS = frozenset(
    {
        'allow_half_open',
        'auto_destroy',
        'capture_rejections',
        'construct',
        'decode_strings',
        'default_encoding',
        'destroy',
        'emit_close',
        'encoding',
        'final',
        'high_water_mark',
        'object_mode',
        'read',
        'readable',
        'readable_high_water_mark',
        'readable_object_mode',
        'signal',
        'writable',
        'writable_high_water_mark',
        'writable_object_mode',
        'write',
        'writev',
    }
)

#: What stands in front in ``event_names()``, in Node's order.
_FIRST = ('close', 'error', 'prefinish', 'finish', 'drain', 'data', 'end', 'readable')


@node_names
class Stream(TypedStream):
    """Base of Readable, Writable and Duplex.

    By itself it is an old-style stream: an emitter whose owner emits 'data', 'end' and 'close', and
    may give it ``pause``, ``resume`` and ``readable``. Option: ``capture_rejections``, as of
    :class:`tailrace.EventEmitter`.
    """

    _hooks: dict[str, Callable[..., Any]] | None = None
    _undo_signal: Callable[[], None] | None = None
    #: The connection that it is a part of the work for; see answering.py.
    _works_for: Any = None

    def __init__(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        given = stream_options('Stream', options, keywords)
        self._init_stream({'capture_rejections': given.get('capture_rejections')}, False, False)
        self._r |= R_NONE

    def pipe(
        self, dest: Any, options: Mapping[str, Any] | None = None, /, *, end: bool = True
    ) -> Any:
        """Write every 'data' to ``dest``; returns ``dest``.

        ``pause()`` of this stream is called when ``dest.write`` returns False, and ``resume()`` at
        'drain'. At 'end' ``dest`` is ended, at 'close' destroyed, unless ``end`` is False. An
        'error' of either ends the pipe, and is raised if nobody else listens for it. ``dest``
        emits 'pipe' (this stream). Raises ERR_INVALID_ARG_TYPE.
        """
        return legacy.pipe(self, dest, pipe_end(options, end))

    def _init_stream(self, options: dict[str, Any], readable: bool, writable: bool) -> None:
        """Set up both sides out of the options (snake_case keys)."""
        init_life(self)
        both = bool(options.get('object_mode'))
        r_object = both or bool(options.get('readable_object_mode'))
        w_object = both or bool(options.get('writable_object_mode'))
        init_read(self, mark_of(options, 'readable', r_object), r_object)
        init_write(self, mark_of(options, 'writable', w_object), w_object)
        if options.get('allow_half_open') is not False:
            self._life |= L_ALLOW_HALF_OPEN
        if options.get('auto_destroy') is False:
            self._life &= ~L_AUTO_DESTROY
        if options.get('emit_close') is False:
            self._life &= ~L_EMIT_CLOSE
        if options.get('capture_rejections') is not None:
            self._capture_by(options['capture_rejections'])
        if not readable:
            self._r |= R_ABSENT | R_ENDED | R_END_EMITTED
        if not writable:
            self._w |= W_ABSENT | W_ENDING | W_ENDED | W_FINISHED
        if options.get('decode_strings') is False:
            self._w |= W_KEEP_TEXT
        if options.get('default_encoding') is not None:
            canonical(options['default_encoding'])
            self._w_encoding = options['default_encoding']
        if not absent(options.get('encoding')):
            self._set_encoding(options['encoding'])
            self._r_encoding = options['encoding']
        hooks = {
            name: check_callable(name, options[name])
            for name in ('construct', 'read', 'write', 'writev', 'final', 'destroy')
            if options.get(name) is not None
        }
        if hooks:
            self._hooks = hooks
        if not absent(options.get('signal')):
            self._follow_signal(check_signal('options.signal', options['signal']))
        if 'construct' in hooks or type(self)._construct is not Stream._construct:
            begin_construct(self)

    def _follow_signal(self, signal: AbortSignal) -> None:
        """Destroy the stream with an AbortError when ``signal`` aborts."""

        def abort(_: Any = None) -> None:
            done = self._reading_is_over() and self._writing_is_over()
            if not self._life & L_AUTO_DESTROY and (done or self._life & L_ERROR_EMITTED):
                return  # it is done, though nobody has destroyed it
            if not self._life & L_DESTROYED and not self.listener_count('error'):
                self.once('error', _ignore)  # it was asked for
            self.destroy(AbortError(cause=signal.reason))

        if signal.aborted:
            abort()
            return
        signal.add_event_listener('abort', abort)

        def undo() -> None:
            signal.remove_event_listener('abort', abort)

        self._undo_signal = undo
        self._life |= L_SIGNAL

    def _leave_signal(self) -> None:
        undo, self._undo_signal = self._undo_signal, None
        if undo is not None:
            undo()

    # -- failing ----------------------------------------------------------------------------------

    def _answerer(self) -> Any:
        """The connection whose failure an unheard 'error' of this stream is, or None."""
        return self._works_for

    def _engage(self, answerer: Any) -> bool:
        """It works for this connection from now on; whether that is news."""
        before = self._works_for
        self._works_for = engaged(before, answerer)
        return self._works_for is not before

    def _take_blame(self, error: BaseException) -> bool:
        """An exception or 'error' of this stream that is unhandled; whether that is dealt with."""
        answerer = answerer_behind(self)
        if answerer is None or not answerer._take_blame(error):
            return False
        if not self._life & L_DESTROYED:
            self.destroy()
        return True

    def _unheard(self, args: tuple[Any, ...]) -> None:
        if not self._take_blame(as_exception(args[0] if args else None)):
            super()._unheard(args)

    # -- hooks given as options -------------------------------------------------------------------

    #: What destroy() was given before the stream was constructed.
    _late_destroy: tuple[BaseException | None, Any] = (None, None)

    def _destroy_when_built(self, error: Any, callback: Any) -> None:
        self._late_destroy = error, callback

    def _construct(self, callback: Any) -> None:
        """Hook: get ready, then call ``callback(error_or_None)``; until then all else waits.

        Called on the next tick, where a subclass defines it or the option ``construct`` is given.
        """
        hooks = self._hooks
        if hooks is not None:
            _call_hook(hooks['construct'], callback)

    def _read(self, size: int) -> None:
        hooks = self._hooks
        if hooks is not None and 'read' in hooks:
            _call_hook(hooks['read'], size)
        else:
            super()._read(size)

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        hooks = self._hooks
        if hooks is not None and 'write' in hooks:
            _call_hook(hooks['write'], chunk, encoding, callback)
        elif self._can_writev():
            self._writev([(chunk, encoding)], callback)
        else:
            super()._write(chunk, encoding, callback)

    def _writev(self, chunks: Any, callback: Any) -> None:
        hooks = self._hooks
        if hooks is not None and 'writev' in hooks:
            _call_hook(hooks['writev'], chunks, callback)
        else:
            super()._writev(chunks, callback)

    def _can_writev(self) -> bool:
        if type(self)._writev is not Stream._writev:
            return True
        return self._hooks is not None and 'writev' in self._hooks

    def _has_final(self) -> bool:
        if type(self)._final is not Stream._final:
            return True
        return self._hooks is not None and 'final' in self._hooks

    def _final(self, callback: Any) -> None:
        hooks = self._hooks
        if hooks is not None and 'final' in hooks:
            _call_hook(hooks['final'], callback)
        else:
            super()._final(callback)

    def _destroy(self, error: Any, callback: Any) -> None:
        hooks = self._hooks
        if hooks is not None and 'destroy' in hooks:
            _call_hook(hooks['destroy'], error, callback)
        else:
            super()._destroy(error, callback)

    def event_names(self) -> list[Any]:
        """The events that have listeners; those of every stream come first, as in Node."""
        names = [name for name in _FIRST if name in self._events]
        return names + [name for name in super().event_names() if name not in _FIRST]

    # -- awaiting ---------------------------------------------------------------------------------

    def _emits_close(self) -> bool:
        """Whether 'close' comes when it is destroyed."""
        return bool(self._life & L_EMIT_CLOSE)

    async def wait_closed(self) -> None:
        """Wait until 'close' was emitted; a stream's error is not raised here."""
        if not self._life & L_GONE:
            await first_of(self, 'close', error=False)

    async def async_dispose(self) -> None:
        """Destroy the stream, with an AbortError if it is not done, and wait for 'close'.

        Node's ``[Symbol.asyncDispose]()``; ``async with stream:`` ends with it. The AbortError is
        not raised here, and does not need a listener.
        """
        if not self.destroyed:
            done = self._reading_is_over() and self._writing_is_over()
            error = None if done else AbortError('the stream was disposed before it was done')
            if error is not None:
                # Also where somebody listens: an `async for` that is just being left stops to.
                self.once('error', _ignore)
            self.destroy(error)
        await self.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.async_dispose()

    if TYPE_CHECKING:  # Node's spellings; see node_names
        waitClosed = wait_closed
        asyncDispose = async_dispose


def pipe_end(options: Any, end: bool) -> bool:
    """The option ``end`` of a pipe; ERR_INVALID_ARG_TYPE if the options are no mapping."""
    if options is None:
        return end
    if not isinstance(options, Mapping):
        bad_type('options', 'a mapping', options)
    return cast('Mapping[str, Any]', options).get('end', True) is not False


def _ignore(_: object = None) -> None:
    """A listener for an error that was asked for."""


def _call_hook(hook: Callable[..., Any], *args: Any) -> None:
    result = hook(*args)
    if is_coroutine_function(hook):
        _runtime.spawn(result)


def stream_options(
    where: str, options: Mapping[str, Any] | None, keywords: Mapping[str, Any]
) -> dict[str, Any]:
    """The options of a stream's constructor; ERR_INVALID_ARG_TYPE if they are no mapping."""
    if options is not None and not isinstance(options, Mapping):
        bad_type('options', 'a mapping', options)
    return merge_options(where, options, keywords, STREAM_OPTIONS)
