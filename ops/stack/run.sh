#!/usr/bin/env bash
# The scenario of ops/stack-test.sh, which calls this with an engine to use (`there`), or within
# namespaces of its own, where it first starts one (`own`).
set -euo pipefail
readonly mode="$1" profile="$2"
# What ops/stack-test.sh made.
readonly work="${work:?}"

say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }
fail() { printf 'stack-test: FAILED: %s\n' "$*" >&2; exit 1; }
compose() { timeout "${BOUND:-120}" "$STACK_COMPOSE" --progress quiet "$@"; }

build() {
  COMPOSE_BAKE=false timeout "${BUILD_BOUND:-1800}" "$STACK_COMPOSE" --progress plain build "$@" \
    >"$work/build.log" 2>&1 || { tail -n 60 "$work/build.log"; fail "the Dockerfile does not build"; }
}

# --- an engine of its own --------------------------------------------------------------------------

start_engine() {
  local legacy="$work/legacy"
  ip link set lo up
  # Isolation and DNS within containers are made of rules, which this engine makes in the old tables.
  mkdir -p "$legacy"
  ln -s "$(command -v iptables-legacy)" "$legacy/iptables"
  mkdir -p "$work/run"
  mount -t tmpfs tmpfs /run
  mkdir -p /run/docker
  export DOCKER_HOST="unix://$work/run/docker.sock" DOCKER_CONFIG="$work/docker-config"
  PATH="$legacy:$PATH" dockerd --ip6tables=false \
    --cgroup-parent "stack-test-$$" --data-root "$work/engine" --exec-root "$work/run" \
    --pidfile "$work/run/pid" --host "$DOCKER_HOST" --log-level warn >"$work/engine.log" 2>&1 &
  engine=$!
  for _ in $(seq 150); do
    timeout 5 docker info >/dev/null 2>&1 && return
    kill -0 "$engine" 2>/dev/null || break
    sleep 0.2
  done
  cat "$work/engine.log" >&2
  printf 'not run: the engine did not start (its log is above)\n'
  exit 77
}

clean_up() {
  local status=$?
  if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
    compose ps --all || true
    compose logs --no-color --tail 40 || true
  fi
  BOUND=60 compose --profile replicas --profile small down --volumes --timeout 5 || true
  if [ "$mode" = own ]; then
    kill "$engine" 2>/dev/null || true
    timeout 20 tail --pid="$engine" -f /dev/null || true
    find /sys/fs/cgroup -depth -type d -path "*/stack-test-$$*" -exec rmdir {} + 2>/dev/null || true
  fi
  exit "$status"
}

# --- what is asked ---------------------------------------------------------------------------------

api() { curl --silent --max-time 10 "$@"; }
status_of() { api --output /dev/null --write-out '%{http_code}' "$@"; }
key() { printf 'Authorization: Bearer %s' "$(cat secrets/api_key)"; }
of() { docker inspect --format "$2" "$(compose ps --all --quiet "$1")"; }
in_container() { timeout 10 docker exec "$(compose ps --quiet "$1")" "${@:2}"; }

# within SECONDS WHAT COMMAND...: until the command succeeds.
within() {
  local end=$((SECONDS + $1)) what="$2"
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "$what"
    sleep 0.5
  done
}

expect() { [ "$2" = "$3" ] || fail "$1: $2 instead of $3"; }
expect_not() { ! "${@:2}" >/dev/null 2>&1 || fail "$1"; }

up() { BOUND=100 compose "$@" || fail "compose $*"; }

is_known() { api "localhost:${2:-3000}/api/knowledge/entries/$1" -H "$(key)" | grep -q '"title"'; }

secrets_are_made_once() {
  say "secrets are made once, for their owner"
  local before
  ops/make-secrets.sh >/dev/null
  before="$(cat secrets/* | sha256sum)"
  ops/make-secrets.sh >/dev/null
  expect "secrets made anew" "$(cat secrets/* | sha256sum)" "$before"
  expect "the folder's mode" "$(stat -c %a secrets)" 700
}

