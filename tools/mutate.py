"""Do the tests see small mistakes? Makes them in a copy, one at a time, and runs tests on each.

    python tools/mutate.py _stream/write.py tests/stream              20 mistakes, drawn by chance
    python tools/mutate.py _net/attempts.py tests/net/test_attempts.py --count 50 --seed 3
    python tools/mutate.py _stream/write.py tests/stream --lines 400-480

A comparison is turned round, a condition denied, an operator or a number changed, a statement left
out. It prints what no test has noticed (a survivor): either a test is missing, or the change makes
no difference. A run that takes longer than ``--timeout`` seconds has noticed. The status is 0
whatever survives: a survivor is to be looked at by a person.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

#: What each comparison, and each operator, becomes.
COMPARISONS = {
    ast.Eq: '!=', ast.NotEq: '==', ast.Lt: '<=', ast.LtE: '<', ast.Gt: '>=', ast.GtE: '>',
    ast.Is: 'is not', ast.IsNot: 'is', ast.In: 'not in', ast.NotIn: 'in',
}  # fmt: skip
OPERATORS = {ast.Add: '-', ast.Sub: '+', ast.BitOr: '&', ast.BitAnd: '|', ast.Mult: '+'}


class Mistake(NamedTuple):
    """Put ``text`` in the place of ``source[start:end]``."""

    line: int
    start: int
    end: int
    text: str

    def applied(self, source: bytes) -> bytes:
        """The source with the mistake."""
        return source[: self.start] + self.text.encode() + source[self.end :]


class Finder(ast.NodeVisitor):
    """Collects the mistakes that can be made in a source: inside of functions, not in types."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.found: list[Mistake] = []

    def _at(self, line: int, column: int) -> int:
        return self.starts[line - 1] + column

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._at(node.lineno, node.col_offset)
        return start, self._at(node.end_lineno, node.end_col_offset)

    def _text(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self.source[start:end].decode()

    def _replace(self, node: ast.expr | ast.stmt, text: str) -> None:
        self.found.append(Mistake(node.lineno, *self._span(node), text))

    def _between(self, left: ast.expr, right: ast.expr, text: str) -> None:
        # Brackets around an operand are not in its span: then there is more than an operator.
        start, end = self._span(left)[1], self._span(right)[0]
        between = self.source[start:end].decode()
        if '(' not in between and ')' not in between:
            self.found.append(Mistake(left.lineno, start, end, f' {text} '))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Only the body: no decorators, defaults and annotations."""
        for statement in node.body[1:] if ast.get_docstring(node) is not None else node.body:
            self.visit(statement)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Only its methods."""
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                self.visit(statement)

    def visit_Module(self, node: ast.Module) -> None:
        """Only its functions and classes."""
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """The value, not the type."""
        if node.value is not None:
            self.visit(node.value)

    def visit_Compare(self, node: ast.Compare) -> None:
        """``a < b`` → ``a <= b``."""
        if len(node.ops) == 1:
            self._between(node.left, node.comparators[0], COMPARISONS[type(node.ops[0])])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """``a and b`` → ``a or b``."""
        other = 'or' if isinstance(node.op, ast.And) else 'and'
        self._between(node.values[0], node.values[1], other)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """``a + b`` → ``a - b``."""
        if type(node.op) in OPERATORS and not isinstance(node.left, ast.JoinedStr):
            self._between(node.left, node.right, OPERATORS[type(node.op)])
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """``not a`` → ``a``."""
        if isinstance(node.op, ast.Not | ast.Invert):
            self._replace(node, f'({self._text(node.operand)})')
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """``1`` → ``2``, ``True`` → ``False``."""
        if isinstance(node.value, bool):
            self._replace(node, str(not node.value))
        elif isinstance(node.value, int):
            self._replace(node, str(node.value + 1))

    def visit_If(self, node: ast.If) -> None:
        """``if a`` → ``if not (a)``."""
        self._replace(node.test, f'not ({self._text(node.test)})')
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        """A call that is left out."""
        if isinstance(node.value, ast.Call | ast.Await):
            self._replace(node, 'pass')
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """A change that is left out."""
        self._replace(node, 'pass')
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """An attribute that is not set."""
        if isinstance(node.targets[0], ast.Attribute):
            self._replace(node, 'pass')
        self.generic_visit(node)


def mistakes(source: bytes) -> list[Mistake]:
    """All mistakes that this tool knows to make in a source, in its order."""
    finder = Finder(source)
    finder.visit(ast.parse(source))
    return sorted(finder.found)


def wanted(found: list[Mistake], lines: str | None, count: int, seed: int) -> list[Mistake]:
    """``count`` of those within ``lines`` (``'10-20'``), by chance but the same for a seed."""
    if lines is not None:
        first, _, last = lines.partition('-')
        found = [one for one in found if int(first) <= one.line <= int(last or first)]
    return sorted(random.Random(seed).sample(found, min(count, len(found))))


def is_noticed(folder: Path, tests: list[str], timeout: float) -> bool:
    """Whether a test fails, or none comes to an end, in the copy ``folder``."""
    command = [
        *(sys.executable, '-m', 'pytest', '-x', '-q', '-p', 'no:randomly'),
        *('-p', 'no:cacheprovider', *tests),
    ]
    environment = {name: text for name, text in os.environ.items() if name != 'PYTHONPATH'}
    environment['PYTHONDONTWRITEBYTECODE'] = '1'
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return True
    if done.returncode not in (0, 1, 2):
        raise SystemExit(done.stdout.decode()[-2000:] + done.stderr.decode())
    return done.returncode != 0


def copied(folder: Path) -> Path:
    """The sources and tests in ``folder``."""
    unwanted = shutil.ignore_patterns('__pycache__', '*.so')
    for name in ('src', 'tests', 'tools', 'docs', 'examples'):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in ('pyproject.toml', 'hatch_build.py'):
        shutil.copy(ROOT / name, folder)
    return folder


def shown(source: bytes, mistake: Mistake) -> Iterator[str]:
    """The line before and after."""
    for sign, text in (('-', source), ('+', mistake.applied(source))):
        yield f'    {sign} {text.decode().splitlines()[mistake.line - 1].strip()}'


def main(words: list[str] | None = None) -> int:
    """The command."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('file', help='inside src/tailrace')
    parser.add_argument('tests', nargs='+', help='for pytest')
    parser.add_argument('--count', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--lines', metavar='FIRST-LAST')
    parser.add_argument('--timeout', type=float, default=120)
    options = parser.parse_args(words)
    original = ROOT / 'src' / 'tailrace' / options.file
    source = original.read_bytes()
    chosen = wanted(mistakes(source), options.lines, options.count, options.seed)
    survivors = 0
    with tempfile.TemporaryDirectory(prefix='tailrace-') as place:
        folder = copied(Path(place))
        if is_noticed(folder, options.tests, options.timeout):
            raise SystemExit('the tests fail, or take too long, without any mistake')
        target = folder / 'src' / 'tailrace' / options.file
        for mistake in chosen:
            target.write_bytes(mistake.applied(source))
            if not is_noticed(folder, options.tests, options.timeout):
                survivors += 1
                print(f'{options.file}:{mistake.line}')
                print('\n'.join(shown(source, mistake)), flush=True)
    print(f'{len(chosen)} mistakes, {survivors} not noticed')
    return 0


if __name__ == '__main__':
    sys.exit(main())
