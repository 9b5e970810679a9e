#!/bin/bash
# Runs test files of the test cloud and reports as TAP. Usage: tests/cloud/run-tests.sh FILE...
set -euo pipefail
cd "$(dirname "$0")"
node=$(./setup.sh . ../infra)
export AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED=true
exec "$node" --test --test-reporter=./lib/tap.mjs --test-concurrency=1 "$@"