containers_are_hardened() {
  say "every container is healthy, hardened and limited; ports are this machine's alone"
  local service ports
  for service in $(compose config --services); do
    expect "$service is" "$(of "$service" '{{.State.Health.Status}}')" healthy
    expect "$service is read-only" "$(of "$service" '{{.HostConfig.ReadonlyRootfs}}')" true
    expect "$service's capabilities" "$(of "$service" '{{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}}')" '[ALL] []'
    expect "$service's privileges" "$(of "$service" '{{.HostConfig.SecurityOpt}}')" '[no-new-privileges:true]'
    [ "$(of "$service" '{{.HostConfig.Memory}}')" -gt 0 ] || fail "$service has no memory limit"
    [ "$(of "$service" '{{.HostConfig.NanoCpus}}')" -gt 0 ] || fail "$service has no processor limit"
    [ "$(of "$service" '{{.HostConfig.PidsLimit}}')" -gt 0 ] || fail "$service has no limit of processes"
    [ "$(of "$service" '{{.HostConfig.MemoryReservation}}')" -gt 0 ] || fail "$service has no reservation"
    # shellcheck disable=SC2016 # The engine's variables, not the shell's.
    ports="$(of "$service" '{{range $port, $to := .HostConfig.PortBindings}}{{range $to}}{{.HostIp}} {{end}}{{end}}')"
    expect "addresses of $service" "$(tr ' ' '\n' <<<"$ports" | sort -u | tr -d '\n')" "${ports:+127.0.0.1}"
    case "$(of "$service" '{{.Config.User}}')" in '' | 0* | root) fail "$service runs as root" ;; esac
  done
}

# What began and what became healthy, in its order.
record_events() {
  docker events --filter type=container --filter event=start --filter event=health_status \
    --format '{{.Action}} {{index .Actor.Attributes "com.docker.compose.service"}}' >"$work/events" &
  recorder=$!
}

the_service_starts_after_its_stores() {
  say "the service starts after its stores are healthy"
  kill "$recorder"
  local store started
  started="$(line_of 'start orchestrator')"
  for store in mongo redis; do
    [ "$(line_of "health_status: healthy $store")" -lt "$started" ] \
      || { cat "$work/events"; fail "the service started before $store was healthy"; }
  done
}

line_of() { grep -nxF "$1" "$work/events" | head -n 1 | cut -d: -f1; }

