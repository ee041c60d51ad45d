"""Writes a result as Markdown: a table for each row, then the targets, then what was skipped.

It knows the shape of the result file (bench/README.md) and no process, peer or measurement.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from . import stats

DASH = '-'


def number(value: float | None) -> str:
    """Three significant figures, with thousands separated: 98,700, 12.3, 0.83."""
    if value is None:
        return DASH
    if abs(value) >= 1000:
        digits = len(str(int(abs(value))))
        return f'{round(value, 3 - digits):,.0f}'
    if abs(value) >= 100:
        return f'{value:.0f}'
    return f'{value:.1f}' if abs(value) >= 10 else f'{value:.2f}'


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table whose columns line up also as plain text; all but the first are right-aligned."""
    rows = [list(head), *(list(line) for line in lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    text = []
    for index, row in enumerate(rows):
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        text.append('| ' + ' | '.join(cells) + ' |')
        if index == 0:
            rules = [
                '-' * width if i == 0 else '-' * (width - 1) + ':' for i, width in enumerate(widths)
            ]
            text.append('| ' + ' | '.join(rules) + ' |')
    return '\n'.join(text)


def ordered(row: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Peers from best to worst; those without a figure last."""
    sign = -1 if row['higher_is_better'] else 1

    def key(item: tuple[str, dict[str, Any]]) -> tuple[bool, float]:
        value = item[1]['median']
        return value is None, 0 if value is None else sign * value

    return sorted(row['peers'].items(), key=key)


def disturbed(entry: dict[str, Any]) -> int:
    return sum(1 for one in present_rounds(entry) if stats.disturbed(one))


def row_table(row: dict[str, Any]) -> str:
    base = row['base']
    with_cpu = any('cpu_us' in entry for entry in row['peers'].values())
    head = ['peer', row['unit'], 'least', 'greatest']
    if base:
        head.append(f'x {base}')
    if with_cpu:
        head.append('CPU µs each')
        if base:
            head.append(f'CPU, {base} / it')
    lines = []
    noisy = 0
    for name, entry in ordered(row):
        line = [name, number(entry['median']), number(entry['min']), number(entry['max'])]
        if base:
            line.append(number(entry.get('ratio')))
        if with_cpu:
            line.append(number(entry.get('cpu_us')))
            if base:
                line.append(number(entry.get('cpu_ratio')))
        noisy += disturbed(entry)
        lines.append(line)
    text = f'### {row["title"]}\n\n{markdown(head, lines)}\n'
    if noisy:
        total = sum(len(present_rounds(entry)) for entry in row['peers'].values())
        text += (
            f'\nIn {noisy} of {total} measurements other programs took more than 5% of the window '
            'from the server or the generator; the CPU columns bear that better than the rates.\n'
        )
    return text


def present_rounds(entry: dict[str, Any]) -> list[Any]:
    return [one for one in entry['rounds'] if one is not None]


def targets_table(result: dict[str, Any]) -> str:
    lines = []
    for row in result['rows'].values():
        for verdict in row['targets']:
            mark = 'yes' if verdict['ok'] else 'NO'
            lines.append(
                [
                    row['title'],
                    verdict['subject'],
                    verdict['target'],
                    number(verdict['reached']),
                    number(verdict.get('by_cpu')),
                    mark,
                ]
            )
        if not row['targets']:
            wanted = ', '.join(row['wanted'])
            lines.append([row['title'], DASH, wanted or DASH, DASH, DASH, 'not measured'])
    return markdown(['row', 'subject', 'must reach', 'reached', 'by CPU', ''], lines) + '\n'


def skipped_table(result: dict[str, Any]) -> str:
    lines = [
        [one['peer'] or 'all', one['row'] or 'all', one['reason']] for one in result['skipped']
    ]
    return markdown(['peer', 'row', 'reason'], lines) + '\n'


def document(result: dict[str, Any]) -> str:
    parts = [row_table(row) for row in result['rows'].values() if row['peers']]
    parts.append('### Targets\n\n' + targets_table(result))
    if result['skipped']:
        parts.append('### Skipped\n\n' + skipped_table(result))
    return '\n'.join(parts)
