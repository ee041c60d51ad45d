"""Compiles the hot layers with mypyc, on request: hatchling's build hook, and a command.

    TAILRACE_COMPILE=1 pip install .      a compiled wheel (mypy and setuptools come by themselves,
                                          a C compiler has to be there)
    python hatch_build.py DIR             a compiled copy of the package in DIR/tailrace

Without the request the wheel is pure Python, and complete. The compiled one holds the same sources
beside the extension modules; which of the two is imported is the interpreter's choice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # as a command
    BuildHookInterface = object  # type: ignore[assignment, misc]

ROOT = Path(__file__).resolve().parent
REQUEST = 'TAILRACE_COMPILE'
TOOLS = ['mypy>=1.15', 'setuptools>=61']

#: One group: calls between these are C calls. What users subclass or patch is not among them.
MODULES = (
    '_tick',
    '_listeners',
    '_pause',
    'events',
    '_stream/state',
    '_stream/feed',
    '_stream/iterate',
    '_stream/life',
    '_stream/read',
    '_stream/reader',
    '_stream/modes',
    '_stream/write',
    '_handles/__init__',
    '_handles/engine',
    '_handles/reading',
    '_handles/pending',
    '_handles/stream',
    '_handles/tcp',
    '_handles/pipe',
    '_handles/listen',
    '_handles/fdpass',
)

SETUP = """
from mypyc.build import mypycify
from setuptools import setup

setup(name='tailrace', packages=[], ext_modules=mypycify({files!r}, opt_level='3', debug_level='0'))
"""


def compile_into(folder: Path) -> list[Path]:
    """Copy the package to ``folder/tailrace`` and compile there; the extension modules made."""
    target = folder / 'tailrace'
    source = ROOT / 'src' / 'tailrace'
    if target.resolve() == source:
        raise ValueError(f'{target} is the source; it is compiled in a copy')
    shutil.rmtree(target, ignore_errors=True)
    unwanted = shutil.ignore_patterns('__pycache__', '*.so', '*.pyd')
    shutil.copytree(source, target, ignore=unwanted)
    files = ['--strict', *(f'tailrace/{name}.py' for name in MODULES)]
    with tempfile.TemporaryDirectory() as build:
        script = Path(build) / 'setup.py'
        script.write_text(SETUP.format(files=files))
        subprocess.run(
            [sys.executable, script, '--quiet', 'build_ext', '--inplace', '--build-temp', build],
            cwd=folder,
            env={**os.environ, 'MYPYPATH': '.'},
            check=True,
        )
    shutil.rmtree(folder / 'build', ignore_errors=True)
    shutil.rmtree(folder / '.mypy_cache', ignore_errors=True)
    return [path for path in folder.rglob('*') if path.suffix in ('.so', '.pyd')]


class CustomBuildHook(BuildHookInterface):
    """Puts extension modules into a wheel that was asked to have them."""

    def wanted(self) -> bool:
        return self.target_name == 'wheel' and os.environ.get(REQUEST, '') not in ('', '0')

    def dependencies(self) -> list[str]:
        return TOOLS if self.wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == 'editable' or not self.wanted():
            return
        folder = Path(self.directory) / 'compiled'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for made in compile_into(folder):
            build_data['force_include'][str(made)] = made.relative_to(folder).as_posix()
        build_data['pure_python'] = False
        build_data['infer_tag'] = True


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    for made in compile_into(place.resolve()):
        print(made)
