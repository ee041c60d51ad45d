"""What the machine of connecting is given: targets in their order, a clock, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .._handles import StreamHandle

__all__ = ['Clock', 'Report', 'Target', 'Waiting', 'interleave']

#: Address and family (4 or 6); for a Unix path family is 0.
Target = tuple[str, int]


class Waiting(Protocol):
    """Something that will be called later, unless closed."""

    def close(self) -> object:
        """Do not call it."""


class Clock(Protocol):
    """Time, as far as the machine needs it. What waits keeps the program alive."""

    def call_later(self, ms: float, fn: Callable[[], object]) -> Waiting:
        """Call ``fn`` once, ``ms`` milliseconds from now."""
        ...

    def soon(self, fn: Callable[[], object]) -> Waiting:
        """Call ``fn`` once, from the loop, not inside this call."""
        ...

    def tick(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` at the end of the current callback."""


class Report(Protocol):
    """Who is told. For a Unix path ``port`` and ``family`` are None."""

    def attempting(self, address: str, port: int | None, family: int | None) -> object:
        """'connectionAttempt'."""

    def failed(
        self, address: str, port: int | None, family: int | None, error: Exception
    ) -> object:
        """'connectionAttemptFailed'."""

    def timed_out(self, address: str, port: int | None, family: int | None) -> object:
        """'connectionAttemptTimeout'."""

    def connected(self, handle: StreamHandle) -> object:
        """The end: ``handle`` is connected and now belongs to the listener."""

    def gave_up(self, error: Exception) -> object:
        """The end: nothing connected."""

    def refuse(self, address: str, family: int) -> Exception | None:
        """ERR_IP_BLOCKED if the block list has the address."""
        ...


def interleave(answers: Sequence[Target]) -> list[Target]:
    """The order of attempts: the first answer's family first, then alternating.

    Each address is taken once; the order within a family is kept (so what the system's RFC 6724
    sorting prefers comes first).
    """
    if not answers:
        return []
    first = answers[0][1]
    seen = list(dict.fromkeys(answers))
    ours = [one for one in seen if one[1] == first]
    others = [one for one in seen if one[1] != first]
    out: list[Target] = []
    for at in range(max(len(ours), len(others))):
        out += ours[at : at + 1] + others[at : at + 1]
    return out
