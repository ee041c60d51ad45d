"""The regression check on instructions: what a message and a connection cost, against the record.

Of the build that is tested: the sources as they are, or the compiled copy of ``tools/compiled.sh``.
A count compares within one interpreter and machine type only, and within 3% (see bench/README.md);
elsewhere, and without valgrind, the check is skipped with that reason. That a growth is seen is
proved in ``test_bench_commands.py``. When a change is worth it, record anew, in either build:
``python bench/count.py --peers tailrace --work WORK --json bench/results/count-BUILD-WORK.json``.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tailrace import _tick

BENCH = Path(__file__).resolve().parents[2] / 'bench'
BUILD = 'pure' if str(_tick.__file__).endswith('.py') else 'compiled'
#: Batches that make the difference large beside what varies (connections cost more of them).
WORKS = {'echo': 50, 'connect': 15}


@pytest.mark.timeout(300)
@pytest.mark.parametrize('work', WORKS)
def test_nothing_costs_more_instructions(work: str) -> None:
    recorded = BENCH / 'results' / f'count-{BUILD}-{work}.json'
    known = json.loads(recorded.read_text())
    version = f'Python {sys.version}'.replace('\n', ' ')
    if shutil.which('valgrind') is None:
        pytest.skip('valgrind is not installed')
    if (known['python'].replace('\n', ' '), known['machine']) != (version, platform.machine()):
        pytest.skip(f'recorded with {known["python"]} on {known["machine"]}')
    command = [sys.executable, BENCH / 'count.py', '--peers', 'tailrace', '--work', work]
    command += ['--batches', str(WORKS[work]), '--size', str(known['size']), '--check', recorded]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'no count grew' in done.stdout
    assert 'skipped' not in done.stdout
