"""A signal that has the process show its connections, where no control socket is wanted."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Protocol, Self

from . import _runtime
from ._names import node_names
from ._status import report, table
from ._validate import bad_type, bad_value, check_bool, check_int

__all__ = ['StatusSignal', 'status_on_signal']


class Writable(Protocol):
    """A text file."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


@node_names
class StatusSignal:
    """What :func:`status_on_signal` returns: ``close()`` it, or leave its ``with`` block."""

    __slots__ = ('_as_json', '_before', '_file', '_number')

    def __init__(self, number: int, file: Writable | None, as_json: bool) -> None:
        self._number = number
        self._file = file
        self._as_json = as_json
        self._before: Any = signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        loop = _runtime.running_loop()
        if loop is None:
            self._write()
        else:
            # Not here: the program may be in the middle of changing what is shown. It wakes it.
            loop.call_soon_threadsafe(self._write)

    def _write(self) -> None:
        told = report()
        text = json.dumps(told) if self._as_json else table(told)
        file = sys.stderr if self._file is None else self._file
        try:
            file.write(text + '\n')
            file.flush()
        except (OSError, ValueError) as error:  # a full disk, a closed file
            logging.getLogger('tailrace').warning('the status was not written: %s', error)

    def close(self) -> None:
        """Do what the signal did before; calling it again changes nothing."""
        before, self._before = self._before, None
        if before is not None:
            signal.signal(self._number, before)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def status_on_signal(
    number: int | None = None, /, *, file: Writable | None = None, as_json: bool = False
) -> StatusSignal:
    """Write the table of ``tailrace status`` to stderr whenever the process gets SIGUSR1.

    ``number`` is another signal, ``file`` another text file, ``as_json=True`` gives one line of
    JSON. It is written by the event loop, or at once where none runs. In a cluster, call it in each
    process. For the main thread, where signals arrive (RuntimeError elsewhere). Raises
    ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, and ERR_INVALID_ARG_VALUE for a signal that this system
    does not have or that cannot be heard.
    """
    check_bool('as_json', as_json)
    if file is not None and not callable(getattr(file, 'write', None)):
        bad_type('file', 'a text file', file)
    if number is None:
        number = getattr(signal, 'SIGUSR1', None)
        if number is None:
            bad_value('number', 'a signal of this system, which has no SIGUSR1', number)
    check_int('number', number, 1, signal.NSIG - 1)
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError('signals are for the main thread')
    try:
        return StatusSignal(number, file, as_json)
    except (OSError, ValueError):  # SIGKILL, SIGSTOP
        bad_value('number', 'a signal that a program can hear', number)
