"""The clock of the connecting machine, on a runtime.

It exists so that the machine can be run by tests with a clock of their own. It does not know what
it times.
"""

from __future__ import annotations

from collections.abc import Callable

from .._runtime import Runtime
from .._timers import Immediate, Timer

__all__ = ['RuntimeClock']


class RuntimeClock:
    """Time of a runtime; ``owner`` is blamed for what raises (see ``Runtime.uncaught``)."""

    __slots__ = ('_owner', '_runtime')

    def __init__(self, runtime: Runtime, owner: object) -> None:
        self._runtime = runtime
        self._owner = owner

    def call_later(self, ms: float, fn: Callable[[], object]) -> Timer:
        """Call ``fn`` in ``ms`` milliseconds; the timer holds the program."""
        return Timer(self._runtime, self._blaming(fn), ms, (), False)

    def soon(self, fn: Callable[[], object]) -> Immediate:
        """Call ``fn`` in the loop's next iteration; holds the program."""
        return Immediate(self._runtime, self._blaming(fn), ())

    def tick(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` after the current callback."""
        self._runtime.push(self._blaming(fn), ())

    def _blaming(self, fn: Callable[[], object]) -> Callable[[], None]:
        def call() -> None:
            try:
                fn()
            except Exception as error:
                self._runtime.uncaught(error, self._owner)

        return call
