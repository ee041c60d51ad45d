"""The fault campaign, seconds of it: every check with a small count, so that none rots.

``python -m tests.campaign`` runs it at length; the figures are in docs/reliability.md.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .campaign.__main__ import CHECKS, command, environment
from .campaign.kit import ROOT

#: Too long for every run, even with a small count; the command's own `--short` has them.
LONG = {
    'a fleet',
    'garbage on the channel',
    'a worker that never answers',
    'killed workers',
    'exits',
}

PAGE = ROOT / 'docs' / 'reliability.md'


@pytest.mark.parametrize('name', sorted(CHECKS.keys() - LONG))
def test_a_short_campaign(name: str, loop_kind: str) -> None:
    if loop_kind == 'uvloop' and name in ('restart storm', 'killed primary', 'signals'):
        pytest.skip('plays programs of its own, on one kind of loop')
    done = subprocess.run(
        command(name, True, loop_kind),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])


def test_every_check_has_its_figures_on_the_page() -> None:
    text = PAGE.read_text('utf-8')
    for name in CHECKS:
        assert f'| {name} |' in text, name


def test_a_check_that_fails_is_seen() -> None:
    """The guard of the guard: a server that loses bytes does not pass."""
    code = (
        'from tests.campaign import __main__ as m, connections as c\n'
        'async def half(sock):\n'
        '    async for chunk in sock: sock.write(chunk[:-1] + b"?")\n'
        'c.echo = half\n'
        'm.play("cycles", True, "asyncio")\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1
    assert 'AssertionError' in done.stderr
