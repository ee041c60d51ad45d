"""``child_process.fork``: a child Python with a message channel.

The child is run as ``python -m tailrace script.py``, so it has Node's lifetime: it ends when
nothing is left that could call back. This file refuses to know what is said over the channel.
"""

from __future__ import annotations

import os
import signal as signals
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import _runtime
from .._abort import check_signal
from .._handles.make import pipe
from .._names import merge_options, node_names
from .._net.socket import Socket
from .._timers import set_timeout, soon
from .._validate import bad_type, bad_value, check_bool, is_mapping, milliseconds
from ..errors import AbortError, state_error, system_error
from .ipc import Channel
from .passing import Sent
from .reaper import Reaper
from .talk import Talker

__all__ = ['CHANNEL_FD', 'ChildProcess', 'fork', 'interpreter_flags', 'signal_number', 'spawn']

#: Tells a child which of its descriptors is the channel.
CHANNEL_FD = 'TAILRACE_CHANNEL_FD'

#: Where this package is imported from: a child has to find it too.
_ROOT = str(Path(__file__).resolve().parent.parent.parent)

FORK_OPTIONS = frozenset(
    {
        'cwd',
        'detached',
        'env',
        'exec_argv',
        'exec_path',
        'kill_signal',
        'signal',
        'silent',
        'stdio',
        'timeout',
    }
)


def signal_number(name: str, value: Any) -> int:
    """A signal by name ('SIGTERM') or number; None is SIGTERM. ERR_INVALID_ARG_VALUE or _TYPE."""
    if value is None:
        return int(signals.SIGTERM)
    if isinstance(value, str):
        try:
            return int(signals.Signals[value])
        except KeyError:
            bad_value(name, 'the name of a signal', value)
    if isinstance(value, bool) or not isinstance(value, int):
        bad_type(name, 'the name or number of a signal', value)
    if not 0 <= value < int(signals.NSIG):
        bad_value(name, 'the number of a signal', value)
    return int(value)


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f'SIG{number}'  # a real-time signal


def interpreter_flags() -> list[str]:
    """The flags that this interpreter was started with, such as ``-X dev`` and ``-W error``."""
    out: list[str] = []
    words = iter(sys.orig_argv[1:])
    for word in words:
        if not word.startswith('-') or word in ('-', '--') or word[:2] in ('-m', '-c'):
            break
        out.append(word)
        if word in ('-W', '-X', '--check-hash-based-pycs'):
            out.append(next(words, ''))
    return out


def check_platform() -> None:
    """ERR_FEATURE_UNAVAILABLE_ON_PLATFORM where descriptors cannot be sent (Windows)."""
    if not hasattr(socket, 'AF_UNIX') or not hasattr(socket, 'SCM_RIGHTS'):
        raise state_error(
            'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', 'child processes need Unix-domain sockets'
        )


def _environment(given: Mapping[str, str] | None) -> dict[str, str]:
    env = dict(os.environ if given is None else given)
    env.pop(CHANNEL_FD, None)
    if os.path.basename(_ROOT) not in ('site-packages', 'dist-packages'):
        # Imported from a folder that only this process knows of.
        paths = env.get('PYTHONPATH', '').split(os.pathsep)
        if _ROOT not in paths:
            env['PYTHONPATH'] = os.pathsep.join([_ROOT, *filter(None, paths)])
    return env


