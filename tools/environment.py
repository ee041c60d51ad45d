"""Private environments for ./run and ./test, made with nothing but the standard library.

    python tools/environment.py DIR [--extra NAME]... [--group NAME]... [--maybe-group NAME]...

Makes (or reuses) the virtual environment DIR with this project in it, editable, and prints the
path of its interpreter. DIR carries a stamp of everything it was made from; while that is the
same, nothing is installed. Extras and maybe-groups are best effort: what cannot be installed here
is named on stderr and left out. A group must install, except for lines of optional packages.
Without any package index and without a group, the sources alone do: they have no dependency.

Dependency groups are read from pyproject.toml by this file, because pip learned ``--group`` only
in 25.1. It refuses to know what the environment is for.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = '.tailrace-stamp'
#: What is compiled and may lag behind a new interpreter or a rare machine (pyright by the Node.js
#: that comes with it); its tests are then skipped.
OPTIONAL = ('pyright', 'uvloop')


def stamp(options: argparse.Namespace) -> str:
    """What the environment depends on, as one hash."""
    digest = hashlib.sha256()
    for part in (
        (ROOT / 'pyproject.toml').read_bytes(),
        Path(__file__).read_bytes(),
        repr((str(ROOT), sys.version, sys.base_prefix)).encode(),
        repr((options.extra, options.group, options.maybe_group)).encode(),
    ):
        digest.update(part)
        digest.update(b'\0')
    return digest.hexdigest()


def pip(python: Path, *arguments: str) -> bool:
    """Run pip quietly; True if it succeeded. Its complaints go to stderr."""
    command = [str(python), '-m', 'pip', '--disable-pip-version-check', '--no-input', *arguments]
    env = {**os.environ, 'PIP_REQUIRE_VIRTUALENV': '0', 'PIP_USER': '0', 'TAILRACE_COMPILE': '0'}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=env)
    return done.returncode == 0


def group(name: str) -> list[str]:
    """The requirements of a dependency group (PEP 735, with ``include-group``)."""
    groups = tomllib.loads((ROOT / 'pyproject.toml').read_text('utf-8'))['dependency-groups']
    out: list[str] = []
    for entry in groups[name]:
        out.extend([entry] if isinstance(entry, str) else group(entry['include-group']))
    return out


def install_each(python: Path, requirements: Sequence[str]) -> None:
    """Install what can be installed; name what cannot. One pip run if all is well."""
    if pip(python, 'install', '--quiet', *requirements):
        return
    for requirement in requirements:
        if not pip(python, 'install', '--quiet', requirement):
            print(f'environment: {requirement!r} is not available here', file=sys.stderr)


def link(python: Path) -> None:
    """Without a package index the build tool is missing, but nothing has to be built or added."""
    print('environment: no package index; using the sources as they are', file=sys.stderr)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, '-c', where], stdout=subprocess.PIPE, text=True, check=True)
    (Path(done.stdout.strip()) / 'tailrace.pth').write_text(f'{ROOT / "src"}\n', 'utf-8')


def fill(python: Path, options: argparse.Namespace) -> str:
    """Install the project and what was asked for: 'whole', 'makeshift' or 'useless'."""
    if not pip(python, 'install', '--quiet', '--editable', str(ROOT)):
        link(python)
        return 'useless' if options.group else 'makeshift'
    for name in options.group:
        lines = group(name)
        needed = [line for line in lines if not line.startswith(OPTIONAL)]
        if not pip(python, 'install', '--quiet', *needed):
            return 'useless'
        install_each(python, [line for line in lines if line.startswith(OPTIONAL)])
    for name in options.maybe_group:
        install_each(python, group(name))
    for name in options.extra:
        if not pip(python, 'install', '--quiet', '--editable', f'{ROOT}[{name}]'):
            print(f'environment: the extra {name!r} is not available here', file=sys.stderr)
    return 'whole'


def main(argv: Sequence[str]) -> int:
    """Make the environment if its stamp is old, and print its interpreter."""
    parser = argparse.ArgumentParser(description='Make a private environment for the project.')
    parser.add_argument('directory', type=Path)
    for kind in ('--extra', '--group', '--maybe-group'):
        parser.add_argument(kind, action='append', default=[])
    options = parser.parse_args(argv)
    where = options.directory.absolute()
    python = where / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
    mark, wanted = where / STAMP, stamp(options)
    if not (python.exists() and mark.exists() and mark.read_text('ascii') == wanted):
        print(f'environment: making {where.name} (once)', file=sys.stderr)
        shutil.rmtree(where, ignore_errors=True)
        venv.create(where, with_pip=True, symlinks=os.name != 'nt')
        state = fill(python, options)
        if state == 'useless':
            print(f'environment: could not install the project in {where.name}', file=sys.stderr)
            return 1
        if state == 'whole':  # else the next time is a new attempt
            mark.write_text(wanted, 'ascii')
    print(python)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
