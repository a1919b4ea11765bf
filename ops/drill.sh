#!/usr/bin/env bash
# A drill: an alert that nothing is wrong behind goes the way of a real one, and is waited for until
# the service lists it as firing. Through the composition it ends by itself after 5 minutes.
#
#   ops/drill.sh             through the composition if it runs, else straight to the service
#   ops/drill.sh compose     Prometheus' rule -> Alertmanager -> the service
#   ops/drill.sh service     posted as Alertmanager does, to ORCHESTRATOR_URL
#                            (http://127.0.0.1:3000), with API_KEY and WEBHOOK_TOKEN, or else the
#                            credentials of `cargo run`
#   ops/drill.sh end         that one is resolved
#
# COMPOSE names the command, where it is not `docker compose`.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly name=OrchestratorDrill
readonly seconds=300
readonly patience="${DRILL_PATIENCE_SECONDS:-180}"
readonly rule=ops/compose/rules/drill.yml
readonly url="${ORCHESTRATOR_URL:-http://127.0.0.1:3000}"
read -r -a compose <<<"${COMPOSE:-docker compose}"

die() { printf 'ops/drill.sh: %s\n' "$*" >&2; exit 1; }

is_composed() { [ -n "$("${compose[@]}" ps --quiet prometheus 2>/dev/null)" ]; }

fire_by_rule() {
  cat >"$rule.new" <<RULE
groups:
  - name: drill
    rules:
      - alert: $name
        expr: vector(time()) < $(($(date +%s) + seconds))
        labels:
          severity: low
        annotations:
          summary: "A drill: nothing is wrong"
          description: "ops/drill.sh made this alert to see that alerts arrive. It ends by itself."
          solution: "Nothing is to be done. That you read this is the answer: alerts arrive."
RULE
  chmod 0644 "$rule.new"
  mv "$rule.new" "$rule"
  "${compose[@]}" kill --signal HUP prometheus
}

# post STATUS: without a start, an alert joins the one that is open.
post() {
  curl --fail --silent --show-error "$url/webhook/alerts" -H "Authorization: Bearer $WEBHOOK_TOKEN" -d @- <<JSON
{"alerts": [{"status": "$1", "labels": {"alertname": "$name", "severity": "low"},
  "annotations": {"summary": "A drill: nothing is wrong",
    "solution": "Nothing is to be done. That you read this is the answer: alerts arrive."}}]}
JSON
  echo
}

load_credentials() {
  [ -z "${WEBHOOK_TOKEN:-}" ] || return 0
  [ -r data/dev-credentials.env ] || die "no service ran here (data/dev-credentials.env)"
  # shellcheck source=/dev/null
  . data/dev-credentials.env
}

is_firing() {
  curl --fail --silent "$url/api/alerts?status=firing&alertname=$name&limit=1" \
    -H "Authorization: Bearer $API_KEY" | grep "\"$name\""
}

way="${1:-}"
if [ -z "$way" ]; then
  if is_composed; then way=compose; else way=service; fi
fi
case "$way" in
  compose)
    API_KEY="$(cat secrets/api_key)" || die "ops/make-secrets.sh makes secrets/api_key"
    fire_by_rule
    ;;
  service)
    load_credentials
    post firing
    ;;
  end)
    load_credentials
    post resolved
    exit
    ;;
  *) die "usage: ops/drill.sh [compose|service|end]" ;;
esac

printf 'waiting for %s in %s/api/alerts\n' "$name" "$url"
until is_firing; do
  [ "$SECONDS" -lt "$patience" ] || die "the alert did not arrive within $patience s"
  sleep 2
done
printf '\n%s fires: seen after %s s. Look at %s/ with the key.\n' "$name" "$SECONDS" "$url"