@node_names
class ChildProcess(Talker):
    """A child process; made by :func:`fork`.

    Events: 'spawn', 'message' (message, handle), 'disconnect', 'exit' (code, signal), 'close'
    (code, signal) after 'exit' and the end of its streams, 'error' (error) when it could not be
    started or told something. One of ``code`` and ``signal`` is None.
    """

    #: Process id; None if it could not be started.
    pid: int | None = None
    #: Exit status, None while it runs or if a signal ended it.
    exit_code: int | None = None
    #: Name of the signal that ended it, or None.
    signal_code: str | None = None
    #: Whether :meth:`kill` has sent a signal.
    killed: bool = False

    def __init__(self) -> None:
        super().__init__()
        self._popen: subprocess.Popen[bytes] | None = None
        self._reaper: Reaper | None = None
        self._kill_signal = int(signals.SIGTERM)
        #: Streams that are still open, and the end of the process: 'close' waits for them.
        self._open = 1
        #: The program and its arguments.
        self.spawnfile: str = ''
        self.spawnargs: list[str] = []
        #: Its standard streams where they are pipes, else None.
        self.stdin: Socket | None = None
        self.stdout: Socket | None = None
        self.stderr: Socket | None = None

    # -- starting ---------------------------------------------------------------------------

    def _start(self, argv: list[str], opts: Mapping[str, Any]) -> None:
        runtime = _runtime.current()
        self.spawnfile = argv[0]
        self.spawnargs = argv
        stdio = _check_stdio(opts)
        env = _environment(opts.get('env'))
        ours, theirs = socket.socketpair()
        env[CHANNEL_FD] = str(theirs.fileno())
        given: list[Any] = []
        inner: list[int] = []
        for number, kind in enumerate(stdio):
            end = kind
            if kind == 'pipe':
                reading, writing = os.pipe()
                inner.append(writing if number == 0 else reading)
                end = reading if number == 0 else writing
            given.append(end)
        try:
            with theirs:
                self._popen = subprocess.Popen(
                    argv,
                    stdin=_for_popen(given[0]),
                    stdout=_for_popen(given[1]),
                    stderr=_for_popen(given[2]),
                    pass_fds=(theirs.fileno(),),
                    env=env,
                    cwd=opts.get('cwd'),
                    start_new_session=bool(opts.get('detached')),
                )
        except OSError as error:
            ours.close()
            for fd in inner:
                os.close(fd)
            self._not_started(runtime, error)
            return
        finally:
            for kind, end in zip(stdio, given, strict=True):
                if kind == 'pipe':
                    os.close(end)
        self.pid = self._popen.pid
        self._use_channel(Channel(runtime, ours.detach(), self))
        self._take_streams(runtime, stdio, inner)
        self._reaper = Reaper(runtime, self._popen, self._ended, self)
        runtime.push(self.emit, ('spawn',))

    def _take_streams(self, runtime: _runtime.Runtime, stdio: list[Any], fds: list[int]) -> None:
        streams: list[Socket | None] = []
        rest = iter(fds)
        for number, kind in enumerate(stdio):
            if kind != 'pipe':
                streams.append(None)
                continue
            handle = pipe(runtime)
            handle.open(next(rest))
            options = {'handle': handle, 'readable': number > 0, 'writable': number == 0}
            stream = Socket(options)
            if number:
                self._open += 1
                stream.once('close', self._maybe_close)
            streams.append(stream)
        self.stdin, self.stdout, self.stderr = streams

    def _not_started(self, runtime: _runtime.Runtime, error: OSError) -> None:
        failure = system_error(error, f'spawn {self.spawnfile}', path=self.spawnfile)
        failure.spawnargs = self.spawnargs[1:]  # type: ignore[attr-defined]
        self.exit_code = -(error.errno or 0)

        def tell() -> None:
            self.emit('error', failure)
            self.emit('close', self.exit_code, None)

        runtime.push(tell, ())

    # -- the end ----------------------------------------------------------------------------

    def _ended(self, status: int) -> None:
        if status < 0:
            self.signal_code = _signal_name(-status)
        else:
            self.exit_code = status
        if self.stdin is not None:
            self.stdin.destroy()
        # What the child said last, and the end of its channel, come before 'exit': they are in the
        # kernel already, and the loop may only have met the end of the process first.
        soon(self._run(), self._exit)

    def _exit(self) -> None:
        for server, sent in self._sent.items():
            server._holder_gone(sent)
        self.emit('exit', self.exit_code, self.signal_code)
        self._maybe_close()

    def _maybe_close(self, _: Any = None) -> None:
        self._open -= 1
        if not self._open:
            self.emit('close', self.exit_code, self.signal_code)

    def _forget(self, server: Any, sent: Sent) -> None:
        if self.exit_code is not None or self.signal_code is not None:
            server._holder_gone(sent)

    def kill(self, signal: Any = None) -> bool:
        """Send a signal (name or number, default SIGTERM); whether there was a process to get it.

        0 only asks. Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, or the system's error.
        """
        number = self._kill_signal if signal is None else signal_number('signal', signal)
        popen = self._popen
        if popen is None or self.exit_code is not None or self.signal_code is not None:
            return False
        if popen.poll() is not None:
            return False
        try:
            popen.send_signal(number)
        except ProcessLookupError:
            return False
        except OSError as error:
            raise system_error(error, 'kill') from None
        if number:
            self.killed = True
        return True

    # -- lifetime ---------------------------------------------------------------------------

    def ref(self) -> None:
        """Keep this program alive until the child has ended (the default)."""
        if self._reaper is not None:
            self._reaper.ref()

    def unref(self) -> None:
        """Let this program end before the child; an open channel still holds it, as in Node."""
        if self._reaper is not None:
            self._reaper.unref()

    @property
    def channel(self) -> Channel | None:
        """The channel, for its ``ref()`` and ``unref()``; None once disconnected."""
        return self._channel

    def _abort(self, reason: Any) -> None:
        if self.kill():
            self.emit('error', AbortError(cause=reason))

    def __repr__(self) -> str:
        if self.exit_code is not None:
            state = f'exited {self.exit_code}'
        elif self.signal_code is not None:
            state = f'ended by {self.signal_code}'
        else:
            state = 'connected' if self.connected else 'disconnected'
        return f'<ChildProcess {self.pid} {state}>'


