"""Making handles, and telling what kind a descriptor asks for."""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING

from .._runtime import Runtime
from . import DONE, ListenHandle, StreamHandle
from .fdpass import FdPipe
from .listen_pipe import PipeListener
from .listen_tcp import TcpListener
from .pipe import AF_UNIX, Pipe
from .reading import RawSocket, code_of
from .tcp import Tcp

__all__ = ['fd_pipe', 'guess_kind', 'pipe', 'pipe_listener', 'tcp', 'tcp_listener']


def tcp(runtime: Runtime) -> Tcp:
    """A TCP connection to be."""
    return Tcp(runtime)


def pipe(runtime: Runtime) -> Pipe:
    """A Unix-domain connection to be."""
    return Pipe(runtime)


def fd_pipe(runtime: Runtime) -> FdPipe:
    """A Unix-domain connection that carries descriptors too."""
    return FdPipe(runtime)


def tcp_listener(runtime: Runtime) -> TcpListener:
    """A TCP listener to be."""
    return TcpListener(runtime)


def pipe_listener(runtime: Runtime) -> PipeListener:
    """A Unix-domain listener to be."""
    return PipeListener(runtime)


def guess_kind(fd: int) -> str | None:
    """'tcp', 'pipe' (Unix stream socket, anonymous pipe, FIFO) or None: nothing we can handle.

    The descriptor stays its owner's.
    """
    try:
        mode = os.fstat(fd).st_mode
    except (OSError, OverflowError):
        return None
    if stat.S_ISFIFO(mode):
        return 'pipe'
    if not stat.S_ISSOCK(mode):
        return None
    try:
        sock = RawSocket(fileno=fd)
    except OSError:
        return None
    kind = None
    if sock.type == socket.SOCK_STREAM:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            kind = 'tcp'
        elif sock.family == AF_UNIX:
            kind = 'pipe'
    sock.detach()
    return kind


def open_listener(runtime: Runtime, fd: int, copy: bool) -> TcpListener | PipeListener | int:
    """A listener on a bound or listening descriptor, or on a copy of it; an errno if it is none.

    Without ``copy`` the descriptor is taken over; a refused one stays open.
    """
    kind = guess_kind(fd)
    if kind is None:
        return errno.EINVAL
    if copy:
        try:
            fd = os.dup(fd)
        except OSError as error:
            return code_of(error)
    handle = tcp_listener(runtime) if kind == 'tcp' else pipe_listener(runtime)
    code = handle.open(fd)
    if code == DONE:
        return handle
    if copy:
        os.close(fd)
    return code


if TYPE_CHECKING:
    # The type checker compares the classes with the contract here.
    _runtime = Runtime()
    _streams: list[StreamHandle] = [Tcp(_runtime), Pipe(_runtime), FdPipe(_runtime)]
    _listeners: list[ListenHandle] = [TcpListener(_runtime), PipeListener(_runtime)]
