"""Standard output: a reader that may go away, or a terminal, which gets tables.

On standard error, a line that is drawn anew in its place. These need ``rich`` (the extra ``cli``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    'NO_READER',
    'Line',
    'LiveTable',
    'Table',
    'live_table',
    'progress_line',
    'terminal_table',
]

#: The exit status when the reader has gone: what a shell shows of a program that SIGPIPE has ended.
NO_READER = 141


def _console(stderr: bool = False) -> Any:
    """A rich console on stdout, or None: no terminal, none that can move its cursor, no rich."""
    stream = sys.stderr if stderr else sys.stdout
    if not stream.isatty() or os.environ.get('TERM') in (None, 'dumb', 'unknown'):
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(stderr=stderr)


class Table:
    """Rows that are shown together."""

    def __init__(self, console: Any, columns: Sequence[str]) -> None:
        self._console = console
        self._table = _new(columns)

    def add(self, row: Sequence[str], colour: str) -> None:
        """One more row."""
        self._table.add_row(*row, style=colour)

    def show(self) -> None:
        """Print it."""
        self._console.print(self._table)


class LiveTable:
    """A table that is drawn anew in its place; the last one stays."""

    def __init__(self, console: Any, columns: Sequence[str]) -> None:
        from rich.live import Live

        self._columns = columns
        #: Rows that fit, with the table's head and the line below it.
        self.room = max(1, console.height - 6)
        self._live = Live(
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def draw(self, rows: Iterable[Sequence[str]], line: str) -> None:
        """Show these rows, and a line below them."""
        table = _new(self._columns)
        table.caption = line
        table.caption_justify = 'left'
        for row in rows:
            table.add_row(*row)
        self._live.update(table, refresh=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()


class Line:
    """A line on stderr that is drawn anew in its place, and is gone at the end."""

    def __init__(self, console: Any) -> None:
        from rich.live import Live

        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def show(self, text: str) -> None:
        """Show this instead."""
        from rich.text import Text

        self._live.update(Text(text, no_wrap=True, overflow='ellipsis'), refresh=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()


def _new(columns: Sequence[str]) -> Any:
    from rich import box
    from rich.markup import escape
    from rich.table import Table as RichTable

    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(escape(name), no_wrap=True)
    return table


def terminal_table(*columns: str) -> Table | None:
    """A table for stdout, or None where plain lines are the thing."""
    console = _console()
    return None if console is None else Table(console, columns)


def live_table(*columns: str) -> LiveTable | None:
    """A live table on stdout, or None where plain lines are the thing."""
    console = _console()
    return None if console is None else LiveTable(console, columns)


def progress_line() -> Line | None:
    """A line on stderr, or None where there is none that can be drawn anew."""
    console = _console(stderr=True)
    return None if console is None else Line(console)
