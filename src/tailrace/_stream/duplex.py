"""``Duplex``: both sides in one stream, and its simplest descendants."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._names import node_names
from ..errors import state_error
from .life import ticks
from .readable import Readable
from .state import L_ALLOW_HALF_OPEN, L_DESTROYED, R_ENDED, W_ENDED
from .stream import _call_hook, stream_options
from .writable import Writable

__all__ = ['Duplex', 'PassThrough', 'Transform']


@node_names
class Duplex(Readable, Writable):
    """A stream that is read and written, each side on its own.

    Options: those of Readable and Writable, ``readable`` and ``writable`` (default True),
    ``allow_half_open`` (default True: the end of reading does not end writing), and
    ``readable_high_water_mark``, ``writable_high_water_mark``, ``readable_object_mode``,
    ``writable_object_mode`` for one side only.
    """

    def __init__(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        self._init_duplex(stream_options(type(self).__name__, options, keywords))

    def _init_duplex(self, options: dict[str, Any]) -> None:
        readable = options.get('readable') is not False
        writable = options.get('writable') is not False
        self._init_stream(options, readable, writable)

    if TYPE_CHECKING:

        def pipe(
            self, dest: Any, options: Mapping[str, Any] | None = None, /, *, end: bool = True
        ) -> Any:
            """Send everything to ``dest``; returns ``dest``.

            As ``Readable.pipe``: ``dest`` holds this stream back, and is ended with it unless
            ``end`` is False. Errors are not passed on.
            """
            raise NotImplementedError

    else:
        pipe = Readable.pipe

    @staticmethod
    def from_(body: Any, /, *_: Any, **__: Any) -> Any:
        """A Duplex made of something else.

        A stream (a Duplex is given back as it is), an iterable or asynchronous iterable, text or
        bytes, an awaitable (its value is read), ``{'readable': ..., 'writable': ...}`` of two of
        these, or a function of what is written: a generator function gives what is read, a
        coroutine function consumes. Raises ERR_INVALID_ARG_TYPE.
        """
        # By name: what makes it is made of this class.
        made = importlib.import_module('.compose', __package__)
        return made.duplex_from(body)

    @property
    def allow_half_open(self) -> bool:
        """Whether the writing side stays open when the reading side has ended; may be set."""
        return bool(self._life & L_ALLOW_HALF_OPEN)

    @allow_half_open.setter
    def allow_half_open(self, value: bool) -> None:
        if value:
            self._life |= L_ALLOW_HALF_OPEN
        else:
            self._life &= ~L_ALLOW_HALF_OPEN

    if TYPE_CHECKING:  # Node's spellings; see node_names
        allowHalfOpen = allow_half_open


@node_names
class Transform(Duplex):
    """A Duplex whose output is computed from its input.

    Subclasses define ``_transform(chunk, encoding, callback)``, which calls
    ``callback(error, output)`` once (and may ``push`` any number of chunks), and may define
    ``_flush(callback)`` for what comes at the end; or they are given as the options ``transform``
    and ``flush``.
    """

    def __init__(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        own = {name: keywords.pop(name, None) for name in ('transform', 'flush')}
        for name in own:
            if own[name] is None and options is not None:
                own[name] = options.get(name)
        super().__init__(_without_second_buffer(options, keywords))
        self._may_push_at_once()
        self._transform_hook: Callable[..., Any] | None = own['transform']
        self._flush_hook: Callable[..., Any] | None = own['flush']
        #: The callback of a chunk whose output did not fit: called when somebody reads.
        self._held: Callable[..., Any] | None = None
        self.on('prefinish', self._on_prefinish)

    def _transform(self, chunk: Any, encoding: str, callback: Callable[..., Any]) -> None:
        """Compute the output of ``chunk`` and call ``callback(error, output)``."""
        if self._transform_hook is None:
            raise state_error(
                'ERR_METHOD_NOT_IMPLEMENTED', f'{type(self).__name__}._transform() is missing'
            )
        _call_hook(self._transform_hook, chunk, encoding, callback)

    def _flush(self, callback: Callable[..., Any]) -> None:
        """Output what is left at the end and call ``callback(error, output)``."""
        if self._flush_hook is None:
            callback(None, None)
        else:
            _call_hook(self._flush_hook, callback)

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        length = self._r_len

        def done(error: BaseException | None = None, output: Any = None) -> None:
            if error is not None:
                callback(error)
                return
            if output is not None:
                self.push(output)
            if self._r & R_ENDED:
                # Later, so that the end goes to both sides in order.
                ticks(self).push(callback, (None,), self)
            elif self._w & W_ENDED or length == self._r_len or self._r_len < self._r_hwm:
                callback(None)
            else:
                self._held = callback

        self._transform(chunk, encoding, done)

    def _read(self, size: int) -> None:
        held, self._held = self._held, None
        if held is not None:
            held(None)

    def _final(self, callback: Any) -> None:
        hooks = self._hooks
        if hooks is not None and 'final' in hooks:
            super()._final(callback)
        else:
            self._flush_then(callback)

    def _flush_then(self, callback: Any) -> None:
        """Flush, end the reading side, and call ``callback``, where there is one."""
        self._flushed = True

        def done(error: BaseException | None = None, output: Any = None) -> None:
            if error is not None:
                if callback is None:
                    self.destroy(error)
                else:
                    callback(error)
                return
            if output is not None:
                self.push(output)
            self.push(None)
            if callback is not None:
                callback(None)

        if self._life & L_DESTROYED:
            done()
        else:
            self._flush(done)

    _flushed = False

    def _on_prefinish(self) -> None:
        # A subclass or the options have a _final of their own.
        if not self._flushed:
            self._flush_then(None)


def _without_second_buffer(
    options: Mapping[str, Any] | None, keywords: Mapping[str, Any]
) -> dict[str, Any]:
    """The options of a Transform: one that does not buffer what it gives, buffers no input."""
    given = stream_options('Transform', options, keywords)
    mark = given.get('high_water_mark')
    if mark is None:
        mark = given.get('readable_high_water_mark')
    if mark == 0 and mark is not False:
        given = {
            **given,
            'high_water_mark': None,
            'readable_high_water_mark': 0,
            'writable_high_water_mark': given.get('writable_high_water_mark') or 0,
        }
    return given


class PassThrough(Transform):
    """A Transform that gives out what it gets."""

    def _transform(self, chunk: Any, encoding: str, callback: Callable[..., Any]) -> None:
        callback(None, chunk)
