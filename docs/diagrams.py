"""Draws the pictures of the documentation from the tables of states and of layers, as SVG.

    python docs/diagrams.py            writes docs/images/*.svg

The tables are the package's (``_stream/transitions.py``) and its tests' (``tests/layers.py``);
here is only where a state stands on paper and which way an arrow bends. A test compares the files
with what is drawn. An arrow without a place here is an error, so that a new row of a table cannot
be forgotten. What has no table but explains is in ``sketches.py``.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from xml.sax.saxutils import escape

from tailrace._stream import transitions
from tailrace._stream.transitions import Machine, Move, State

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.append(str(HERE))

import sketches  # noqa: E402
from paper import box, head, line, number, words  # noqa: E402

WIDTH, HEIGHT = 190, 58

#: Where a socket stands for its user: ``ready_state`` (SK-51). Not bits, so the table is here.
READY = Machine(
    'ready-state',
    'ready_state',
    (
        State('opening', 'connect() is under way', 0, 0),
        State('open', 'both ways', 0, 0),
        State('readOnly', 'our FIN is sent', 0, 0),
        State('writeOnly', 'their FIN has come', 0, 0),
        State('closed', 'neither way', 0, 0),
    ),
    (
        Move('closed', 'connect()', 'opening'),
        Move('opening', 'connected', 'open', 'connect, ready'),
        Move('opening', 'failed, destroy()', 'closed', 'error, close'),
        Move('open', 'end()', 'readOnly', 'finish'),
        Move('open', 'their FIN, half-open allowed', 'writeOnly', 'end'),
        Move('open', 'their FIN; destroy()', 'closed', 'end, close'),
        Move('readOnly', 'their FIN', 'closed', 'end, close'),
        Move('writeOnly', 'end()', 'closed', 'finish, close'),
    ),
)


class Place(NamedTuple):
    """The middle of a state."""

    x: int
    y: int


class Way(NamedTuple):
    """How the arrow of some moves runs: from one point of a box to one of another, and its text.

    A point is a side (l, r, t, b) and how far along that side, from -1 to 1. ``text`` is where the
    label stands; ``align`` start, middle or end.
    """

    start: tuple[str, float]
    end: tuple[str, float]
    text: tuple[int, int]
    align: str = 'middle'
    bow: int = 60


LAYOUT: dict[str, tuple[tuple[int, int], dict[str, Place], dict[tuple[str, str], Way]]] = {
    'reading': (
        (800, 420),
        {
            'initial': Place(180, 60),
            'flowing': Place(630, 60),
            'paused': Place(630, 350),
            'readable': Place(180, 350),
        },
        {
            ('initial', 'flowing'): Way(('r', 0), ('l', 0), (405, 48)),
            ('initial', 'paused'): Way(('r', 0.7), ('t', -0.8), (408, 126), 'start', 90),
            ('initial', 'readable'): Way(('b', -0.4), ('t', -0.4), (132, 210), 'end'),
            ('flowing', 'paused'): Way(('b', 0.5), ('t', 0.5), (687, 196), 'start'),
            ('flowing', 'readable'): Way(('b', -0.6), ('r', -0.6), (412, 268), 'end', 90),
            ('paused', 'flowing'): Way(('t', 0.15), ('b', 0.15), (635, 216), 'end'),
            ('paused', 'readable'): Way(('l', 0.5), ('r', 0.5), (405, 386)),
            ('readable', 'initial'): Way(('t', 0.4), ('b', 0.4), (228, 210), 'start'),
        },
    ),
    'writing': (
        (920, 400),
        {
            'idle': Place(120, 170),
            'writing': Place(460, 170),
            'full': Place(800, 170),
            'ending': Place(460, 340),
            'finished': Place(800, 340),
        },
        {
            ('idle', 'writing'): Way(('r', -0.5), ('l', -0.5), (290, 147)),
            ('writing', 'idle'): Way(('l', 0.5), ('r', 0.5), (290, 204)),
            ('writing', 'full'): Way(('r', 0), ('l', 0), (630, 160)),
            ('idle', 'full'): Way(('t', 0.3), ('t', -0.3), (460, 86), 'middle', 60),
            ('full', 'idle'): Way(('t', 0.5), ('t', -0.5), (460, 24), 'middle', 120),
            ('idle', 'ending'): Way(('b', 0), ('l', 0), (160, 290), 'end', 90),
            ('writing', 'ending'): Way(('b', 0), ('t', 0), (468, 262), 'start'),
            ('full', 'ending'): Way(('b', -0.3), ('t', 0.7), (690, 268), 'start', 60),
            ('ending', 'finished'): Way(('r', 0), ('l', 0), (630, 360)),
        },
    ),
    'life': (
        (980, 150),
        {
            'alive': Place(110, 60),
            'destroyed': Place(365, 60),
            'released': Place(620, 60),
            'closed': Place(870, 60),
        },
        {
            ('alive', 'destroyed'): Way(('r', 0), ('l', 0), (238, 112)),
            ('destroyed', 'released'): Way(('r', 0), ('l', 0), (492, 112)),
            ('released', 'closed'): Way(('r', 0), ('l', 0), (745, 112)),
        },
    ),
    'ready-state': (
        (1020, 470),
        {
            'opening': Place(120, 70),
            'open': Place(470, 70),
            'readOnly': Place(905, 200),
            'writeOnly': Place(690, 240),
            'closed': Place(470, 410),
        },
        {
            ('closed', 'opening'): Way(('l', 0), ('b', -0.4), (132, 270), 'end', 110),
            ('opening', 'open'): Way(('r', 0), ('l', 0), (295, 44)),
            ('opening', 'closed'): Way(('b', 0.4), ('t', -0.7), (216, 158), 'start', 90),
            ('open', 'closed'): Way(('b', 0), ('t', 0), (480, 190), 'start'),
            ('open', 'readOnly'): Way(('r', 0), ('t', 0), (740, 40), 'middle', 120),
            ('open', 'writeOnly'): Way(('b', 0.7), ('t', 0), (688, 146), 'start', 60),
            ('readOnly', 'closed'): Way(('b', 0), ('r', 0.4), (880, 360), 'start', 120),
            ('writeOnly', 'closed'): Way(('b', 0), ('r', -0.4), (660, 308), 'end', 60),
        },
    ),
}


def point(place: Place, where: tuple[str, float]) -> tuple[float, float, int, int]:
    """A point on the edge of a state, and the direction in which an arrow leaves it."""
    side, along = where
    if side in 'lr':
        out = 1 if side == 'r' else -1
        return place.x + out * WIDTH / 2, place.y + along * HEIGHT / 2, out, 0
    out = 1 if side == 'b' else -1
    return place.x + along * WIDTH / 2, place.y + out * HEIGHT / 2, 0, out


def arrow(source: Place, target: Place, way: Way) -> str:
    """The curve of one arrow; straight where the two points face each other."""
    x1, y1, dx1, dy1 = point(source, way.start)
    x2, y2, dx2, dy2 = point(target, way.end)
    numbers = [x1, y1, x1 + dx1 * way.bow, y1 + dy1 * way.bow]
    numbers += [x2 + dx2 * way.bow, y2 + dy2 * way.bow, x2, y2]
    a, b, c, d, e, f, g, h = map(number, numbers)
    if (x1 == x2 and dx1 == dx2 == 0) or (y1 == y2 and dy1 == dy2 == 0):
        return f'<path class="way" d="M {a} {b} L {g} {h}"/>'
    return f'<path class="way" d="M {a} {b} C {c} {d} {e} {f} {g} {h}"/>'


def label(moves: list[Move], way: Way) -> Iterator[str]:
    """The causes of some moves with the same ends, and the events that tell of them."""
    x, y = way.text
    lines = [('', ', '.join(move.cause for move in moves))]
    says = sorted({move.says for move in moves if move.says})
    lines += [('says', ' '.join(repr(word) for word in says[0].split(', ')))] if says else []
    for at, (kind, text) in enumerate(lines):
        yield (
            f'<text class="{kind or "cause"}" x="{x}" y="{y + 16 * at}" '
            f'text-anchor="{way.align}">{escape(text)}</text>'
        )


def draw(machine: Machine) -> str:
    """One machine as SVG. Raises LookupError for a state or move that has no place on paper."""
    (width, height), places, ways = LAYOUT[machine.name]
    by_ends: dict[tuple[str, str], list[Move]] = {}
    for move in machine.moves:
        by_ends.setdefault((move.source, move.target), []).append(move)
    if by_ends.keys() != ways.keys() or {s.name for s in machine.states} != places.keys():
        unlike = (by_ends.keys() ^ ways.keys()) or (
            {s.name for s in machine.states} ^ places.keys()
        )
        raise LookupError(f'{machine.name}: table and layout differ in {sorted(unlike)}')
    title = '; '.join(f'{m.source} to {m.target}: {m.cause}' for m in machine.moves)
    lines = head(width, height, title)
    for (source, target), moves in by_ends.items():
        way = ways[source, target]
        lines.append(arrow(places[source], places[target], way))
        lines += label(moves, way)
    for state in machine.states:
        x, y = places[state.name]
        lines += [
            f'<rect class="state" x="{number(x - WIDTH / 2)}" y="{number(y - HEIGHT / 2)}" '
            f'width="{WIDTH}" height="{HEIGHT}" rx="12"/>',
            f'<text class="name" x="{x}" y="{y - 3}">{escape(state.name)}</text>',
            f'<text class="about" x="{x}" y="{y + 16}">{escape(state.about)}</text>',
        ]
    return '\n'.join([*lines, '</svg>', ''])


def layer_table() -> ModuleType:
    """``tests/layers.py``; tests/ is no package that could be imported from here."""
    path = HERE.parent / 'tests' / 'layers.py'
    spec = importlib.util.spec_from_file_location('layers_table', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(words: Iterable[str], limit: int) -> list[str]:
    """``words`` with commas between them, in rows of at most ``limit`` characters."""
    rows = ['']
    for word in words:
        if rows[-1] and len(rows[-1]) + len(word) > limit:
            rows.append('')
        rows[-1] += f'{word}, '
    rows[-1] = rows[-1].removesuffix(', ')
    return [row.rstrip() for row in rows]


def refusals(table: ModuleType, units: Sequence[str]) -> Iterator[str]:
    """What the units of a layer refuse to know, in lines."""
    for unit in units:
        if refused := table.REFUSES.get(unit):
            first, *rest = sorted(refused)
            whose = 'refuses' if len(units) == 1 else f'{unit} refuses'
            yield from rows_of([f'{whose} {first}', *rest], 84)


def draw_layers(table: ModuleType) -> str:
    """The layers from the top down: units, business, and what they refuse to know."""
    width, left, gap = 640, 20, 18
    y = 20
    body = []
    for layer in table.LAYERS:
        names = [unit for unit in layer.units if unit not in ('__init__', '__main__')]
        rows = [('units', row) for row in rows_of(names, 68)]
        rows.append(('aim', layer.about))
        rows += [('says', row) for row in refusals(table, layer.units)]
        height = 18 * len(rows) + 16
        if body:
            body.append(line('way', [(width / 2, y - gap), (width / 2, y)]))
        body.append(box('state', left, y, width - 2 * left, height))
        body += [
            words(kind, left + 16, y + 22 + 18 * at, row) for at, (kind, row) in enumerate(rows)
        ]
        y += height + gap
    y -= gap - 20
    title = 'From the top down: ' + '; '.join(', '.join(layer.units) for layer in table.LAYERS)
    return '\n'.join([*head(width, y, title), *body, '</svg>', ''])


def pictures() -> dict[str, str]:
    """File name to SVG: all machines, the layers, and what explains."""
    machines = {f'{m.name}.svg': draw(m) for m in (*transitions.MACHINES, READY)}
    return {
        **machines,
        'layers.svg': draw_layers(layer_table()),
        'overview.svg': sketches.draw_overview(),
        'attempts.svg': sketches.draw_attempts(),
    }


if __name__ == '__main__':
    for name, text in pictures().items():
        (HERE / 'images' / name).write_text(text, 'utf-8')
