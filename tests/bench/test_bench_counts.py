"""The regression check on instructions: what an echoed message costs, against what was recorded.

A count compares within one interpreter and machine type only, and within 3% (see bench/README.md);
elsewhere, and without valgrind, the check is skipped with that reason. That a growth is seen is
proved in ``test_bench_commands.py``. When a change is worth it, record anew:
``python bench/count.py --peers tailrace --json bench/results/count-tailrace.json``.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / 'bench'
RECORDED = BENCH / 'results' / 'count-tailrace.json'


@pytest.mark.interpreted
@pytest.mark.timeout(300)
def test_a_message_costs_no_more_instructions() -> None:
    known = json.loads(RECORDED.read_text())
    version = f'Python {sys.version}'.replace('\n', ' ')
    if shutil.which('valgrind') is None:
        pytest.skip('valgrind is not installed')
    if (known['python'].replace('\n', ' '), known['machine']) != (version, platform.machine()):
        pytest.skip(f'recorded with {known["python"]} on {known["machine"]}')
    command = [sys.executable, BENCH / 'count.py', '--peers', 'tailrace', '--check', RECORDED]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'no count grew' in done.stdout
    assert 'skipped' not in done.stdout
