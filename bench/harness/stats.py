"""The arithmetic: medians, ratios within a round, targets.

It knows no process, no file and no peer's nature; a missing measurement is None and stays out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Values = Sequence[float | None]

# Above this share of the window taken by other programs, a measurement counts as disturbed.
DISTURBED = 0.05


def present(values: Values) -> list[float]:
    return [value for value in values if value is not None]


def spread(values: Values) -> dict[str, float | None]:
    """Median, least and greatest of the measured values; None where nothing was measured."""
    known = present(values)
    if not known:
        return {'median': None, 'min': None, 'max': None}
    return {'median': median(known), 'min': min(known), 'max': max(known)}


def ratios(values: Values, base: Values) -> list[float | None]:
    """`values / base`, round by round; None where either is missing or the base is 0."""
    return [
        None if value is None or not other else value / other
        for value, other in zip(values, base, strict=True)
    ]


def ratio(values: Values, base: Values) -> float | None:
    """The median of the per-round ratios: a machine that slows down slows both sides of a round."""
    return spread(ratios(values, base))['median']


def taken(ran: float, waited: float, window: float) -> float:
    """The share of a window that other programs took from a process, all three in one unit.

    A process whose own threads share its core waits for itself: what it waited beyond the time it
    did not run is not other programs' doing.
    """
    return max(0.0, min(waited, window - ran) / window)


def disturbed(measurement: dict[str, Any]) -> bool:
    return bool(measurement.get('taken', 0.0) > DISTURBED)


def rotated(items: Sequence[Any], round_number: int) -> list[Any]:
    """Round N begins at item N, so that no peer always follows the same one's heat."""
    if not items:
        return []
    start = round_number % len(items)
    return [*items[start:], *items[:start]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a row must reach: `subject op factor x against`, or an absolute value when alone.

    `unit` is only printed.
    """

    op: str
    factor: float
    against: str | None = None
    unit: str = ''

    def __post_init__(self) -> None:
        if self.op not in ('>=', '<='):
            raise ValueError(f'a target is >= or <=, not {self.op!r}')

    def text(self) -> str:
        if self.against is None:
            return f'{self.op} {self.factor:g}{" " + self.unit if self.unit else ""}'
        return f'{self.op} {self.factor:g} x {self.against}'

    def reached(self, value: float) -> bool:
        return value >= self.factor if self.op == '>=' else value <= self.factor


def judge(
    target: Target, subject: str, measured: dict[str, Values], cpu: dict[str, Values] | None = None
) -> dict[str, Any] | None:
    """The target's verdict for one subject; None if the subject or its opponent is missing.

    `cpu` is the CPU time of a message by peer: the same ratio from it (`by_cpu`) is a second
    opinion for a machine that is not quiet, and decides nothing.
    """
    if subject not in measured:
        return None
    if target.against is None:
        reached = spread(measured[subject])['median']
    elif target.against in measured:
        reached = ratio(measured[subject], measured[target.against])
    else:
        return None
    if reached is None:
        return None
    return {
        'target': target.text(),
        'op': target.op,
        'factor': target.factor,
        'against': target.against,
        'subject': subject,
        'reached': reached,
        'ok': target.reached(reached),
        'by_cpu': None
        if cpu is None or target.against not in cpu or subject not in cpu
        else ratio(cpu[target.against], cpu[subject]),
    }


def summary(
    rounds: dict[str, list[dict[str, Any] | None]], base: str | None
) -> dict[str, dict[str, Any]]:
    """Per peer: values, their spread, ratios to the base peer, CPU per message where known.

    `rounds` maps a peer to one measurement a round: a dict with `value` and, for traffic,
    `cpu_us` (the server's CPU time per message), or None where it failed.
    """
    values = {
        peer: [None if one is None else one['value'] for one in measured]
        for peer, measured in rounds.items()
    }
    cpu = {
        peer: [None if one is None else one.get('cpu_us') for one in measured]
        for peer, measured in rounds.items()
    }
    result: dict[str, dict[str, Any]] = {}
    for peer, measured in rounds.items():
        entry: dict[str, Any] = {'values': values[peer], **spread(values[peer])}
        if base is not None and base in values:
            shares = spread(ratios(values[peer], values[base]))
            entry |= {
                'ratio': shares['median'],
                'ratio_min': shares['min'],
                'ratio_max': shares['max'],
            }
        if present(cpu[peer]):
            entry['cpu_us'] = spread(cpu[peer])['median']
            if base is not None and base in cpu:
                entry['cpu_ratio'] = ratio(cpu[base], cpu[peer])
        entry['rounds'] = measured
        result[peer] = entry
    return result
