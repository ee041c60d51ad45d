"""The file with the process id: one running program at a time, and a number for ``kill``.

Whether its process lives is told by a lock that the process holds on the file, which ends with it;
a number alone may belong to another process by now. A file that somebody else has written, without
a lock, is believed if a process with its number was running when it was written.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import state_error, system_error

__all__ = ['PidFile']

log = logging.getLogger('tailrace.serve')


class PidFile:
    """The file at ``path``, from entering to leaving; ERR_ALREADY_RUNNING if its process lives."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            import fcntl
        except ImportError:
            raise state_error(
                'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', 'pid files need fcntl'
            ) from None
        # A name of its own, complete and locked before it is seen under the right one.
        own = f'{self._path}.{os.getpid()}'
        with contextlib.ExitStack() as stack:
            try:
                old = self._lock_old(fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stack.callback(os.close, old)
                fd = os.open(own, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
                undo = stack.enter_context(contextlib.ExitStack())
                undo.callback(os.close, fd)
                undo.callback(os.unlink, own)
                fcntl.flock(fd, fcntl.LOCK_EX)
                os.write(fd, b'%d\n' % os.getpid())
                os.replace(own, self._path)
                undo.pop_all()
            except OSError as error:
                raise system_error(error.errno or 0, 'open', path=self._path) from error
        self._fd = fd
        return self

    def _lock_old(self, lock: object, how: int) -> int:
        """The file that is there, or an empty one, locked: who else starts now is refused."""
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                text = os.read(fd, 32).decode('ascii', 'replace').strip()
                try:
                    lock(fd, how)  # type: ignore[operator]
                except BlockingIOError:
                    raise self._refused(text) from None
                if self._is_at_path(fd):
                    if text.isdigit() and _ran(int(text), os.fstat(fd).st_mtime):
                        raise self._refused(text)
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # it was replaced meanwhile

    def _refused(self, text: str) -> Exception:
        who = f'as process {text}' if text else 'or is about to'
        return state_error('ERR_ALREADY_RUNNING', f'the program already runs {who} ({self._path})')

    def _is_at_path(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fd, self._fd = self._fd, -1
        try:
            if self._is_at_path(fd):
                os.unlink(self._path)
        except OSError as failure:
            # The folder belongs to root, whom this process was at the start: an empty file is as
            # good, it names nobody.
            if failure.errno not in (errno.EACCES, errno.EPERM):
                log.warning('the pid file %s stays: %s', self._path, failure)
            os.ftruncate(fd, 0)
        finally:
            os.close(fd)


def _ran(pid: int, at: float) -> bool:
    """Whether the process ``pid`` lives and was there at a time (epoch); if unknown, yes."""
    if pid in (0, os.getpid()):
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    try:
        # proc(5): the 22nd field is the start in clock ticks since boot; the second, the name, may
        # have spaces and parentheses.
        ticks = int(Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19])
        boot = next(
            int(line.split()[1])
            for line in Path('/proc/stat').read_text().splitlines()
            if line.startswith('btime ')
        )
    except (OSError, ValueError, IndexError, StopIteration):
        return True
    # The boot time is in whole seconds.
    return boot + ticks / os.sysconf('SC_CLK_TCK') <= at + 1.5
