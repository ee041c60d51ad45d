"""Writes the files that tell type checkers what each event carries.

    python tools/typed_events.py           write them
    python tools/typed_events.py --check   end with status 1 if one of them is not up to date

``on``, ``once`` and ``emit`` have an overload for every event, so that a lambda's parameters have
types and a listener that does not fit is reported. Written by hand that is three copies of one
table for each class; here the table stands once. The shape of an overload is explained in the files
themselves (HEAD). To add an event, add a row here and run this.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'src' / 'tailrace'

HEAD = '''\
"""The events of {what}, with their types.

Made by ``tools/typed_events.py``; change the table there.

Exists for type checkers and editors only: at run time the class is its base. Each name in its own
overload gives the parameters of a lambda their types; a listener may take fewer arguments than its
event has. Any other listener of a known event matches the overload that is marked as deprecated:
the one way to report it to a checker, because the overload for a program's own events takes any
name, and a literal is no exception from that. The decorator form is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

'''

ON = '''"""Add ``listener`` for ``event``; returns the emitter.

Without a listener it is a decorator. A listener may take fewer arguments than the event
has, and may be a coroutine function, which runs as a task. Raises ERR_INVALID_ARG_TYPE,
or TypeError for a required keyword-only parameter.
"""'''
ONCE = '''"""Add ``listener`` for the next ``event`` only; it is removed before it runs.

Without a listener it is a decorator.
"""'''
EMIT = '''"""Call the listeners of ``event`` with ``args``; True if there were any.

They have all run when this returns. An exception that a listener raises propagates to
the caller, and the listeners after it are not called. ``'error'`` without a listener
raises ``args[0]``, or ERR_UNHANDLED_ERROR if that is not an exception.
"""'''

#: Methods whose only news is that they return the object itself: name, parameters, docstring.
CHAINED = (
    ('add_listener', 'event: Any, listener: Callable[..., object], /', 'The same as :meth:`on`.'),
    (
        'prepend_listener',
        'event: Any, listener: Callable[..., object], /',
        'Add ``listener`` before all others of ``event``.',
    ),
    (
        'prepend_once_listener',
        'event: Any, listener: Callable[..., object], /',
        'Add ``listener`` before all others, for the next ``event`` only.',
    ),
    (
        'off',
        'event: Any, listener: Callable[..., object], /',
        'Remove the most recently added occurrence of ``listener``.',
    ),
    (
        'remove_listener',
        'event: Any, listener: Callable[..., object], /',
        'The same as :meth:`off`.',
    ),
    (
        'remove_all_listeners',
        'event: Any = None, /',
        'Remove the listeners of ``event``, or all of them.',
    ),
    (
        'set_max_listeners',
        'n: float, /',
        'Warn when one event gets more than ``n`` listeners; 0 or infinity: never.',
    ),
)


class Event(NamedTuple):
    """Events that carry the same: their names, the name of the listener's type, the arguments.

    ``listener`` is 'X' for the types OnX and _FX. ``alias`` names the group of events, if there is
    more than one user of it.
    """

    names: tuple[str, ...]
    listener: str
    arguments: str
    alias: str = ''

    @property
    def key(self) -> str:
        """The type of the event's name."""
        return self.alias or f'Literal[{", ".join(map(repr, self.names))}]'


class File(NamedTuple):
    """One file: a class between ``base`` and the public class."""

    path: str
    what: str
    name: str
    base: str
    base_module: str
    #: Import lines for type checkers.
    imports: tuple[str, ...]
    #: Lines that define the types of listeners that are not imported.
    types: tuple[str, ...]
    events: tuple[Event, ...]
    #: Events that carry nothing.
    plain: tuple[str, ...]
    #: What a checker says about overriding the base's methods with these.
    override: str = ''
    emit_override: str = ''
    chained: bool = True
    more: tuple[str, ...] = ()


STREAM = File(
    path='_stream/typed.py',
    what='streams',
    name='TypedStream',
    base='Link',
    base_module='.link',
    imports=('from typing_extensions import deprecated',),
    types=(
        '#: A listener that takes nothing: right for every event.',
        'Nothing = Callable[[], object]',
        'OnData = Callable[[Any], object] | Nothing',
        'OnError = Callable[[Exception], object] | Nothing',
        '# The source is a Readable, which is made of this class; a Socket knows it exactly.',
        'OnPipe = Callable[[Any], object] | Nothing',
        '#: The callback of a request: called with None or what went wrong.',
        'OnDone = Callable[[Exception | None], object] | Nothing',
    ),
    events=(
        Event(('data',), 'Data', 'chunk: Any'),
        Event(('error',), 'Error', 'error: object'),
        Event(('pipe', 'unpipe'), 'Pipe', 'source: Any'),
    ),
    plain=('close', 'drain', 'end', 'finish', 'pause', 'prefinish', 'readable', 'resume'),
    override='  # type: ignore[override]',
    more=(
        'def destroy(',
        '    self, error: BaseException | None = None, callback: OnDone | None = None',
        ') -> Self:',
        '    """Give up the stream: no more I/O; \'error\' (if any), then \'close\'."""',
        '    raise NotImplementedError',
    ),
)

SOCKET = File(
    path='_net/typed_socket.py',
    what='a socket',
    name='TypedSocket',
    base='Endpoint',
    base_module='.endpoint',
    imports=(
        'from typing_extensions import deprecated',
        '',
        'from .._stream.readable import Readable',
        'from .._stream.typed import Nothing, OnData, OnDone, OnError',
        'from .option_types import Chunk',
    ),
    types=(
        'OnClose = Callable[[bool], object] | Nothing',
        'OnLookup = (',
        '    Callable[[Exception | None, str | None, int | None, str], object]',
        '    | Callable[[Exception | None, str | None, int | None], object]',
        '    | Callable[[Exception | None, str | None], object]',
        '    | Callable[[Exception | None], object]',
        '    | Nothing',
        ')',
        'OnAttempt = (',
        '    Callable[[str, int, int], object]',
        '    | Callable[[str, int], object]',
        '    | Callable[[str], object]',
        '    | Nothing',
        ')',
        'OnAttemptFailed = (',
        '    Callable[[str, int, int, Exception], object]',
        '    | Callable[[str, int, int], object]',
        '    | Callable[[str, int], object]',
        '    | Callable[[str], object]',
        '    | Nothing',
        ')',
        'OnPipe = Callable[[Readable], object] | Nothing',
    ),
    events=(
        Event(('data',), 'Data', 'chunk: Any'),
        Event(('error',), 'Error', 'error: object'),
        Event(('close',), 'Close', 'had_error: bool'),
        Event(
            ('lookup',),
            'Lookup',
            'error: Exception | None, address: str | None, family: int | None, host: str',
        ),
        Event(
            ('connectionAttempt', 'connectionAttemptTimeout'),
            'Attempt',
            'ip: str, port: int, family: int',
            'AttemptEvent',
        ),
        Event(
            ('connectionAttemptFailed',),
            'AttemptFailed',
            'ip: str, port: int, family: int, error: Exception',
        ),
        Event(('pipe', 'unpipe'), 'Pipe', 'source: Readable'),
    ),
    plain=(
        *('connect', 'drain', 'end', 'finish', 'pause', 'prefinish', 'readable', 'ready'),
        *('resume', 'serverClosing', 'timeout'),
    ),
    override='  # type: ignore[override]',
    emit_override='  # type: ignore[override]',
    chained=False,
    more=(
        '@overload',
        'def write(',
        '    self, chunk: Chunk, encoding: str | None = None, callback: OnDone | None = None',
        ') -> bool: ...',
        '',
        '@overload',
        'def write(self, chunk: Chunk, callback: OnDone, /) -> bool: ...',
        '',
        'def write(self, chunk: Any, encoding: Any = None, callback: Any = None) -> bool:',
        '    """Write ``chunk``: str, or anything bytes-like.',
        '',
        "    Returns False when the caller should wait for 'drain'; the data is queued anyway.",
        '    ``encoding`` is for text, by default utf8. ``callback(error)`` runs when the chunk is',
        '    written, or with the error that prevented it. Raises ERR_INVALID_ARG_TYPE,',
        '    ERR_STREAM_NULL_VALUES or ERR_UNKNOWN_ENCODING.',
        '    """',
        '    raise NotImplementedError',
    ),
)

SERVER = File(
    path='_net/typed_server.py',
    what='a server',
    name='TypedServer',
    base='Serving',
    base_module='.serving',
    imports=(
        'from typing_extensions import deprecated',
        '',
        'from .._names import Record',
        'from .._stream.typed import Nothing, OnError',
        'from .server_types import OnConnection',
    ),
    types=(
        'OnDrop = Callable[[Record | None], object] | Nothing',
        'OnReject = Callable[[Record], object] | Nothing',
    ),
    events=(
        Event(('connection',), 'Connection', 'socket: Any'),
        Event(('drop',), 'Drop', 'data: Record | None'),
        Event(('reject',), 'Reject', 'data: Record'),
        Event(('error',), 'Error', 'error: object'),
    ),
    plain=('close', 'listening'),
    override='  # type: ignore[override]',
)

TLS_SOCKET = SOCKET._replace(
    path='_tls/typed_socket.py',
    what='a TLS socket',
    name='TypedTLSSocket',
    base='Known',
    base_module='.known',
    imports=(
        'import ssl',
        '',
        'from typing_extensions import deprecated',
        '',
        'from .._net.typed_socket import OnAttempt, OnAttemptFailed, OnClose, OnLookup, OnPipe',
        'from .._stream.readable import Readable',
        'from .._stream.typed import Nothing, OnData, OnError',
    ),
    types=('OnSession = Callable[[ssl.SSLSession], object] | Nothing',),
    events=(*SOCKET.events, Event(('session',), 'Session', 'session: ssl.SSLSession')),
    plain=(*SOCKET.plain, 'secure', 'secureConnect'),
    more=(),
)

TLS_SERVER = SERVER._replace(
    path='_tls/typed_server.py',
    what='a TLS server',
    name='TypedTLSServer',
    base='Server',
    base_module='.._net.server',
    imports=(
        'from typing_extensions import deprecated',
        '',
        'from .._names import Record',
        'from .._net.typed_server import OnDrop, OnReject',
        'from .._stream.typed import Nothing, OnError',
        'from .socket import TLSSocket',
    ),
    types=(
        'OnSecure = Callable[[TLSSocket], object] | Nothing',
        'OnFailed = (',
        '    Callable[[Exception, TLSSocket], object] | Callable[[Exception], object] | Nothing',
        ')',
    ),
    events=(
        Event(('connection', 'secureConnection'), 'Secure', 'socket: Any', 'SecureEvent'),
        Event(('tlsClientError',), 'Failed', 'error: Exception, socket: Any'),
        *SERVER.events[1:],
    ),
    emit_override='  # type: ignore[override]',
    chained=False,
)

FILES = (STREAM, SOCKET, SERVER, TLS_SOCKET, TLS_SERVER)


def literal(names: Sequence[str]) -> str:
    """The type that is one of these names, over several lines; ruff joins them where they fit."""
    return 'Literal[' + ', '.join(names) + ']'


def parameters(*parts: str) -> str:
    """The parameters of a method; the empty ones left out."""
    return ', '.join(('self', *(part for part in parts if part), '/'))


def adding(file: File, name: str, docstring: str) -> Iterator[str]:
    """``on`` or ``once``: with a listener, then as a decorator."""
    ignore = file.override
    groups = [(event.key, event.listener) for event in file.events]
    for key, listener in (*groups, ('PlainEvent', '')):
        yield f'@overload{ignore}'
        kind = f'On{listener}' if listener else 'Nothing'
        yield f'def {name}(self, event: {key}, listener: {kind}, /) -> Self: ...'
        yield ''
        ignore = ''
    yield '@overload'
    yield "@deprecated('not a listener of this event: see the events of the class')"
    yield f'def {name}(self, event: KnownEvent, listener: Callable[..., object], /) -> Self: ...'
    yield ''
    yield '@overload'
    yield f'def {name}(self, event: Any, listener: Callable[..., object], /) -> Self: ...'
    yield ''
    for key, listener in (*groups, ('PlainEvent', 'Nothing'), ('Any', '')):
        yield '@overload'
        yield f'def {name}(self, event: {key}, /) -> Callable[[_F{listener}], _F{listener}]: ...'
        yield ''
    yield from definition(file, name, 'self, event: Any, listener: Any = None, /', 'Any', docstring)


def emitting(file: File) -> Iterator[str]:
    """``emit``."""
    ignore = file.emit_override
    for event in file.events:
        yield f'@overload{ignore}'
        yield f'def emit({parameters(f"event: {event.key}", event.arguments)}) -> bool: ...'
        yield ''
        ignore = ''
    yield '@overload'
    yield 'def emit(self, event: PlainEvent, /) -> bool: ...'
    yield ''
    yield '@overload'
    yield "@deprecated('not what this event carries: see the events of the class')"
    yield 'def emit(self, event: KnownEvent, /, *args: Any) -> bool: ...'
    yield ''
    yield '@overload'
    yield 'def emit(self, event: Any, /, *args: Any) -> bool: ...'
    yield ''
    yield from definition(file, 'emit', 'self, event: Any, /, *args: Any', 'bool', EMIT)


def definition(file: File, name: str, takes: str, gives: str, docstring: str) -> Iterator[str]:
    """The method below its overloads."""
    if file.chained:
        yield f'def {name}({takes}) -> {gives}:'
    else:
        yield f'def {name}(  # pyright: ignore[reportIncompatibleMethodOverride]'
        yield f'    {takes}'
        yield f') -> {gives}:'
    yield from ('    ' + line if line else '' for line in docstring.splitlines())
    yield '    raise NotImplementedError'
    yield ''


def chained() -> Iterator[str]:
    """The methods that return the object, in both spellings."""
    for name, takes, docstring in CHAINED:
        yield f'def {name}(self, {takes}) -> Self:'
        yield f'    """{docstring}"""'
        yield '    raise NotImplementedError'
        yield ''
    yield "# Node's spellings; as methods, because EventEmitter declares their types."
    for name, takes, _ in CHAINED:
        first, *rest = name.split('_')
        if rest:
            yield f'def {first}{"".join(map(str.title, rest))}(self, {takes}) -> Self:'
            yield f'    """Node\'s name of :meth:`{name}`."""'
            yield '    raise NotImplementedError'
            yield ''


def text_of(file: File) -> str:
    """The whole file."""

    def indented(lines: Iterator[str] | Sequence[str], by: int) -> list[str]:
        return [' ' * by + line if line else '' for line in lines]

    listeners = ['Nothing', *dict.fromkeys(event.listener for event in file.events)]
    kinds = [f'_F = TypeVar({"_F"!r}, bound=Callable[..., object])']
    for listener in listeners:
        bound = listener if listener == 'Nothing' else f'On{listener}'
        kinds.append(f'_F{listener} = TypeVar({"_F" + listener!r}, bound={bound})')
    single = [repr(n) for e in file.events if not e.alias for n in e.names]
    groups = [e.alias for e in file.events if e.alias]
    names = [f'PlainEvent = {literal([repr(n) for n in file.plain])}']
    names += [f'{e.alias} = {literal([repr(n) for n in e.names])}' for e in file.events if e.alias]
    names.append(f'KnownEvent = {literal(["PlainEvent", *groups, *sorted(single)])}')
    lines = [
        f'from {file.base_module} import {file.base}',
        '',
        'if TYPE_CHECKING:',
        *indented(file.imports, 4),
        '',
        f'__all__ = [{file.name!r}]',
        '',
        'if TYPE_CHECKING:',
        *indented(file.types, 4),
        '',
        *indented(kinds, 4),
        '',
        *indented(names, 4),
        '',
        f'    class {file.name}({file.base}):',
        f'        """{file.base} with what each event carries."""',
        '',
        *indented(adding(file, 'on', ON), 8),
        *indented(adding(file, 'once', ONCE), 8),
        *indented(emitting(file), 8),
        *(indented(chained(), 8) if file.chained else ()),
        *indented(file.more, 8),
        '',
        'else:',
        f'    {file.name} = {file.base}',
        '',
    ]
    return HEAD.format(what=file.what) + '\n'.join(lines)


def formatted(text: str) -> str:
    """As the formatter of the project writes it."""
    import subprocess

    command = [sys.executable, '-m', 'ruff', 'format', '--stdin-filename', 'src/x.py', '-']
    done = subprocess.run(
        command, cwd=ROOT, input=text, text=True, stdout=subprocess.PIPE, check=True
    )
    return done.stdout


def main(arguments: Sequence[str]) -> int:
    """Write or check the files."""
    stale = []
    for file in FILES:
        path, text = PACKAGE / file.path, formatted(text_of(file))
        if not path.exists() or path.read_text('utf-8') != text:
            stale.append(file.path)
            if '--check' not in arguments:
                path.write_text(text, 'utf-8')
    print('\n'.join(stale) or 'up to date')
    return bool(stale) if '--check' in arguments else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
