#!/usr/bin/env bash
# The plan's load for an hour, a day, or as many seconds as are given: 100 requests a second at the
# built binary, on this machine alone. Ends with 1 if memory or latency grew, or an aim was missed.
#
#   ops/soak.sh [SECONDS]        an hour; a day is 86400
#
# The page and the plot are in target/soak.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly seconds="${1:-3600}"
readonly target="${CARGO_TARGET_DIR:-$PWD/target}"
[[ "$seconds" =~ ^[0-9]+$ ]] || { echo "usage: ops/soak.sh [SECONDS]" >&2; exit 64; }

# Twice as long as it takes would be a hang.
LOAD_REPORT="$target/soak" timeout $((seconds * 2 + 1800)) \
  cargo bench --locked --bench load -- profile "$seconds"
