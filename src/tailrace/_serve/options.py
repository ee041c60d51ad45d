"""What ``serve`` was told, checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._net.options import listen_call
from .._net.server import Server
from .._validate import (
    MAX_TIMEOUT,
    bad_type,
    bad_value,
    check_bool,
    check_callable,
    check_int,
    milliseconds,
    out_of_range,
)
from .privileges import Identity, identity

__all__ = ['Settings', 'checked_servers']


class Settings:
    """The arguments of ``serve``; see there."""

    def __init__(
        self,
        target: Any,
        where: tuple[Any, ...],
        listen: Mapping[str, Any],
        drain_timeout: Any,
        reload: Any,
        on_ready: Any,
        run_as: Any,
        run_as_group: Any,
        umask: Any,
        pid_file: Any,
        signals: Any,
    ) -> None:
        #: A function that makes the servers, or None: ``servers`` are given.
        self.make: Callable[[], Any] | None = None
        self.servers: list[Server] = []
        if callable(target):
            self.make = target
        else:
            self.servers = checked_servers('target', target)
        self.where = where
        self.listen = dict(listen)
        if where or listen:
            listen_call(where, self.listen)  # raises what is wrong
        #: ms; None: no limit
        self.drain_timeout: int | float | None = None
        if drain_timeout is not None:
            limit = milliseconds('drain_timeout', drain_timeout)
            if limit > MAX_TIMEOUT:
                out_of_range('drain_timeout', f'at most {MAX_TIMEOUT} ms', drain_timeout)
            self.drain_timeout = limit
        self.reload = None if reload is None else check_callable('reload', reload)
        self.on_ready = None if on_ready is None else check_callable('on_ready', on_ready)
        self.identity: Identity | None = identity(run_as, run_as_group)
        self.umask = None if umask is None else check_int('umask', umask, 0, 0o777)
        if pid_file is not None and not isinstance(pid_file, (str, os.PathLike)):
            bad_type('pid_file', 'a path', pid_file)
        self.pid_file: str | None = None if pid_file is None else os.fspath(pid_file)
        self.signals = check_bool('signals', signals)
        #: How many processes; None: this one.
        self.workers: int | None = None

    def set_workers(self, count: Any) -> None:
        """Serve in so many processes."""
        self.workers = check_int('workers', count, 1, 4096)
        if any(map(is_bound, self.servers)):
            bad_value(
                'target', 'a function, or a server that does not listen yet (workers)', self.servers
            )


def is_bound(server: Server) -> bool:
    """Whether it listens, or is about to."""
    return server.listening or bool(server._pending)


def checked_servers(name: str, found: Any) -> list[Server]:
    """One server, or several, as a list."""
    if isinstance(found, Server):
        return [found]
    wanted = 'a server, or several'
    several: Any = found
    if isinstance(found, (str, bytes)) or not isinstance(found, Iterable):
        bad_type(name, wanted, found)
    servers: list[Any] = list(several)
    if not servers:
        bad_value(name, wanted, servers)
    for server in servers:
        if not isinstance(server, Server):
            bad_type(f'{name}[]', 'a server', server)
    return servers
