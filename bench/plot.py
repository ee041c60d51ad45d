"""Draws a result as PNG and SVG: `python bench/plot.py [RESULT] [--out docs/bench]`.

It knows the shape of the result file and matplotlib (a development dependency), no measurement.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from harness import table

ROOT = Path(__file__).resolve().parent.parent
OURS, OTHERS, LIMIT = '#c8452b', '#9aa7b4', '#3d4a57'
TARGET, INK, FAINT = '#1f6f4a', '#1e252c', '#e3e7eb'
BAR = 0.68
SIGNS = {'>=': '\N{GREATER-THAN OR EQUAL TO}', '<=': '\N{LESS-THAN OR EQUAL TO}'}


def bars(row: dict[str, Any]) -> list[tuple[str, float, float, float]]:
    """(peer, value, least, greatest), best first; shares of the base where the row has one."""
    drawn = []
    for name, entry in table.ordered(row):
        keys = ('ratio', 'ratio_min', 'ratio_max') if row['base'] else ('median', 'min', 'max')
        value, least, greatest = (entry.get(key) for key in keys)
        if value is not None and least is not None and greatest is not None:
            drawn.append((name, value, least, greatest))
    drawn.sort(key=lambda bar: bar[1], reverse=row['higher_is_better'])
    return drawn


def target_marks(row: dict[str, Any]) -> list[tuple[str, float]]:
    """Where each target lies on the row's axis: a multiple of a peer, at that peer's share."""
    marks = []
    for op, factor, against in row['goals']:
        if against is None:
            marks.append((f'{SIGNS[op]} {factor:g} {row["unit"]}', factor))
            continue
        opponent = row['peers'].get(against)
        key = 'ratio' if row['base'] else 'median'
        if opponent is not None and opponent.get(key) is not None:
            marks.append((f'{SIGNS[op]} {factor:g} x {against}', factor * opponent[key]))
    return marks


def colour(name: str, base: str | None) -> str:
    if name.startswith('tailrace'):
        return OURS
    return LIMIT if name == base else OTHERS


def draw(axes: Any, row: dict[str, Any], slots: int) -> None:
    """One row in its axes; `slots` bars would fill them, so that neighbours have bars as thick."""
    shown = bars(row)
    places = range(len(shown))
    marks = target_marks(row)
    furthest = max([greatest for *_, greatest in shown] + [value for _, value in marks])
    axes.barh(
        places,
        [value for _, value, _, _ in shown],
        height=BAR,
        color=[colour(name, row['base']) for name, *_ in shown],
        zorder=2,
    )
    for place, (_, value, least, greatest) in zip(places, shown, strict=True):
        axes.plot([least, greatest], [place, place], color=INK, linewidth=1.1, zorder=3)
        axes.text(
            max(value, greatest) + furthest * 0.012,
            place,
            table.number(value),
            va='center',
            fontsize=8,
            color=INK,
            zorder=5,
            bbox={'facecolor': 'white', 'edgecolor': 'none', 'pad': 0.6},
        )
    for _, value in marks:
        axes.axvline(value, color=TARGET, linewidth=1.2, linestyle=(0, (4, 2)), zorder=4)
    axes.set_yticks(places, [name for name, *_ in shown], fontsize=8.5)
    axes.set_ylim(slots - 0.45, -0.55)
    axes.set_xlim(0, furthest * 1.13)
    better = 'more is better' if row['higher_is_better'] else 'less is better'
    measure = f'share of the {row["base"].upper()} server' if row['base'] else row['unit']
    if row['base'] and not row['higher_is_better']:
        measure = f'multiple of the {row["base"].upper()} server'
    axes.set_xlabel(f'{measure} ({better})', fontsize=8.5, color=INK)
    title = row['title'][0].upper() + row['title'][1:]
    axes.set_title(title, loc='left', fontsize=10.5, color=INK, fontweight='bold', pad=20)
    if marks:
        text = 'targets, left to right: ' if len(marks) > 1 else 'target: '
        text += ',  '.join(label for label, _ in sorted(marks, key=lambda mark: mark[1]))
        axes.text(0, 1.02, text, transform=axes.transAxes, fontsize=8, color=TARGET, va='bottom')
    axes.grid(axis='x', color=FAINT, zorder=0)
    axes.set_axisbelow(True)
    for side in ('top', 'right', 'left'):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis='y', length=0)
    axes.tick_params(axis='x', labelsize=8, colors=INK)


def circumstances(result: dict[str, Any]) -> str:
    versions = result['versions']
    names = ('node', 'uvloop', 'twisted', 'trio', 'anyio', 'gevent', 'tailrace')
    with_versions = [f'{name} {versions[name]}' for name in names if name in versions]
    return (
        f'{result["when"][:10]}  ·  {result["processor"]}, Linux {result["kernel"]}  ·  '
        f'CPython {result["python"]},\n{", ".join(with_versions)}\n'
        f'bars: medians of {result["rounds"]} interleaved rounds of {result["duration_ms"]} ms, '
        'lines: least and greatest; server and generator on a core each'
    )


def figure(result: dict[str, Any], names: list[str]) -> Any:
    import matplotlib

    matplotlib.use('Agg')
    matplotlib.rcParams['svg.hashsalt'] = 'tailrace'
    matplotlib.rcParams['font.family'] = 'DejaVu Sans'
    from matplotlib import pyplot

    columns = 1  # as wide as a column of text: it is scaled down or cut off otherwise
    lines = [names[start : start + columns] for start in range(0, len(names), columns)]
    slots = [max(len(bars(result['rows'][name])) for name in line) for line in lines]
    heights = [count + 3.4 for count in slots]
    sheet, grid = pyplot.subplots(
        len(lines),
        columns,
        figsize=(7.2 * columns, 0.245 * sum(heights) + 0.9),
        gridspec_kw={'height_ratios': heights},
        squeeze=False,
        layout='constrained',
    )
    foot = 0.62 / sheet.get_figheight()
    sheet.get_layout_engine().set(h_pad=0.14, w_pad=0.14, rect=(0, foot, 1, 1 - foot))
    for line, count, axes in zip(lines, slots, grid, strict=True):
        for index, one in enumerate(axes):
            if index < len(line):
                draw(one, result['rows'][line[index]], count)
            else:
                one.set_visible(False)
    sheet.text(0.012, 0.1 / sheet.get_figheight(), circumstances(result), fontsize=7.5, color=LIMIT)
    return sheet


def drawable(result: dict[str, Any], wanted: str | None) -> list[str]:
    names = [name for name, row in result['rows'].items() if bars(row)]
    if wanted is None:
        return names
    chosen = wanted.split(',')
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise ValueError(f'no figures for {", ".join(unknown)}; there are {", ".join(names)}')
    return chosen


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='plot', description='Draw a result of the benchmark.')
    parser.add_argument(
        'result', nargs='?', type=Path, default=ROOT / 'bench' / 'results' / 'latest.json'
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'bench', help='without suffix')
    parser.add_argument('--rows', metavar='A,B', help='only these rows')
    options = parser.parse_args(words)
    result = json.loads(options.result.read_text())
    try:
        names = drawable(result, options.rows)
    except ValueError as error:
        parser.error(str(error))
    if not names:
        parser.error(f'{options.result} holds no figures')
    try:
        sheet = figure(result, names)
    except ModuleNotFoundError as error:
        print(f'plot: {error}; see bench/requirements.txt', file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for suffix, metadata in (('png', {}), ('svg', {'Date': None})):
        file = options.out.with_suffix(f'.{suffix}')
        sheet.savefig(file, dpi=150, facecolor='white', metadata=metadata)
        print(file)
    return 0


if __name__ == '__main__':
    sys.exit(main())
