#!/usr/bin/env bash
# Builds what is handed out, from a clean checkout of the commit, and says what is in it:
#
#   dist/orchestrator            the binary, stripped
#   dist/orchestrator.cdx.json   its software bill of materials (CycloneDX 1.5): every crate that is
#                                linked into it, with version, licence and checksum
#   dist/orchestrator-image.tar  the image, where there is a Docker engine that can build it
#   dist/LICENSE-APACHE, LICENSE-MIT
#   dist/SHA256SUMS              of all of these
#
#   ops/release.sh               once
#   ops/release.sh --twice       twice, from nothing, and compares: the same bytes, but for the image,
#                                whose base is of the day
#
# The same commit and the same Rust give the same binary, wherever it is built: paths are not in it,
# times are the commit's, and Cargo.lock names every version.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly target="${CARGO_TARGET_DIR:-$PWD/target}"
# shellcheck source=ops/tools.sh
. ops/tools.sh
readonly dist="$PWD/dist"
readonly work="$target/release-build"
readonly bom=orchestrator.cdx.json

case "${1:-}" in '' | --twice) ;; *) die "usage: ops/release.sh [--twice]" ;; esac
[ -z "$(git status --porcelain)" ] || die "there are changes that are not committed"
cargo cyclonedx --version >/dev/null 2>&1 \
  || cargo install --locked --root "$tools" cargo-cyclonedx@0.5.9

SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
export SOURCE_DATE_EPOCH

# build FOLDER: the commit, checked out and built from nothing, into the folder.
build() {
  local out="$1" source="$work/source" cargo_home="${CARGO_HOME:-$HOME/.cargo}"
  rm -rf "$work"
  mkdir -p "$source" "$out"
  git archive HEAD | tar --extract --directory "$source"
  (
    cd "$source"
    # Neither Rust nor C writes down where it was built.
    export CARGO_TARGET_DIR="$work/target" CFLAGS="-ffile-prefix-map=$cargo_home=/cargo"
    RUSTFLAGS="--remap-path-prefix=$source=/orchestrator --remap-path-prefix=$cargo_home=/cargo"
    export RUSTFLAGS
    cargo build --release --locked --bin orchestrator
    # The tool writes beside Cargo.toml, and into the bill where that was.
    cargo cyclonedx --format json --spec-version 1.5 --describe binaries --no-build-deps
    sed "s|path+file://$source|path+file:///orchestrator|g" orchestrator_bin.cdx.json >"$out/$bom"
  )
  install -m 0755 "$work/target/release/orchestrator" "$out/orchestrator"
  install -m 0644 LICENSE-APACHE LICENSE-MIT "$out/"
  rm -rf "$work"
}

# The image is built by the Dockerfile, from the commit alone.
build_image() {
  if ! timeout 10 docker info >/dev/null 2>&1; then
    echo "no image: there is no Docker engine"
    return
  fi
  git archive HEAD | docker build --tag orchestrator:1.0.0 - \
    || { echo "no image: the engine could not build it"; return; }
  docker save --output "$dist/orchestrator-image.tar" orchestrator:1.0.0
}

rm -rf "$dist"
build "$dist"
if [ "${1:-}" = --twice ]; then
  again="$(mktemp -d)"
  trap 'rm -rf "$again"' EXIT
  build "$again"
  diff --recursive "$dist" "$again" || die "built twice, the bytes differ"
  echo "built twice: the same bytes"
fi
build_image
(cd "$dist" && sha256sum -- * >SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS)
printf 'in %s:\n' "$dist"
cat "$dist/SHA256SUMS"
