"""A release, in one command.

    python tools/release.py 0.2.0       all of it: check the checkout, run ./test, set the version,
                                        date the changelog, build, check and install every
                                        artefact, then commit and tag. Nothing is uploaded: pushing
                                        the tag does that (.github/workflows/wheels.yml)
    python tools/release.py artefacts   sdist, pure wheel, and a compiled wheel for this interpreter
                                        and each one named in PYTHONS (a list of commands), each
                                        installed in a fresh environment and tried; the result is
                                        in build/release
    python tools/release.py wheels --cibuildwheel
                                        compiled wheels for all supported interpreters, in
                                        containers

Options: ``--skip-tests`` leaves ./test out, ``--no-commit`` stops before commit and tag.
It needs only the standard library; build and twine go into an environment of its own.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / 'build' / 'release'
#: Printed by an installed artefact: which build it is, and one echo over a real socket.
TRIAL = """
import tailrace
from tailrace import net

async def main():
    server = await net.create_server(lambda sock: sock.pipe(sock)).listen(0, '127.0.0.1')
    sock = await net.connect(server.address().port, '127.0.0.1')
    sock.end(b'hello')
    assert await sock.read_exactly(5) == b'hello'
    await sock.wait_closed()
    await server.close_all(deadline=1000)

tailrace.run(main)
print(tailrace.__version__, 'compiled' if tailrace.compiled else 'pure')
"""


class Refused(SystemExit):
    """The release cannot be made; the message says why."""

    def __init__(self, why: str) -> None:
        super().__init__(f'release: {why}')


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> None:
    """Run a command; a failure ends the release."""
    print('+', *command, flush=True)
    done = subprocess.run([str(c) for c in command], cwd=cwd, env={**os.environ, **environment})
    if done.returncode:
        raise Refused(f'{Path(str(command[0])).name} ended with status {done.returncode}')


def output(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def version_in(project: str) -> str:
    """The version that pyproject.toml has."""
    found = re.search(r'^version = "([^"]+)"$', project, re.M)
    if found is None:
        raise Refused('pyproject.toml has no line with the version')
    return found[1]


def as_numbers(version: str) -> tuple[int, ...]:
    """A version as numbers that can be compared; only X.Y.Z is a release."""
    if not re.fullmatch(r'\d+\.\d+\.\d+', version):
        raise Refused(f'{version!r} is no version of the form X.Y.Z')
    return tuple(map(int, version.split('.')))


def with_version(project: str, version: str) -> str:
    """pyproject.toml with another, higher or equal version."""
    old = version_in(project)
    if as_numbers(version) < as_numbers(old):
        raise Refused(f'{version} is lower than {old}')
    return project.replace(f'version = "{old}"', f'version = "{version}"', 1)


def dated(changelog: str, version: str, day: str) -> str:
    """The changelog with its unreleased part under ``version``, and a new empty part above."""
    head = '## [Unreleased]\n'
    if changelog.count(head) != 1:
        raise Refused('CHANGELOG.md needs exactly one heading [Unreleased]')
    before, after = changelog.split(head)
    if not re.match(r'\s*(?!## )\S', after):
        raise Refused('CHANGELOG.md says nothing below [Unreleased]')
    if f'## [{version}]' in changelog:
        raise Refused(f'CHANGELOG.md has a part for {version} already')
    return f'{before}{head}\n## [{version}] - {day}\n{after}'


def fresh(where: Path, *packages: str, python: str | None = None) -> Path:
    """A new environment with packages in it; its interpreter."""
    shutil.rmtree(where, ignore_errors=True)
    if python is None:
        venv.create(where, with_pip=True)
    else:
        run(python, '-m', 'venv', where)
    inside = where / 'bin' / 'python'
    if packages:
        run(inside, '-m', 'pip', 'install', '--quiet', *packages)
    return inside


def built() -> list[Path]:
    """The artefacts made so far."""
    return sorted(path for path in OUT.iterdir() if path.suffix in ('.whl', '.gz'))


def try_out(artefact: Path, python: str | None = None) -> None:
    """Install an artefact where nothing else is, and run a program with it."""
    where = OUT / 'trial'
    inside = fresh(where, python=python)
    run(inside, '-m', 'pip', 'install', '--quiet', artefact, TAILRACE_COMPILE='0')
    run(inside, '-W', 'error', '-c', TRIAL, cwd=where)
    shutil.rmtree(where)


def artefacts() -> None:
    """Build, check and try the sdist, the pure wheel and the compiled wheels."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    tools = fresh(OUT / 'tools', 'build', 'twine')
    run(tools, '-m', 'build', '--outdir', OUT, TAILRACE_COMPILE='0')
    for artefact in built():
        try_out(artefact)
    for python in os.environ.get('PYTHONS', sys.executable).split():
        before = set(built())
        inside = fresh(OUT / 'builder', 'build', python=python)
        run(inside, '-m', 'build', '--wheel', '--outdir', OUT, TAILRACE_COMPILE='1')
        for wheel in set(built()) - before:
            try_out(wheel, python)
    run(tools, '-m', 'twine', 'check', '--strict', *built())
    for name in ('tools', 'builder'):
        shutil.rmtree(OUT / name, ignore_errors=True)
    print('\n'.join(path.name for path in built()))


def wheels() -> None:
    """Compiled wheels by cibuildwheel, which needs containers (or macOS)."""
    OUT.mkdir(parents=True, exist_ok=True)
    tools = fresh(OUT / 'tools', 'cibuildwheel')
    run(tools, '-m', 'cibuildwheel', '--output-dir', OUT)
    shutil.rmtree(OUT / 'tools')


def release(version: str, tests: bool, commit: bool) -> None:
    """Make the release ``version`` out of a clean checkout of main."""
    if output('git', 'status', '--porcelain'):
        raise Refused('the checkout has changes that are not committed')
    if f'v{version}' in output('git', 'tag').split():
        raise Refused(f'the tag v{version} is there already')
    project, changes = ROOT / 'pyproject.toml', ROOT / 'CHANGELOG.md'
    with_numbers = with_version(project.read_text('utf-8'), version)
    with_date = dated(changes.read_text('utf-8'), version, f'{datetime.date.today()}')
    if tests:
        run(ROOT / 'test')
    project.write_text(with_numbers, 'utf-8')
    changes.write_text(with_date, 'utf-8')
    artefacts()
    if commit:
        run('git', 'commit', '--quiet', '--all', '--message', f'Release {version}')
        run('git', 'tag', '--annotate', f'v{version}', '--message', f'tailrace {version}')
        print(f'To publish: git push origin main v{version}')


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description='Make a release.')
    parser.add_argument('what', help="a version, 'artefacts', or 'wheels'")
    parser.add_argument('--cibuildwheel', action='store_true')
    parser.add_argument('--skip-tests', action='store_true')
    parser.add_argument('--no-commit', action='store_true')
    options = parser.parse_args(arguments)
    if options.what == 'artefacts':
        artefacts()
    elif options.what == 'wheels':
        if not options.cibuildwheel:
            parser.error('wheels are built with --cibuildwheel; artefacts does without containers')
        wheels()
    else:
        release(options.what, not options.skip_tests, not options.no_commit)


if __name__ == '__main__':
    main(sys.argv[1:])
