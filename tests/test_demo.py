"""The demonstration behind ./run: it ends by itself, tells the truth and leaves no file behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
    assert list(tmp_path.iterdir()) == []


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
