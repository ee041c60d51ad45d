"""What importing the package loads: nothing that only few programs need.

Each of these modules costs one to twelve milliseconds, of some thirty in all.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

NOT_YET = {
    *('asyncio', 'base64', 'concurrent.futures', 'dataclasses', 'datetime', 'inspect', 'json'),
    *('logging', 'runpy', 'shlex', 'ssl', 'subprocess', 'traceback', 'uuid'),
    *('tailrace._adapters', 'tailrace._cluster', 'tailrace._demo', 'tailrace._framing'),
    *('tailrace._proxy', 'tailrace._testing', 'tailrace._tls'),
    *('tailrace._serve.options', 'tailrace._serve.service', 'tailrace._systemd'),
}


def loaded(statement: str) -> set[str]:
    program = f'import sys\n{statement}\nprint(*sys.modules, sep="\\n")'
    done = subprocess.run(
        [sys.executable, '-S', '-c', program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize('statement', ['import tailrace', 'from tailrace import net, stream, dns'])
def test_importing_the_package_loads_little(statement: str) -> None:
    path = f'sys.path[:0] = {sys.path!r}\n'
    assert loaded(path + statement) & NOT_YET == set()


def test_what_is_loaded_is_seen() -> None:
    path = f'sys.path[:0] = {sys.path!r}\n'
    assert {'json', 'ssl'} <= loaded(path + 'import tailrace, json, ssl')
