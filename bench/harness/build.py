"""Compiles the generator, the C server and tailrace into the ignored build directory.

It knows the compiler's command line and nothing of what the programs do.
"""

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / 'c'
ROOT = SOURCES.parent.parent
BUILD = ROOT / 'build' / 'bench'
PACKAGE = BUILD / 'package'
PROGRAMS = ('server', 'loadgen')


class BuildError(Exception):
    """No compiler, or it refused; the message says which."""


def compiler() -> str | None:
    return shutil.which('cc') or shutil.which('gcc') or shutil.which('clang')


def package(python: str, directory: Path = PACKAGE, root: Path = ROOT) -> Path:
    """A compiled copy of tailrace for the interpreter `python`: the folder to import it from.

    With its bytecode, as pip leaves a package behind. `root` is the checkout it is made from.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for command in (
        [python, str(root / 'hatch_build.py'), str(directory)],
        [python, '-m', 'compileall', '-q', str(directory)],
    ):
        try:
            result = subprocess.run(command, capture_output=True, text=True)
        except OSError as error:
            raise BuildError(str(error)) from error
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines() or ['no message']
            raise BuildError(f'tailrace cannot be compiled here: {lines[-1]}')
    return directory


def revision(name: str, directory: Path) -> Path:
    """The files of a commit of this project, in a folder of their own."""
    archive = subprocess.run(
        ['git', '-C', str(ROOT), 'archive', '--format=tar', name], capture_output=True
    )
    if archive.returncode != 0:
        raise BuildError(f'no revision {name}: {archive.stderr.decode().strip()}')
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    subprocess.run(['tar', '-x', '-C', str(directory)], input=archive.stdout, check=True)
    return directory


def build(directory: Path = BUILD) -> dict[str, Path]:
    """Paths of the programs by name; only what is older than its source is compiled anew."""
    directory.mkdir(parents=True, exist_ok=True)
    shared = (SOURCES / 'common.h').stat().st_mtime
    built = {}
    for name in PROGRAMS:
        source, program = SOURCES / f'{name}.c', directory / name
        built[name] = program
        newest = max(shared, source.stat().st_mtime)
        if program.exists() and program.stat().st_mtime > newest:
            continue
        command = compiler()
        if command is None:
            raise BuildError('no C compiler (cc, gcc or clang) in PATH')
        result = subprocess.run(
            [command, '-O2', '-Wall', '-Wextra', '-o', str(program), str(source)],
            capture_output=True,
            text=True,
        )
        if result.returncode != 0:
            raise BuildError(f'{source.name} does not compile: {result.stderr.strip()}')
    return built
