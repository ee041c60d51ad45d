"""Every code block of the README and of docs/ is run as it stands, on both loops.

How a block is run is told by its directive, see ``blocks.py``. A page is a folder: a block that
has a file name is there for the blocks below it. The loopback address of the pages is exchanged
for another one of 127/8 in each test, so that fixed port numbers do not collide.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ..programs import python_path
from . import drivers
from .blocks import ROOT, RUN, Block, blocks_of, pages

HERE = Path(__file__).resolve().parent
#: The longest a block may take, in seconds.
PATIENCE = 50

PAGES = {
    path.relative_to(ROOT).as_posix(): blocks_of(
        path.read_text('utf-8'), path.relative_to(ROOT).as_posix()
    )
    for path in pages()
}
BLOCKS = [block for page in PAGES.values() for block in page if block.language in RUN]


def own_address() -> str:
    """A loopback address for this process, where the system has all of 127/8."""
    if not sys.platform.startswith('linux'):
        return '127.0.0.1'
    number = os.getpid()
    return f'127.{number >> 14 & 127 | 64}.{number >> 7 & 127}.{(number & 127) + 2}'


def moved(text: str) -> str:
    """``text`` with this process's loopback address, if it has the fixed port of the pages."""
    return text.replace('127.0.0.1', own_address()) if str(drivers.PORT) in text else text


def environment(folder: Path, loop_kind: str) -> dict[str, str]:
    """For the block's process: the sources of this checkout, warnings as errors, no colour."""
    return {
        **{name: value for name, value in os.environ.items() if name != 'TAILRACE_OPTIONS'},
        # What puts a loop in force here has imported the package before pytest looks at plugins.
        'PYTEST_ADDOPTS': '-W ignore::pytest.PytestAssertRewriteWarning',
        'PATH': f'{folder / ".bin"}{os.pathsep}{os.environ.get("PATH", "")}',
        'PYTHONPATH': python_path(loop_kind),
        'PYTHONUNBUFFERED': '1',
        'PYTHONWARNINGS': 'error',
        'PYTHONDONTWRITEBYTECODE': '1',
        'TMPDIR': str(folder),
    }


def prepare(block: Block, folder: Path) -> list[str]:
    """Put the page's files into ``folder``; returns the command that runs the block."""
    (folder / '.bin').mkdir()
    # No link: an interpreter of a virtual environment knows by its place that it is one.
    command = folder / '.bin' / 'python'
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    command.chmod(0o755)
    for other in PAGES[block.page]:
        if other.line > block.line:
            break
        if 'file' in other.directive:
            (folder / other.directive['file']).write_text(moved(other.text), 'utf-8')
    if block.language == 'sh':
        return [shutil.which('sh') or 'sh', '-euc', moved(block.text)]
    text = moved(block.text)
    if 'with' in block.directive:
        text = framed(text, (HERE / 'preambles' / f'{block.directive["with"]}.py').read_text())
    name = block.directive.get('file', 'block.py')
    (folder / name).write_text(text, 'utf-8')
    return [sys.executable, name]


def framed(text: str, preamble: str) -> str:
    """``preamble`` with ``text`` in the place of its line ``# BLOCK``, indented as that is."""
    found = re.search(r'^( *)# BLOCK\n', preamble, re.MULTILINE)
    assert found is not None, 'the preamble has no line "# BLOCK"'
    head, tail = preamble[: found.start()], preamble[found.end() :]
    return head + textwrap.indent(text, found[1]) + tail


@pytest.mark.parametrize('block', BLOCKS, ids=[block.name for block in BLOCKS])
def test_block_runs(block: Block, loop_kind: str, tmp_path: Path) -> None:
    if 'skip' in block.directive:
        pytest.skip(block.directive['skip'])
    command = prepare(block, tmp_path)
    wanted = int(block.directive.get('exits', 0))
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(tmp_path, loop_kind),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            if 'drive' in block.directive:
                getattr(drivers, block.directive['drive'])(drivers.Program(process, own_address()))
            out, err = process.communicate(timeout=PATIENCE)
        except BaseException:
            process.kill()
            print(*process.communicate())
            raise
    assert (process.returncode, err) == (wanted, '') or (wanted and process.returncode == wanted)
    if 'output' in block.directive:
        assert block.output is not None
        assert out == moved(block.output)


WHICH = """
import asyncio, tailrace
async def main():
    print(type(asyncio.get_running_loop()).__module__.partition('.')[0])
tailrace.run(main)
asyncio.run(main())
"""


def test_block_runs_on_the_loop_that_is_meant(loop_kind: str, tmp_path: Path) -> None:
    said = f'{loop_kind}\n' * 2
    test_block_runs(
        Block('README.md', 0, 'python', WHICH, {'output': 'yes'}, said), loop_kind, tmp_path
    )


def test_there_are_blocks_on_the_pages() -> None:
    assert {'README.md', 'docs/tutorial.md'} <= {block.page for block in BLOCKS}


# -- that the machinery sees what it should -----------------------------------------------------


def test_directives_are_read() -> None:
    text = '<!-- test: file=a.py drive=echo -->\n```python\nx\n```\n\n```text\nout\n```\n'
    (code, out) = blocks_of(text, 'p.md')
    assert (code.directive, code.text, code.output) == (
        {'file': 'a.py', 'drive': 'echo'},
        'x\n',
        'out\n',
    )
    assert (code.name, out.language) == ('p.md:2', 'text')


@pytest.mark.parametrize(
    ('text', 'complaint'),
    [
        ('<!-- test: fil=a.py -->\n```python\n```\n', "unknown directive 'fil'"),
        ('<!-- test: skip=no -->\n```sh\n```\n', 'skipped without a reason'),
        ('<!-- test: file=a -->\nwords\n', 'belongs to no block'),
        ('```python\nx\n', 'has no end'),
    ],
)
def test_wrong_page_is_seen(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        blocks_of(text, 'p.md')


@pytest.mark.parametrize(
    ('block', 'fails'),
    [
        (Block('README.md', 0, 'python', 'print(1)\n'), False),
        (Block('README.md', 0, 'python', 'raise ValueError\n'), True),
        (Block('README.md', 0, 'sh', 'false\ntrue\n'), True),
        (Block('README.md', 0, 'python', 'print(1)\n', {'output': 'yes'}, '2\n'), True),
        (Block('README.md', 0, 'python', 'import sys; sys.stderr.write("x")\n'), True),
        (Block('README.md', 0, 'python', 'raise SystemExit(3)\n', {'exits': '3'}), False),
        (Block('README.md', 0, 'python', '1\n', {'exits': '3'}), True),
    ],
)
def test_failing_block_is_seen(block: Block, fails: bool, loop_kind: str, tmp_path: Path) -> None:
    if fails:
        with pytest.raises(AssertionError):
            test_block_runs(block, loop_kind, tmp_path)
    else:
        test_block_runs(block, loop_kind, tmp_path)
