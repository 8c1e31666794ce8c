#!/usr/bin/env bash
# Sets up, builds the release preset and runs all tests. usage: tools/test.sh [ctest options, e.g. -L fast, -R Tensor]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/build.sh
build_release all
ctest --test-dir build/release --output-on-failure --no-tests=error -j"$jobs" "$@"