stores_are_apart() {
  say "the stores are in a network without a way out, and only the service reaches them"
  local address
  address="$(of alertmanager "{{(index .NetworkSettings.Networks \"${COMPOSE_PROJECT_NAME:-orchestrator}_watching\").IPAddress}}")"
  in_container prometheus wget -q -O /dev/null "http://$address:9093/-/ready" || fail "prometheus does not reach $address"
  expect_not "mongo reaches $address" timeout 4 docker exec "$(compose ps --quiet mongo)" bash -c ": </dev/tcp/$address/9093"
  expect_not "prometheus finds mongo" in_container prometheus nslookup mongo
  expect_not "alertmanager finds redis" in_container alertmanager nslookup redis
  in_container prometheus nslookup orchestrator >/dev/null || fail "prometheus does not find the service"
}

secrets_stay_secret() {
  say "no secret is in an environment, a command line or a log"
  local file value
  {
    for service in $(compose config --services); do
      docker inspect "$(compose ps --quiet "$service")"
      docker top "$(compose ps --quiet "$service")" -eo pid,args
    done
    compose logs --no-color
  } >"$work/told" 2>&1
  for file in secrets/*; do
    value="$(cat "$file")"
    ! grep -qF "$value" "$work/told" || fail "$file is told"
  done
}

only_keys_open() {
  say "nothing opens without a key, and limits hold"
  local answers
  expect "an export without a key" "$(status_of localhost:3000/api/persistence/export)" 401
  expect "an export with one" "$(status_of localhost:3000/api/persistence/export -H "$(key)")" 200
  expect "a webhook without a token" "$(status_of localhost:3000/webhook/alerts -d '{"alerts":[]}')" 401
  answers="$(for _ in $(seq 33); do
    status_of localhost:3000/api/knowledge/query -d '{"query":"test"}'
    echo
  done)"
  grep -q 429 <<<"$answers" || fail "33 questions a minute without a key, and no 429"
  # As Grafana's data source calls: it reads, and can do nothing else.
  # shellcheck disable=SC2016  # it is the container's shell that expands
  in_container grafana sh -c 'wget -q -O - --header "Authorization: Bearer $(cat /run/secrets/grafana_api_key)" \
    "$ORCHESTRATOR_URL/api/auth/me"' | grep -q '"role":"viewer"' || fail "Grafana's key does not read"
  expect "the same with the key" "$(status_of localhost:3000/api/auth/me -H "$(key)")" 200
  expect "the store" "$(api localhost:3000/api/persistence/health | grep -oE '"backend":"[a-z]*"')" '"backend":"mongodb"'
  api localhost:3000/api/persistence/health | grep -q '"store":"redis"' || fail "limits are not shared through Redis"
}

a_drill_goes_all_the_way() {
  say "a drill goes from Prometheus' rule through Alertmanager into the knowledge base"
  COMPOSE="$STACK_COMPOSE" DRILL_PATIENCE_SECONDS=90 ops/drill.sh compose >"$work/drill.log" 2>&1 \
    || { cat "$work/drill.log"; fail "the drill did not arrive"; }
  tail -n 1 "$work/drill.log"
  api localhost:3000/api/knowledge/query -H "$(key)" -d '{"query":"OrchestratorDrill"}' \
    | grep -q 'Nothing is to be done' || fail "the drill taught nothing"
}

# Of a binary that is not optimised only the memory that it asked for counts, and not its own pages.
it_needs_little_memory() {
  say "the idle service needs little memory"
  local row=VmRSS kilobytes
  [ "$profile" = release ] || row=RssAnon
  kilobytes="$(awk -v row="$row:" '$1 == row { print $2 }' "/proc/$(of orchestrator '{{.State.Pid}}')/status")"
  printf '%s: %s KiB\n' "$row" "$kilobytes"
  [ "$kilobytes" -lt 61440 ] || fail "the idle service takes $kilobytes KiB"
}

knowledge_outlives_a_restart() {
  say "what was learned outlives a restart"
  entry="$(api localhost:3000/api/knowledge/entries -H "$(key)" \
    -d '{"title":"Kept by the volume","severity":"low","solution":"It is there"}' | grep -oE '"id":"[^"]*"' | head -1 | cut -d'"' -f4)"
  [ -n "$entry" ] || fail "no entry was made"
  BOUND=60 compose restart orchestrator
  within 30 "the entry did not outlive a restart" is_known "$entry"
}

docker_stop_is_clean() {
  say "docker stop drains, and ends with 0 and no error in the log"
  local id since
  id="$(compose ps --quiet orchestrator)"
  since="$(date -u +%FT%TZ)"
  timeout 40 docker stop -t 30 "$id" >/dev/null
  expect "the exit code" "$(of orchestrator '{{.State.ExitCode}}')" 0
  docker logs --since "$since" "$id" >"$work/stop.log" 2>&1
  ! grep -E '"level":"ERROR"|panicked' "$work/stop.log" || fail "there are errors in the log"
  up up --detach --wait orchestrator
  within 30 "the entry did not outlive docker stop" is_known "$entry"
}

an_upgrade_keeps_everything() {
  say "an upgrade replaces the service alone and keeps everything"
  local before after prometheus
  before="$(of orchestrator '{{.Image}}')"
  prometheus="$(compose ps --quiet prometheus)"
  printf 'LABEL upgraded=yes\n' >>Dockerfile
  build orchestrator
  up up --detach --wait orchestrator
  after="$(of orchestrator '{{.Image}}')"
  [ "$before" != "$after" ] || fail "the image is the same"
  expect "Prometheus' container" "$(compose ps --quiet prometheus)" "$prometheus"
  within 30 "the entry did not outlive the upgrade" is_known "$entry"
}

the_store_may_go_and_come_back() {
  say "MongoDB restarts, and the service goes on by itself"
  BOUND=60 compose restart --timeout 10 mongo
  within 60 "the service is not ready again" in_container orchestrator orchestrator healthcheck --ready
  expect "the service's restarts" "$(of orchestrator '{{.RestartCount}}')" 0
}

two_replicas_behind_a_balancer() {
  say "two replicas behind a balancer: one stops, and nobody notices"
  up --profile replicas up --detach --wait
  within 10 "the second replica does not know the entry" is_known "$entry" 8080
  # While one drains, all are served by the other.
  timeout 40 docker stop -t 30 "$(compose ps --quiet orchestrator)" >/dev/null &
  local stopping=$! refused=0
  for _ in $(seq 40); do
    [ "$(status_of localhost:8080/api/knowledge/summary)" = 200 ] || refused=$((refused + 1))
    sleep 0.05
  done
  wait "$stopping"
  expect "answers that failed" "$refused" 0
  within 30 "Prometheus does not watch the second replica" sh -c \
    'curl -s --max-time 5 "localhost:9090/api/v1/query?query=up%7Bjob%3D%22orchestrator%22%7D%3D%3D1" | grep -q 9100'
}

everything_comes_back_from_volumes() {
  say "taken down and put up again, everything is there"
  BOUND=60 compose --profile replicas down --timeout 20
  up up --detach --wait
  is_known "$entry" || fail "the entry is gone"
  BOUND=60 compose down --timeout 20
}

small_is_one_container() {
  say "the small profile is one container on SQLite"
  up --profile small up --detach --wait small
  expect "containers" "$(compose --profile small --profile replicas ps --quiet | wc -l)" 1
  expect "the store" "$(api localhost:3000/api/persistence/health | grep -oE '"backend":"[a-z]*"')" '"backend":"sqlite"'
  api localhost:3000/webhook/alerts -H "Authorization: Bearer $(cat secrets/webhook_token)" \
    -d '{"alerts":[{"status":"firing","labels":{"alertname":"Small"}}]}' | grep -q '"new":1' || fail "no alert is taken"
  BOUND=60 compose --profile small restart small
  within 30 "the alert did not outlive a restart" sh -c \
    "curl -s --max-time 5 'localhost:3000/api/alerts?alertname=Small' -H '$(key)' | grep -q Small"
}

# --- the run ---------------------------------------------------------------------------------------

cd "$work/checkout"
if [ "$mode" = own ]; then
  # shellcheck source=ops/stack/images.sh
  . ops/stack/images.sh
  trap clean_up EXIT
  start_engine
  say "stand-ins for the images"
  make_redis
  make_watchers
  make_balancer
  make_grafana
  make_mongo
  make_distroless "$work/orchestrator"
  make_rust "$work/orchestrator"
else
  export COMPOSE_PROJECT_NAME=orchestrator-stack-test
  trap clean_up EXIT
fi

secrets_are_made_once
compose config --quiet
say "the Dockerfile is built"
build orchestrator
size="$(($(docker image inspect --format '{{.Size}}' orchestrator:1.0.0) / 1000000))"
printf 'the image holds %s MB\n' "$size"
[ "$profile" != release ] || [ "$size" -lt 60 ] || fail "the image holds $size MB"
say "docker compose up"
record_events
up up --detach --wait
printf 'up after %s s\n' "$SECONDS"
containers_are_hardened
the_service_starts_after_its_stores
stores_are_apart
a_drill_goes_all_the_way
it_needs_little_memory
only_keys_open
knowledge_outlives_a_restart
secrets_stay_secret
docker_stop_is_clean
an_upgrade_keeps_everything
the_store_may_go_and_come_back
two_replicas_behind_a_balancer
everything_comes_back_from_volumes
small_is_one_container
say "the stack holds what it promises"
