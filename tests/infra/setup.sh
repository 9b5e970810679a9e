#!/bin/bash
# Makes cfn-lint ready in .venv, as requirements.txt pins it: once, then it needs no network.
# Usage: tests/infra/setup.sh
set -euo pipefail
cd "$(dirname "$0")"

die() {
    echo "infra tests: $*" >&2
    exit 1
}

# One at a time: several test programs may start at once.
exec 9>.setup.lock
flock 9
want=$(sha256sum requirements.txt)
[ "$(cat .venv/.caracola-stamp 2>/dev/null)" = "$want" ] && exit 0
echo "infra tests: installing cfn-lint in $PWD/.venv" >&2
rm -rf .venv
python3 -m venv .venv >&2 || die "no venv: install Debian's package python3-venv (make deps does)"
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    -r requirements.txt >&2 || die "pip could not install requirements.txt"
echo "$want" >.venv/.caracola-stamp
