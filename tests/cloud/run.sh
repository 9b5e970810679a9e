#!/bin/bash
# Runs a script of the test cloud. Usage: tests/cloud/run.sh SCRIPT.mjs [ARGUMENT...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
node=$("$here/setup.sh")
# The SDK warns about the age of Node 20, which the tests support.
export AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED=true
script=$1
shift
exec "$node" "$here/$script" "$@"
