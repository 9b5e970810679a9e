#!/bin/bash
# Runs test files of the test cloud and reports as TAP. Usage: tests/cloud/run-tests.sh FILE...
set -euo pipefail
cd "$(dirname "$0")"
node=$(./setup.sh)
exec "$node" --test --test-reporter=tap --test-concurrency=1 "$@"
