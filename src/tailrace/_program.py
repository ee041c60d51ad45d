"""``tailrace.run`` and ``python -m tailrace``: a program that ends when nothing is left to do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Literal

from . import _running
from ._compiled import compiled_parts, version
from ._handles.selector import new_event_loop
from ._net.defaults import parse_flags
from ._net.failing import check_policy
from ._runtime import is_coroutine

if TYPE_CHECKING:
    import asyncio

    from ._net.server_types import OnFailure

__all__ = ['main', 'run']

USAGE = """usage: python -m tailrace [flags] script.py [arguments]
       python -m tailrace [flags] -m module [arguments]
       python -m tailrace [flags] command [arguments]
       python -m tailrace --demo
       python -m tailrace status PATH [--json]

Runs the script, then the event loop until nothing is left that could call back.

commands, each with --help:
  connect     standard input and output joined to a connection
  listen      the same for a client that connects
  echo        a server that sends everything back
  proxy       a server that joins its clients to another server
  check       who answers, by which address, after how long
A script of such a name is run as ./connect or connect.py.

flags:
  --no-network-family-autoselection
  --network-family-autoselection-attempt-timeout=MS
  --demo      a demonstration on real sockets
  --version   the version of tailrace
"""

#: What comes with the package; ``_cli`` is imported by those who run one.
COMMANDS = ('connect', 'listen', 'echo', 'proxy', 'check')


def run(
    main: Callable[[], Any] | Coroutine[Any, Any, Any] | None = None,
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    on_error: OnFailure | Literal['log', 'raise'] | None = None,
) -> Any:
    """Run a program as Node does, and return what ``main`` returns.

    ``main`` is a coroutine, a coroutine function, a plain function or nothing. The loop runs until
    ``main`` is done and no ref'd server, socket, timer or request is left. An exception that
    nobody catches (in a listener, a timer, a tick, or an 'error' event without a listener) ends it
    and comes out here.

    Not so the failure of one connection that a server has accepted, which ends that connection and
    is logged (see ``Server.on_error``). ``on_error`` is the policy of all servers that have none of
    their own: 'log' (the default), a function that is called with (error, socket), or 'raise':
    Node's rule, by which such a failure ends the program too.

    ``loop_factory`` makes the event loop, by default an ``asyncio.SelectorEventLoop``; for example
    ``uvloop.new_event_loop``. Objects made before this call are taken along. Raises RuntimeError
    inside a running event loop: there, use tailrace as it is.

    Ctrl-C cancels ``main`` and raises KeyboardInterrupt, as ``asyncio.run`` does. If nothing
    catches it the program ends by SIGINT (a shell says 130) and prints no traceback, unless the
    program has its own ``sys.excepthook``. A second Ctrl-C interrupts whatever still runs and shows
    where.
    """
    try:
        check_policy('on_error', on_error)
    except Exception:
        if is_coroutine(main):
            main.close()
        raise
    return _running.run(main, loop_factory or new_event_loop, on_error)


def main(argv: Sequence[str] | None = None) -> int:
    """The command ``python -m tailrace``; returns the exit status.

    A first word that is exactly a name in ``COMMANDS`` is that command, whatever files there are.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] in (['--version'], ['-V']):
        parts = compiled_parts()
        build = f'{len(parts)} modules compiled' if parts else 'pure Python'
        print(f'tailrace {version()} ({build})')
        return 0
    if not args or args[0] in ('-h', '--help'):
        print(USAGE, end='')
        return 0 if args else 2
    if args == ['--demo']:
        # As a program: it is written with the public names, like any user's.
        import runpy

        runpy.run_module('tailrace._demo', run_name='__main__')
        return 0
    if args[0] == 'status':
        from ._status import main as show

        return show(args[1:])
    rest = parse_flags(args)
    if not rest or (rest[0].startswith('-') and (rest[0] != '-m' or len(rest) < 2)):
        print(USAGE, end='', file=sys.stderr)
        return 2
    if rest[0] in COMMANDS:
        from ._cli.command import main as command

        return command(rest[0], rest[1:], run)
    missing = _missing(rest)
    if missing is not None:
        print(f'tailrace: {missing}', file=sys.stderr)
        return 2
    import runpy

    # The script's own module lives on for as long as its callbacks may run: its globals are
    # what its listeners see.
    if rest[0] == '-m':
        sys.argv[:] = rest[1:]
        keep = runpy.run_module(rest[1], run_name='__main__', alter_sys=True)
    else:
        sys.argv[:] = rest
        sys.path[0] = str(_folder(rest[0]))
        keep = runpy.run_path(rest[0], run_name='__main__')
    run()
    del keep
    return 0


def _missing(rest: list[str]) -> str | None:
    """What is wrong with the program that was named: it is not there, or cannot be read."""
    if rest[0] == '-m':
        import importlib.util

        try:
            found = importlib.util.find_spec(rest[1])
        except (ImportError, ValueError):
            found = None
        return None if found is not None else f'no module named {rest[1]!r}'
    try:
        with open(rest[0], 'rb'):
            return None
    except IsADirectoryError:
        return None  # runpy runs a folder with a __main__.py
    except OSError as error:
        return f'cannot open {rest[0]}: {error.strerror}'


def _folder(script: str) -> Any:
    import pathlib

    return pathlib.Path(script).resolve().parent
