#!/bin/bash
# Makes the test cloud ready and prints the path of the Node that runs it (20 or newer).
# Installs npm packages by the committed lockfiles, only where they are missing or the lockfile has
# changed; where the system's Node is older than 20 (Debian 12's is 18), it takes one from npm.
# Usage: node=$(tests/cloud/setup.sh [FOLDER...])
# Each FOLDER has a package.json of its own; without one it is the test cloud's.
set -euo pipefail
folders=()
for folder in "$@"; do folders+=("$(cd "$folder" && pwd)"); done
cd "$(dirname "$0")"
[ ${#folders[@]} -gt 0 ] || folders=("$PWD")

die() {
    echo "test cloud: $*" >&2
    exit 1
}

command -v node >/dev/null || die "no node: install Debian's packages nodejs and npm (make deps does)"
command -v npm >/dev/null || die "no npm: install Debian's package npm (make deps does)"

# One at a time: several test programs may start at once.
exec 9>.setup.lock
flock 9

# Packages as the lockfile of this folder names them; the stamp says for which lockfile they are there.
install() {
    local want
    want=$(sha256sum package.json package-lock.json | sha256sum)
    [ "$(cat node_modules/.caracola-stamp 2>/dev/null)" = "$want" ] && return
    echo "test cloud: installing npm packages in $PWD" >&2
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 || die "npm ci failed in $PWD"
    echo "$want" >node_modules/.caracola-stamp
}

major() { "$1" -p 'process.versions.node.split(".")[0]'; }

node=$(command -v node)
if [ "$(major "$node")" -lt 20 ]; then
    cd node
    install
    cd ..
    node=$(compgen -G "$PWD/node/node_modules/node-linux-*/bin/node" || true)
    [ -x "$node" ] || die "the system's Node is older than 20, and npm has none for $(uname -m)"
fi
for folder in "${folders[@]}"; do
    cd "$folder"
    install
done
echo "$node"
