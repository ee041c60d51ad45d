#!/bin/sh
# tools/next_python.sh VERSION [COMMAND...]    run COMMAND on this checkout under a Python that this
#                                              machine may not have, such as 3.15
# Without COMMAND: pytest in the pure build, without the slow tests (--fast). The interpreter is
# pythonVERSION of PATH if there is one, else Debian's unstable one in a chroot (root, debootstrap
# and a Debian mirror are needed; about a minute the first time). The environment with the
# development group stays for the next call. NEXT_PYTHON=... chooses the folder of all that.
set -eu
[ $# -gt 0 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
version=$1
shift
[ $# -gt 0 ] || set -- python -m pytest -q -n auto --dist loadfile --fast
place=${NEXT_PYTHON:-${TMPDIR:-/tmp}/tailrace-next-python}
mkdir -p "$place"

# A copy, so that nothing that is built or cached here meets another interpreter.
copy() {
    rm -rf "$1"
    mkdir -p "$1"
    tar -C "$root" --exclude=./.git --exclude='./.venv*' --exclude=./build --exclude=__pycache__ \
        -cf - . | tar -C "$1" -xf -
}

if command -v "python$version" >/dev/null; then
    copy "$place/src-$version"
    inside=$("python$version" "$place/src-$version/tools/environment.py" "$place/venv-$version" \
        --group dev --maybe-group peers)
    cd "$place/src-$version"
    PATH=$(dirname "$inside"):$PATH exec "$@"
fi

[ "$(id -u)" -eq 0 ] || { echo "next_python: no python$version in PATH, and a chroot needs root" >&2; exit 1; }
chroot=$place/sid
if [ ! -e "$chroot/.complete" ]; then
    command -v debootstrap >/dev/null || {
        apt-get -q update >/dev/null
        apt-get -qy install debootstrap >/dev/null
    }
    mirror=${DEBIAN_MIRROR:-https://deb.debian.org/debian}
    found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        grep -oE 'https?://[^ ]*/debian/?' | head -n 1) || true
    rm -rf "$chroot"
    debootstrap --no-check-gpg --variant=minbase --include=ca-certificates,gcc,libc6-dev,openssl \
        sid "$chroot" "${found:-$mirror}" >"$place/debootstrap.log" 2>&1 || {
        tail -n 5 "$place/debootstrap.log" >&2
        exit 1
    }
    # The network of this machine: names, certificates, proxies of apt and pip.
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
        [ ! -e "$file" ] || cp "$file" "$chroot$file"
    done
    [ ! -e "$HOME/.pip/pip.conf" ] || cp "$HOME/.pip/pip.conf" "$chroot/etc/pip.conf"
    [ ! -e "$HOME/.config/pip/pip.conf" ] || cp "$HOME/.config/pip/pip.conf" "$chroot/etc/pip.conf"
    cp /etc/apt/apt.conf.d/* "$chroot/etc/apt/apt.conf.d/" 2>/dev/null || true
    touch "$chroot/.complete"
fi
mountpoint -q "$chroot/proc" || mount -t proc proc "$chroot/proc"
mountpoint -q "$chroot/dev" || mount --rbind /dev "$chroot/dev"
within() {
    chroot "$chroot" /usr/bin/env -u PYTHONPATH "$@"
}
[ -x "$chroot/usr/bin/python$version" ] || {
    within apt-get -q update >/dev/null
    within apt-get -qy install "python$version" "python$version-venv" "python$version-dev" >/dev/null
}
copy "$chroot/src-$version"
inside=$(within "python$version" "/src-$version/tools/environment.py" "/venv-$version" \
    --group dev --maybe-group peers)
within sh -c 'cd "$0" && exec "$@"' "/src-$version" \
    env "PATH=$(dirname "$inside"):/usr/bin:/bin" HOME=/root "$@"
