"""What every picture of the documentation is drawn on: sizes, colours, arrows' tips, text.

No library and no font metrics take part, so the same data give the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

__all__ = ['box', 'head', 'line', 'number', 'words']

STYLE = """
  .paper { fill: #ffffff; stroke: #d5dbe3 }
  .state { fill: #eef4ff; stroke: #3b6cb7; stroke-width: 1.5 }
  .ours { fill: #fff6ea; stroke: #b7791f; stroke-width: 1.5 }
  .plain { fill: #f4f6f9; stroke: #8693a3; stroke-width: 1.2 }
  .good { fill: #d9f2e3; stroke: #1f7a4a; stroke-width: 1.5 }
  .bad { fill: #fde3e0; stroke: #b3372b; stroke-width: 1.5 }
  .way { fill: none; stroke: #4a5565; stroke-width: 1.5; marker-end: url(#tip) }
  .rule { fill: none; stroke: #b9c2cd; stroke-width: 1; stroke-dasharray: 3 3 }
  text { font-family: Helvetica, Arial, 'DejaVu Sans', sans-serif; font-size: 13px; fill: #1d2733 }
  .name { font-weight: bold; font-size: 15px; text-anchor: middle }
  .about { font-size: 12px; fill: #52606f; text-anchor: middle }
  .units { font-weight: bold; font-family: 'DejaVu Sans Mono', Menlo, Consolas, monospace }
  .code { font-size: 12px; font-family: 'DejaVu Sans Mono', Menlo, Consolas, monospace }
  .aim { fill: #52606f }
  .says { fill: #a8480b; font-style: italic }
"""


def number(value: float) -> str:
    """A coordinate, written alike everywhere."""
    return f'{value:.1f}'.rstrip('0').rstrip('.')


def head(width: int, height: int, title: str) -> list[str]:
    """The beginning of every picture."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f'<title>{escape(title)}</title>',
        f'<style>{STYLE}</style>',
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M 0 0 L 10 5 L 0 10 z" fill="#4a5565"/>'
        '</marker></defs>',
        f'<rect class="paper" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10"/>',
    ]


def box(kind: str, x: float, y: float, width: float, height: float, rx: int = 12) -> str:
    """A rectangle with round corners, by its upper left corner."""
    return (
        f'<rect class="{kind}" x="{number(x)}" y="{number(y)}" '
        f'width="{number(width)}" height="{number(height)}" rx="{rx}"/>'
    )


def words(kind: str, x: float, y: float, text: str, anchor: str = 'start') -> str:
    """One line of text."""
    return (
        f'<text class="{kind}" x="{number(x)}" y="{number(y)}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def line(kind: str, points: Iterable[tuple[float, float]]) -> str:
    """Straight lines from point to point."""
    path = ' L '.join(f'{number(x)} {number(y)}' for x, y in points)
    return f'<path class="{kind}" d="M {path}"/>'
