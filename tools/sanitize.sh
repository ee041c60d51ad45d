#!/bin/sh
# tools/sanitize.sh [ARGS...]   the tests of the handles on the C module under AddressSanitizer and UBSan
# Compiles the module alone into a copy of the package, with -fsanitize, and runs pytest with ARGS
# (default: tests/handles). Memory comes from malloc, so that every object is watched. PYTHON=...
# picks the interpreter, which needs the development tools. A report ends the run with status 1.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
: "${PYTHON:=python3}" "${CC:=gcc}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export CC
CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined' \
    "$PYTHON" - "$root" "$folder" <<'PROGRAM'
import sys
from pathlib import Path

root, folder = map(Path, sys.argv[1:])
sys.path.insert(0, str(root))
import hatch_build

hatch_build.copy_into(folder)
hatch_build.compile_kernel(folder)
PROGRAM
cp -r "$root/tests" "$root/pyproject.toml" "$root/hatch_build.py" "$root/src" "$folder/" 2>/dev/null || true
rm -rf "$folder/src/tailrace"
mv "$folder/tailrace" "$folder/src/tailrace"
cd "$folder"
[ $# -gt 0 ] || set -- tests/handles
# With --capture=sys a report, which is written as the process ends, is not lost.
# Leaks of the interpreter itself are not told apart; the tests count descriptors and memory.
ASAN_OPTIONS=detect_leaks=0:halt_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
    LD_PRELOAD="$("$CC" -print-file-name=libasan.so) $("$CC" -print-file-name=libubsan.so)" \
    PYTHONPATH="$folder/src" "$PYTHON" -m pytest -p no:randomly --capture=sys "$@"
