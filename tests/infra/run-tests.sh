#!/bin/bash
# Runs test files of the templates and reports as TAP. Usage: tests/infra/run-tests.sh FILE...
set -euo pipefail
cd "$(dirname "$0")"
./setup.sh
node=$(../cloud/setup.sh .)
exec "$node" --test --test-reporter=../cloud/lib/tap.mjs --test-concurrency=2 "$@"
