"""Compiles what is hot: hatchling's build hook, and a command.

    pip install .                         compiled, if there is a C compiler and all goes well; if
                                          not, why not is told on stderr and the wheel is pure
    TAILRACE_COMPILE=1 pip install .      compiled; a failure is an error
    TAILRACE_COMPILE=0 pip install .      pure Python, and nothing is fetched for compiling
    python hatch_build.py DIR             a compiled copy of the package in DIR/tailrace

Two things are compiled: two small modules in C (they need a compiler with Python's headers, nothing
else), and the typed modules of the hot layers, by mypyc (it needs mypy and setuptools as well; pip
fetches them). Without the second the wheel holds the first. The pure wheel is complete; a compiled
one holds the same sources beside the extension modules, and which of the two is imported is the
interpreter's choice. Editable installs are pure.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # as a command
    BuildHookInterface = object  # type: ignore[assignment, misc]

ROOT = Path(__file__).resolve().parent
REQUEST = 'TAILRACE_COMPILE'
NEVER, MAYBE, ALWAYS = 'never', 'maybe', 'always'
TOOLS = ['mypy>=1.15', 'setuptools>=61']
#: Unasked, the tools are fetched where mypy comes as a wheel: a build that has to build its tools
#: first can fail where nothing catches it.
WITH_WHEELS = '; python_version < "3.15" and platform_machine in "x86_64 aarch64 arm64"'

#: In C; each has a .pyi beside it.
KERNELS = ('_handles/_kernel', '_addr/_search')
#: One group: calls between these are C calls. What users subclass or patch is not among them.
MODULES = (
    '_tick',
    '_runtime',
    '_timers',
    '_listeners',
    '_pause',
    '_tally',
    'events',
    '_stream/state',
    '_stream/feed',
    '_stream/iterate',
    '_stream/life',
    '_stream/read',
    '_stream/reader',
    '_stream/modes',
    '_stream/write',
    '_stream/link',
    '_handles/__init__',
    '_handles/calls',
    '_handles/engine',
    '_handles/reading',
    '_handles/pending',
    '_handles/stream',
    '_handles/tcp',
    '_handles/pipe',
    '_handles/listen',
    '_handles/listen_pipe',
    '_handles/listen_tcp',
    '_handles/fdpass',
    '_handles/proxied',
    '_net/limiter',
    '_net/guard',
    '_handles/prepared',
)

SETUP = """
import sys
from pathlib import Path

from mypyc.build import mypycify
from setuptools import setup

made = mypycify({options!r} + {files!r}, opt_level='3', debug_level='0')
sys.path.insert(0, {tools!r})
try:
    import c_docs
except ImportError:  # a source distribution without the tools
    pass
else:
    sources = {{Path(name) for extension in made for name in extension.sources}}
    c_docs.add(sources, map(Path, {files!r}), Path('tailrace').rglob('*.py'))
