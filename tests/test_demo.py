"""The demonstration behind ./run: it ends by itself, tells the truth and leaves no file behind."""

from __future__ import annotations

import errno
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / 'src'


def run_demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            **os.environ,
            'PYTHONPATH': str(SOURCE),
            'TMPDIR': str(folder),
            'PYTHONDONTWRITEBYTECODE': '1',
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
    )


def test_demo_shows_everything_and_leaves_nothing(tmp_path: Path) -> None:
    done = run_demo(tmp_path, '-W', 'error', '-m', 'tailrace._demo')
    assert (done.returncode, done.stderr) == (0, '')
    lines = [line.split() for line in done.stdout.splitlines()]
    shown = {(words[2], words[3]) for words in lines if words[1:2] == ['ms']}
    for who in ('client', 'connection', 'writer', 'reader'):
        assert {(who, 'end'), (who, 'finish'), (who, 'close')} <= shown
    verdicts = [words[1] for words in lines if words[:1] == ['ok']]
    assert verdicts[:3] == ['tcp:', 'unix:', 'transfer:']
    assert 'WRONG' not in done.stdout
    # Piped it is plain, and complete.
    assert not {'\x1b', '\r'} & set(done.stdout)
    assert 'Record(' not in done.stdout
    *_, last = done.stdout.splitlines()
    assert last.startswith('Now you: python -m tailrace echo 8124')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('colour', [True, False])
def test_a_terminal_shows_colours_and_a_bar_that_moves(tmp_path: Path, colour: bool) -> None:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != 'NO_COLOR'}
    environment |= {'PYTHONPATH': str(SOURCE), 'TMPDIR': str(tmp_path), 'TERM': 'xterm-256color'}
    if not colour:
        environment['NO_COLOR'] = '1'
    command = [sys.executable, '-B', '-m', 'tailrace._demo', './run']
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as p:
        os.close(theirs)
        out = b''
        try:
            while chunk := os.read(ours, 65536):
                out += chunk
        except OSError as error:  # Linux: EIO when the last one has closed the other side
            if error.errno != errno.EIO:
                raise
        finally:
            os.close(ours)
        assert p.wait() == 0
    text = out.decode()
    assert ('\x1b[36m' in text) is colour
    bars = re.findall(r'\r\x1b\[2K   queued .*?read .*?(\d+) of 64 MiB', text)
    assert len(set(bars)) > 5
    assert text.rstrip().endswith('./run connect 127.0.0.1 8124')


def test_demo_fails_when_bytes_differ(tmp_path: Path) -> None:
    """Proof that its check fires: what is expected is exchanged after the bytes have gone."""
    script = (
        'import sys; from tailrace import _demo\n'
        'same = _demo.Demo.same\n'
        'def spoil(self, digest):\n'
        '    _demo.BLOCK = bytes(65536)\n'
        '    return same(self, digest)\n'
        '_demo.Demo.same = spoil\n'
        'sys.exit(_demo.main(8 << 20))\n'
    )
    done = run_demo(tmp_path, '-c', script)
    assert done.returncode == 1, done.stderr
    assert 'WRONG' in done.stdout
