#!/usr/bin/env bash
# Builds what is handed out, from a clean checkout, and says what is in it:
#
#   dist/orchestrator            the binary, stripped
#   dist/orchestrator.cdx.json   its software bill of materials (CycloneDX 1.5): every crate that is
#                                linked into it, with version, licence and checksum
#   dist/LICENSE-APACHE, LICENSE-MIT
#   dist/SHA256SUMS              of all of these
#
# The same commit gives the same bill; Cargo.lock names every version.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly target="${CARGO_TARGET_DIR:-$PWD/target}"
readonly tools="$target/tools"
readonly dist="$PWD/dist"
readonly bom=orchestrator.cdx.json
export PATH="$tools/bin:$PATH"

die() { printf 'ops/release.sh: %s\n' "$*" >&2; exit 1; }

[ -z "$(git status --porcelain 2>/dev/null)" ] || [ "${1:-}" = --dirty ] \
  || die "there are changes that are not committed (--dirty builds all the same)"

cargo cyclonedx --version >/dev/null 2>&1 \
  || cargo install --locked --root "$tools" cargo-cyclonedx@0.5.9

# The time in the bill is the commit's.
SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
export SOURCE_DATE_EPOCH

cargo build --release --locked --bin orchestrator

rm -rf "$dist"
mkdir "$dist"
install -m 0755 "$target/release/orchestrator" "$dist/orchestrator"
install -m 0644 LICENSE-APACHE LICENSE-MIT "$dist/"

# The tool writes beside Cargo.toml, and into the bill where that was.
readonly made=orchestrator_bin.cdx.json
trap 'rm -f "$PWD/$made"' EXIT
cargo cyclonedx --format json --spec-version 1.5 --describe binaries --no-build-deps
sed "s|path+file://$PWD|path+file:///orchestrator|g" "$made" >"$dist/$bom"

(cd "$dist" && sha256sum orchestrator "$bom" LICENSE-APACHE LICENSE-MIT >SHA256SUMS)
printf 'in %s:\n' "$dist"
cat "$dist/SHA256SUMS"