def _for_popen(end: Any) -> Any:
    return {'inherit': None, 'ignore': subprocess.DEVNULL}.get(end, end)


def _check_stdio(opts: Mapping[str, Any]) -> list[Any]:
    """Three of 'pipe', 'inherit', 'ignore' or a descriptor."""
    stdio: Any = opts.get('stdio')
    if stdio is None:
        stdio = 'pipe' if opts.get('silent') else 'inherit'
    if isinstance(stdio, str):
        stdio = [stdio] * 3
    kinds: Any = stdio
    if not isinstance(stdio, Sequence):
        bad_type('options.stdio', "'pipe', 'inherit', 'ignore' or a list of them", stdio)
    out: list[Any] = ['inherit' if kind is None else kind for kind in kinds if kind != 'ipc']
    out += ['inherit'] * (3 - len(out))
    for kind in out:
        number = kind if isinstance(kind, int) and not isinstance(kind, bool) else None
        if kind not in ('pipe', 'inherit', 'ignore') and (number is None or number < 0):
            bad_value('options.stdio', "'pipe', 'inherit', 'ignore' or a descriptor", kind)
    return out[:3]


def spawn(words: Sequence[str], opts: Mapping[str, Any]) -> ChildProcess:
    """Start ``python -m tailrace words...`` with these (checked) options of :func:`fork`."""
    check_platform()
    for name in ('silent', 'detached'):
        if opts.get(name) is not None:
            check_bool(f'options.{name}', opts[name])
    child = ChildProcess()
    child._kill_signal = signal_number('options.kill_signal', opts.get('kill_signal'))
    flags = opts.get('exec_argv')
    argv = [
        os.fspath(opts.get('exec_path') or sys.executable),
        *(interpreter_flags() if flags is None else flags),
        *('-m', 'tailrace'),
        *words,
    ]
    signal = opts.get('signal')
    if signal is not None:
        check_signal('options.signal', signal)
    timeout = opts.get('timeout')
    ms = 0.0 if timeout is None else milliseconds('options.timeout', timeout)
    child._start(argv, opts)
    if ms:
        timer = set_timeout(child.kill, ms).unref()
        child.once('exit', timer.close)
    if signal is not None:
        _follow(child, signal)
    return child


def _follow(child: ChildProcess, signal: Any) -> None:
    def abort(_: Any = None) -> None:
        child._abort(signal.reason)

    if signal.aborted:
        _runtime.current().push(abort, ())
        return
    signal.add_event_listener('abort', abort)
    child.once('exit', lambda: signal.remove_event_listener('abort', abort))


def fork(
    module_path: Any, args: Any = None, options: Any = None, /, **keywords: Any
) -> ChildProcess:
    """Run a Python script in a child process with a message channel.

    ``args``: the script's arguments. Options (a mapping or keywords): ``cwd``, ``env`` (default
    ``os.environ``), ``exec_path`` (default this interpreter), ``exec_argv`` (its flags, default
    this one's), ``silent`` (default False: the child shares our standard streams; True: they are
    ``child.stdin``, ``stdout``, ``stderr``), ``stdio`` ('pipe', 'inherit', 'ignore', or a list of
    three of them or descriptors), ``detached`` (a session of its own), ``kill_signal`` (default
    'SIGTERM'), ``timeout`` (ms until it is killed), ``signal`` (an AbortSignal: an abort kills it).

    Returns a :class:`ChildProcess` at once; 'spawn', or 'error' if it cannot be started, follows.
    Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; on Windows
    ERR_FEATURE_UNAVAILABLE_ON_PLATFORM.
    """
    if is_mapping(args):
        args, options = None, args
    script: Any = module_path
    if not isinstance(module_path, (str, os.PathLike)) or not os.fspath(script):
        bad_type('module_path', 'the path of a script', script)
    given: Any = args
    if args is not None and (isinstance(args, (str, bytes)) or not isinstance(args, Sequence)):
        bad_type('args', 'a list of strings', args)
    if options is not None and not is_mapping(options):
        bad_type('options', 'a mapping', options)
    words: list[str] = [str(word) for word in given or ()]
    opts = merge_options('fork', options, keywords, FORK_OPTIONS)
    return spawn([os.fsdecode(script), *words], opts)
