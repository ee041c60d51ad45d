"""``serve`` and ``serve_async``, as users call them; the rest is imported when they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack

if TYPE_CHECKING:
    import asyncio
    import os
    from datetime import timedelta

    from .._net.option_types import ListenOptions
    from .._net.server import Server
    from .._net.server_types import OnFailure

    #: What is served: a server, several, or a function that makes them.
    Target: TypeAlias = Server | Iterable[Server] | Callable[[], Any]

__all__ = ['serve', 'serve_async']


def serve(
    target: Target,
    /,
    *where: Any,
    drain_timeout: float | timedelta | None = 10_000,
    reload: Callable[[], object] | None = None,
    on_ready: Callable[..., object] | None = None,
    workers: int | None = None,
    run_as: str | int | None = None,
    run_as_group: str | int | None = None,
    umask: int | None = None,
    pid_file: str | os.PathLike[str] | None = None,
    on_error: OnFailure | Literal['log', 'raise'] | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    **listen: Unpack[ListenOptions],
) -> None:
    """Serve until SIGTERM or SIGINT, then let the connections finish: one call for a service.

    ``target`` is a server, several, or a function or coroutine function that returns them. A server
    that does not listen yet listens on ``where`` and ``listen``, which are the arguments of
    :meth:`Server.listen`. The call returns once the servers are closed, also if the program closes
    them itself. Then nothing else of the program runs: timers and other tasks are cancelled.

    The first SIGTERM or SIGINT accepts what waits in the system's queue and no more, emits
    'serverClosing' on every open connection, and waits for them; after ``drain_timeout`` ms
    (default 10 000; None: no limit) the rest is destroyed. A second signal ends at once; so does a
    third, wherever the program hangs. A handler, or another task, that ignores its cancellation is
    left behind a second later, with a warning. Exit status, as SystemExit if it is not 0: 0 if
    every connection has finished, 124 if the deadline destroyed some, 128 plus the number of the
    second signal (130, 143).

    SIGHUP calls ``reload``, a function or coroutine function, one call after the other. If it
    raises, that is logged and the server goes on. Without ``reload`` SIGHUP is left alone.

    Once all servers listen, ``on_ready(servers)`` is called, and awaited if it is a coroutine
    function; then the service manager is told (see :mod:`tailrace.systemd`), as it is of reloads,
    of the end, and of life where it has a watchdog.

    The order is: signals, ``umask`` (bits), ``pid_file``, ``target``, listening, ``run_as`` and
    ``run_as_group`` (names or numbers), ``on_ready``. No connection is accepted before the process
    has become ``run_as``. That brings the supplementary groups of this user and, unless
    ``run_as_group`` is given, its group. ``pid_file`` is removed at the end; one whose process has
    ended is replaced.

    ``workers``: serve in so many processes, see :func:`tailrace.cluster.serve`. Each runs this
    program again up to this call, with the same arguments; ``target`` is a function then, or a
    server that does not listen yet. Workers that end are started again, with a growing delay;
    SIGHUP replaces all, and ``reload`` is not called. The first process keeps its privileges, and
    the pid file is its own.

    ``on_error`` and ``loop_factory`` as of :func:`run`.

    Raises what :meth:`Server.listen` raises or emits, what ``target`` and ``on_ready`` raise,
    ERR_ALREADY_RUNNING for a pid file whose process lives, ERR_SERVER_NOT_RUNNING for a server that
    was given no address, EPERM where privileges cannot be changed, ERR_INVALID_ARG_TYPE,
    ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; RuntimeError in a running event loop or outside of the
    main thread. With ``workers``, the failure of the first start is in the log, and the status 1.
    """
    from .options import Settings

    settings = Settings(
        target,
        where,
        listen,
        drain_timeout,
        reload,
        on_ready,
        run_as,
        run_as_group,
        umask,
        pid_file,
        True,
    )
    if workers is None:
        from .service import run
    else:
        from .fleet import run_workers

        settings.set_workers(workers)
        run = run_workers
    status = run(settings, on_error, loop_factory)
    if status:
        raise SystemExit(status)


async def serve_async(
    target: Target,
    /,
    *where: Any,
    drain_timeout: float | timedelta | None = 10_000,
    reload: Callable[[], object] | None = None,
    on_ready: Callable[..., object] | None = None,
    run_as: str | int | None = None,
    run_as_group: str | int | None = None,
    umask: int | None = None,
    pid_file: str | os.PathLike[str] | None = None,
    signals: bool = True,
    **listen: Unpack[ListenOptions],
) -> int:
    """:func:`serve` for a program that owns the event loop: returns the exit status.

    Only the servers are closed at the end, nothing else. Cancelling it destroys their connections.
    ``signals=False`` leaves signals alone: the program closes the servers itself. Must run in the
    main thread otherwise.
    """
    from .options import Settings
    from .service import Service

    settings = Settings(
        target,
        where,
        listen,
        drain_timeout,
        reload,
        on_ready,
        run_as,
        run_as_group,
        umask,
        pid_file,
        signals,
    )
    return await Service(settings).run()
