"""The run under AddressSanitizer reports a fault of the C module."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GOOD = '    int listening = PyObject_AsFileDescriptor(source);\n'
#: One byte behind the end.
BAD = GOOD + '    volatile char *end = malloc(8);\n    end[8] = 1;\n    free((void *)end);\n'


def can_sanitize() -> bool:
    compiler = shutil.which('gcc')
    if compiler is None or sys.platform != 'linux':
        return False
    words = [compiler, '-fsanitize=address,undefined', '-x', 'c', '-', '-o', os.devnull]
    return subprocess.run(words, input=b'int main(void) { return 0; }').returncode == 0


@pytest.mark.timeout(300)
@pytest.mark.skipif(not can_sanitize(), reason='no gcc with the sanitizers')
@pytest.mark.parametrize('fault', [False, True], ids=['as it is', 'with a fault'])
def test_a_fault_of_the_c_module_is_reported(tmp_path: Path, fault: bool) -> None:
    wanted = ('src', 'tests', 'tools', 'pyproject.toml', 'hatch_build.py')
    for name in wanted:
        source, target = ROOT / name, tmp_path / name
        if source.is_dir():
            unwanted = shutil.ignore_patterns('__pycache__', '*.so')
            shutil.copytree(source, target, ignore=unwanted)
        else:
            shutil.copy(source, target)
    file = tmp_path / 'src' / 'tailrace' / '_handles' / '_kernel.c'
    text = file.read_text()
    assert GOOD in text
    if fault:
        file.write_text(text.replace(GOOD, BAD))
    done = subprocess.run(
        [tmp_path / 'tools' / 'sanitize.sh', 'tests/handles/test_kernel.py', '-k', 'reset_is'],
        env={**os.environ, 'PYTHON': sys.executable, 'CC': 'gcc'},
        capture_output=True,
        text=True,
    )
    assert (done.returncode != 0) is fault, done.stdout + done.stderr
    # UBSan knows the size of the object too, and may be first.
    report = re.search(r'_kernel\.c:\d+.* runtime error|AddressSanitizer: heap', done.stderr)
    assert (report is not None) is fault, done.stderr
