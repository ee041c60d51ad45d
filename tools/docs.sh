#!/bin/sh
# tools/docs.sh      the documentation, as a site in build/docs; warnings are errors
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/tools/python.sh"
inside=$("$python" "$root/tools/environment.py" "$root/.venv-test" --group dev \
    --maybe-group docs --maybe-group peers)
cd "$root"
"$inside" -m sphinx -W --keep-going -q -b html docs build/docs
echo "open build/docs/index.html"
