# Sourced by ./run and ./test: sets `python` to an interpreter that is new enough.
# $PYTHON decides if it is set; else the first of the usual names that is 3.11 or newer.
new_enough() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

python=
for name in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14 python; do
    if new_enough "$name"; then
        python=$name
        break
    fi
    if [ -n "${PYTHON:-}" ]; then
        break
    fi
done
if [ -z "$python" ]; then
    echo "tailrace needs Python 3.11 or newer with venv and pip${PYTHON:+ (PYTHON=$PYTHON is not)}" >&2
    exit 1
fi
