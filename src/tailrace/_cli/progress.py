"""What a person at a terminal sees of a command that takes its time: one line on stderr."""

from __future__ import annotations

from collections.abc import Callable

from .._timers import clear_interval, set_interval
from .console import Line, progress_line

__all__ = ['Progress']

#: How long nothing is shown, and how often it is drawn anew, in ms.
EVERY = 400


class Progress:
    """Shows ``text()``, drawn anew until :meth:`close`; nothing where plain lines are the thing.

    What is over at once shows nothing.
    """

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text
        self._line: Line | None = None
        self._timer = set_interval(self._draw, EVERY).unref()

    def _draw(self) -> None:
        if self._line is None:
            self._line = progress_line()
        if self._line is None:
            self.close()
        else:
            self._line.show(self._text())

    def close(self) -> None:
        """Take the line away."""
        clear_interval(self._timer)
        line, self._line = self._line, None
        if line is not None:
            line.close()
