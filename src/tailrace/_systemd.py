"""What a service and its manager tell each other: sd_notify(3) and sd_listen_fds(3).

The protocol is datagrams to the Unix socket that ``NOTIFY_SOCKET`` names, and descriptors from 3 on
that ``LISTEN_FDS`` counts. Nothing here knows servers or the loop: a call sends one datagram and
returns.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping

from ._validate import bad_type, bad_value, check_int, check_str, milliseconds
from .errors import system_error

__all__ = [
    'extend_timeout',
    'is_managed',
    'listen_fds',
    'notify',
    'ready',
    'reloading',
    'remove_fds',
    'status',
    'stopping',
    'store_fds',
    'take_fd',
    'watchdog',
    'watchdog_interval',
]

#: sd_listen_fds(3): SD_LISTEN_FDS_START.
_FIRST = 3


def is_managed() -> bool:
    """Whether a manager wants to be told: ``NOTIFY_SOCKET`` is set."""
    return bool(os.environ.get('NOTIFY_SOCKET'))


def notify(state: str | Mapping[str, object], /, *, fds: Iterable[int] = ()) -> bool:
    """Tell the service manager something: sd_notify(3).

    ``state`` is its text (``'READY=1'``, lines for several), or a mapping of names and values.
    ``fds`` are sent along. Returns False if there is no manager, which is no error. Raises
    ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for a line break in a value, and a system error with
    the syscall 'sendmsg'.
    """
    if isinstance(state, Mapping):
        lines: list[str] = []
        for name, value in state.items():
            text = str(value)
            if '\n' in text or '\n' in name or '=' in name:
                bad_value(f'state[{name!r}]', 'one line', text)
            lines.append(f'{name}={text}')
        state = '\n'.join(lines)
    check_str('state', state)
    numbers = [check_int('fds[]', fd, 0, 2**31 - 1) for fd in fds]
    path = os.environ.get('NOTIFY_SOCKET')
    if not path:
        return False
    # An abstract socket is written with @ for its NUL.
    address = '\0' + path[1:] if path.startswith('@') else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            if numbers:
                sock.connect(address)
                socket.send_fds(sock, [state.encode()], numbers)
            else:
                sock.sendto(state.encode(), address)
        except OSError as error:
            raise system_error(error.errno or 0, 'sendmsg', address=path) from error
    return True


def ready(text: str | None = None, /) -> bool:
    """The service is started, or has reloaded; ``text`` is shown by ``systemctl status``."""
    return notify({'READY': 1, **_status(text)})


def reloading(text: str | None = None, /) -> bool:
    """A reload begins (``Type=notify-reload``); :func:`ready` ends it."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    return notify({'RELOADING': 1, 'MONOTONIC_USEC': now, **_status(text)})


def stopping(text: str | None = None, /) -> bool:
    """The service begins to shut down."""
    return notify({'STOPPING': 1, **_status(text)})


def status(text: str, /) -> bool:
    """One line for ``systemctl status``."""
    return notify({'STATUS': check_str('text', text)})


def watchdog() -> bool:
    """The service is alive; due within every :func:`watchdog_interval`."""
    return notify({'WATCHDOG': 1})


def extend_timeout(ms: float, /) -> bool:
    """Starting or stopping takes ``ms`` longer than the manager would wait."""
    return notify({'EXTEND_TIMEOUT_USEC': int(milliseconds('ms', ms) * 1000)})


def store_fds(name: str, fds: Iterable[int], /) -> bool:
    """Leave descriptors with the manager, for :func:`listen_fds` after a restart (FDSTORE)."""
    return notify({'FDSTORE': 1, 'FDNAME': _checked_name(name)}, fds=fds)


def remove_fds(name: str, /) -> bool:
    """Let the manager close what :func:`store_fds` has left with it (FDSTOREREMOVE)."""
    return notify({'FDSTOREREMOVE': 1, 'FDNAME': _checked_name(name)})


def _checked_name(name: str) -> str:
    check_str('name', name)
    if not name or len(name) > 255 or ':' in name or not name.isascii() or not name.isprintable():
        bad_value('name', 'up to 255 printable ASCII characters without a colon', name)
    return name


def watchdog_interval() -> float | None:
    """The time in ms within which :func:`watchdog` must be called; None if nobody watches.

    Call it twice as often.
    """
    text, pid = os.environ.get('WATCHDOG_USEC'), os.environ.get('WATCHDOG_PID')
    if not text or not text.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 1000 or None


def listen_fds(*, unset: bool = False) -> dict[str, list[int]]:
    """The sockets that the manager has opened for this process: name → descriptors.

    ``server.listen(fd=listen_fds()['http'][0])`` serves on one. A socket without a name is called
    'unknown' by systemd, and here. Empty if there are none, or they are for another process. They
    are made close-on-exec. ``unset=True`` removes the variables, so that child processes do not see
    them.
    """
    if not isinstance(unset, bool):
        bad_type('unset', 'True or False', unset)
    found = _opened(os.getpid())
    if unset:
        for name in ('LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'):
            os.environ.pop(name, None)
    for fds in found.values():
        for fd in fds:
            try:
                os.set_inheritable(fd, False)
            except OSError as error:
                raise system_error(error.errno or 0, 'fcntl') from error
    return found


def _opened(pid: int) -> dict[str, list[int]]:
    """What the manager has opened for the process ``pid``."""
    count = os.environ.get('LISTEN_FDS')
    if os.environ.get('LISTEN_PID') != str(pid) or not count or not count.isdigit():
        return {}
    names = os.environ.get('LISTEN_FDNAMES')
    known = names.split(':') if names else []
    out: dict[str, list[int]] = {}
    for at in range(int(count)):
        out.setdefault(known[at] if at < len(known) else 'unknown', []).append(_FIRST + at)
    return out


#: Descriptors that :func:`take_fd` has given away.
_taken: set[int] = set()


def take_fd(name: str | None, of_parent: bool) -> int | None:
    """The next socket of this name (None: of any) that was not taken yet; ``listen`` asks.

    None if the manager has opened nothing at all. ``of_parent``: what it has opened for the parent.
    Raises ERR_INVALID_ARG_VALUE if there are others only.
    """
    found = _opened(os.getppid()) if of_parent else listen_fds()
    if not found:
        return None
    for key, fds in found.items():
        for fd in fds:
            if name in (key, None) and fd not in _taken:
                _taken.add(fd)
                return fd
    there = ', '.join(f'{key!r}: {len(fds)}' for key, fds in found.items())
    wanted = f'the name of a socket that was not taken yet (there are {there})'
    return bad_value('options.from_systemd', wanted, True if name is None else name)


def _status(text: str | None) -> dict[str, object]:
    return {} if text is None else {'STATUS': check_str('text', text)}
