#!/usr/bin/env bash
# Holds the running service to its OpenAPI document: is the document valid, can clients be generated
# from it that call every route, and does the service do what it says, and nothing else, whatever is
# sent (schemathesis, with all checks and a fixed seed)? And: can an assistant's own client use /mcp?
#
#   ops/check-api.sh BINARY      needs python3 with venv, curl and npm; ops/test.sh runs it
#   ops/check-api.sh --install   only gets what it needs
#
# Python packages go into target/api-venv, npm's into target/api-npm.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly target="${CARGO_TARGET_DIR:-$PWD/target}"
readonly venv="$target/api-venv" npm="$target/api-npm"
readonly here="$PWD/ops/api"
export PYTHONDONTWRITEBYTECODE=1

say() { printf -- '-- %s\n' "$*"; }

install() {
  if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/installed.txt"
  fi
  mkdir -p "$npm"
  if ! cmp -s "$here/package.json" "$npm/installed.json"; then
    cp "$here/package.json" "$npm/package.json"
    npm install --prefix "$npm" --no-audit --no-fund --silent
    cp "$here/package.json" "$npm/installed.json"
  fi
}

work="$(mktemp -d)"
service=''
clean_up() {
  if [ -n "$service" ]; then
    kill "$service" 2>/dev/null || true
    wait "$service" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# A service of its own, with an empty store and without limits on requests.
start() {
  local port metrics
  port="$(free_port)" metrics="$(free_port)"
  export API_URL="http://127.0.0.1:$port" METRICS_URL="http://127.0.0.1:$metrics/metrics"
  API_KEY="admin-$(head -c 24 /dev/urandom | base64 -w 0 | tr -d '+/=')"
  export API_KEY
  WEBHOOK_TOKEN="token-$(head -c 24 /dev/urandom | base64 -w 0 | tr -d '+/=')"
  export WEBHOOK_TOKEN
  mkdir "$work/service"
  (
    cd "$work/service"
    export PORT="$port" METRICS_PORT="$metrics" HOST=127.0.0.1 METRICS_HOST=127.0.0.1
    export RATE_LIMIT_WEBHOOK=0 RATE_LIMIT_API=0 RATE_LIMIT_EXPORT=0 RATE_LIMIT_PUBLIC=0
    export RATE_LIMIT_HEALTH=0 AUTH_FAILURE_LIMIT=0 DATABASE_URL=sqlite:data/orchestrator.db
    exec "$binary" >log 2>&1
  ) &
  service="$!"
  local deadline=$((SECONDS + 60))
  until curl -sf -o "$work/openapi.json" "$API_URL/api/openapi.json"; do
    if ! kill -0 "$service" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
      cat "$work/service/log" >&2
      exit 1
    fi
    sleep 0.1
  done
}

check_document() {
  say 'the document is valid OpenAPI 3.1'
  "$venv/bin/openapi-spec-validator" --subschema-errors all "$work/openapi.json"
}

check_python_client() {
  say "a client that openapi-python-client generates calls every route"
  "$venv/bin/openapi-python-client" generate --path "$work/openapi.json" \
    --output-path "$work/orchestrator_client" --meta none --config "$here/client.yml" --fail-on-warning
  PYTHONPATH="$work" "$venv/bin/python" "$here/call_every_route.py" "$work/openapi.json"
}

check_typescript_client() {
  say "a client with the types of openapi-typescript calls every route"
  cp "$here/call-every-route.ts" "$npm/"
  "$npm/node_modules/.bin/openapi-typescript" "$work/openapi.json" \
    --default-non-nullable false -o "$npm/schema.d.ts" >/dev/null
  (cd "$npm" && node_modules/.bin/tsc --strict --skipLibCheck --target es2022 --module nodenext \
    --types node --outDir built call-every-route.ts && node built/call-every-route.js "$work/openapi.json")
}

check_assistant() {
  say "the protocol's own client uses /mcp"
  "$venv/bin/python" "$here/assistant.py"
}

check_schemathesis() {
  say "schemathesis, all checks"
  (cd "$work" && PYTHONPATH="$here" timeout 120 "$venv/bin/schemathesis" \
    --config-file "$here/schemathesis.toml" run "$API_URL/api/openapi.json" --checks all \
    --max-examples 15 --generation-database none --request-timeout 20 --no-color)
}

install
[ "$1" = --install ] && exit
binary="$(realpath "$1")"
start
check_document
check_python_client
check_typescript_client
check_assistant
check_schemathesis