setup(name='tailrace', packages=[], ext_modules=made)
"""


def request(environment: Mapping[str, str] = os.environ) -> str:
    """What TAILRACE_COMPILE asks for: NEVER, MAYBE (unset or empty) or ALWAYS."""
    word = environment.get(REQUEST, '')
    return {'': MAYBE, '0': NEVER}.get(word, ALWAYS)


def compiler(environment: Mapping[str, str] = os.environ) -> list[str] | None:
    """The command that makes an extension module of a C file.

    None without a compiler, without Python's headers, and on Windows.
    """
    linker = shlex.split(sysconfig.get_config_var('LDSHARED') or '')
    if environment.get('CC'):
        linker[:1] = shlex.split(environment['CC'])
    include = sysconfig.get_path('include')
    if not linker or os.name == 'nt' or shutil.which(linker[0]) is None:
        return None
    if not Path(include, 'Python.h').exists():
        return None
    words = [sysconfig.get_config_var(name) or '' for name in ('CFLAGS', 'CCSHARED')]
    words += [environment.get(name, '') for name in ('CFLAGS', 'LDFLAGS')]
    return [*linker, *shlex.split(' '.join(words)), f'-I{include}']


def copy_into(folder: Path) -> None:
    """Copy the package to ``folder/tailrace``."""
    target = folder / 'tailrace'
    source = ROOT / 'src' / 'tailrace'
    if target.resolve() == source:
        raise ValueError(f'{target} is the source; it is compiled in a copy')
    shutil.rmtree(target, ignore_errors=True)
    unwanted = shutil.ignore_patterns('__pycache__', '*.so', '*.pyd')
    shutil.copytree(source, target, ignore=unwanted)


def compile_kernel(folder: Path) -> None:
    """Compile the modules in C in the copy."""
    command = compiler()
    if command is None:
        raise RuntimeError("there is no C compiler with Python's headers")
    for name in KERNELS:
        source = folder / 'tailrace' / f'{name}.c'
        made = source.with_name(source.stem + sysconfig.get_config_var('EXT_SUFFIX'))
        subprocess.run([*command, str(source), '-o', str(made)], check=True)


def compile_modules(folder: Path) -> None:
    """Compile the hot layers in the copy."""
    files = [f'tailrace/{name}.py' for name in MODULES]
    # Named: where mypy would look for it depends on where the copy is.
    options = ['--strict', f'--config-file={ROOT / "pyproject.toml"}']
    with tempfile.TemporaryDirectory() as build:
        script = Path(build) / 'setup.py'
        script.write_text(SETUP.format(options=options, files=files, tools=str(ROOT / 'tools')))
        subprocess.run(
            [sys.executable, script, '--quiet', 'build_ext', '--inplace', '--build-temp', build],
            cwd=folder,
            env={**os.environ, 'MYPYPATH': '.'},
            check=True,
        )
    shutil.rmtree(folder / 'build', ignore_errors=True)
    shutil.rmtree(folder / '.mypy_cache', ignore_errors=True)


def extensions(folder: Path) -> list[Path]:
    """The extension modules below a folder."""
    return sorted(path for path in folder.rglob('*') if path.suffix in ('.so', '.pyd'))


def compile_into(folder: Path, required: bool = True) -> list[Path]:
    """Copy the package to ``folder/tailrace`` and compile there; the extension modules made.

    Not ``required``: a step that fails is told, and what the steps before it made is the result.
    """
    copy_into(folder)
    made: list[Path] = []
    for step in (compile_kernel, compile_modules):
        try:
            step(folder)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            if required:
                raise
            if isinstance(error, subprocess.CalledProcessError):  # it has said why
                error = RuntimeError(f'{error.cmd[0]} ended with status {error.returncode}')
            what = 'what is written in C alone' if made else 'nothing'
            print(f'tailrace: {error}; {what} is compiled', file=sys.stderr)
            break
        made = extensions(folder)
    return made


class CustomBuildHook(BuildHookInterface):
    """Puts extension modules into the wheel."""

    #: Where they are compiled, until the wheel has them. Removes itself also if no wheel comes.
    _place: tempfile.TemporaryDirectory[str] | None = None

    def dependencies(self) -> list[str]:
        wish = request()
        if self.target_name != 'wheel' or wish == NEVER or (wish == MAYBE and not compiler()):
            return []
        return TOOLS if wish == ALWAYS else [tool + WITH_WHEELS for tool in TOOLS]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        wish = request()
        if self.target_name != 'wheel' or version == 'editable' or wish == NEVER:
            return
        # Not below the output folder, which for `pip install .` is the checkout's own dist/.
        self._place = tempfile.TemporaryDirectory(prefix='tailrace-')
        folder = Path(self._place.name)
        made = compile_into(folder, wish == ALWAYS)
        for path in made:
            build_data['force_include'][str(path)] = path.relative_to(folder).as_posix()
        if made:
            build_data['pure_python'] = False
            build_data['infer_tag'] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._place is not None:
            self._place.cleanup()


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    for path in compile_into(place.resolve()):
        print(path)
