#!/bin/sh
# tools/compiled.sh [ARGS...]   the tests, the corpus among them, on the compiled build
# Copies the project to a temporary folder, compiles there (see hatch_build.py) and runs pytest
# with ARGS. PYTHON=... picks the interpreter, which needs the development tools and setuptools.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
: "${PYTHON:=python3}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -C "$root" --exclude=.git --exclude='.venv*' --exclude=build --exclude=__pycache__ -cf - . |
    tar -C "$folder" -xf -
"$PYTHON" "$root/hatch_build.py" "$folder/src" >/dev/null
cd "$folder"
"$PYTHON" -c 'import sys; sys.path.insert(0, "src"); import tailrace._tick as t; print(t.__file__)'
"$PYTHON" -m pytest "$@" && exit
status=$?
[ "$status" -eq 1 ] || exit "$status"
# As in ./test: only what failed, once more.
printf '\n== tests that failed, once more\n'
"$PYTHON" -m pytest --last-failed --last-failed-no-failures none "$@"
